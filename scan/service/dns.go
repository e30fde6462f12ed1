package service

import (
	"encoding/binary"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

var dnsProtocol = protocol{
	name:        "domain",
	ports:       []uint16{53},
	securePorts: []uint16{853},
	binary:      true,
	talk: func(c *conversation) (Service, bool) {
		framed := binary.BigEndian.AppendUint16(nil, uint16(len(versionQuestion)))
		answer := c.ask(append(framed, versionQuestion...), func(b []byte) bool {
			return len(b) >= 2 && len(b)-2 >= int(binary.BigEndian.Uint16(b))
		})
		if len(answer) < 2 {
			return Service{}, false
		}
		return dnsService(answer[2:])
	},
}

// versionQuestion is "version.bind TXT CH" (RFC 4892), which servers answer
// themselves: nothing is asked of others.
var versionQuestion = dnsQuestion("version.bind.", dnsmessage.TypeTXT, dnsmessage.ClassCHAOS)

func dnsQuestion(name string, kind dnsmessage.Type, class dnsmessage.Class) []byte {
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: dnsID},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: class}},
	}
	b, err := q.Pack()
	if err != nil {
		panic(err) // of constants
	}
	return b
}

const dnsID = 0x6e67

// dnsService reads an answer to versionQuestion. That the server refuses it, or
// doesn't know it, is an answer too.
func dnsService(answer []byte) (Service, bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(answer)
	if err != nil || !header.Response || header.ID != dnsID || parser.SkipAllQuestions() != nil {
		return Service{}, false
	}
	s := Service{Name: "domain"}
	if header.RecursionAvailable {
		s.Info = recursion
	}
	for range 10 {
		h, err := parser.AnswerHeader()
		if err != nil {
			break
		}
		if h.Type != dnsmessage.TypeTXT {
			parser.SkipAnswer()
			continue
		}
		txt, err := parser.TXTResource()
		if err != nil {
			break
		}
		s.Product, s.Version = dnsVersion(strings.Join(txt.TXT, ""))
		s.Banner = strings.Join(txt.TXT, "")
		break
	}
	return s, true
}

const recursion = "recursion available"

// dnsVersion reads "dnsmasq-2.90", "9.18.28-1~deb12u2-Debian" (BIND tells no name),
// "unbound 1.17.1", "PowerDNS Authoritative Server 4.7.3 (built …)", "Knot DNS 3.2.6".
func dnsVersion(s string) (product, version string) {
	if startsWithDigit(s) && strings.HasPrefix(s, "9.") {
		return "ISC BIND", s
	}
	for _, separator := range []string{"-", " "} {
		if name, number, ok := strings.Cut(s, separator); ok && startsWithDigit(number) {
			return name, number
		}
	}
	words := strings.Fields(s)
	for i, w := range words {
		if i > 0 && startsWithDigit(w) {
			return strings.Join(words[:i], " "), w
		}
	}
	return "", ""
}
