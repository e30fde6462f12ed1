package scan

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func TestPorts(t *testing.T) {
	named := func(name string) []uint16 { return map[string][]uint16{"ssh": {22}, "http": {80, 8008}}[name] }
	for list, want := range map[string]string{
		"22": "22", "80,22,22": "22,80", "20-22,21-23": "20-23", "65530-": "65530-65535", "-3": "1-3", "-": "1-65535",
		"ssh,http, 443": "22,80,443,8008", "1-65535": "1-65535",
	} {
		ports, err := ParsePorts(list, named)
		if got := Ports(ports); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", list, got, err, want)
		}
	}
	for _, list := range []string{"", "0", "0-5", "65536", "80-22", "22,,80", "22;80", "telnet", "-0", "1-2-3", "０"} {
		if ports, err := ParsePorts(list, named); err == nil {
			t.Errorf("%q is %v", list, ports)
		}
	}
}

func TestTargets(t *testing.T) {
	for word, want := range map[string]string{
		"192.0.2.7":               "192.0.2.7",
		"::ffff:192.0.2.7":        "192.0.2.7",
		"192.0.2.8/30":            "192.0.2.9 192.0.2.10", // neither the network nor its broadcast address
		"192.0.2.8/31":            "192.0.2.8 192.0.2.9",
		"192.0.2.9/32":            "192.0.2.9",
		"192.0.2.254-192.0.3.1":   "192.0.2.254 192.0.2.255 192.0.3.0 192.0.3.1",
		"192.0.2.7-9":             "192.0.2.7 192.0.2.8 192.0.2.9",
		"2001:db8::fffe/127":      "2001:db8::fffe 2001:db8::ffff",
		"2001:db8::1-2001:db8::2": "2001:db8::1 2001:db8::2",
		"fe80::1%eth0":            "fe80::1%eth0",
		"255.255.255.254-255":     "255.255.255.254 255.255.255.255",
	} {
		target, err := ParseTarget(word)
		if err != nil {
			t.Errorf("%q: %v", word, err)
			continue
		}
		var all []string
		for a := range target.Addresses() {
			all = append(all, a.String())
		}
		if got := strings.Join(all, " "); got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
	}
	for _, word := range []string{"", "web-1", "192.0.2.9-7", "192.0.2.1-2001:db8::1", "192.0.2.1-", "-192.0.2.1", "192.0.2.1/33", "192.0.2.1-999"} {
		if target, err := ParseTarget(word); !errors.Is(err, ErrNoAddress) {
			t.Errorf("%q is %v, %v", word, target, err)
		}
	}
	for _, word := range []string{"10.0.0.0/8", "::/0", "fd00::/64", "0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		if target, err := ParseTarget(word); !errors.Is(err, ErrTooMany) {
			t.Errorf("%q is %v, %v", word, target, err)
		}
	}
}

