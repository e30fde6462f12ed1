package service

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/netglance/netglance/internal/lazyregexp"
)

var mysqlProtocol = protocol{
	name:   "mysql",
	binary: true,
	ports:  []uint16{3306, 3307, 33060},
	greets: true,
	plain:  true,
	claims: func(b []byte) bool { _, ok := mysqlPacket(b); return ok },
	talk:   talkMySQL,
}

// talkMySQL reads the packet with which a server begins
// (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html).
func talkMySQL(c *conversation) (Service, bool) {
	c.until(greetingExpected, func(b []byte) bool {
		if len(b) < 5 {
			return false
		}
		_, ok := mysqlPacket(b)
		return ok || !plausibleMySQL(b)
	})
	body, ok := mysqlPacket(c.heard)
	if !ok {
		return Service{}, false
	}
	if body[0] == 0xff {
		return mysqlError(body), true
	}
	return mysqlGreeting(body)
}

// plausibleMySQL: length of 3 bytes, sequence number 0 (an error may have 1), protocol version 10 or an error.
func plausibleMySQL(b []byte) bool {
	return len(b) >= 5 && b[2] == 0 && (b[3] == 0 && b[4] == 10 || b[3] <= 1 && b[4] == 0xff)
}

func mysqlPacket(b []byte) ([]byte, bool) {
	if !plausibleMySQL(b) {
		return nil, false
	}
	length := int(b[0]) | int(b[1])<<8
	if length < 3 || length > maxBanner || len(b) < 4+length {
		return nil, false
	}
	body := b[4 : 4+length]
	// An error has a number and a text, a greeting a version that ends with a zero.
	if body[0] == 0xff {
		number := binary.LittleEndian.Uint16(body[1:])
		return body, number >= 1000 && number < 5000
	}
	return body, bytes.IndexByte(body, 0) > 1 && startsWithDigit(string(body[1:]))
}

var quoted = lazyregexp.New(`(?i)to this (MySQL|MariaDB) server`)

// mysqlError is mostly 1130: this host may not connect.
func mysqlError(body []byte) Service {
	words := text(string(body[3:]), maxText)
	s := Service{Name: "mysql", Info: "refuses: " + words, Access: AccessDenied, Banner: words}
	if m := quoted.FindStringSubmatch(words); m != nil {
		s.Product = m[1]
	}
	return s
}

func mysqlGreeting(body []byte) (Service, bool) {
	version, rest, ok := bytes.Cut(body[1:], []byte{0})
	if !ok {
		return Service{}, false
	}
	s := Service{Name: "mysql", Product: "MySQL", Version: string(version), Banner: string(version)}
	// MariaDB put 5.5.5- before its version up to 11.
	if strings.Contains(s.Version, "MariaDB") {
		s.Product = "MariaDB"
		s.Version = strings.TrimPrefix(s.Version, "5.5.5-")
		number, packaging, _ := strings.Cut(s.Version, "-MariaDB")
		s.Version, s.Info = number, strings.Trim(packaging, "-+ ")
	}
	// Thread id, 8 bytes of the scramble and a zero, then the lower capability flags.
	const clientSSL = 0x0800
	if len(rest) >= 15 {
		s.StartTLS = binary.LittleEndian.Uint16(rest[13:])&clientSSL != 0
	}
	return s, true
}
