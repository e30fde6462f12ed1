package service

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/netglance/netglance/internal/lazyregexp"
)

var ntpDatagram = datagram{
	name:       "ntp",
	ports:      []uint16{123},
	question:   ntpRequest(),
	read:       ntpService,
	further:    ntpVersion,
	everywhere: true,
}

// ntpRequest is a client's (RFC 5905, 7.3): version 4, mode 3, a transmit timestamp
// that the answer repeats as its origin.
func ntpRequest() []byte {
	b := make([]byte, 48)
	b[0] = 4<<3 | 3
	copy(b[40:], ntpStamp)
	return b
}

const ntpStamp = "netglanc"

func ntpService(b []byte) (Service, bool) {
	if len(b) < 48 || b[0]&7 != 4 || string(b[24:32]) != ntpStamp {
		return Service{}, false
	}
	return Service{Name: "ntp", Info: join(fmt.Sprintf("version %d", b[0]>>3&7), fmt.Sprintf("stratum %d", b[1]))}, true
}

// readVariables is a control message of mode 6 (RFC 9327): opcode 2, association 0.
var readVariables = []byte("\x16\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")

var ntpSoftware = lazyregexp.New(`version="(\S+) ([^@"\s]+)`)

// ntpVersion asks a daemon for its variables: most refuse today.
func ntpVersion(p *peer, s *Service) {
	b := p.ask1(readVariables)
	if len(b) < 12 || b[0]&7 != 6 || b[1]&0x80 == 0 || b[1]&0x40 != 0 {
		return
	}
	count := int(binary.BigEndian.Uint16(b[10:]))
	words := string(b[12:min(len(b), 12+count)])
	if strings.TrimSpace(words) == "" {
		return
	}
	s.Info = join(s.Info, controlQueries)
	if m := ntpSoftware.FindStringSubmatch(words); m != nil {
		s.Product, s.Version = m[1], m[2]
		if s.Product == "ntpd" && strings.HasPrefix(s.Version, "ntpsec-") {
			s.Product, s.Version = "NTPsec", strings.TrimPrefix(s.Version, "ntpsec-")
		}
	}
}

const controlQueries = "answers control queries"
