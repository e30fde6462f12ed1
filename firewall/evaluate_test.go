package firewall_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// words is a rule's text in these tests.
type words string

func (w words) String() string { return string(w) }

// The values that these rules look at.
var (
	saddr = firewall.Payload{Base: firewall.NetworkHeader, Offset: 12, Length: 4}
	ttl   = firewall.Payload{Base: firewall.NetworkHeader, Offset: 8, Length: 1}
	sport = firewall.Payload{Base: firewall.TransportHeader, Offset: 0, Length: 2}
	dport = firewall.Payload{Base: firewall.TransportHeader, Offset: 2, Length: 2}
)

func onPort(v firewall.Value, n uint16) firewall.Step {
	return firewall.Compare{Value: v, Data: []byte{byte(n >> 8), byte(n)}}
}

func in(prefix string) firewall.Step {
	p := netip.MustParsePrefix(prefix)
	mask := make([]byte, 4)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	masked := firewall.Bitwise{Op: firewall.BitAnd, Left: saddr, Right: firewall.Constant{Data: mask}, Length: 4}
	return firewall.Compare{Value: masked, Data: p.Addr().AsSlice()}
}

func accept(text string, matches ...firewall.Step) *firewall.Rule {
	return rule(text, firewall.Accept, matches)
}
func drop(text string, matches ...firewall.Step) *firewall.Rule {
	return rule(text, firewall.Drop, matches)
}

func rule(text string, code firewall.VerdictCode, matches []firewall.Step) *firewall.Rule {
	return &firewall.Rule{Source: words(text), Steps: append(slices.Clone(matches), firewall.Verdict{Code: code})}
}

// host has one link, eth0 with 192.0.2.1/24, a default route, and one base chain
// at input with the rules given.
func host(policy firewall.VerdictCode, rules ...*firewall.Rule) (*firewall.Ruleset, *firewall.Network) {
	table := &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyIPv4, Name: "filter", Handle: 1}
	chain := &firewall.Chain{Table: table, Name: "input", Handle: 1, Base: &firewall.Base{Hook: firewall.Input, Policy: policy}}
	table.Chains = []*firewall.Chain{chain}
	addRules(chain, rules...)
	prefix := netip.MustParsePrefix("192.0.2.1/24")
	network := &firewall.Network{
		Interfaces: []firewall.Interface{{Index: 1, Name: "lo", Flags: 9, Type: 772}, {Index: 2, Name: "eth0", Flags: 1, Type: 1}},
		Addresses:  []firewall.Address{{Interface: 2, Prefix: prefix}},
		Routes: []firewall.Route{
			{Destination: netip.MustParsePrefix("192.0.2.1/32"), Table: 255, Type: firewall.RouteLocal, Interface: 2},
			{Destination: prefix.Masked(), Table: 254, Type: firewall.RouteUnicast, Interface: 2},
			{Destination: netip.MustParsePrefix("0.0.0.0/0"), Table: 254, Type: firewall.RouteUnicast, Interface: 2, Gateway: netip.MustParseAddr("192.0.2.254")},
		},
	}
	return &firewall.Ruleset{Tables: []*firewall.Table{table}}, network
}

func addRules(chain *firewall.Chain, rules ...*firewall.Rule) {
	for i, r := range rules {
		r.Chain, r.Number, r.Handle = chain, i+1, uint64(i+1)
		chain.Rules = append(chain.Rules, r)
	}
}

func ask(port uint16) firewall.Query {
	return firewall.Query{Protocol: 17, Interface: "eth0", Destination: netip.MustParseAddr("192.0.2.1"), Port: port}
}

// fates tells a partition in a line: fate of each address asked about.
func fateOf(t *testing.T, parts []firewall.Part, source string) firewall.Part {
	t.Helper()
	addr := netip.MustParseAddr(source)
	var found []firewall.Part
	for _, p := range parts {
		if slices.ContainsFunc(p.Sources.Prefixes, func(x netip.Prefix) bool { return x.Contains(addr) }) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s is in %d parts of %v, want one", source, len(found), parts)
	}
	return found[0]
}

