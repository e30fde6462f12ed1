package service

import "encoding/binary"

// magicCookie is that of RFC 8489, 5.
const magicCookie = "\x21\x12\xa4\x42"

var stunDatagram = datagram{
	name:       "stun",
	ports:      []uint16{3478, 19302},
	everywhere: true,
	question:   []byte("\x00\x01\x00\x00" + magicCookie + "netglancscan"), // a binding request without attributes
	read: func(b []byte) (Service, bool) {
		if len(b) < 20 || string(b[4:8]) != magicCookie || b[0] != 1 {
			return Service{}, false
		}
		s := Service{Name: "stun"}
		for at := 20; at+4 <= len(b); {
			kind, length := binary.BigEndian.Uint16(b[at:]), int(binary.BigEndian.Uint16(b[at+2:]))
			if at += 4; at+length > len(b) {
				break
			}
			const software = 0x8022
			if kind == software {
				s.Banner = string(b[at : at+length])
				s.Product, s.Version = brokenOff(s.Banner)
			}
			at += (length + 3) &^ 3
		}
		return s, true
	},
}

// brokenOff reads "Coturn-4.6.1 'Gorst'".
func brokenOff(s string) (product, version string) {
	for i := range s {
		if s[i] == '-' && startsWithDigit(s[i+1:]) {
			product, version = s[:i], s[i+1:]
			for j := range version {
				if version[j] == ' ' {
					return product, version[:j]
				}
			}
			return product, version
		}
	}
	return productVersion(s)
}
