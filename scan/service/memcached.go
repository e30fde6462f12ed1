package service

import (
	"bytes"
	"strings"
)

var memcachedProtocol = protocol{
	name:   "memcached",
	ports:  []uint16{11211},
	claims: func(b []byte) bool { return bytes.HasPrefix(b, []byte("ERROR\r\n")) },
	talk: func(c *conversation) (Service, bool) {
		return memcachedService(string(c.ask([]byte("version\r\n"), endsLine)))
	},
}

// memcachedService reads "VERSION 1.6.18".
func memcachedService(answer string) (Service, bool) {
	s := Service{Name: "memcached", Product: "Memcached"}
	version, ok := strings.CutPrefix(firstLine(answer), "VERSION ")
	switch {
	case ok:
		s.Version, s.Access = version, AccessOpen
	case strings.HasPrefix(answer, "CLIENT_ERROR unauthenticated"):
		s.Access = AccessDenied
	default:
		return Service{}, false
	}
	return s, true
}
