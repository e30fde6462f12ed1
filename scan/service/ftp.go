package service

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/netglance/netglance/internal/lazyregexp"
)

var ftpProtocol = protocol{
	name:        "ftp",
	ports:       []uint16{21, 2121, 8021},
	securePorts: []uint16{990},
	greets:      true,
	claims: func(b []byte) bool {
		return bytes.HasPrefix(b, []byte("220")) && ftpWords.Match(b)
	},
	talk: talkFTP,
}

var ftpWords = lazyregexp.New(`(?i)\bv?s?ftpd?\b|filezilla|proftpd`)

// talkFTP asks for the features (RFC 2389), which need no login.
func talkFTP(c *conversation) (Service, bool) {
	code, greeting, ok := c.reply(greetingExpected)
	known := ftpWords.MatchString(greeting)
	if !ok || code != "220" && code != "421" && code != "530" || mailWords.MatchString(greeting) && !known {
		return Service{}, false
	}
	s := ftpService(greeting)
	if code != "220" {
		s.Info = join(s.Info, "refuses: "+firstLine(greeting))
		return s, known
	}
	if c.say([]byte("FEAT\r\n")) != nil {
		return s, known
	}
	code, features, ok := c.reply(answerWait)
	if !known && (!ok || code != "211" && code != "530" && code != "500" && code != "502") {
		return Service{}, false
	}
	for line := range strings.Lines(strings.ToUpper(features)) {
		if strings.HasPrefix(strings.TrimSpace(line), "AUTH TLS") {
			s.StartTLS = true
		}
	}
	c.say([]byte("QUIT\r\n"))
	return s, true
}

// Greetings of servers that tell their name: "(vsFTPd 3.0.3)", "ProFTPD 1.3.8 Server
// (Debian)", "FileZilla Server 1.7.3", "Welcome to Pure-FTPd".
var ftpProduct = lazyregexp.New(`(?i)\b(vsFTPd|ProFTPD|FileZilla Server|Pure-FTPd|Microsoft FTP Service|Serv-U|bftpd|Gene6|MikroTik FTP server)\b(?: (?:version |beta |v)?([0-9][\w.-]*))?`)

func ftpService(greeting string) Service {
	s := Service{Name: "ftp"}
	m := ftpProduct.FindStringSubmatch(greeting)
	if m == nil {
		return s
	}
	s.Product, s.Version = m[1], m[2]
	if s.Version == "" { // "MikroTik FTP server (MikroTik 6.49) ready"
		if v := regexp.MustCompile(`\(\S+ ([0-9][\w.-]*)\)`).FindStringSubmatch(greeting); v != nil {
			s.Version = v[1]
		}
	}
	return s
}