func TestStrangersArePublic(t *testing.T) {
	own := []Interface{{Name: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/28"), netip.MustParsePrefix("2001:db8:1::7/64")}}}
	for word, want := range map[string]bool{
		"10.1.2.3": false, "172.16.0.0/12": false, "172.32.0.1": true, "192.168.1.0/24": false, "169.254.1.1": false, "100.64.0.1": false, "127.0.0.1": false,
		"::1": false, "fd12::1": false, "fe80::1%eth0": false, "2001:db8:1::9": false, "2001:db8:2::9": true,
		"203.0.113.1": false, "203.0.113.0/28": false, "203.0.113.0/27": true, "203.0.113.16": true, "8.8.8.8": true,
		"10.255.255.255-11.0.0.0": true, "192.168.0.0/15": true,
	} {
		target, err := ParseTarget(word)
		if err != nil {
			t.Fatal(err)
		}
		if got := target.Public(own); got != want {
			t.Errorf("%s is public: %v", word, got)
		}
	}
}

// gopacket is the witness of what is sent.
func TestSYNsAreWhatALibraryReads(t *testing.T) {
	for _, ends := range [][2]string{{"192.0.2.1:40000", "198.51.100.255:65535"}, {"[2001:db8::1]:1", "[2001:db8:ffff::2]:22"}} {
		from, to := netip.MustParseAddrPort(ends[0]), netip.MustParseAddrPort(ends[1])
		room := make([]byte, synLength)
		n := putSYN(room, from, to, 0xfffffffe)
		first := gopacket.LayerType(layers.LayerTypeIPv4)
		if from.Addr().Is6() {
			first = layers.LayerTypeIPv6
		}
		p := gopacket.NewPacket(room[:n], first, gopacket.Default)
		if p.ErrorLayer() != nil || p.Metadata().Truncated {
			t.Fatal(p)
		}
		tcp := p.TransportLayer().(*layers.TCP)
		if err := tcp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		if err, result := p.VerifyChecksums(); err != nil || len(result) > 0 {
			t.Errorf("checksums: %v %v", err, result)
		}
		if !tcp.SYN || tcp.ACK || tcp.RST || tcp.Seq != 0xfffffffe || uint16(tcp.SrcPort) != from.Port() || uint16(tcp.DstPort) != to.Port() || len(tcp.Options) != 1 {
			t.Errorf("%+v", tcp)
		}
		if flow := p.NetworkLayer().NetworkFlow(); flow.Src().String() != from.Addr().String() || flow.Dst().String() != to.Addr().String() {
			t.Errorf("%v", flow)
		}
	}
}

// made is a packet that gopacket makes.
func made(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ip4(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: protocol, SrcIP: []byte{198, 51, 100, 9}, DstIP: []byte{192, 0, 2, 1}}
}

func ip6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: netip.MustParseAddr("2001:db8::9").AsSlice(), DstIP: netip.MustParseAddr("2001:db8::1").AsSlice()}
}

func quoted(t testing.TB, from, to string) gopacket.Payload {
	room := make([]byte, synLength)
	n := putSYN(room, netip.MustParseAddrPort(from), netip.MustParseAddrPort(to), 77)
	return gopacket.Payload(room[:n])
}

func replies(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"open":         made(t, ip4(layers.IPProtocolTCP), &layers.TCP{SrcPort: 22, DstPort: 40000, SYN: true, ACK: true, Ack: 78}),
		"closed":       made(t, ip4(layers.IPProtocolTCP), &layers.TCP{SrcPort: 22, DstPort: 40000, RST: true, ACK: true, Ack: 78}),
		"closed6":      made(t, ip6(layers.IPProtocolTCP), &layers.TCP{SrcPort: 22, DstPort: 40000, RST: true, ACK: true, Ack: 78}),
		"to another":   made(t, ip4(layers.IPProtocolTCP), &layers.TCP{SrcPort: 22, DstPort: 40001, SYN: true, ACK: true, Ack: 78}),
		"own SYN":      made(t, ip4(layers.IPProtocolTCP), &layers.TCP{SrcPort: 40000, DstPort: 40000, SYN: true, Seq: 77}),
		"data":         made(t, ip4(layers.IPProtocolTCP), &layers.TCP{SrcPort: 22, DstPort: 40000, ACK: true, Ack: 78}),
		"rejected":     made(t, ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 13)}, quoted(t, "192.0.2.1:40000", "203.0.113.5:22")),
		"expired":      made(t, ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(11, 0)}, quoted(t, "192.0.2.1:40000", "203.0.113.5:22")),
		"redirect":     made(t, ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(5, 1)}, quoted(t, "192.0.2.1:40000", "203.0.113.5:22")),
		"of another":   made(t, ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, quoted(t, "192.0.2.1:40001", "203.0.113.5:22")),
		"rejected6":    made(t, ip6(layers.IPProtocolICMPv6), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(1, 4)}, gopacket.Payload{0, 0, 0, 0}, quoted(t, "[2001:db8::1]:40000", "[2001:db8::5]:22")),
		"echo request": made(t, ip6(layers.IPProtocolICMPv6), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}, gopacket.Payload(make([]byte, 60))),
	}
}

