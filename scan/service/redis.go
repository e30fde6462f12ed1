package service

import (
	"bytes"
	"strings"
)

var redisProtocol = protocol{
	name:        "redis",
	ports:       []uint16{6379, 6378, 26379, 16379},
	securePorts: []uint16{6379, 6380},
	claims: func(b []byte) bool {
		return bytes.HasPrefix(b, []byte("-ERR wrong number of arguments for 'get' command")) ||
			bytes.HasPrefix(b, []byte("-NOAUTH")) || bytes.HasPrefix(b, []byte("-DENIED Redis"))
	},
	talk: talkRedis,
}

// talkRedis asks PING, and INFO for the version. Both only read.
func talkRedis(c *conversation) (Service, bool) {
	answer := c.ask([]byte("*1\r\n$4\r\nPING\r\n"), endsLine)
	s := Service{Name: "redis", Product: "Redis"}
	switch words := string(answer); {
	case strings.HasPrefix(words, "+PONG"):
		s.Access = AccessOpen
	case strings.HasPrefix(words, "-NOAUTH"), strings.HasPrefix(words, "-ERR operation not permitted"):
		s.Access = AccessDenied
		return s, true
	case strings.HasPrefix(words, "-DENIED"):
		s.Access, s.Info = AccessDenied, "protected mode: other hosts are refused"
		return s, true
	default:
		return Service{}, false
	}
	// A bulk string: "$5432", the text, an empty line.
	info := string(c.ask([]byte("*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"), wholeBulk))
	fields := fieldsOf(info, ":")
	s.Version = fields["redis_version"]
	s.Info = fields["os"]
	for _, fork := range []struct{ field, product string }{{"valkey_version", "Valkey"}, {"dragonfly_version", "Dragonfly"}} {
		if v := fields[fork.field]; v != "" {
			s.Product, s.Version = fork.product, strings.TrimPrefix(v, "df-v")
		}
	}
	if mode := fields["redis_mode"]; mode == "sentinel" || mode == "cluster" {
		s.Info = join(s.Info, mode)
	}
	return s, true
}

func endsLine(b []byte) bool { return bytes.HasSuffix(b, []byte("\n")) }

// wholeBulk says that an error line, or a bulk string of the length that it tells, is there.
func wholeBulk(b []byte) bool {
	head, body, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok {
		return false
	}
	length, isBulk := strings.CutPrefix(string(head), "$")
	return !isBulk || len(body) >= number(length)
}

// number is 0 where there is none.
func number(s string) int {
	n := 0
	for _, r := range s {
		if r < '0' || r > '9' || n > 1<<24 {
			return 0
		}
		n = n*10 + int(r-'0')
	}
	return n
}

// fieldsOf reads lines of a name, a separator and a value.
func fieldsOf(s, separator string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(s) {
		if name, value, ok := strings.Cut(line, separator); ok {
			out[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return out
}
