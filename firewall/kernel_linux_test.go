package firewall_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/internal/kerneltest/nftgen"
)

// The settings of the random comparison, from the environment:
// NETGLANCE_SEEDS=FROM-TO (both included), NETGLANCE_PACKETS=N a ruleset,
// NETGLANCE_DISAGREEMENTS=DIR to keep the shrunk cases.
type settings struct {
	first, last uint64
	packets     int
	directory   string
}

func readSettings(t *testing.T) settings {
	s := settings{first: 1, last: 40, packets: 200, directory: os.Getenv("NETGLANCE_DISAGREEMENTS")}
	if text := os.Getenv("NETGLANCE_SEEDS"); text != "" {
		if _, err := fmt.Sscanf(text, "%d-%d", &s.first, &s.last); err != nil {
			t.Fatalf("NETGLANCE_SEEDS=%q: want FROM-TO: %v", text, err)
		}
	}
	if text := os.Getenv("NETGLANCE_PACKETS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("NETGLANCE_PACKETS: %v", err)
		}
		s.packets = n
	}
	return s
}

// A world is a host to put random rulesets on.
type world struct {
	name   string
	layout kerneltest.Layout
	// links, in place of those of most worlds, are where packets come in by.
	links []string
	// ports are links that rules name as ports of a bridge.
	ports []string
}

var worldLinks = []kerneltest.Interface{
	{Name: "eth0", Index: 2, Addresses: []string{"203.0.113.7/24", "203.0.113.8/24", "2001:db8::7/64", "2001:db8::8/64"}},
	{Name: "eth1", Index: 7, Addresses: []string{"192.168.7.1/24", "fd00:7::1/64"}},
	{Name: "docker0", Index: 300, Addresses: []string{"172.17.0.1/16", "fd00:17::1/64"}},
}

// sink, a bridge without ports, swallows the copies that rules send.
var sink = []string{"link add name sink0 index 99 type bridge", "link set sink0 addrgenmode none arp off up"}

var worldRoutes = []string{
	"default via 203.0.113.1 dev eth0",
	"default via 2001:db8::1 dev eth0",
	"10.9.0.0/16 via 192.168.7.254 dev eth1",
	"2001:db8:51:7::/64 via fd00:7::fe dev eth1",
	"blackhole 198.51.100.64/26",
	"unreachable 8.8.8.128/25",
	"unreachable 2a00:1::/32",
}

var worlds = []world{
	{name: "a router", layout: kerneltest.Layout{
		Interfaces: worldLinks, Routes: worldRoutes, Setup: sink,
		Sysctls: map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"},
	}},
	{name: "a strict host", layout: kerneltest.Layout{
		Interfaces: worldLinks, Routes: worldRoutes, Setup: sink,
		Sysctls: map[string]string{"ipv4/ip_forward": "0", "ipv6/conf/all/forwarding": "0", "ipv4/conf/all/rp_filter": "1"},
	}},
	{name: "a router with policy routing", layout: kerneltest.Layout{
		Interfaces: worldLinks,
		Routes:     append(append([]string{}, worldRoutes...), "default via 192.168.7.254 dev eth1 table 100", "default via fd00:7::fe dev eth1 table 100"),
		Setup:      append(sink[:len(sink):len(sink)], "-4 rule add fwmark 1 lookup 100", "-6 rule add fwmark 1 lookup 100", "-4 rule add from 100.64.0.0/10 blackhole"),
		Sysctls: map[string]string{
			"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/all/rp_filter": "2",
			"ipv4/conf/eth1/route_localnet": "1", "ipv4/conf/eth0/src_valid_mark": "1",
		},
	}},
	bridged("a bridge", map[string]string{"bridge/bridge-nf-call-iptables": "0", "bridge/bridge-nf-call-ip6tables": "0"}),
	bridged("a bridge that br_netfilter watches", map[string]string{"bridge/bridge-nf-call-iptables": "1", "bridge/bridge-nf-call-ip6tables": "1"}),
}

// bridged is the host with a bridge of two ports in place of eth0.
func bridged(name string, sysctls map[string]string) world {
	maps.Copy(sysctls, forwarding)
	return world{
		name: name,
		layout: kerneltest.Layout{
			Bridges: []kerneltest.Interface{{
				Name: "eth0", Index: 12, Gateways: []string{"203.0.113.1", "2001:db8::1"},
				Addresses: []string{"203.0.113.7/32", "203.0.113.8/32", "2001:db8::7/128", "2001:db8::8/128"},
			}},
			Interfaces: append([]kerneltest.Interface{{Name: "port0", Index: 2, Bridge: "eth0"}, {Name: "port1", Index: 3, Bridge: "eth0"}}, worldLinks[1:]...),
			Routes:     append([]string{"203.0.113.1 dev eth0", "2001:db8::1 dev eth0"}, worldRoutes...),
			Setup:      sink,
			Sysctls:    sysctls,
		},
		links: []string{"port0", "port1", "port0", "eth1", "docker0"},
		ports: []string{"port0", "port1"},
	}
}

