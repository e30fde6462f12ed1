package service

import (
	"encoding/binary"
	"fmt"
)

var mssqlProtocol = protocol{
	name:   "ms-sql-s",
	binary: true,
	ports:  []uint16{1433},
	plain:  true,
	talk:   talkMSSQL,
}

// preLogin is the packet of MS-TDS 2.2.6.5 with the options VERSION and ENCRYPTION,
// which a server answers before any login.
var preLogin = []byte{
	0x12, 1, 0, 26, 0, 0, 0, 0, // type, end of message, length
	0, 0, 11, 0, 6, // VERSION at 11, 6 bytes
	1, 0, 17, 0, 1, // ENCRYPTION at 17, 1 byte
	0xff,
	0, 0, 0, 0, 0, 0,
	0,
}

func talkMSSQL(c *conversation) (Service, bool) {
	answer := c.ask(preLogin, func(b []byte) bool {
		return len(b) >= 4 && (b[0] != 4 || len(b) >= int(binary.BigEndian.Uint16(b[2:])))
	})
	if len(answer) < 8 || answer[0] != 4 {
		return Service{}, false
	}
	options := answer[8:]
	s := Service{Name: "ms-sql-s", Product: "Microsoft SQL Server"}
	for at := 0; at+5 <= len(options) && options[at] != 0xff; at += 5 {
		begin := int(binary.BigEndian.Uint16(options[at+1:]))
		length := int(binary.BigEndian.Uint16(options[at+3:]))
		if begin+length > len(options) {
			return Service{}, false
		}
		value := options[begin : begin+length]
		switch {
		case options[at] == 0 && length >= 4:
			s.Version = fmt.Sprintf("%d.%d.%d", value[0], value[1], binary.BigEndian.Uint16(value[2:]))
		case options[at] == 1 && length == 1:
			s.StartTLS = value[0] == 1 || value[0] == 3 // ENCRYPT_ON, ENCRYPT_REQ
		}
	}
	return s, s.Version != ""
}