func TestReachIsAPartitionWithTheRuleThatDecides(t *testing.T) {
	rules, network := host(firewall.Drop,
		drop("bad neighbour", in("10.1.2.0/24")),
		accept("dns for the office", onPort(dport, 53), in("10.0.0.0/8")))
	parts := firewall.NewEvaluator(rules, network).Reach(ask(53))
	for source, want := range map[string]string{
		"10.1.1.255": "accept dns for the office",
		"10.1.2.0":   "drop bad neighbour",
		"10.1.2.255": "drop bad neighbour",
		"10.1.3.0":   "accept dns for the office",
		"11.0.0.0":   "drop policy drop",
		"192.0.2.1":  "drop the source is this host's own address",
		"127.0.0.1":  "drop the source can't come from outside (martian)",
	} {
		p := fateOf(t, parts, source)
		if got := fmt.Sprintf("%v %v", p.Fate, p.DecidedBy.Text); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}

func TestUnmodelledMatchCountsOnlyWhereItMatters(t *testing.T) {
	opaque := firewall.Opaque{Name: "xt match mystery"}
	rules, network := host(firewall.Drop,
		accept("mystery", opaque),
		accept("office", in("10.0.0.0/8")))
	parts := firewall.NewEvaluator(rules, network).Reach(ask(53))
	if p := fateOf(t, parts, "10.0.0.1"); p.Fate != firewall.Accepted {
		t.Errorf("accepted by both ways, but %v", p.Fate)
	}
	p := fateOf(t, parts, "11.0.0.1")
	if p.Fate != firewall.Conditional || len(p.Conditions) != 1 || p.Conditions[0].Kind != firewall.Unmodelled ||
		!strings.Contains(p.Conditions[0].Text, "xt match mystery") {
		t.Errorf("%v on %v, want conditional on the mystery", p.Fate, p.Conditions)
	}
	if !slices.Equal(p.Outcomes, []firewall.Fate{firewall.Accepted, firewall.Dropped}) {
		t.Errorf("outcomes %v", p.Outcomes)
	}
}

func TestSendersChoiceIsACondition(t *testing.T) {
	low := firewall.Compare{Op: firewall.Less, Value: ttl, Data: []byte{5}}
	rules, network := host(firewall.Drop, drop("near", low), accept("from a fixed port", onPort(sport, 53)))
	e := firewall.NewEvaluator(rules, network)
	p := fateOf(t, e.Reach(ask(53)), "10.0.0.1")
	var texts []string
	for _, c := range p.Conditions {
		texts = append(texts, c.Kind.String()+" "+c.Text)
	}
	if got := strings.Join(texts, "; "); p.Fate != firewall.Conditional || got != "sender ip ttl; sender source port" {
		t.Errorf("%v on %s", p.Fate, got)
	}
	q := ask(53)
	q.Source, q.SourcePort = netip.MustParseAddr("10.0.0.1"), 54
	if got := e.Explain(q).Fate; got != firewall.Dropped {
		t.Errorf("with another source port: %v, want drop whatever the TTL", got)
	}
}

// A set too large to list stays by its name in the answer, and the kernel is
// asked about one source only.
func TestHugeSetStaysANamedSet(t *testing.T) {
	asked := 0
	set := &firewall.Set{Name: "blocklist", KeyLength: 4, Count: 1 << 20, Find: func(key []byte) (firewall.Element, bool, error) {
		asked++
		return firewall.Element{}, key[0] == 203, nil
	}}
	rules, network := host(firewall.Accept, drop("blocked", firewall.InSet{Value: saddr, Set: set}))
	rules.Tables[0].Sets = []*firewall.Set{set}
	e := firewall.NewEvaluator(rules, network)
	seen := map[string]bool{}
	for _, p := range e.Reach(ask(53)) {
		for _, s := range p.Sources.Sets {
			seen[fmt.Sprintf("%v %s outside=%v", p.Fate, s.Set.Name, s.Outside)] = true
		}
	}
	if !seen["drop blocklist outside=false"] || !seen["accept blocklist outside=true"] || len(seen) != 2 {
		t.Errorf("the set shows as %v", seen)
	}
	if asked != 0 {
		t.Errorf("the kernel was asked %d times about all sources at once", asked)
	}
	for source, want := range map[string]firewall.Fate{"203.0.113.9": firewall.Dropped, "198.51.100.9": firewall.Accepted} {
		q := ask(53)
		q.Source = netip.MustParseAddr(source)
		if got := e.Explain(q).Fate; got != want {
			t.Errorf("%s: %v, want %v", source, got, want)
		}
	}
}

func TestOddAddressesAreToldWithAMask(t *testing.T) {
	odd := firewall.Bitwise{Op: firewall.BitAnd, Left: saddr, Right: firewall.Constant{Data: []byte{0, 0, 0, 1}}, Length: 4}
	rules, network := host(firewall.Drop, accept("odd", firewall.Compare{Value: odd, Data: []byte{0, 0, 0, 1}}))
	for _, p := range firewall.NewEvaluator(rules, network).Reach(ask(53)) {
		if p.Fate != firewall.Accepted {
			continue
		}
		if len(p.Sources.Prefixes) != 0 || len(p.Sources.Masked) == 0 || len(p.Sources.Masked) > 100 {
			t.Errorf("%d prefixes and %d masked addresses", len(p.Sources.Prefixes), len(p.Sources.Masked))
		}
		for _, m := range p.Sources.Masked {
			if m.Mask.As4()[3]&1 != 1 || m.Address.As4()[3]&1 != 1 {
				t.Errorf("%v with mask %v are not odd addresses", m.Address, m.Mask)
			}
		}
	}
}

// Chains that call each other twice over and over ask for 2^16 walks of the last
// one: the answer is given up, not guessed and not waited for.
func TestRulesThatCallEachOtherTooOftenAreUndecided(t *testing.T) {
	rules, network := host(firewall.Accept)
	table := rules.Tables[0]
	chains := []*firewall.Chain{table.Chains[0]}
	for i := range 15 {
		chains = append(chains, &firewall.Chain{Table: table, Name: fmt.Sprint("c", i), Handle: uint64(i + 2)})
	}
	for i, c := range chains[:15] {
		for range 4 {
			addRules(c, &firewall.Rule{Source: words("jump"), Steps: []firewall.Step{firewall.Verdict{Code: firewall.Jump, Chain: chains[i+1]}}})
		}
	}
	table.Chains = chains
	parts := firewall.NewEvaluator(rules, network).Reach(ask(53))
	if p := fateOf(t, parts, "10.0.0.1"); p.Fate == firewall.Accepted || p.Fate == firewall.Dropped {
		t.Errorf("an answer, %v, without having followed the rules", p.Fate)
	}
}

func TestRedirectionsNameTheRangesAndWhereTheyEnd(t *testing.T) {
	rules, network := host(firewall.Accept)
	table := rules.Tables[0]
	pre := &firewall.Chain{Table: table, Name: "pre", Handle: 9, Base: &firewall.Base{Hook: firewall.Prerouting, Priority: -100, Type: firewall.NATChain}}
	table.Chains = append(table.Chains, pre)
	web := firewall.NAT{Kind: firewall.DestinationNAT, Family: firewall.FamilyIPv4,
		AddressMin: firewall.Constant{Data: []byte{172, 17, 0, 2}}, PortMin: firewall.Constant{Data: []byte{0, 80}}}
	passive := firewall.NAT{Kind: firewall.DestinationNAT, Family: firewall.FamilyIPv4, AddressMin: firewall.Constant{Data: []byte{172, 17, 0, 3}}}
	addRules(pre,
		&firewall.Rule{Source: words("web"), Steps: []firewall.Step{onPort(dport, 8080), web}},
		&firewall.Rule{Source: words("passive"), Steps: []firewall.Step{
			firewall.Range{Value: dport, From: []byte{0x27, 0x0f}, To: []byte{0x27, 0x12}}, in("10.0.0.0/8"), passive}})
	got := firewall.NewEvaluator(rules, network).Redirections(ask(0))
	want := []firewall.Redirection{
		{First: 8080, Last: 8080, Address: netip.MustParseAddr("172.17.0.2"), Port: 80},
		{First: 9999, Last: 10002, Address: netip.MustParseAddr("172.17.0.3")},
	}
	if !slices.Equal(got, want) {
		t.Errorf("redirections %v, want %v", got, want)
	}
}

// Every address is in exactly one part, and explaining a packet from it gives
// that part's fate.
func TestPartitionCoversEveryAddressOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var rules []*firewall.Rule
		for i := range 12 {
			matches := []firewall.Step{in(netip.PrefixFrom(randomAddress(r), r.IntN(20)).Masked().String())}
			if r.IntN(3) == 0 {
				matches = append(matches, onPort(dport, uint16(52+r.IntN(3))))
			}
			rules = append(rules, rule(fmt.Sprint("rule ", i), firewall.VerdictCode(1+r.IntN(2)), matches))
		}
		ruleset, network := host(firewall.Drop, rules...)
		e := firewall.NewEvaluator(ruleset, network)
		parts := e.Reach(ask(53))
		for range 20 {
			source := randomAddress(r)
			q := ask(53)
			q.Source, q.SourcePort = source, 4000
			part, alone := fateOf(t, parts, source.String()), e.Explain(q)
			if part.Fate != alone.Fate || part.DecidedBy.Rule != alone.DecidedBy.Rule {
				t.Fatalf("%v: the partition says %v by %q, the packet %v by %q",
					source, part.Fate, part.DecidedBy.Text, alone.Fate, alone.DecidedBy.Text)
			}
		}
	}
}

