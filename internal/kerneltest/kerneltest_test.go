//go:build linux

package kerneltest

import (
	"net/netip"
	"testing"
)

var twoLinks = Layout{
	Interfaces: []Interface{
		{Name: "eth0", Addresses: []string{"203.0.113.7/24", "2001:db8::7/64"}},
		{Name: "docker0", Index: 42, Addresses: []string{"172.17.0.1/16", "fd00:17::1/64"}},
	},
	Routes:  []string{"default via 203.0.113.1 dev eth0", "default via 2001:db8::1 dev eth0"},
	Sysctls: map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"},
}

func address(s string) netip.Addr { return netip.MustParseAddr(s) }

// from198 is a probe that comes in by eth0 from afar.
func from198(protocol uint8, to string, port uint16) Probe {
	from := "198.51.100.9"
	if !address(to).Is4() {
		from = "2001:db8:51::9"
	}
	return Probe{Via: "eth0", Protocol: protocol, From: address(from), SourcePort: 40000, To: address(to), Port: port}
}

// fromItself is a probe that a program of the host sends to the host's address.
func fromItself(protocol uint8, port uint16) Probe {
	own := address("203.0.113.7")
	return Probe{Via: "lo", Protocol: protocol, From: own, SourcePort: 40000, To: own, Port: port}
}

