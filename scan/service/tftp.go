package service

import "bytes"

var tftpDatagram = datagram{
	name:  "tftp",
	ports: []uint16{69},
	// A read request for a file that nobody has (RFC 1350): the answer is an error,
	// from another port, which a connected socket doesn't hear. The scan's own does.
	question: []byte("\x00\x01netglance-no-such-file\x00octet\x00"),
	read: func(b []byte) (Service, bool) {
		ok := len(b) >= 4 && b[0] == 0 && (b[1] == 5 || b[1] == 3 || b[1] == 6)
		s := Service{Name: "tftp"}
		if ok && b[1] == 5 {
			words, _, _ := bytes.Cut(b[4:], []byte{0})
			s.Banner = string(words)
		}
		return s, ok
	},
}
