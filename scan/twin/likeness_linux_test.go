package twin_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/internal/kerneltest/nftgen"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/scan/packets"
	"github.com/netglance/netglance/scan/twin"
)

// read reads a namespace like a host.
func read(t *testing.T, ns *kerneltest.Namespace) twin.Host {
	t.Helper()
	live := platform.LiveIn(ns.Path())
	tape := twin.NewTape()
	host := platform.Keep(live, tape)
	sets := ipset.New(host)
	rules, gaps := nft.Read(host, sets)
	legacy, more := iptables.Read(host, sets)
	rules.Tables = append(rules.Tables, legacy...)
	network, yetMore := rtnetlink.Read(host)
	for _, g := range slices.Concat(gaps, more, yetMore, sets.Gaps()) {
		t.Errorf("not read: %s: %s", g.Source, g.Reason)
	}
	network.Sockets = []firewall.LocalSocket{}
	for _, s := range ns.Sockets() {
		family := firewall.FamilyIPv6
		if s.At.Addr().Is4() {
			family = firewall.FamilyIPv4
		}
		local := firewall.LocalSocket{
			Protocol: s.Protocol, Family: family, Address: s.At.Addr(), Port: s.At.Port(), Remote: s.Peer, V6Only: s.V6Only,
			Transparent: s.Transparent, Mark: uint32(s.Mark), MarkKnown: true, UID: uint32(s.UID), Owned: true,
		}
		for _, link := range network.Interfaces {
			if link.Name == s.Device {
				local.Device = link.Index
			}
		}
		network.Sockets = append(network.Sockets, local)
	}
	return twin.Host{Tape: tape, Source: live, Network: network, Rules: rules}
}

// build makes the twin of a namespace, to be closed; what it lacks fails the test.
func build(t *testing.T, ns *kerneltest.Namespace) (*twin.Twin, *platform.Twin) {
	t.Helper()
	kernel, err := platform.NewTwin()
	if err != nil {
		t.Fatal(err)
	}
	made, err := twin.Build(kernel, read(t, ns))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range made.Gaps {
		t.Errorf("the twin lacks: %s", g.Reason)
	}
	if made.Useless != nil {
		t.Errorf("the twin is of no use: %v", made.Useless)
	}
	return made, kernel
}

