package firewall_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/internal/kerneltest/nftgen"
)

// readHost is the kernel's rules and network.
func (o *oracle) readHost() (*firewall.Ruleset, *firewall.Network) {
	o.t.Helper()
	rules, found := nft.Read(o.host, nil)
	network, more := rtnetlink.Read(o.host)
	for _, gap := range slices.Concat(found, more) {
		o.t.Errorf("not read: %s", describe(gap))
	}
	return rules, network
}

// A ledger counts what reviews of random rulesets said.
type ledger struct {
	rulesets, rules, packets, works, witnessed int
	uses                                       map[firewall.Use]int
	longest                                    time.Duration
}

func (l *ledger) String() string {
	return fmt.Sprintf("%d rulesets, %d rules %v, %d packets; of %d rules that work %d (%.0f%%) acted; the longest review took %v",
		l.rulesets, l.rules, l.uses, l.packets, l.works, l.witnessed, 100*float64(l.witnessed)/float64(max(l.works, 1)), l.longest)
}

func TestDeadRulesCanBeDeleted(t *testing.T) {
	s := readSettings(t)
	l := ledger{uses: map[firewall.Use]int{}}
	o := newOracle(t, worlds[0].layout)
	for _, undecided := range []bool{false, true} {
		options := rulesetOptions
		options.Undecided = undecided
		for seed := s.first; seed <= s.last; seed++ {
			script := nftgen.Generate(seed, options)
			if err := o.load(t, script); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			l.hold(t, o, fmt.Sprintf("seed %d, undecided %v", seed, undecided), script, rand.New(rand.NewPCG(seed, 2)), 5*s.packets)
		}
	}
	t.Log(l.String())
	if l.uses[firewall.Shadowed] == 0 || l.uses[firewall.Contradictory] == 0 || l.witnessed*3 < l.works {
		t.Error("the rulesets or packets show too little")
	}
}

func TestDeadRulesOfOthersCanBeDeleted(t *testing.T) {
	files, err := filepath.Glob(corporaDirectory + "/*/*.nft")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("rulesets of others left out: none in %s", corporaDirectory)
	}
	s := readSettings(t)
	l := ledger{uses: map[firewall.Use]int{}}
	o := newOracle(t, worldOfOthers())
	for i, file := range files {
		if i%20 != 0 && os.Getenv("NETGLANCE_CORPORA") != "all" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if o.ns.NFT("flush ruleset\n"+string(text)) != nil {
			continue
		}
		listing, err := o.ns.Run("nft", "-s", "list", "ruleset")
		if err != nil {
			t.Fatal(err)
		}
		script, err := nftgen.Parse(listing)
		if err != nil {
			t.Fatal(err)
		}
		l.hold(t, o, file, script, rand.New(rand.NewPCG(uint64(i), 2)), s.packets)
	}
	t.Log(l.String())
}

// hold reviews the loaded ruleset, and holds to the review what packets meet.
func (l *ledger) hold(t *testing.T, o *oracle, name string, script nftgen.Script, r *rand.Rand, count int) {
	t.Helper()
	rules, network := o.readHost()
	evaluator := firewall.NewEvaluator(rules, network)
	start := time.Now()
	review := evaluator.Review()
	l.longest = max(l.longest, time.Since(start))
	for _, hook := range review.Incomplete {
		t.Logf("%s: not followed: %s", name, hook)
	}
	l.rulesets++
	for _, rule := range review.Rules {
		l.rules++
		l.uses[rule.Use]++
	}
	without, _ := o.readHost()
	deleteDead(without, review)
	pruned := firewall.NewEvaluator(without, network)
	acted := map[*firewall.Rule]bool{}
	for _, p := range nftgen.Packets(r, packetHost, nftgen.FindEdges(script.String()), count) {
		l.packets++
		probe := kerneltest.Probe{Via: p.Interface, Protocol: p.Protocol, From: p.From, To: p.To, SourcePort: p.SourcePort, Port: p.Port}
		before, after := judge(evaluator, probe), judge(pruned, probe)
		for _, step := range before.Path {
			if step.Rule != nil && step.Effect != "goes on" {
				acted[step.Rule] = true
			}
		}
		if before.Fate != after.Fate || !slices.Equal(before.Outcomes, after.Outcomes) {
			t.Errorf("%s, %s: without the rules called dead %s, not %s\n%s", name, probe, after, before, script)
			return
		}
	}
	for rule, found := range review.Rules {
		if found.Use == firewall.Works && reachesHost(rule) {
			l.works++
			if acted[rule] {
				l.witnessed++
			}
		}
		if found.Use.Dead() && acted[rule] {
			t.Errorf("%s: %s %s rule %d acted, and is called %s by %v: %s\n%s", name, rule.Chain.Table.Name, rule.Chain.Name, rule.Number, found.Use, found.By, rule.Text(), script)
		}
	}
}

// reachesHost says that packets that come in meet the rule's table first.
func reachesHost(r *firewall.Rule) bool {
	f := r.Chain.Table.Family
	return f == firewall.FamilyInet || f == firewall.FamilyIPv4 || f == firewall.FamilyIPv6
}

// deleteDead takes the rules called dead out of a second reading of the ruleset.
func deleteDead(rules *firewall.Ruleset, review *firewall.Review) {
	type place struct {
		family       firewall.Family
		table, chain string
		handle       uint64
	}
	at := func(r *firewall.Rule) place {
		return place{r.Chain.Table.Family, r.Chain.Table.Name, r.Chain.Name, r.Handle}
	}
	dead := map[place]bool{}
	for rule, found := range review.Rules {
		dead[at(rule)] = found.Use.Dead()
	}
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			c.Rules = slices.DeleteFunc(c.Rules, func(r *firewall.Rule) bool { return dead[at(r)] })
		}
	}
}