// host is what packets are made for in a world.
func (w world) host() nftgen.Host {
	host := packetHost
	if w.links != nil {
		host.Interfaces = w.links
	}
	return host
}

var forwarding = map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"}

var rulesetOptions = nftgen.Options{
	Interfaces: []string{"eth0", "eth1", "docker0"},
	Sink:       "sink0",
	Own4:       []string{"203.0.113.7", "203.0.113.8", "192.168.7.1", "172.17.0.1"},
	Own6:       []string{"2001:db8::7", "2001:db8::8", "fd00:7::1", "fd00:17::1"},
	Behind4:    []string{"172.17.0.2", "172.17.0.3", "192.168.7.9"},
	Behind6:    []string{"fd00:17::2", "fd00:7::9"},
	Sockets:    true,
}

// worldSockets are other than the rest: together those of a port take what comes
// to any address.
var worldSockets = []kerneltest.Socket{
	{Protocol: 6, At: at("0.0.0.0:443"), Transparent: true},
	{Protocol: 6, At: at("[::]:443"), V6Only: true, Mark: 1},
	{Protocol: 17, At: at("0.0.0.0:443"), Transparent: true},
	{Protocol: 17, At: at("[::]:443"), V6Only: true, Transparent: true},
	{Protocol: 6, At: at("[::]:80"), Shared: true},
	{Protocol: 6, At: at("203.0.113.8:80"), Transparent: true, Shared: true},
	{Protocol: 6, At: at("[2001:db8::7]:80"), Transparent: true, Shared: true},
	{Protocol: 17, At: at("[::]:53"), Shared: true},
	{Protocol: 17, At: at("203.0.113.7:53"), Transparent: true, Shared: true},
	{Protocol: 17, At: at("192.168.7.1:53"), Transparent: true, Device: "eth1", Shared: true},
	{Protocol: 6, At: at("[::]:8080"), Transparent: true, Mark: 1},
	{Protocol: 17, At: at("[::]:8080"), Transparent: true},
}

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

var packetHost = nftgen.Host{
	Interfaces: []string{"eth0", "eth0", "eth1", "docker0"},
	Destinations: addresses("203.0.113.7 203.0.113.7 203.0.113.7 203.0.113.8 192.168.7.1 172.17.0.1 172.17.0.2 192.168.7.9 10.9.3.3 127.0.0.1 203.0.113.255 198.51.100.70 224.0.0.1 255.255.255.255 " +
		"2001:db8::7 2001:db8::7 2001:db8::7 2001:db8::8 fd00:7::1 fd00:17::2 fd00:7::9 2a00:1::5 fe80::ff:fe00:1 ff02::1"),
	Sources: addresses("198.51.100.9 203.0.113.200 192.168.7.77 172.17.0.2 10.9.3.4 127.0.0.1 203.0.113.8 8.8.8.200 224.0.0.1 0.0.0.0 255.255.255.255 100.64.0.1 " +
		"2001:db8:51::9 2001:db8::200 fd00:7::77 fd00:17::2 2001:db8:51:7::4 fe80::9 2a00:1::5 ::1 2001:db8::8"),
	Ports: ports("1 7 22 53 80 443 700 1023 1024 1025 3000 8080 9090 20000 33333 50000 65535"),
}

func addresses(text string) (list []netip.Addr) {
	for _, field := range strings.Fields(text) {
		list = append(list, netip.MustParseAddr(field))
	}
	return list
}

func ports(text string) (list []uint16) {
	for _, field := range strings.Fields(text) {
		n, err := strconv.ParseUint(field, 10, 16)
		if err != nil {
			panic(err)
		}
		list = append(list, uint16(n))
	}
	return list
}

// tally is what a comparison found.
type tally struct {
	rulesets, packets, wrong, conditional int
	kinds                                 map[kerneltest.Kind]int
	// reported counts disagreements by what the kernel and netglance said: only the
	// first of each is shrunk.
	reported map[string]int
	// conditions counts what conditional answers depend on.
	conditions map[string]int
}

