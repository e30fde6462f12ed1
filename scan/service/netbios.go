package service

import (
	"fmt"
	"strings"
)

var netbiosDatagram = datagram{
	name:  "netbios-ns",
	ports: []uint16{137},
	// A node status request for "*" (RFC 1002, 4.2.17).
	question: []byte("\x6e\x67\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00\x00\x21\x00\x01"),
	read:     netbiosService,
}

// netbiosService reads the names of an answer (RFC 1002, 4.2.18), each of 15
// characters, a suffix and two bytes of flags, and the MAC address behind them.
func netbiosService(b []byte) (Service, bool) {
	const names = 12 + 34 + 2 + 2 + 4 + 2
	if len(b) < names+1 || string(b[:2]) != "ng" || b[2]&0x80 == 0 {
		return Service{}, false
	}
	s := Service{Name: "netbios-ns"}
	count, at := int(b[names]), names+1
	for range count {
		if at+18 > len(b) {
			break
		}
		name, suffix, group := strings.TrimSpace(string(b[at:at+15])), b[at+15], b[at+16]&0x80 != 0
		if suffix == 0 && !group && s.Hostname == "" {
			s.Hostname = name
		}
		if suffix == 0 && group && s.Info == "" {
			s.Info = "workgroup " + name
		}
		at += 18
	}
	if at+6 <= len(b) && string(b[at:at+6]) != "\x00\x00\x00\x00\x00\x00" {
		s.Info = join(s.Info, fmt.Sprintf("MAC %02x:%02x:%02x:%02x:%02x:%02x", b[at], b[at+1], b[at+2], b[at+3], b[at+4], b[at+5]))
	}
	return s, true
}
