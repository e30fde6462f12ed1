package service

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/netglance/netglance/internal/lazyregexp"
)

// What is sent to such a port may be printed. So nothing is: who prints there is
// asked of the host's IPP service.
var jetDirectProtocol = protocol{
	name:     "pdl-datastream",
	ports:    []uint16{9100, 9101, 9102, 9103, 9104, 9105, 9106, 9107, 515},
	greets:   true,
	ownPorts: true,
	plain:    true,
	talk:     talkJetDirect,
}

func talkJetDirect(c *conversation) (Service, bool) {
	if len(c.greeting(greetingUnlikely/2)) > 0 {
		return Service{}, false
	}
	p := *c.peer
	p.target.Addr = netip.AddrPortFrom(p.target.Addr.Addr(), ippPort)
	s, ok := askPrinter(&p)
	if !ok {
		return Service{}, false
	}
	s.Name, s.Info = "pdl-datastream", join(s.Info, "as its IPP service tells")
	if c.peer.port() == 515 {
		s.Name = "printer"
	}
	return s, true
}

const ippPort = 631

var cupsVersion = lazyregexp.New(`CUPS v?(\d+\.\d+\.[\w.]+)`)

var printerApplication = application{
	name:  "ipp",
	ports: []uint16{ippPort},
	shows: func(g page) bool { return strings.Contains(g.header.Get("Server"), "IPP/") },
	tell: func(p *peer, front page) (Service, bool) {
		if s, ok := askPrinter(p); ok {
			return s, true
		}
		s := front.service()
		s.Name = "ipp"
		if m := cupsVersion.FindStringSubmatch(s.Title); m != nil { // the header has but two numbers of it
			s.Version = m[1]
		}
		return s, strings.Contains(front.header.Get("Server"), "IPP/")
	},
}

// askPrinter sends Get-Printer-Attributes (RFC 8011, 4.2.5) to the path that IPP
// Everywhere prescribes.
func askPrinter(p *peer) (Service, bool) {
	answer, ok := p.get(request{path: "/ipp/print", contentType: "application/ipp", body: printerAttributes(p)})
	if !ok || answer.status != 200 || answer.header.Get("Content-Type") != "application/ipp" {
		return Service{}, false
	}
	attributes := ippAttributes(answer.body)
	s := Service{Name: "ipp", Product: attributes["printer-make-and-model"], Version: attributes["printer-firmware-string-version"]}
	s.Info = attributes["printer-location"]
	return s, s.Product != ""
}

// printerAttributes is encoded as RFC 8010, 3.1 says.
func printerAttributes(p *peer) []byte {
	b := []byte{1, 1, 0, 0x0b, 0, 0, 0, 1, 1} // version 1.1, operation, request id, operation attributes
	add := func(tag byte, name, value string) {
		b = append(b, tag)
		b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
		b = append(b, name...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
		b = append(b, value...)
	}
	const charset, language, uri, keyword = 0x47, 0x48, 0x45, 0x44
	add(charset, "attributes-charset", "utf-8")
	add(language, "attributes-natural-language", "en")
	add(uri, "printer-uri", "ipp://"+p.host()+"/ipp/print")
	add(keyword, "requested-attributes", "printer-make-and-model")
	add(keyword, "", "printer-firmware-string-version")
	add(keyword, "", "printer-location")
	return append(b, 3)
}

// ippAttributes are the texts of an answer, by name.
func ippAttributes(b []byte) map[string]string {
	out := map[string]string{}
	if len(b) < 8 {
		return out
	}
	for b = b[8:]; len(b) > 0; {
		if b[0] < 0x10 { // a group begins
			b = b[1:]
			continue
		}
		name, rest, ok := ippText(b[1:])
		value, rest, ok2 := ippText(rest)
		if !ok || !ok2 {
			break
		}
		if name != "" && out[name] == "" {
			out[name] = value
		}
		b = rest
	}
	return out
}

// ippText takes two bytes of length and as many of text off.
func ippText(b []byte) (string, []byte, bool) {
	if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
		return "", nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	return string(b[2:n]), b[n:], true
}
