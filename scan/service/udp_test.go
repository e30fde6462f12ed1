package service

import (
	"net"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func packed(t *testing.T, m dnsmessage.Message) string {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func dnsAnswer(t *testing.T, name, version string) string {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassCHAOS}
	return packed(t, dnsmessage.Message{
		Header: dnsmessage.Header{ID: dnsID, Response: true, RecursionAvailable: true}, Questions: []dnsmessage.Question{q},
		Answers: []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.TXTResource{TXT: []string{version}}}},
	})
}

func mdnsAnswer(t *testing.T) string {
	name := dnsmessage.MustNewName("_services._dns-sd._udp.local.")
	h := dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}
	return packed(t, dnsmessage.Message{Header: dnsmessage.Header{ID: dnsID, Response: true}, Answers: []dnsmessage.Resource{
		{Header: h, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("_ssh._tcp.local.")}},
		{Header: h, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("_ipp._tcp.local.")}},
	}})
}

// snmpMessage is a response with two texts.
func snmpMessage(description, name string) string {
	variable := func(last byte, s string) []byte {
		return ber(berSequence, ber(berObject, []byte{0x2b, 6, 1, 2, 1, 1, last, 0}), berText(s))
	}
	return string(ber(berSequence, berSmall(1), berText("public"),
		ber(snmpResponse, berSmall(1), berSmall(0), berSmall(0), ber(berSequence, variable(1, description), variable(5, name)))))
}

var discovered = string(ber(berSequence, berSmall(3), ber(berSequence, berSmall(1)), ber(berOctets, ber(berSequence, berText("\x80\x00\x1f\x88\x80engine"))), ber(berSequence, berText("engine"), berText(""), ber(snmpReport))))