func TestReplies(t *testing.T) {
	want := map[string]reply{
		"open":      {netip.MustParseAddrPort("198.51.100.9:22"), SynAck, 77},
		"closed":    {netip.MustParseAddrPort("198.51.100.9:22"), Reset, 77},
		"closed6":   {netip.MustParseAddrPort("[2001:db8::9]:22"), Reset, 77},
		"rejected":  {netip.MustParseAddrPort("203.0.113.5:22"), AdminProhibited, 77},
		"expired":   {netip.MustParseAddrPort("203.0.113.5:22"), TimeExceeded, 77},
		"rejected6": {netip.MustParseAddrPort("[2001:db8::5]:22"), PortUnreach, 77},
	}
	for name, packet := range replies(t) {
		got, ok := parseReply(packet, 40000)
		if w, answers := want[name]; ok != answers || got != w {
			t.Errorf("%s: %v %v", name, got, ok)
		}
		for n := range packet { // cut anywhere, it is no other answer
			if got, ok := parseReply(packet[:n], 40000); ok && got != want[name] {
				t.Errorf("%s cut to %d bytes: %v", name, n, got)
			}
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, packet := range replies(f) {
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		r, ok := parseReply(packet, 40000)
		if ok && (!r.peer.IsValid() || !r.reason.answered()) {
			t.Errorf("%v", r)
		}
	})
}

func neighbours(t testing.TB) map[string][]byte {
	mac := []byte{2, 0, 0, 0, 0, 7}
	arp := &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 2,
		SourceHwAddress: mac, SourceProtAddress: []byte{10, 0, 0, 7}, DstHwAddress: make([]byte, 6), DstProtAddress: []byte{10, 0, 0, 1}}
	request := *arp
	request.Operation = 1
	outer := ip6(layers.IPProtocolICMPv6)
	outer.HopLimit = 255
	routed := *outer
	routed.HopLimit = 254
	advertised := []gopacket.SerializableLayer{&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(136, 0)},
		&layers.ICMPv6NeighborAdvertisement{TargetAddress: netip.MustParseAddr("fd00::7").AsSlice(), Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: mac}}}}
	return map[string][]byte{
		"arp reply": made(t, arp), "arp request": made(t, &request),
		"advertisement":        made(t, append([]gopacket.SerializableLayer{outer}, advertised...)...),
		"advertised from afar": made(t, append([]gopacket.SerializableLayer{&routed}, advertised...)...),
	}
}

func TestNeighbours(t *testing.T) {
	want := map[string]string{"arp reply": "10.0.0.7", "advertisement": "fd00::7"} // RFC 4861, 7.1.2: a hop limit of 255 only
	for name, packet := range neighbours(t) {
		a, hardware, ok := parseNeighbor([6]byte{9}, packet)
		if ok != (want[name] != "") || ok && (a.String() != want[name] || hardwareText(hardware) != "02:00:00:00:00:07") {
			t.Errorf("%s: %v %v %v", name, a, hardware, ok)
		}
	}
}

func FuzzNeighbour(f *testing.F) {
	for _, packet := range neighbours(f) {
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if a, _, ok := parseNeighbor([6]byte{}, packet); ok && !a.IsValid() {
			t.Error("no address")
		}
	})
}

func TestOwnAddressesAreTargets(t *testing.T) {
	own := []Interface{
		{Name: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/28"), netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("2001:db8::7/64")}},
		{Name: "lo", Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}},
	}
	var got []string
	for _, target := range OwnAddresses(own) {
		got = append(got, target.String())
	}
	if want := []string{"127.0.0.1", "::1", "203.0.113.7", "2001:db8::7", "fe80::1%eth0"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestEveryReasonHasAName(t *testing.T) {
	for r := Unasked; r <= OtherICMP; r++ {
		if back, ok := ParseReason(r.String()); !ok || back != r {
			t.Errorf("%d is %q, which is %d", r, r, back)
		}
	}
	if (OtherICMP+1).String() != "reason(20)" || State(9).String() != "state(9)" {
		t.Error(OtherICMP+1, State(9))
	}
}
