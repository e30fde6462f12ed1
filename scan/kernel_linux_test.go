package scan_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/scan"
)

// filters stand before ports 81 to 84.
const filters = `table inet filter { chain input { type filter hook input priority 0;
	meta l4proto { tcp, udp } th dport 81 reject
	meta l4proto { tcp, udp } th dport 82 reject with icmpx admin-prohibited
	tcp dport 83 reject with tcp reset
	meta l4proto { tcp, udp } th dport 84 drop
}
}`

// loopback is a namespace with listeners on every address, most of them in the
// range that connections come from, which is narrow so that they meet themselves.
func loopback(t *testing.T) *kerneltest.Namespace {
	t.Helper()
	ns := kerneltest.New(t, kerneltest.Layout{Sysctls: map[string]string{"ipv4/ip_local_port_range": "30000 30099"}})
	if err := ns.NFT(filters); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"tcp [::]:22", "tcp [::]:30007", "tcp [::]:30050", "udp [::]:53"} {
		network, address, _ := strings.Cut(at, " ")
		if err := ns.Listen(network, netip.MustParseAddrPort(address)); err != nil {
			t.Fatal(err)
		}
	}
	return ns
}

func scanner() *scan.Scanner {
	return &scan.Scanner{
		RawTCP:      func() (scan.RawTCP, error) { return platform.OpenRawTCP() },
		Connections: func() (scan.Connections, error) { return platform.OpenConnections(100) },
		Datagrams:   func() (scan.Datagrams, error) { return platform.OpenDatagrams() },
		Link:        func(name string, protocol uint16) (scan.Link, error) { return platform.OpenLink(name, protocol) },
		Pings:       func() (scan.Pings, error) { return platform.OpenPings() },
		Neighbors:   platform.Neighbors,
		Source:      platform.SourceTowards,
		Payload:     func(uint16) []byte { return nil },
	}
}

func run(t *testing.T, ns *kerneltest.Namespace, s *scan.Scanner, o scan.Options, targets ...string) scan.Result {
	t.Helper()
	for _, word := range targets {
		target, err := scan.ParseTarget(word)
		if err != nil {
			t.Fatal(err)
		}
		o.Targets = append(o.Targets, target)
	}
	var result scan.Result
	err := ns.Do(func() (err error) {
		result, _, err = s.Run(context.Background(), o)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func ports(first, last int) (out []uint16) {
	for p := first; p <= last; p++ {
		out = append(out, uint16(p))
	}
	return out
}

// found is a host's groups as text.
func found(h scan.Host) string {
	var b strings.Builder
	for _, g := range h.Groups {
		fmt.Fprintf(&b, "%s %s %s %s\n", g.Protocol, g.State, g.Reason, scan.Spans(g.Ports))
	}
	return b.String()
}

func TestWhatTheKernelAnswers(t *testing.T) {
	ns := loopback(t)
	asked := slices.Concat(ports(20, 90), ports(29990, 30110))
	const closed = "20-21,23-80,83,85-90,29990-30006,30008-30049,30051-30110"
	for name, c := range map[string]struct {
		method scan.Method
		want   string
	}{
		"first packets alone": {scan.SYN, "tcp open syn-ack 22,30007,30050\n" +
			"tcp closed reset " + closed + "\n" +
			"tcp filtered no-response 84\ntcp filtered port-unreach 81\ntcp filtered admin-prohibited 82\n"},
		"connections": {scan.Connect, "tcp open syn-ack 22,30007,30050\n" +
			"tcp closed conn-refused " + closed + "\n" +
			"tcp filtered no-response 84\ntcp filtered port-unreach 81\ntcp filtered admin-prohibited 82\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				result := run(t, ns, scanner(), scan.Options{TCP: asked, Method: c.method}, "127.0.0.1", "::1")
				for _, h := range result.Hosts {
					if got := found(h); got != c.want {
						t.Errorf("%s:\n%swant\n%s", h.Address, got, c.want)
					}
				}
			}
		})
	}
}

func TestWhatTheKernelAnswersToDatagrams(t *testing.T) {
	ns := loopback(t)
	result := run(t, ns, scanner(), scan.Options{UDP: ports(50, 90)}, "127.0.0.1", "::1")
	const want = "udp closed port-unreach 50-52,54-81,83,85-90\nudp filtered admin-prohibited 82\nudp open|filtered no-response 53,84\n"
	for _, h := range result.Hosts {
		if got := found(h); got != want {
			t.Errorf("%s:\n%swant\n%s", h.Address, got, want)
		}
	}
}

// Whatever port the scan asks from, none of its own is open.
func TestOwnProbesAreNoServices(t *testing.T) {
	ns := loopback(t)
	for _, o := range []scan.Options{
		{TCP: ports(30000, 30099), Method: scan.Connect}, {TCP: ports(30000, 30099), Method: scan.SYN}, {UDP: ports(30000, 30099)},
	} {
		for _, h := range run(t, ns, scanner(), o, "127.0.0.1", "127.0.0.9", "::1").Hosts {
			open, all := 0, 0
			for _, g := range h.Groups {
				all += g.Count()
				if g.State == scan.Open || g.State == scan.OpenFiltered {
					open += g.Count()
				}
			}
			if want := min(len(o.TCP), 2); open != want || all != 100 {
				t.Errorf("%s: %d open of %d, want %d:\n%s", h.Address, open, all, want, found(h))
			}
		}
	}
}

// What the host's own rules keep from being sent is unknown, not filtered by the peer.
// Of a connection the kernel doesn't tell (net/ipv4/tcp_output.c, tcp_connect).
func TestProbesThatTheHostItselfForbids(t *testing.T) {
	ns := loopback(t)
	if err := ns.NFT("table inet out { chain output { type filter hook output priority 0; meta l4proto { tcp, udp } th dport 50 drop; }; }"); err != nil {
		t.Fatal(err)
	}
	for _, o := range []scan.Options{{TCP: ports(50, 51), Method: scan.SYN}, {UDP: ports(50, 51)}} {
		h := run(t, ns, scanner(), o, "127.0.0.1").Hosts[0]
		if g := h.Groups[0]; g.State != scan.StateUnknown || scan.Spans(g.Ports) != "50" || len(h.Groups) != 2 {
			t.Errorf("%s", found(h))
		}
	}
}

// The kernel as the neighbour: a TAP answers nothing, so of a network on one nobody is
// found but the host itself.
func TestNobodyIsFoundWhereNobodyIs(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{Interfaces: []kerneltest.Interface{{Name: "eth0", Addresses: []string{"10.9.8.1/29"}}}})
	s := scanner()
	s.Interfaces = []scan.Interface{{Name: "eth0", Hardware: [6]byte{2, 0, 0, 0, 0, 1}, Ethernet: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.8.1/29")}}}
	result := run(t, ns, s, scan.Options{TCP: ports(22, 23), Discover: true}, "10.9.8.0/29")
	if len(result.Hosts) != 1 || result.Hosts[0].Up != "localhost-response" || result.Silent != 5 {
		t.Errorf("%+v", result)
	}
}
