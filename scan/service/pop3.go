package service

import (
	"bytes"
	"strings"

	"github.com/netglance/netglance/internal/lazyregexp"
)

var pop3Protocol = protocol{
	name:        "pop3",
	ports:       []uint16{110},
	securePorts: []uint16{995},
	greets:      true,
	claims:      func(b []byte) bool { return bytes.HasPrefix(b, []byte("+OK")) },
	talk:        talkPOP3,
}

// talkPOP3 asks for the capabilities (RFC 2449), among which an IMPLEMENTATION may be.
func talkPOP3(c *conversation) (Service, bool) {
	greeting, err := c.line(greetingExpected)
	if err != nil || !strings.HasPrefix(greeting, "+OK") {
		return Service{}, false
	}
	s := Service{Name: "pop3", Product: mailProduct(greeting)}
	answer := c.ask([]byte("CAPA\r\n"), func(b []byte) bool {
		return bytes.HasPrefix(b, []byte("-ERR")) && bytes.HasSuffix(b, []byte("\n")) || bytes.HasSuffix(b, []byte("\n.\r\n"))
	})
	if len(answer) == 0 {
		return s, s.Product != ""
	}
	for line := range strings.Lines(string(answer)) {
		line = strings.TrimSpace(line)
		if line == "STLS" {
			s.StartTLS = true
		}
		if words, ok := strings.CutPrefix(line, "IMPLEMENTATION "); ok {
			s.Product, s.Version = splitImplementation(words)
		}
	}
	c.say([]byte("QUIT\r\n"))
	return s, true
}

var implementation = lazyregexp.New(`^([A-Za-z][\w .]*?)[- /]v?([0-9][\w.-]*)`)

func splitImplementation(s string) (product, version string) {
	if m := implementation.FindStringSubmatch(s); m != nil {
		return m[1], m[2]
	}
	return s, ""
}