func randomAddress(r *rand.Rand) netip.Addr {
	n := r.Uint32()
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func BenchmarkReachOf10000Rules(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	var list []*firewall.Rule
	for i := range 10000 {
		list = append(list, accept(fmt.Sprint("rule ", i), in(netip.PrefixFrom(randomAddress(r), 32).String()), onPort(dport, uint16(i%2000))))
	}
	ruleset, network := host(firewall.Drop, list...)
	e := firewall.NewEvaluator(ruleset, network)
	for b.Loop() {
		e.Reach(ask(53))
	}
}

func BenchmarkReachOf100000Sources(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	set := &firewall.Set{Name: "friends", KeyLength: 4, Loaded: true, Interval: true}
	for i := range 100000 {
		a := uint32(i)<<15 | uint32(r.IntN(1<<14))
		key := []byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}
		set.Elements = append(set.Elements, firewall.Element{Key: key, KeyEnd: []byte{key[0], key[1], key[2], key[3] | 15}})
	}
	ruleset, network := host(firewall.Drop, accept("friends", firewall.InSet{Value: saddr, Set: set}))
	ruleset.Tables[0].Sets = []*firewall.Set{set}
	e := firewall.NewEvaluator(ruleset, network)
	for b.Loop() {
		e.Reach(ask(53))
	}
}

