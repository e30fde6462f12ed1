package service

import (
	"bufio"
	"bytes"
	"net/textproto"
	"strings"
)

var sipDatagram = datagram{
	name:       "sip",
	ports:      []uint16{5060},
	everywhere: true,
	// OPTIONS asks for capabilities (RFC 3261, 11). rport has the answer come back here.
	question: []byte("OPTIONS sip:netglance@netglance.invalid SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP netglance.invalid:5060;branch=z9hG4bK-netglance;rport\r\n" +
		"From: <sip:netglance@netglance.invalid>;tag=netglance\r\nTo: <sip:netglance@netglance.invalid>\r\n" +
		"Call-ID: netglance\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"),
	read: func(b []byte) (Service, bool) {
		in := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
		first, err := in.ReadLine()
		if err != nil || !strings.HasPrefix(first, "SIP/2.0 ") {
			return Service{}, false
		}
		header, _ := in.ReadMIMEHeader()
		s := Service{Name: "sip", Banner: or(header.Get("Server"), header.Get("User-Agent"))}
		s.Product, s.Version = productVersion(s.Banner)
		return s, true
	},
}
