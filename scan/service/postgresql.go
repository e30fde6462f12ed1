package service

import (
	"bytes"
	"encoding/binary"
	"strings"
)

var postgresqlProtocol = protocol{
	name:   "postgresql",
	binary: true,
	ports:  []uint16{5432, 5433, 6432},
	plain:  true,
	talk:   talkPostgreSQL,
}

// Requests of the message flow's start
// (https://www.postgresql.org/docs/current/protocol-message-formats.html).
var (
	sslRequest = []byte{0, 0, 0, 8, 4, 210, 22, 47} // 80877103
	// A startup of protocol 255.255, which no server knows, and no user: the error
	// comes before any login, and tells a PostgreSQL from others that speak as it does.
	unknownStartup = []byte{0, 0, 0, 9, 0, 255, 0, 255, 0}
)

func talkPostgreSQL(c *conversation) (Service, bool) {
	answer := c.ask(sslRequest, anything)
	if len(answer) == 0 || answer[0] != 'S' && answer[0] != 'N' || len(answer) > 1 {
		return Service{}, false
	}
	s := Service{Name: "postgresql", StartTLS: answer[0] == 'S'}
	second, err := c.peer.open()
	if err != nil {
		return Service{}, false
	}
	defer second.close()
	fields, ok := errorResponse(second.ask(unknownStartup, wholeMessage))
	if !ok {
		return Service{}, false // one byte alone may be anybody's
	}
	s.Product = postgresqlProduct(fields)
	s.Version, s.Banner = postgresqlRelease(fields), fields['M']
	if s.StartTLS {
		if facts, ok := handshake(c); ok {
			s.TLS = nil
			s.Hostname = certificateName(facts.TLS)
		}
	}
	return s, true
}

// wholeMessage: a byte of type, four of length that count themselves.
func wholeMessage(b []byte) bool {
	return len(b) >= 5 && uint32(len(b)) > binary.BigEndian.Uint32(b[1:])
}

// errorResponse are the fields of a message 'E', by their type.
func errorResponse(b []byte) (map[byte]string, bool) {
	if len(b) < 5 || b[0] != 'E' {
		return nil, false
	}
	fields := map[byte]string{}
	for field := range bytes.SplitSeq(b[5:], []byte{0}) {
		if len(field) > 1 {
			fields[field[0]] = string(field[1:])
		}
	}
	return fields, fields['S'] != "" && fields['M'] != ""
}

// postgresqlProduct: PostgreSQL itself tells the source file, PgBouncer and others don't.
func postgresqlProduct(fields map[byte]string) string {
	switch {
	case fields['R'] == "ProcessStartupPacket":
		return "PostgreSQL"
	case strings.HasPrefix(fields['M'], "bad packet header"), strings.HasPrefix(fields['M'], "unsupported startup"):
		return "PgBouncer"
	}
	return ""
}

// postgresqlRelease is what the error tells of the version: which protocols it knows
// (2 went in release 14, 3.2 came with 18), and in which source file it stands
// (moved in 17). The release itself is only told after a login.
func postgresqlRelease(fields map[byte]string) string {
	moved := fields['F'] == "backend_startup.c"
	words := fields['M']
	switch {
	case fields['R'] != "ProcessStartupPacket":
		return ""
	case strings.HasSuffix(words, "server supports 3.0 to 3.2"):
		return "18 or later"
	case strings.HasSuffix(words, "server supports 3.0 to 3.0") && moved:
		return "17"
	case strings.HasSuffix(words, "server supports 3.0 to 3.0"):
		return "14 to 16"
	case strings.HasSuffix(words, "server supports 2.0 to 3.0"), strings.HasSuffix(words, "server supports 1.0 to 3.0"):
		return "13 or earlier"
	}
	return ""
}
