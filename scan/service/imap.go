package service

import (
	"bytes"
	"strings"

	"github.com/netglance/netglance/internal/lazyregexp"
)

var imapProtocol = protocol{
	name:        "imap",
	ports:       []uint16{143},
	securePorts: []uint16{993},
	greets:      true,
	claims:      greetsAsIMAP,
	talk:        talkIMAP,
}

func greetsAsIMAP(b []byte) bool {
	return bytes.HasPrefix(b, []byte("* OK")) || bytes.HasPrefix(b, []byte("* PREAUTH")) || bytes.HasPrefix(b, []byte("* BYE"))
}

// talkIMAP asks for the capabilities, and for the name and version that ID (RFC
// 2971) gives to who didn't log in.
func talkIMAP(c *conversation) (Service, bool) {
	greeting, err := c.line(greetingExpected)
	if err != nil || !greetsAsIMAP([]byte(greeting)) {
		return Service{}, false
	}
	s := Service{Name: "imap", Product: mailProduct(greeting)}
	if strings.HasPrefix(greeting, "* PREAUTH") {
		s.Access = AccessOpen
	}
	answer := string(c.ask([]byte("a CAPABILITY\r\n"), imapDone("a")))
	s.StartTLS = strings.Contains(strings.ToUpper(answer), "STARTTLS")
	if strings.Contains(strings.ToUpper(answer), " ID") {
		id := string(c.ask([]byte("b ID NIL\r\n"), imapDone("b")))
		if m := imapID.FindStringSubmatch(id); m != nil {
			s.Product = or(s.Product, m[1])
		}
		if m := imapVersion.FindStringSubmatch(id); m != nil {
			s.Version = m[1]
		}
	}
	c.say([]byte("c LOGOUT\r\n"))
	return s, true
}

var (
	imapID      = lazyregexp.New(`(?i)"name" "([^"]*)"`)
	imapVersion = lazyregexp.New(`(?i)"version" "([^"]*)"`)
)

func imapDone(tag string) func([]byte) bool {
	return func(b []byte) bool {
		at := bytes.LastIndex(b, []byte(tag+" "))
		return at >= 0 && (at == 0 || b[at-1] == '\n') && bytes.HasSuffix(b, []byte("\n"))
	}
}

var mailNames = lazyregexp.New(`(?i)\b(Dovecot|Courier|Cyrus|Microsoft Exchange|hMailServer|Zimbra|MDaemon|Stalwart)\b`)

// mailProduct is the name in a greeting of IMAP or POP3.
func mailProduct(greeting string) string {
	return mailNames.FindString(greeting)
}