func TestTheKernelsVerdictIsSeen(t *testing.T) {
	ns := New(t, twoLinks)
	if err := ns.ListenEverywhere(22, 53, 9090); err != nil {
		t.Fatal(err)
	}
	const own4, own6 = "203.0.113.7", "2001:db8::7"
	for _, test := range []struct {
		name, rules string
		probe       Probe
		want        string
	}{
		{"no rules", "", from198(6, own4, 22), "accepted, answered via eth0"},
		{"no rules, datagram", "", from198(17, own4, 53), "accepted by port 53"},
		{"no rules, IPv6", "", from198(6, own6, 22), "accepted, answered via eth0"},
		{"no rules, IPv6 datagram", "", from198(17, own6, 53), "accepted by port 53"},
		{"a neighbour on the link", "", Probe{Via: "eth0", Protocol: 6, From: address("203.0.113.200"), To: address(own4), SourcePort: 5, Port: 22}, "accepted, answered via eth0"},
		{"an IPv6 neighbour on the link", "", Probe{Via: "eth0", Protocol: 6, From: address("2001:db8::200"), To: address(own6), SourcePort: 5, Port: 22}, "accepted, answered via eth0"},
		{"in by one link, back by another", "", Probe{Via: "docker0", Protocol: 6, From: address("198.51.100.9"), To: address(own4), SourcePort: 5, Port: 22}, "accepted, answered via eth0"},
		{"nobody listens", "", from198(6, own4, 23), "reset via eth0"},
		{"nobody listens, datagram", "", from198(17, own4, 54), "icmp error 3/3 via eth0"},
		{"policy drop", "table inet t { chain c { type filter hook input priority 0; policy drop; }; }", from198(6, own4, 22), "dropped"},
		{"policy drop, datagram", "table inet t { chain c { type filter hook input priority 0; policy drop; }; }", from198(17, own4, 53), "dropped"},
		{"the answer is dropped", "table inet t { chain c { type filter hook output priority 0; tcp sport 22 drop; }; }", from198(6, own4, 22), "dropped"},
		{"reject", "table inet t { chain c { type filter hook input priority 0; reject with icmpx admin-prohibited; }; }", from198(6, own4, 22), "icmp error 3/13 via eth0"},
		{"reject, IPv6", "table inet t { chain c { type filter hook input priority 0; reject with icmpx admin-prohibited; }; }", from198(17, own6, 53), "icmp error 1/1 via eth0"},
		{"reset", "table inet t { chain c { type filter hook input priority 0; meta l4proto tcp reject with tcp reset; }; }", from198(6, own4, 22), "reset via eth0"},
		{"redirect", "table inet t { chain c { type nat hook prerouting priority -100; meta l4proto udp redirect to :9090; }; }", from198(17, own4, 1), "accepted by port 9090"},
		{"redirect, TCP", "table inet t { chain c { type nat hook prerouting priority -100; meta l4proto tcp redirect to :9090; }; }", from198(6, own4, 1), "accepted, answered via eth0"},
		{"ingress drops all", "table netdev t { chain c { type filter hook ingress device eth0 priority 0; policy drop; }; }", from198(6, own4, 22), "dropped"},
		{"loopback drops all", "table netdev t { chain c { type filter hook ingress device lo priority 0; policy drop; }; }", from198(6, own4, 22), "accepted, answered via eth0"},
		{"loopback lets nothing out", "table netdev t { chain c { type filter hook egress device lo priority 0; policy drop; }; }", from198(6, own4, 22), "accepted, answered via eth0"},
		{"published port", "table ip t { chain c { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80; }; }",
			from198(6, own4, 8080), "forwarded via docker0 from 198.51.100.9:40000 to 172.17.0.2:80"},
		{"published port whose answer is dropped", `table ip t { chain c { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80; };
			chain f { type filter hook forward priority 0; iifname docker0 drop; }; }`,
			from198(6, own4, 8080), "forwarded via docker0 from 198.51.100.9:40000 to 172.17.0.2:80, answer lost"},
		{"published datagram port, IPv6", "table ip6 t { chain c { type nat hook prerouting priority -100; udp dport 8080 dnat to [fd00:17::2]:53; }; }",
			from198(17, own6, 8080), "forwarded via docker0 from [2001:db8:51::9]:40000 to [fd00:17::2]:53"},
		{"source translated", "table ip t { chain c { type nat hook postrouting priority 100; oifname docker0 masquerade; }; }",
			from198(6, "172.17.0.9", 80), "forwarded via docker0 from 172.17.0.1:40000 to 172.17.0.9:80"},
		{"a SYN proxy that answers the far end's answer", "table ip t { chain c { type filter hook input priority -150; meta l4proto tcp synproxy mss 1460 wscale 7 timestamp sack-perm; }; }",
			Probe{Via: "eth0", Protocol: 6, From: address("172.17.255.255"), To: address("172.17.0.9"), SourcePort: 40000, Port: 80},
			"forwarded via docker0 from 172.17.255.255:40000 to 172.17.0.9:80, answer lost"},
		{"the host itself", "table inet t { chain c { type filter hook input priority 0; policy drop; iifname lo accept; }; }", fromItself(6, 22), "accepted, answered via lo"},
		{"the host itself, datagram", "", fromItself(17, 53), "accepted by port 53"},
		{"the host itself, dropped", "table inet t { chain c { type filter hook input priority 0; policy drop; }; }", fromItself(6, 22), "dropped"},
		{"the host itself, datagram that can't get out", "table inet t { chain c { type filter hook output priority 0; policy drop; }; }", fromItself(17, 53), "dropped"},
		{"the host itself, nobody listens", "", fromItself(6, 23), "reset via lo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := ns.NFT("flush ruleset\n" + test.rules); err != nil {
				t.Fatal(err)
			}
			if got := ns.Probe([]Probe{test.probe})[0].String(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestEveryProbeIsANewFlow(t *testing.T) {
	ns := New(t, twoLinks)
	if err := ns.ListenEverywhere(22); err != nil {
		t.Fatal(err)
	}
	rules := "table inet t { chain c { type filter hook prerouting priority 0; ct state != new drop; }; }"
	if err := ns.NFT(rules); err != nil {
		t.Fatal(err)
	}
	probe := from198(6, "203.0.113.7", 22)
	for i, outcome := range ns.Probe([]Probe{probe, probe, probe}) {
		if outcome.Kind != Accepted {
			t.Errorf("probe %d: %s", i, outcome)
		}
	}
}

func TestNoOutcomeIsLostInALargeBatch(t *testing.T) {
	ns := New(t, twoLinks)
	if err := ns.ListenEverywhere(22); err != nil {
		t.Fatal(err)
	}
	const count = 20000
	probes := make([]Probe, count)
	for i := range probes {
		probes[i] = from198([]uint8{6, 17}[i%2], []string{"203.0.113.7", "2001:db8::7"}[i/2%2], 22)
		probes[i].SourcePort = uint16(1024 + i)
	}
	for i, outcome := range ns.Probe(probes) {
		if outcome.Kind != Accepted {
			t.Fatalf("probe %d, %s: %s", i, probes[i], outcome)
		}
	}
}

func BenchmarkProbe(b *testing.B) {
	ns := New(b, twoLinks)
	if err := ns.ListenEverywhere(22); err != nil {
		b.Fatal(err)
	}
	rules := "table inet t { chain c { type filter hook input priority 0; policy drop; ct state new tcp dport 22 accept; }; }"
	if err := ns.NFT(rules); err != nil {
		b.Fatal(err)
	}
	probes := make([]Probe, 50000)
	for i := range probes {
		probes[i] = from198(6, "203.0.113.7", 22)
		probes[i].SourcePort = uint16(1024 + i)
	}
	b.ResetTimer()
	for range b.N {
		ns.Probe(probes)
	}
	b.ReportMetric(float64(b.N*len(probes))/b.Elapsed().Seconds(), "probes/s")
}

func TestABridgesHostIsReachedByItsPorts(t *testing.T) {
	ns := New(t, Layout{
		Bridges: []Interface{{Name: "br0", Index: 9, Addresses: []string{"203.0.113.7/32", "2001:db8::7/128"}, Gateways: []string{"203.0.113.1", "2001:db8::1"}}},
		Interfaces: []Interface{
			{Name: "port0", Index: 2, Bridge: "br0"}, {Name: "port1", Index: 3, Bridge: "br0"},
			{Name: "eth1", Index: 4, Addresses: []string{"192.168.7.1/24", "fd00:7::1/64"}},
		},
		Routes: []string{
			"203.0.113.1 dev br0", "default via 203.0.113.1 dev br0", "2001:db8::1 dev br0", "default via 2001:db8::1 dev br0",
		},
		Sysctls: map[string]string{"ipv4/ip_forward": "1"},
	})
	if err := ns.ListenEverywhere(22, 53); err != nil {
		t.Fatal(err)
	}
	by := func(port, to string) Probe {
		p := from198(6, to, 22)
		p.Via = port
		return p
	}
	for _, test := range []struct {
		rules string
		probe Probe
		want  string
	}{
		{"", by("port0", "203.0.113.7"), "accepted, answered via port0"},
		{"", by("port1", "203.0.113.7"), "accepted, answered via port1"},
		{"", by("port1", "2001:db8::7"), "accepted, answered via port1"},
		{"", by("port0", "192.168.7.9"), "forwarded via eth1 from 198.51.100.9:40000 to 192.168.7.9:22"},
		{"table bridge t { chain c { type filter hook input priority 0; iifname port0 drop; }; }", by("port0", "203.0.113.7"), "dropped"},
		{"table bridge t { chain c { type filter hook input priority 0; iifname port0 drop; }; }", by("port1", "203.0.113.7"), "accepted, answered via port1"},
	} {
		if err := ns.NFT("flush ruleset\n" + test.rules); err != nil {
			t.Fatal(err)
		}
		ns.Forget()
		if got := ns.Probe([]Probe{test.probe})[0].String(); got != test.want {
			t.Errorf("%s: %s: got %s, want %s", test.rules, test.probe, got, test.want)
		}
	}
}
