package service

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

var coapDatagram = datagram{
	name:       "coap",
	ports:      []uint16{5683},
	everywhere: true,
	// GET /.well-known/core (RFC 7252, 3; RFC 6690).
	question: []byte("\x40\x01\x6e\x67\xbb.well-known\x04core"),
	read: func(b []byte) (Service, bool) {
		if len(b) < 4 || b[0]>>6 != 1 || string(b[2:4]) != "ng" || b[0]>>4&3 < 2 {
			return Service{}, false
		}
		s := Service{Name: "coap"}
		if _, links, ok := bytes.Cut(b, []byte{0xff}); ok && b[1]>>5 == 2 {
			s.Banner, s.Access = string(links), AccessOpen
		}
		return s, true
	},
}

var memcachedDatagram = datagram{
	name:  "memcached",
	ports: []uint16{11211},
	// A header of request id, sequence, count, reserved, then the command.
	question: []byte("\x6e\x67\x00\x00\x00\x01\x00\x00version\r\n"),
	read: func(b []byte) (Service, bool) {
		if len(b) < 8 || string(b[:2]) != "ng" {
			return Service{}, false
		}
		return memcachedService(string(b[8:]))
	},
}

var rpcbindDatagram = datagram{
	name:     "rpcbind",
	ports:    []uint16{111},
	question: rpcNull(100000, 2),
	read:     rpcService("rpcbind"),
}

// rpcNull is a call of procedure 0, which does nothing (RFC 5531, 9).
func rpcNull(program, version uint32) []byte {
	var b []byte
	for _, word := range []uint32{0x6e676c61, 0, 2, program, version, 0, 0, 0, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, word)
	}
	return b
}

func rpcService(name string) func([]byte) (Service, bool) {
	return func(b []byte) (Service, bool) {
		return Service{Name: name}, len(b) >= 12 && string(b[:4]) == "ngla" && binary.BigEndian.Uint32(b[4:]) == 1
	}
}

// ikeRequest is IKE_SA_INIT (RFC 7296, 1.2) that offers nothing but DES with the
// smallest group: nobody takes it, so the refusal leaves nothing behind.
var ikeRequest = func() []byte {
	const sa, ke, nonce, none = 33, 34, 40, 0
	payload := func(next byte, body []byte) []byte {
		b := binary.BigEndian.AppendUint16([]byte{next, 0}, uint16(4+len(body)))
		return append(b, body...)
	}
	transforms := []byte{3, 0, 0, 8, 1, 0, 0, 2, 3, 0, 0, 8, 2, 0, 0, 1, 3, 0, 0, 8, 3, 0, 0, 1, 0, 0, 0, 8, 4, 0, 0, 1}
	proposal := append([]byte{0, 0, 0, byte(8 + len(transforms)), 1, 1, 0, 4}, transforms...)
	body := payload(ke, proposal)
	body = append(body, payload(nonce, append([]byte{0, 1, 0, 0}, bytes.Repeat([]byte{2}, 96)...))...)
	body = append(body, payload(none, []byte("netglance-netglance-netglance-ng"))...)
	header := append([]byte("netglanc"), make([]byte, 8)...)
	header = append(header, sa, 0x20, 34, 0x08, 0, 0, 0, 0)
	header = binary.BigEndian.AppendUint32(header, uint32(28+len(body)))
	return append(header, body...)
}()

var ikeDatagram = datagram{name: "isakmp", ports: []uint16{500}, question: ikeRequest, read: ikeService}

// Behind NAT, four zero bytes tell IKE from ESP (RFC 3948, 2.2).
var natTraversalDatagram = datagram{
	name:     "ipsec-nat-t",
	ports:    []uint16{4500},
	question: append(make([]byte, 4), ikeRequest...),
	read: func(b []byte) (Service, bool) {
		s, ok := ikeService(bytes.TrimPrefix(b, make([]byte, 4)))
		s.Name = "ipsec-nat-t"
		return s, ok
	},
}

func ikeService(b []byte) (Service, bool) {
	const response = 0x20 // of IKE 2; IKE 1 answers with a cookie of its own
	if len(b) < 28 || string(b[:8]) != "netglanc" || b[19]&response == 0 && bytes.Equal(b[8:16], make([]byte, 8)) {
		return Service{}, false
	}
	return Service{Name: "isakmp", Info: fmt.Sprintf("IKE %d", b[17]>>4)}, true
}

var quicDatagram = datagram{
	name:  "quic",
	ports: []uint16{443, 80, 784, 853, 8443},
	// A long header of a version that is reserved to be refused (RFC 9000, 15), in a
	// datagram of the least size that a server answers.
	question: append([]byte("\xc0\x1a\x2a\x3a\x4a\x08netglanc\x08scanscan"), make([]byte, 1200-23)...),
	read: func(b []byte) (Service, bool) {
		// Version Negotiation (RFC 9000, 17.2.1): version 0, both ids the other way round.
		if len(b) < 27 || b[0]&0x80 == 0 || binary.BigEndian.Uint32(b[1:]) != 0 || string(b[5:23]) != "\x08scanscan\x08netglanc" {
			return Service{}, false
		}
		var versions []string
		for b = b[23:]; len(b) >= 4 && len(versions) < 10; b = b[4:] {
			versions = append(versions, quicVersion(binary.BigEndian.Uint32(b)))
		}
		return Service{Name: "quic", Info: "versions " + strings.Join(versions, ", ")}, true
	},
}

