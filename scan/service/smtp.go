package service

import (
	"bytes"
	"regexp"
	"strings"
	"time"

	"github.com/netglance/netglance/internal/lazyregexp"
)

var smtpProtocol = protocol{
	name:        "smtp",
	ports:       []uint16{25, 587, 2525},
	securePorts: []uint16{465},
	greets:      true,
	claims: func(b []byte) bool {
		return bytes.HasPrefix(b, []byte("220")) && mailWords.Match(b) && !ftpWords.Match(b)
	},
	talk: talkSMTP,
}

var mailWords = lazyregexp.New(`(?i)\bE?SMTP\b|\bLMTP\b|postfix|exim|sendmail|mail service|mailserver`)

func talkSMTP(c *conversation) (Service, bool) {
	code, greeting, ok := c.reply(greetingExpected)
	if !ok || code != "220" && code != "554" && code != "421" || ftpWords.MatchString(greeting) {
		return Service{}, false
	}
	if code != "220" && !mailWords.MatchString(greeting) {
		return Service{}, false
	}
	s := smtpService(firstLine(greeting))
	if code != "220" {
		s.Info, s.Access = join(s.Info, "refuses: "+firstLine(greeting)), AccessDenied
		return s, true
	}
	if c.say([]byte("EHLO netglance.invalid\r\n")) != nil {
		return s, mailWords.MatchString(greeting)
	}
	code, extensions, ok := c.reply(answerWait)
	if !ok || code != "250" && !mailWords.MatchString(greeting) {
		return s, mailWords.MatchString(greeting)
	}
	for line := range strings.Lines(strings.ToUpper(extensions)) {
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "STARTTLS":
			s.StartTLS = true
		case "AUTH":
			s.Info = join(s.Info, "takes logins")
		}
	}
	c.say([]byte("QUIT\r\n"))
	return s, true
}

// The products that greet with their name, and their version where they have one to tell.
var smtpProducts = []struct {
	product string
	words   *lazyregexp.Regexp
}{
	{"Postfix", lazyregexp.New(`(?i)\bPostfix\b(?: ?\(?([0-9][\w.-]*))?`)},
	{"Exim", lazyregexp.New(`\bExim\b(?: ([0-9][\w.-]*))?`)},
	{"Sendmail", lazyregexp.New(`\bSendmail\b(?: ([0-9][\w.-]*))?`)},
	{"OpenSMTPD", lazyregexp.New(`\bOpenSMTPD\b()`)},
	{"Microsoft Exchange", lazyregexp.New(`Microsoft ESMTP MAIL Service(?:, Version: ([0-9.]+))?`)},
	{"Haraka", lazyregexp.New(`\bHaraka(?:/([0-9.]+))?`)},
	{"Dovecot", lazyregexp.New(`\bDovecot\b()`)},
}

// smtpService reads "mail.example.org ESMTP Postfix (Debian/GNU)".
func smtpService(greeting string) Service {
	s := Service{Name: "smtp"}
	name, _, _ := strings.Cut(greeting, " ")
	if strings.Contains(name, ".") || strings.Contains(greeting, " ESMTP") {
		s.Hostname = name
	}
	for _, p := range smtpProducts {
		if m := p.words.FindStringSubmatch(greeting); m != nil {
			s.Product, s.Version = p.product, m[1]
			break
		}
	}
	if m := regexp.MustCompile(`\(((?:Debian|Ubuntu)[^)]*)\)`).FindStringSubmatch(greeting); m != nil {
		s.Info = m[1]
	}
	return s
}

// reply reads an answer of SMTP and FTP: lines of a three digit code, of which all
// but the last have a hyphen behind it (RFC 5321, 4.2; RFC 959, 4.2). The text is
// without codes.
func (c *conversation) reply(wait time.Duration) (code, answer string, ok bool) {
	var lines []string
	for range maxReplyLines {
		line, err := c.line(wait)
		if err != nil {
			return "", "", false
		}
		if len(lines) == 0 {
			if len(line) < 3 || !isCode(line[:3]) || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
				return "", "", false
			}
			code = line[:3]
		}
		body, marked := strings.CutPrefix(line, code)
		if !marked {
			lines = append(lines, line) // FTP has lines without a code between
			continue
		}
		more := strings.HasPrefix(body, "-")
		lines = append(lines, strings.TrimSpace(strings.TrimPrefix(body, "-")))
		if !more {
			return code, strings.Join(lines, "\n"), true
		}
	}
	return "", "", false
}

// maxReplyLines of one answer are read.
const maxReplyLines = 100

func isCode(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}