// A comparison is many random rulesets held to the kernel.
type comparison struct {
	settings settings
	options  nftgen.Options
	host     nftgen.Host
	// agree is when an answer is right.
	agree func(judgement, kerneltest.Probe, kerneltest.Outcome) bool
	tally tally
}

func TestRandomRulesetsDoWhatTheKernelDoes(t *testing.T) {
	c := comparison{settings: readSettings(t), options: rulesetOptions, agree: judgement.agrees}
	c.run(t)
	if c.tally.conditional*100 > c.tally.packets {
		t.Errorf("%d of %d answers are conditional", c.tally.conditional, c.tally.packets)
	}
}

func TestConditionalAnswersHoldWhatTheKernelDoes(t *testing.T) {
	// Where a packet ends up that is accepted either way may be a matter of chance:
	// then nothing is said of it.
	agree := func(j judgement, p kerneltest.Probe, o kerneltest.Outcome) bool {
		return j.agrees(p, o) || j.DeliveredTo == nil && j.fateAgrees(p, o)
	}
	c := comparison{settings: readSettings(t), options: rulesetOptions, agree: agree}
	c.options.Undecided = true
	c.run(t)
	if c.tally.conditional == 0 {
		t.Error("no answer is conditional")
	}
}

func (c *comparison) run(t *testing.T) {
	c.tally = tally{kinds: map[kerneltest.Kind]int{}, conditions: map[string]int{}}
	for i, world := range worlds {
		t.Run(world.name, func(t *testing.T) {
			o := newOracle(t, world.layout)
			for _, s := range worldSockets {
				if err := o.ns.Open(s); err != nil {
					t.Fatal(err)
				}
			}
			c.tally.reported = map[string]int{}
			c.host, c.options.Ports = world.host(), world.ports
			for seed := c.settings.first; seed <= c.settings.last; seed++ {
				if seed%uint64(len(worlds)) == uint64(i) {
					c.seed(t, o, seed)
				}
			}
		})
	}
	c.finish(t)
}

// finish prints what was found.
func (c *comparison) finish(t *testing.T) {
	n := &c.tally
	t.Logf("%d rulesets, %d packets: %d wrong, %d conditional (%.2f%%); the kernel: %v",
		n.rulesets, n.packets, n.wrong, n.conditional, 100*float64(n.conditional)/float64(max(n.packets, 1)), n.kinds)
	for _, kind := range slices.Sorted(maps.Keys(n.conditions)) {
		t.Logf("conditional: %d times %s", n.conditions[kind], kind)
	}
	if n.wrong > 0 {
		t.Errorf("%d of %d answers are wrong", n.wrong, n.packets)
	}
}

func (o *oracle) load(t *testing.T, script nftgen.Script) error {
	t.Helper()
	return o.ns.NFT("flush ruleset\n" + script.String())
}

func (c *comparison) seed(t *testing.T, o *oracle, seed uint64) {
	script := nftgen.Generate(seed, c.options)
	if err := o.load(t, script); err != nil {
		t.Errorf("seed %d: %v", seed, err)
		return
	}
	c.compare(t, o, fmt.Sprintf("seed %d", seed), script, c.host, rand.New(rand.NewPCG(seed, 1)))
}

// compare holds netglance to the kernel for packets to a ruleset that is loaded.
func (c *comparison) compare(t *testing.T, o *oracle, name string, script nftgen.Script, host nftgen.Host, r *rand.Rand) {
	probes := o.probes(t, r, host, script, c.settings.packets)
	evaluator := o.evaluator() // of the listeners too, which the probes need
	outcomes := o.ns.Probe(probes)
	c.tally.rulesets++
	c.tally.packets += len(probes)
	for i, probe := range probes {
		c.tally.kinds[outcomes[i].Kind]++
		if problem := o.byBridge(evaluator, probe, outcomes[i]); problem != "" {
			t.Errorf("%s: %s", name, problem)
			c.tally.wrong++
		}
		j := judge(evaluator, probe)
		c.tally.count(j)
		if c.agree(j, probe, outcomes[i]) || c.agree(j, probe, o.alone(probe)) {
			continue
		}
		c.tally.wrong++
		signature := j.signature(outcomes[i])
		c.tally.reported[signature]++
		if c.tally.reported[signature] > 1 || len(c.tally.reported) > maxReports {
			continue
		}
		c.report(t, o, name, script, probe)
		if err := o.load(t, script); err != nil {
			t.Fatal(err)
		}
	}
}