func TestEveryDatagramIsRecognised(t *testing.T) {
	ntpAnswer := string(append(append(make([]byte, 0), 0x24, 3), make([]byte, 22)...)) + ntpStamp + string(make([]byte, 16))
	for _, c := range []struct {
		name  string
		port  uint16
		serve []string
		want  string
	}{
		{"dnsmasq", 53, []string{"", "version", dnsAnswer(t, "version.bind.", "dnsmasq-2.90")}, "domain dnsmasq 2.90 (recursion available)"},
		{"BIND", 53, []string{"", "version", dnsAnswer(t, "version.bind.", "9.18.28-1~deb12u2-Debian")}, "domain ISC BIND 9.18.28-1~deb12u2-Debian (recursion available)"},
		{"PowerDNS elsewhere", 40053, []string{"", "version", dnsAnswer(t, "version.bind.", "PowerDNS Recursor 4.8.8 (built May)")}, "domain PowerDNS Recursor 4.8.8 (recursion available)"},
		{"a server that refuses", 53, []string{"", "version", packed(t, dnsmessage.Message{Header: dnsmessage.Header{ID: dnsID, Response: true, RCode: dnsmessage.RCodeRefused}})}, "domain   ()"},
		{"NTP that tells nothing", 123, []string{"", ntpStamp, ntpAnswer}, "ntp   (version 4; stratum 3)"},
		{"ntpd that tells all", 123, []string{"", ntpStamp, ntpAnswer, string(readVariables[:4]), "\x16\x82\x00\x01\x00\x00\x00\x00\x00\x00\x00\x2a" + `version="ntpd ntpsec-1.2.2", system="Linux"`},
			"ntp NTPsec 1.2.2 (version 4; stratum 3; answers control queries)"},
		{"SNMP 3 alone", 161, []string{"", "\x02\x01\x03", discovered}, "snmp net-snmp  (SNMP 3)"},
		{"SNMP with the community that all know", 161, []string{"", "\x02\x01\x03", discovered, "public", snmpMessage("Linux web-1 6.1.0-18-amd64 #1 SMP", "web-1")},
			"snmp net-snmp  (SNMP 3; Linux web-1 6.1.0-18-amd64 #1 SMP) open obsolete: SNMP 2c host web-1"},
		{"a router", 1900, []string{"", "M-SEARCH", "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLocation: http://192.0.2.1:5000/root.xml\r\nServer: Debian/12 UPnP/1.1 MiniUPnPd/2.3.1\r\n\r\n"},
			"ssdp MiniUPnPd 2.3.1 (Debian/12; http://192.0.2.1:5000/root.xml)"},
		{"mDNS", 5353, []string{"", "_dns-sd", mdnsAnswer(t)}, "mdns   (announces ssh, ipp)"},
		{"NetBIOS", 137, []string{"", "CKAAAA", "ng\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00\x00\x21\x00\x01\x00\x00\x00\x00\x00\x2f\x02" +
			"FILES          \x00\x04\x00" + "WORKGROUP      \x00\x84\x00" + "\x02\x00\x00\x00\x00\x01"}, "netbios-ns   (workgroup WORKGROUP; MAC 02:00:00:00:00:01) host FILES"},
		{"memcached", 11211, []string{"", "version", "ng\x00\x00\x00\x01\x00\x00VERSION 1.4.5\r\n"}, "memcached Memcached 1.4.5 () open"},
		{"Asterisk", 5060, []string{"", "OPTIONS", "SIP/2.0 200 OK\r\nServer: Asterisk/20.1.0\r\n\r\n"}, "sip Asterisk 20.1.0 ()"},
		{"coturn", 3478, []string{"", magicCookie, "\x01\x01\x00\x10" + magicCookie + "netglancscan\x80\x22\x00\x0cCoturn-4.6.1"}, "stun Coturn 4.6.1 ()"},
		{"QUIC", 443, []string{"", "netglanc", "\xc0\x00\x00\x00\x00\x08scanscan\x08netglanc\x00\x00\x00\x01\x6b\x33\x43\xcf"}, "quic   (versions 1, 2)"},
		{"strongSwan", 500, []string{"", "netglanc", "netglancRESPONSE\x29\x20\x22\x20\x00\x00\x00\x00\x00\x00\x00\x24\x00\x00\x00\x08\x00\x00\x00\x0e"}, "isakmp   (IKE 2)"},
		{"the same behind NAT", 4500, []string{"", "netglanc", "\x00\x00\x00\x00netglancRESPONSE\x29\x20\x22\x20\x00\x00\x00\x00\x00\x00\x00\x24\x00\x00\x00\x08\x00\x00\x00\x0e"}, "ipsec-nat-t   (IKE 2)"},
		{"rpcbind", 111, []string{"", "ngla", "ngla\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}, "rpcbind   ()"},
		{"a router that maps ports", 5351, []string{"", "\x00\x00", "\x00\x80\x00\x00\x00\x00\x10\x00\xc6\x33\x64\x09"}, "nat-pmp   (external address 198.51.100.9)"},
		{"OpenVPN", 1194, []string{"", "netglanc", "\x40SESSIONS\x00\x00\x00\x00\x00\x00\x00\x00"}, "openvpn   ()"},
		{"CoAP", 5683, []string{"", "well-known", "\x60\x45ng\xc1\x28\xff</sensors>"}, "coap   () open"},
		{"SQL Server Browser", 1434, []string{"", "\x03", "\x05\x30\x00ServerName;DB1;InstanceName;MSSQLSERVER;Version;15.0.2000.5;;"}, "ms-sql-m SQL Server Browser  (SQL Server 15.0.2000.5) host DB1"},
		{"an answer that is nobody's", 53, []string{"", "", "hello"}, "   () banner hello"},
		{"silence", 53, []string{""}, "   ()"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := identify(t, &network{serve: script(c.serve[0], c.serve[1:]...)}, "udp", c.port)
			if got := told(s); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// A lost datagram is no silence.
func TestADatagramIsAskedTwice(t *testing.T) {
	n := &network{serve: func(c net.Conn) {
		c.Read(make([]byte, 4096))
		script("", "version", dnsAnswer(t, "version.bind.", "dnsmasq-2.90"))(c)
	}}
	if s, _ := identify(t, n, "udp", 53); s.Product != "dnsmasq" {
		t.Errorf("%+v", s)
	}
}

// An echo of the question is not its answer.
func TestNoQuestionAnswersItself(t *testing.T) {
	for _, d := range datagrams() {
		if s, ok := d.read(d.question); ok {
			t.Errorf("%s takes its own question for an answer: %+v", d.name, s)
		}
	}
}

func TestFirstDatagrams(t *testing.T) {
	for _, port := range []uint16{53, 69, 111, 123, 137, 161, 389, 443, 500, 520, 623, 1194, 1434, 1701, 1812, 1900, 3478, 3702, 4500, 5060, 5351, 5353, 5683, 11211} {
		if len(Payload(port)) == 0 {
			t.Errorf("port %d has none", port)
		}
	}
	if n := len(Payload(443)); n != 1200 {
		t.Errorf("QUIC's has %d bytes: servers answer 1200 and more (RFC 9000, 14.1)", n)
	}
	if Payload(9) != nil {
		t.Error("discard answers nothing")
	}
	// The lengths that the questions tell of themselves.
	if l := l2tpRequest; int(l[2])<<8|int(l[3]) != len(l) {
		t.Errorf("L2TP: %d bytes", len(l))
	}
	if s := slpRequest; int(s[4]) != len(s) {
		t.Errorf("SLP: %d bytes, says %d", len(s), s[4])
	}
	if r := radiusDatagram.question; int(r[3]) != len(r) {
		t.Errorf("RADIUS: %d bytes, says %d", len(r), r[3])
	}
	if k := ikeRequest; int(k[26])<<8|int(k[27]) != len(k) {
		t.Errorf("IKE: %d bytes", len(k))
	}
}