func quicVersion(v uint32) string {
	switch v {
	case 1:
		return "1"
	case 0x6b3343cf: // RFC 9369
		return "2"
	}
	return fmt.Sprintf("%#x", v)
}

var radiusDatagram = datagram{
	name:  "radius",
	ports: []uint16{1812, 1645, 1813, 1646},
	// Status-Server (RFC 5997). Servers are silent to who is not their client.
	question: []byte("\x0c\x6e\x00\x26netglance-status" + "\x50\x12" + strings.Repeat("\x00", 16)),
	read: func(b []byte) (Service, bool) {
		return Service{Name: "radius"}, len(b) >= 20 && b[0] != 12 && b[1] == 0x6e && int(binary.BigEndian.Uint16(b[2:])) == len(b)
	},
}

var ipmiDatagram = datagram{
	name:  "asf-rmcp",
	ports: []uint16{623, 664},
	// Get Channel Authentication Capabilities, which needs no session (IPMI 2.0, 22.13).
	question: []byte("\x06\x00\xff\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09\x20\x18\xc8\x81\x00\x38\x8e\x04\xb5"),
	read: func(b []byte) (Service, bool) {
		const response = 7 // the network function of an application's answer
		if len(b) < 24 || b[0] != 6 || b[3] != 7 || b[15]>>2 != response {
			return Service{}, false
		}
		s := Service{Name: "asf-rmcp", Info: "IPMI"}
		if b[20] == 0 && b[22]&1 != 0 {
			s.Info, s.Access = "IPMI; takes sessions without authentication", AccessOpen
		}
		return s, true
	},
}

var cldapDatagram = datagram{
	name:     "cldap",
	ports:    []uint16{389},
	question: rootDSE,
	read: func(b []byte) (Service, bool) {
		messages, _ := elements(b)
		for _, m := range messages {
			if parts, tags := elements(m); len(tags) >= 2 && (tags[1] == 0x64 || tags[1] == 0x65) {
				s := Service{Name: "cldap"}
				s.describe(parts[1])
				return s, true
			}
		}
		return Service{}, false
	},
}

var sqlBrowserDatagram = datagram{
	name:     "ms-sql-m",
	ports:    []uint16{1434},
	question: []byte{3}, // CLNT_UCAST_EX (MC-SQLR 2.2.2)
	read: func(b []byte) (Service, bool) {
		if len(b) < 3 || b[0] != 5 {
			return Service{}, false
		}
		s := Service{Name: "ms-sql-m", Product: "SQL Server Browser", Banner: string(b[3:])}
		fields := strings.Split(string(b[3:]), ";")
		for i := 0; i+1 < len(fields); i += 2 {
			switch fields[i] {
			case "ServerName":
				s.Hostname = or(s.Hostname, fields[i+1])
			case "Version":
				s.Info = or(s.Info, "SQL Server "+fields[i+1])
			}
		}
		return s, true
	},
}

var openVPNDatagram = datagram{
	name:  "openvpn",
	ports: []uint16{1194},
	// P_CONTROL_HARD_RESET_CLIENT_V2, a session, no acknowledgements, packet 0. With
	// tls-auth or tls-crypt the server is silent.
	question: []byte("\x38netglanc\x00\x00\x00\x00\x00"),
	read: func(b []byte) (Service, bool) {
		return Service{Name: "openvpn"}, len(b) >= 14 && b[0]>>3 == 8
	},
}

var natPMPDatagram = datagram{
	name:     "nat-pmp",
	ports:    []uint16{5351},
	question: []byte{0, 0}, // the external address (RFC 6886, 3.2); a PCP server answers too
	read: func(b []byte) (Service, bool) {
		if len(b) < 8 || b[0] > 2 || b[1] != 128 {
			return Service{}, false
		}
		s := Service{Name: "nat-pmp"}
		if len(b) >= 12 && b[2] == 0 && b[3] == 0 && b[0] == 0 {
			s.Info = fmt.Sprintf("external address %d.%d.%d.%d", b[8], b[9], b[10], b[11])
		}
		return s, true
	},
}

var wsDiscoveryDatagram = datagram{
	name:  "ws-discovery",
	ports: []uint16{3702},
	question: []byte(`<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" ` +
		`xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">` +
		`<s:Header><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>` +
		`<a:MessageID>urn:uuid:6e657467-6c61-4e63-a500-000000000001</a:MessageID>` +
		`<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header><s:Body><d:Probe/></s:Body></s:Envelope>`),
	read: func(b []byte) (Service, bool) {
		return Service{Name: "ws-discovery"}, bytes.Contains(b, []byte("ProbeMatch"))
	},
}
