package service

import (
	"bufio"
	"bytes"
	"net/textproto"
	"strings"
)

var ssdpDatagram = datagram{
	name:  "ssdp",
	ports: []uint16{1900},
	// A search sent to one device (UPnP Device Architecture 2.0, 1.3.2).
	question: []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n"),
	read:     ssdpService,
}

// ssdpService reads "SERVER: Debian/12 UPnP/1.1 MiniUPnPd/2.3.1".
func ssdpService(b []byte) (Service, bool) {
	in := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	first, err := in.ReadLine()
	if err != nil || !strings.HasPrefix(first, "HTTP/1.1 200") {
		return Service{}, false
	}
	header, _ := in.ReadMIMEHeader()
	s := Service{Name: "ssdp", Banner: header.Get("Server")}
	system, product, _ := strings.Cut(header.Get("Server"), "UPnP/")
	if _, last, ok := strings.Cut(product, " "); ok {
		s.Product, s.Version = productVersion(strings.TrimSpace(last))
	}
	s.Info = join(strings.Trim(system, " ,"), header.Get("Location"))
	return s, true
}