// listing is what a program prints in a namespace.
func listing(t *testing.T, kernel *platform.Twin, command ...string) (text string) {
	t.Helper()
	err := kernel.Do(func() (err error) {
		text, err = kernel.Run("", command[0], command[1:]...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var links = []kerneltest.Interface{
	{Name: "eth0", Index: 2, Addresses: []string{"203.0.113.7/24", "203.0.113.8/24", "2001:db8::7/64"}},
	{Name: "eth1", Index: 7, Addresses: []string{"192.168.7.1/24", "fd00:7::1/64"}},
	{Name: "docker0", Index: 300, Addresses: []string{"172.17.0.1/16", "fd00:17::1/64"}},
}

var router = kerneltest.Layout{
	Interfaces: links,
	Routes: []string{
		"default via 203.0.113.1 dev eth0", "default via 2001:db8::1 dev eth0", "10.9.0.0/16 via 192.168.7.254 dev eth1",
		"blackhole 198.51.100.64/26", "unreachable 8.8.8.128/25", "default via 192.168.7.254 dev eth1 table 100",
		"10.8.0.0/16 nexthop via 192.168.7.253 dev eth1 nexthop via 203.0.113.2 dev eth0",
	},
	Setup: []string{
		"link add name sink0 index 99 type bridge", "link set sink0 addrgenmode none arp off up",
		"-4 rule add fwmark 1 lookup 100", "-4 rule add from 100.64.0.0/10 blackhole",
	},
	Sysctls: map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/all/rp_filter": "2", "ipv4/conf/eth1/route_localnet": "1"},
}

var bridged = kerneltest.Layout{
	Bridges: []kerneltest.Interface{{
		Name: "eth0", Index: 12, Gateways: []string{"203.0.113.1", "2001:db8::1"}, Addresses: []string{"203.0.113.7/32", "203.0.113.8/32", "2001:db8::7/128"},
	}},
	Interfaces: append([]kerneltest.Interface{{Name: "port0", Index: 2, Bridge: "eth0"}, {Name: "port1", Index: 3, Bridge: "eth0"}}, links[1:]...),
	Routes: []string{
		"203.0.113.1 dev eth0", "2001:db8::1 dev eth0", "default via 203.0.113.1 dev eth0", "default via 2001:db8::1 dev eth0",
	},
	Setup:   router.Setup[:2],
	Sysctls: map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "bridge/bridge-nf-call-iptables": "1", "bridge/bridge-nf-call-ip6tables": "1"},
}

var options = nftgen.Options{
	Interfaces: []string{"eth0", "eth1", "docker0"}, Sink: "sink0", Sockets: true,
	Own4:    []string{"203.0.113.7", "203.0.113.8", "192.168.7.1", "172.17.0.1"},
	Own6:    []string{"2001:db8::7", "fd00:7::1", "fd00:17::1"},
	Behind4: []string{"172.17.0.2", "192.168.7.9"}, Behind6: []string{"fd00:17::2", "fd00:7::9"},
}

func addresses(text string) (list []netip.Addr) {
	for word := range strings.FieldsSeq(text) {
		list = append(list, netip.MustParseAddr(word))
	}
	return list
}

var packetHost = nftgen.Host{
	Destinations: addresses("203.0.113.7 203.0.113.7 203.0.113.8 192.168.7.1 172.17.0.1 172.17.0.2 192.168.7.9 10.9.3.3 127.0.0.1 198.51.100.70 224.0.0.1 2001:db8::7 2001:db8::7 fd00:17::2 ff02::1"),
	Sources:      addresses("198.51.100.9 203.0.113.200 192.168.7.77 172.17.0.2 10.9.3.4 127.0.0.1 8.8.8.200 0.0.0.0 100.64.0.1 2001:db8:51::9 2001:db8::200 fd00:7::77 fe80::9 ::1"),
	Ports:        []uint16{1, 22, 53, 80, 443, 1023, 1024, 8080, 9090, 50000, 65535},
}

// byBridge is an outcome without the port of a bridge: that is the one by which the
// neighbour was seen last.
func byBridge(ns *kerneltest.Namespace, o packets.Outcome) packets.Outcome {
	o.Via = cmp.Or(ns.Bridge(o.Via), o.Via)
	return o
}

func TestATwinDoesWhatItsHostDoes(t *testing.T) {
	for name, world := range map[string]struct {
		layout kerneltest.Layout
		links  []string
		ports  []string
	}{
		"a router":                           {layout: router, links: []string{"eth0", "eth0", "eth1", "docker0"}},
		"a bridge that br_netfilter watches": {layout: bridged, links: []string{"port0", "port1", "eth1"}, ports: []string{"port0", "port1"}},
	} {
		t.Run(name, func(t *testing.T) {
			ns := kerneltest.New(t, world.layout)
			o, h := options, packetHost
			o.Ports, h.Interfaces = world.ports, world.links
			for seed := range uint64(seeds(t)) {
				script := nftgen.Generate(seed, o)
				if err := ns.NFT("flush ruleset\n" + script.String()); err != nil {
					t.Fatal(err)
				}
				compare(t, ns, script.String(), h, fmt.Sprintf("seed %d", seed))
			}
		})
	}
}

func seeds(t *testing.T) int {
	if testing.Short() || os.Getenv("NETGLANCE_SEEDS") == "" {
		return 12
	}
	var from, to int
	if _, err := fmt.Sscanf(os.Getenv("NETGLANCE_SEEDS"), "%d-%d", &from, &to); err != nil {
		t.Fatal(err)
	}
	return to - from + 1
}

// compare holds a namespace's twin to it: the listing, and what becomes of packets.
func compare(t *testing.T, ns *kerneltest.Namespace, rules string, h nftgen.Host, name string) {
	t.Helper()
	edges := nftgen.FindEdges(rules)
	var probes []packets.Probe
	listeners := slices.Clone(h.Ports)
	for _, p := range nftgen.Packets(rand.New(rand.NewPCG(1, 1)), h, edges, 150) {
		listeners = append(listeners, p.Port)
		probes = append(probes, packets.Probe{Via: p.Interface, Protocol: p.Protocol, From: p.From, To: p.To, SourcePort: p.SourcePort, Port: p.Port})
	}
	if err := ns.ListenEverywhere(listeners...); err != nil {
		t.Fatal(err)
	}
	made, kernel := build(t, ns)
	defer kernel.Close()
	defer func() {
		if t.Failed() {
			t.FailNow()
		}
	}()
	want, err := ns.Run("nft", "-s", "list", "ruleset")
	if err != nil {
		t.Fatal(err)
	}
	if got := listing(t, kernel, "nft", "-s", "list", "ruleset"); got != want {
		t.Errorf("%s: the twin's rules:\n%s\nthe host's:\n%s", name, got, want)
	}
	outcomes, err := made.Probe(probes)
	if err != nil {
		t.Fatal(err)
	}
	for i, outcome := range ns.Probe(probes) {
		if byBridge(ns, outcome) == byBridge(ns, outcomes[i]) {
			continue
		}
		ns.Forget()
		again, err := made.Probe(probes[i : i+1])
		if err != nil {
			t.Fatal(err)
		}
		if alone := ns.Probe(probes[i : i+1])[0]; byBridge(ns, alone) != byBridge(ns, again[0]) {
			t.Errorf("%s: %s: the twin: %s, the host: %s\n%s", name, probes[i], again[0], alone, rules)
		}
	}
}

func TestATwinHasEveryLinksRouteToOneNetwork(t *testing.T) {
	// As every link has to fe80::/64, while its own address there is still tentative.
	ns := kerneltest.New(t, kerneltest.Layout{Interfaces: links[:2]})
	for _, link := range []string{"eth0", "eth1"} {
		if _, err := ns.Run("ip", "-6", "route", "append", "2001:db8:77::/64", "dev", link, "metric", "256"); err != nil {
			t.Fatal(err)
		}
	}
	_, kernel := build(t, ns)
	defer kernel.Close()
	got := listing(t, kernel, "ip", "-6", "-o", "route", "show", "2001:db8:77::/64")
	for _, link := range []string{"eth0", "eth1"} {
		if !strings.Contains(got, "dev "+link) {
			t.Errorf("no route by %s in %q", link, got)
		}
	}
}
