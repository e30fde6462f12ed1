package iptables_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

var layout = kerneltest.Layout{
	Interfaces: []kerneltest.Interface{
		{Name: "eth0", Index: 2, Addresses: []string{"203.0.113.7/24", "203.0.113.8/24", "2001:db8::7/64", "2001:db8::8/64"}},
		{Name: "eth1", Index: 7, Addresses: []string{"192.168.7.1/24", "fd00:7::1/64"}},
		{Name: "docker0", Index: 300, Addresses: []string{"172.17.0.1/16", "fd00:17::1/64"}},
	},
	Routes:  []string{"default via 203.0.113.1 dev eth0", "default via 2001:db8::1 dev eth0", "blackhole 198.51.100.64/26", "unreachable 2a00:1::/32"},
	Sysctls: map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"},
}

func addresses(text string) (list []netip.Addr) {
	for _, field := range strings.Fields(text) {
		list = append(list, netip.MustParseAddr(field))
	}
	return list
}

// packets are random first packets from where and to what the rulesets name.
func packets(r *rand.Rand, v6 bool, count int) (list []kerneltest.Probe) {
	sources := addresses("198.51.100.9 198.51.100.200 203.0.113.9 203.0.113.200 192.168.7.77 172.17.0.2 10.9.3.4 8.8.8.8 198.51.0.9")
	destinations := addresses("203.0.113.7 203.0.113.7 203.0.113.8 192.168.7.1 172.17.0.2 192.168.7.9 203.0.113.255")
	if v6 {
		sources = addresses("2001:db8:51::9 2001:db8::200 fd00:7::77 fd00:17::2 2a00:1::5 2001:db9::ff 2001:db8::ff")
		destinations = addresses("2001:db8::7 2001:db8::7 2001:db8::8 fd00:7::1 fd00:17::2 fd00:7::9")
	}
	ports := []uint16{7, 22, 53, 80, 443, 1000, 1023, 1024, 2000, 8080, 9090, 20000, 50000, 65535}
	links := []string{"eth0", "eth0", "eth1", "docker0"}
	for range count {
		list = append(list, kerneltest.Probe{
			Via: links[r.IntN(len(links))], Protocol: []uint8{6, 6, 17}[r.IntN(3)],
			From: sources[r.IntN(len(sources))], To: destinations[r.IntN(len(destinations))],
			SourcePort: ports[r.IntN(len(ports))], Port: ports[r.IntN(len(ports))],
		})
	}
	return list
}

// fate is what an outcome means for the one who sent the packet.
func fate(p kerneltest.Probe, o kerneltest.Outcome) firewall.Fate {
	switch o.Kind {
	case kerneltest.Accepted:
		return firewall.Accepted
	case kerneltest.Reset, kerneltest.Unreachable:
		return firewall.Rejected
	case kerneltest.Forwarded:
		if o.Answered || p.Protocol != 6 {
			return firewall.Accepted
		}
	}
	return firewall.Dropped
}

func agrees(e firewall.Explanation, want firewall.Fate) bool {
	if e.Fate == firewall.Conditional {
		return slices.Contains(e.Outcomes, want) || slices.Contains(e.Outcomes, firewall.Undecided)
	}
	return e.Fate == want
}

// seeds is NETGLANCE_SEEDS=FROM-TO, both included.
func seeds(t *testing.T) (first, last uint64) {
	first, last = 1, 30
	if text := os.Getenv("NETGLANCE_SEEDS"); text != "" {
		if _, err := fmt.Sscanf(text, "%d-%d", &first, &last); err != nil {
			t.Fatalf("NETGLANCE_SEEDS=%q: want FROM-TO: %v", text, err)
		}
	}
	return first, last
}

func packetCount() int {
	if n, err := strconv.Atoi(os.Getenv("NETGLANCE_PACKETS")); err == nil {
		return n
	}
	return 200
}