// A VLAN's frames meet the ingress chains of the link below first, with headers
// that are not an IP packet's.
func TestChainsOfTheLinkBelowLeaveTheAnswerOpen(t *testing.T) {
	rules, network := host(firewall.Accept)
	network.Interfaces = append(network.Interfaces, firewall.Interface{Index: 3, Name: "eth0.10", Kind: "vlan", Parent: 2, Flags: 1, Type: 1})
	netdev := &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyNetdev, Name: "early", Handle: 2}
	chain := &firewall.Chain{Table: netdev, Name: "in", Base: &firewall.Base{Hook: firewall.Ingress, Policy: firewall.Accept, Devices: []string{"eth0"}}}
	netdev.Chains = []*firewall.Chain{chain}
	rules.Tables = append(rules.Tables, netdev)
	q := ask(53)
	q.Interface, q.Source = "eth0.10", netip.MustParseAddr("10.0.0.1")
	got := firewall.NewEvaluator(rules, network).Explain(q)
	if got.Fate != firewall.Conditional || got.Conditions[0].Kind != firewall.Unmodelled {
		t.Errorf("%v, %v", got.Fate, got.Conditions)
	}
}

func TestVRFIsNotGuessedAt(t *testing.T) {
	rules, network := host(firewall.Drop)
	network.Interfaces = append(network.Interfaces, firewall.Interface{Index: 3, Name: "red", Kind: "vrf", Flags: 1})
	network.Interfaces[1].Master = 3
	if got := firewall.NewEvaluator(rules, network).Reach(ask(53)); len(got) != 1 || got[0].Fate != firewall.Undecided {
		t.Errorf("%v, want undecided for all", got)
	}
}

func BenchmarkReachOf100000RulesThatAllMatter(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	var list []*firewall.Rule
	for i := range 100000 {
		list = append(list, accept(fmt.Sprint("rule ", i), in(netip.PrefixFrom(randomAddress(r), 32).String())))
	}
	ruleset, network := host(firewall.Drop, list...)
	e := firewall.NewEvaluator(ruleset, network)
	for b.Loop() {
		e.Reach(ask(53))
	}
}

func TestAFlowThatHasOnlyBegunIsNotOffloaded(t *testing.T) {
	offload := &firewall.Rule{Source: words("flow add @f accept"), Steps: []firewall.Step{firewall.FlowOffload{Table: "f"}, firewall.Verdict{Code: firewall.Accept}}}
	rules, network := host(firewall.Drop, offload)
	q := ask(53)
	q.Source = netip.MustParseAddr("10.0.0.1")
	if got := firewall.NewEvaluator(rules, network).Explain(q); got.Fate != firewall.Dropped {
		t.Errorf("%v by %s, want the policy's drop", got.Fate, got.DecidedBy.Text)
	}
}
