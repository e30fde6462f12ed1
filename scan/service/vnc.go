package service

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

var vncProtocol = protocol{
	name:   "vnc",
	ports:  []uint16{5900, 5901, 5902, 5903, 5904, 5905},
	greets: true,
	claims: func(b []byte) bool { return bytes.HasPrefix(b, []byte("RFB ")) },
	talk:   talkVNC,
}

// The security types of RFC 6143, 7.1.2 and IANA's registry.
var vncSecurity = map[byte]string{
	1: "none", 2: "VNC password", 5: "RA2", 6: "RA2ne", 16: "Tight", 18: "TLS", 19: "VeNCrypt", 20: "SASL", 30: "Apple", 35: "Apple",
}

// talkVNC agrees on the version and reads the security types. None is chosen.
func talkVNC(c *conversation) (Service, bool) {
	line, err := c.line(greetingExpected)
	if err != nil || !strings.HasPrefix(line, "RFB ") || len(line) != 11 {
		return Service{}, false
	}
	s := Service{Name: "vnc", Info: "protocol " + vncVersion(line)}
	if line[4:] < "003.007" {
		return c.oldVNC(s, line), true
	}
	if c.say([]byte("RFB 003.008\n")) != nil {
		return s, true
	}
	count, err := c.bytes(1)
	if err != nil || count[0] == 0 { // refused, with a reason
		return s, true
	}
	types, err := c.bytes(int(count[0]))
	if err != nil {
		return s, true
	}
	s.Access = AccessDenied
	if slices.Contains(types, 1) {
		s.Access = AccessOpen
	}
	s.Info = join(s.Info, "security: "+vncTypes(types))
	return s, true
}

// oldVNC: up to version 3.3 the server chooses the type, of four bytes.
func (c *conversation) oldVNC(s Service, line string) Service {
	if c.say([]byte(line+"\n")) != nil {
		return s
	}
	kind, err := c.bytes(4)
	if err != nil || kind[3] == 0 {
		return s
	}
	s.Access = AccessDenied
	if kind[3] == 1 {
		s.Access = AccessOpen
	}
	s.Info = join(s.Info, "security: "+vncTypes(kind[3:]))
	return s
}

func vncTypes(types []byte) string {
	var words []string
	for _, t := range types {
		word, known := vncSecurity[t]
		if !known {
			word = strconv.Itoa(int(t))
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// vncVersion makes 3.8 of "RFB 003.008".
func vncVersion(line string) string {
	major, minor, _ := strings.Cut(line[4:], ".")
	return strings.TrimLeft(major, "0") + "." + or(strings.TrimLeft(minor, "0"), "0")
}
