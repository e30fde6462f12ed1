package service

import (
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

var dnsDatagram = datagram{
	name:       "domain",
	ports:      []uint16{53},
	question:   versionQuestion,
	read:       dnsService,
	everywhere: true,
}

var mdnsDatagram = datagram{
	name:  "mdns",
	ports: []uint16{5353},
	// Which kinds of service there are (RFC 6763, 9), asked of one host (RFC 6762, 5.5).
	question: dnsQuestion("_services._dns-sd._udp.local.", dnsmessage.TypePTR, dnsmessage.ClassINET),
	read:     mdnsService,
}

func mdnsService(b []byte) (Service, bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(b)
	if err != nil || !header.Response || header.ID != dnsID && header.ID != 0 || parser.SkipAllQuestions() != nil {
		return Service{}, false
	}
	var kinds []string
	for range 50 {
		h, err := parser.AnswerHeader()
		if err != nil {
			break
		}
		if h.Type != dnsmessage.TypePTR {
			parser.SkipAnswer()
			continue
		}
		pointer, err := parser.PTRResource()
		if err != nil {
			break
		}
		name, _, _ := strings.Cut(pointer.PTR.String(), ".")
		kinds = append(kinds, strings.TrimPrefix(name, "_"))
	}
	s := Service{Name: "mdns"}
	if len(kinds) > 0 {
		s.Info = "announces " + strings.Join(kinds, ", ")
	}
	return s, true
}