// explain asks netglance; a panic is an answer too.
func explain(e *firewall.Evaluator, p kerneltest.Probe) (x firewall.Explanation, crash any) {
	defer func() { crash = recover() }()
	return e.Explain(firewall.Query{Protocol: p.Protocol, Interface: p.Via, Destination: p.To, Port: p.Port, Source: p.From, SourcePort: p.SourcePort}), nil
}

// backend is one of the two that iptables writes to.
type backend struct {
	name string // of its tools: "iptables-legacy-restore"
	// empty takes all rules out, where loading doesn't do it.
	empty string
	read  func(host platform.Host, sets *ipset.Sets) ([]*firewall.Table, []gaps.Gap)
}

var legacy = backend{"legacy", "*raw\nCOMMIT\n*mangle\nCOMMIT\n*nat\nCOMMIT\n*filter\nCOMMIT\n", func(host platform.Host, sets *ipset.Sets) ([]*firewall.Table, []gaps.Gap) {
	return iptables.Read(host, sets)
}}

var inNFT = backend{"nft", "*raw\nCOMMIT\n*mangle\nCOMMIT\n*nat\nCOMMIT\n*filter\nCOMMIT\n", func(host platform.Host, sets *ipset.Sets) ([]*firewall.Table, []gaps.Gap) {
	rules, found := nft.Read(host, sets)
	return rules.Tables, found
}}

func TestRandomLegacyRulesDoWhatTheKernelDoes(t *testing.T) { compareBoth(t, legacy) }

// The same rules as nf_tables holds them, their matches and targets in
// x_tables' own structs.
func TestRandomRulesOfIptablesNFTDoWhatTheKernelDoes(t *testing.T) { compareBoth(t, inNFT) }

func compareBoth(t *testing.T, b backend) {
	for _, v6 := range []bool{false, true} {
		t.Run(map[bool]string{false: "iptables", true: "ip6tables"}[v6], func(t *testing.T) {
			compareRandom(t, b, v6)
		})
	}
}