// byBridge asks about a packet that came in by a port of a bridge as one that came
// in by the bridge: the answer must have room for what the kernel did. It tells
// where it hasn't.
func (o *oracle) byBridge(e *firewall.Evaluator, probe kerneltest.Probe, outcome kerneltest.Outcome) string {
	whole := probe
	if whole.Via = o.ns.Bridge(probe.Via); whole.Via == "" {
		return ""
	}
	j := judge(e, whole)
	if j.fateAgrees(probe, outcome) || j.fateAgrees(probe, o.alone(probe)) {
		return ""
	}
	return fmt.Sprintf("%s by its bridge: the kernel: %s, the evaluator: %s", probe, outcome, j)
}

// count notes what a conditional answer depends on.
func (n *tally) count(j judgement) {
	if j.Fate != firewall.Conditional {
		return
	}
	n.conditional++
	for _, condition := range j.Conditions {
		what, _, _ := strings.Cut(condition.Text, " (")
		n.conditions[condition.Kind.String()+": "+what]++
	}
}

// maxReports is how many disagreements of a world are shrunk and printed.
const maxReports = 12

// signature tells disagreements apart.
func (j judgement) signature(o kerneltest.Outcome) string {
	return fmt.Sprint(o.Kind, o.Answered, j.Fate, j.crash, j.DecidedBy.Text)
}

// probes are packets at the edges of what the script names, with a listener
// wherever one of them may end up.
func (o *oracle) probes(t *testing.T, r *rand.Rand, host nftgen.Host, script nftgen.Script, count int) []kerneltest.Probe {
	t.Helper()
	edges := nftgen.FindEdges(script.String())
	listeners := append(edges.Named[:len(edges.Named):len(edges.Named)], host.Ports...)
	var probes []kerneltest.Probe
	for _, p := range nftgen.Packets(r, host, edges, count) {
		listeners = append(listeners, p.Port)
		probes = append(probes, kerneltest.Probe{
			Via: p.Interface, Protocol: p.Protocol, From: p.From, To: p.To, SourcePort: p.SourcePort, Port: p.Port,
		})
	}
	if err := o.ns.ListenEverywhere(listeners...); err != nil {
		t.Fatal(err)
	}
	return probes
}

// alone asks the kernel about one packet without any other before it.
func (o *oracle) alone(probe kerneltest.Probe) kerneltest.Outcome {
	o.ns.Forget()
	return o.ns.Probe([]kerneltest.Probe{probe})[0]
}

// simplest puts plain values in the place of a packet's own, where it still shows what is wrong.
func simplest(p kerneltest.Probe, shows func(kerneltest.Probe) bool) kerneltest.Probe {
	for _, plain := range []func(*kerneltest.Probe){
		func(p *kerneltest.Probe) { p.SourcePort = 40000 },
		func(p *kerneltest.Probe) { p.Port = 80 },
		func(p *kerneltest.Probe) {
			p.From = netip.MustParseAddr("198.51.100.9")
			if p.To.Is6() {
				p.From = netip.MustParseAddr("2001:db8:51::9")
			}
		},
	} {
		simpler := p
		if plain(&simpler); simpler != p && shows(simpler) {
			p = simpler
		}
	}
	return p
}

// report shrinks a disagreement and prints it.
func (c *comparison) report(t *testing.T, o *oracle, name string, script nftgen.Script, probe kerneltest.Probe) {
	t.Helper()
	if err := o.load(t, script); err != nil {
		t.Fatal(err)
	}
	wasFate, wasJudged := fate(probe, o.alone(probe)), judge(o.evaluator(), probe)
	smallest := nftgen.Shrink(script, func(s nftgen.Script) bool {
		if o.load(t, s) != nil {
			return false
		}
		j, outcome := judge(o.evaluator(), probe), o.alone(probe)
		return !c.agree(j, probe, outcome) && fate(probe, outcome) == wasFate && j.Fate == wasJudged.Fate && (j.crash == "") == (wasJudged.crash == "")
	})
	if err := o.load(t, smallest); err != nil {
		t.Fatal(err)
	}
	evaluator := o.evaluator()
	probe = simplest(probe, func(p kerneltest.Probe) bool {
		j, outcome := judge(evaluator, p), o.alone(p)
		return !c.agree(j, p, outcome) && fate(p, outcome) == wasFate && j.Fate == wasJudged.Fate
	})
	text := fmt.Sprintf("%s: %s, %s\n\n%s\nkernel:    %s (%s)\nevaluator: %s\n",
		name, t.Name(), probe, smallest, fate(probe, o.alone(probe)), o.alone(probe), judge(o.evaluator(), probe))
	t.Error(text)
	if c.settings.directory == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(c.settings.directory, fmt.Sprintf("%s %d.txt", filepath.Base(name), probe.SourcePort)), []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}
