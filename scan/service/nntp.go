package service

import (
	"bytes"
	"strings"

	"github.com/netglance/netglance/internal/lazyregexp"
)

var nntpProtocol = protocol{
	name:        "nntp",
	ports:       []uint16{119},
	securePorts: []uint16{563},
	greets:      true,
	claims: func(b []byte) bool {
		return (bytes.HasPrefix(b, []byte("200 ")) || bytes.HasPrefix(b, []byte("201 "))) && nntpWords.Match(b)
	},
	talk: func(c *conversation) (Service, bool) {
		line, err := c.line(greetingExpected)
		if err != nil || !strings.HasPrefix(line, "20") || !nntpWords.MatchString(line) {
			return Service{}, false
		}
		s := Service{Name: "nntp"}
		if m := innVersion.FindStringSubmatch(line); m != nil {
			s.Product, s.Version = "INN", m[1]
		}
		return s, true
	},
}

var (
	nntpWords  = lazyregexp.New(`(?i)nntp|news|inn `)
	innVersion = lazyregexp.New(`INN ([0-9.]+)`)
)