func compareRandom(t *testing.T, b backend, v6 bool) {
	ns := kerneltest.New(t, layout)
	host := platform.LiveIn(ns.Path())
	sets := filepath.Join(t.TempDir(), "sets")
	if err := os.WriteFile(sets, []byte(randomSets), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ns.Run("ipset", "restore", "-file", sets); err != nil {
		t.Fatal(err)
	}
	tool := map[bool]string{false: "iptables-", true: "ip6tables-"}[v6] + b.name + "-restore"
	file := filepath.Join(t.TempDir(), "rules")
	answers := answers{fates: map[firewall.Fate]int{}}
	first, last := seeds(t)
	for seed := first; seed <= last; seed++ {
		g := &generator{rand.New(rand.NewPCG(seed, 7)), v6}
		rules := g.ruleset()
		load := func(text string) error {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ns.Run(tool, file)
			return err
		}
		if err := load(b.empty); err != nil {
			t.Fatal(err)
		}
		if err := load(rules); err != nil {
			// iptables-nft has no way to write down a network of every address, inverted
			answers.refused++
			if b.name == legacy.name {
				t.Errorf("seed %d: %v\n%s", seed, err, rules)
			}
			continue
		}
		tables, found := b.read(host, ipset.New(host))
		network, more := rtnetlink.Read(host)
		for _, gap := range append(found, more...) {
			t.Errorf("gap: %s: %v", gap.Reason, gap.Err)
		}
		evaluator := firewall.NewEvaluator(&firewall.Ruleset{Tables: tables}, network)
		wrong := answers.compare(t, ns, evaluator, packets(g.Rand, v6, packetCount()), fmt.Sprintf("seed %d", seed), rules)
		if wrong == nil {
			continue
		}
		t.Logf("seed %d: the smallest ruleset that shows it:\n%s", seed, smallest(rules, func(text string) bool {
			if load(b.empty) != nil || load(text) != nil {
				return false
			}
			tables, _ := b.read(host, ipset.New(host)) // gaps were told
			network, _ := rtnetlink.Read(host)
			x, crash := explain(firewall.NewEvaluator(&firewall.Ruleset{Tables: tables}, network), *wrong)
			ns.Forget()
			return crash != nil || !agrees(x, fate(*wrong, ns.Probe([]kerneltest.Probe{*wrong})[0]))
		}))
	}
	t.Log(&answers)
	if int(last-first)+1 < 2*answers.refused {
		t.Errorf("%d rulesets of %d were refused", answers.refused, last-first+1)
	}
	if 100*answers.conditional > answers.total {
		t.Errorf("%d of %d answers are conditional", answers.conditional, answers.total)
	}
}

// answers count what netglance said, and what the kernel did.
type answers struct {
	total, wrong, conditional int
	// refused are rulesets that the tools did not load.
	refused int
	fates   map[firewall.Fate]int
}

func (a *answers) String() string {
	return fmt.Sprintf("%d packets, %d wrong, %d conditional (%.2f%%), %d rulesets refused; the kernel: %v",
		a.total, a.wrong, a.conditional, 100*float64(a.conditional)/float64(max(a.total, 1)), a.refused, a.fates)
}

// smallest takes rules out of a ruleset, one by one, for as long as it still shows
// what is wrong.
func smallest(rules string, shows func(string) bool) string {
	lines := strings.Split(rules, "\n")
	for again := true; again; {
		again = false
		for i := len(lines) - 1; i >= 0; i-- {
			if !strings.HasPrefix(lines[i], "-A") {
				continue
			}
			if fewer := slices.Delete(slices.Clone(lines), i, i+1); shows(strings.Join(fewer, "\n")) {
				lines, again = fewer, true
			}
		}
	}
	return strings.Join(lines, "\n")
}

func TestShrinkingLeavesOnlyWhatShowsIt(t *testing.T) {
	rules := "*filter\n:INPUT DROP [0:0]\n-A INPUT -j one\n-A INPUT -j two\n-A one -j ACCEPT\nCOMMIT\n"
	got := smallest(rules, func(text string) bool { return strings.Contains(text, "-j two") })
	if want := "*filter\n:INPUT DROP [0:0]\n-A INPUT -j two\nCOMMIT\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// compare sends the packets into the namespace. The first wrong answer about it is
// told, and returned; nil if there is none.
func (a *answers) compare(t *testing.T, ns *kerneltest.Namespace, evaluator *firewall.Evaluator, probes []kerneltest.Probe, name, rules string) (wrong *kerneltest.Probe) {
	t.Helper()
	var listening []uint16
	for _, p := range probes {
		listening = append(listening, p.Port)
	}
	if err := ns.ListenEverywhere(append(listening, 22, 53, 80, 443, 1024, 8080, 50000)...); err != nil {
		t.Fatal(err)
	}
	outcomes := ns.Probe(probes)
	for i, p := range probes {
		a.total++
		a.fates[fate(p, outcomes[i])]++
		x, crash := explain(evaluator, p)
		if x.Fate == firewall.Conditional {
			a.conditional++
		}
		if crash == nil && agrees(x, fate(p, outcomes[i])) {
			continue
		}
		ns.Forget()
		again := ns.Probe([]kerneltest.Probe{p})[0]
		if crash == nil && agrees(x, fate(p, again)) {
			continue
		}
		a.wrong++
		if wrong == nil {
			wrong = &p
			t.Errorf("%s, %v: kernel %v (%v), netglance %v %v %v, by %s\npath %v\n%s", name, p, fate(p, again), again, x.Fate, crash, x.Outcomes, x.DecidedBy.Text, path(x), rules)
		}
	}
	return wrong
}

func path(x firewall.Explanation) (list []string) {
	for _, s := range x.Path {
		text := s.Hook
		if s.Chain != nil {
			text += " " + s.Chain.Table.Name + " " + s.Chain.Name
		}
		if s.Rule != nil {
			text += " " + strconv.Itoa(s.Rule.Number)
		}
		list = append(list, text+": "+s.Effect)
	}
	return list
}
