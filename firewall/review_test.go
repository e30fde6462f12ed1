package firewall_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// What these rules look at beside addresses and ports.
var (
	l4proto = firewall.Meta{Key: firewall.MetaL4Proto}
	mark    = firewall.Meta{Key: firewall.MetaMark}
	state   = firewall.Bitwise{Op: firewall.BitAnd, Left: firewall.CT{Key: firewall.CTState}, Right: firewall.Constant{Data: []byte{6, 0, 0, 0}}, Length: 4}
	// established is "ct state established,related".
	established = firewall.Compare{Op: firewall.NotEqual, Value: state, Data: make([]byte, 4)}
	tcp         = firewall.Compare{Value: l4proto, Data: []byte{6}}
	udp         = firewall.Compare{Value: l4proto, Data: []byte{17}}
	fragments   = firewall.Compare{Op: firewall.NotEqual, Data: []byte{0, 0}, Value: firewall.Bitwise{Op: firewall.BitAnd, Length: 2,
		Left: firewall.Payload{Base: firewall.NetworkHeader, Offset: 6, Length: 2}, Right: firewall.Constant{Data: []byte{0x1f, 0xff}}}}
	limit = firewall.Chance{Kind: firewall.Rate, Name: "limit", Text: "limit rate 10/minute"}
)

func marked(n byte) firewall.Step {
	return firewall.Compare{Value: mark, Data: []byte{n, 0, 0, 0}}
}

func setMark(n byte) firewall.Step {
	return firewall.Assign{Target: mark, Value: firewall.Constant{Data: []byte{n, 0, 0, 0}}}
}

func portRange(from, to uint16) firewall.Step {
	return firewall.Range{Value: dport, From: []byte{byte(from >> 8), byte(from)}, To: []byte{byte(to >> 8), byte(to)}}
}

func onDevice(name string) firewall.Step {
	return firewall.Compare{Value: firewall.Meta{Key: firewall.MetaIifName}, Data: append([]byte(name), make([]byte, 16-len(name))...)}
}

func counting(text string, steps ...firewall.Step) *firewall.Rule {
	return &firewall.Rule{Source: words(text), Steps: append(steps, firewall.Passive{Name: "counter"})}
}

func TestRulesOfOneChain(t *testing.T) {
	for name, c := range map[string]struct {
		rules []*firewall.Rule
		// want is each rule's use, and the rules that take its packets.
		want string
	}{
		"a rule behind the same one": {
			[]*firewall.Rule{accept("a", tcp, onPort(dport, 22)), drop("b", tcp, onPort(dport, 22))},
			"works; shadowed by a",
		},
		"a rule that two others cover together, not one alone": {
			[]*firewall.Rule{accept("a", tcp, portRange(1, 30)), accept("b", tcp, portRange(31, 80)), accept("c", tcp, portRange(90, 99)), drop("d", tcp, portRange(20, 60))},
			"works; works; works; shadowed by a, b",
		},
		"of many that take some of it, the one that would take all": {
			[]*firewall.Rule{accept("a", tcp, onPort(dport, 22), in("10.0.0.0/8")), accept("b", tcp, onPort(dport, 22)), drop("c", tcp, onPort(dport, 22))},
			"works; works; shadowed by b",
		},
		"a gap of one port keeps a rule alive": {
			[]*firewall.Rule{accept("a", tcp, portRange(1, 21)), accept("b", tcp, portRange(23, 80)), drop("c", tcp, portRange(20, 60))},
			"works; works; works",
		},
		"another protocol on the same port": {
			[]*firewall.Rule{accept("a", tcp, onPort(dport, 53)), accept("b", udp, onPort(dport, 53)), drop("c", tcp, udp)},
			"works; works; contradictory",
		},
		"behind a rule that takes everything": {
			[]*firewall.Rule{accept("a", tcp, onPort(dport, 22)), drop("b"), accept("c", tcp, onPort(dport, 80)), counting("d")},
			"works; works; unreached by b; unreached by b",
		},
		"a rule for old flows is needed, though new ones are all dropped before": {
			[]*firewall.Rule{accept("a", established), drop("b", tcp), accept("c", established), accept("d", udp)},
			"works; works; shadowed by a; works",
		},
		"a limit lets packets through to the same match": {
			[]*firewall.Rule{accept("a", tcp, onPort(dport, 22), limit), drop("b", tcp, onPort(dport, 22)), drop("c", tcp, onPort(dport, 22), limit)},
			"works; works; shadowed by b",
		},
		"ports of nothing: later fragments have no ports": {
			[]*firewall.Rule{accept("a", tcp, portRange(0, 65535)), drop("b", tcp, fragments), drop("c", tcp, portRange(22, 22))},
			"works; works; shadowed by a",
		},
		"a mark that an earlier rule sets": {
			[]*firewall.Rule{counting("a", tcp, setMark(7)), drop("b", tcp, marked(8)), accept("c", tcp, marked(7)), accept("d", udp, marked(8))},
			"works; excluded; works; works",
		},
		"a mark may be anything when packets come": {
			[]*firewall.Rule{drop("a", marked(1)), drop("b", marked(2)), drop("c", marked(1))},
			"works; works; shadowed by a",
		},
		"a link that the host doesn't have yet": {
			[]*firewall.Rule{accept("a", onDevice("eth0")), accept("b", onDevice("wg0")), drop("c", onDevice("eth0")), drop("d", onDevice("eth0"), onDevice("wg0"))},
			"works; works; shadowed by a; contradictory",
		},
		"the same verdict later is not death": {
			[]*firewall.Rule{drop("a", tcp, onPort(dport, 22)), drop("b", tcp)},
			"works; works",
		},
		"a match that netglance doesn't know may always match": {
			[]*firewall.Rule{accept("a", firewall.Opaque{Name: "osf"}), drop("b", firewall.Opaque{Name: "osf"}), accept("c")},
			"works; works; works",
		},
		"a counter that never counts": {
			[]*firewall.Rule{drop("a", in("10.0.0.0/8")), counting("b", in("10.1.0.0/16")), counting("c", in("11.0.0.0/8"))},
			"works; shadowed by a; works",
		},
	} {
		t.Run(name, func(t *testing.T) {
			rules, network := host(firewall.Drop, c.rules...)
			if got := uses(firewall.NewEvaluator(rules, network).Review(), c.rules); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func uses(review *firewall.Review, rules []*firewall.Rule) string {
	var list []string
	for _, r := range rules {
		found := review.Rules[r]
		text := found.Use.String()
		for i, d := range found.By {
			text += map[bool]string{true: " by ", false: ", "}[i == 0] + d.Text
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

// A called chain is dispatched to by one rule.
func TestChainsThatOthersCall(t *testing.T) {
	web := &firewall.Chain{Name: "web", Handle: 2}
	jump := func(text string, steps ...firewall.Step) *firewall.Rule {
		return &firewall.Rule{Source: words(text), Steps: append(steps, firewall.Verdict{Code: firewall.Jump, Chain: web})}
	}
	to80, shut, to443 := jump("to80", tcp, onPort(dport, 80)), drop("shut", tcp, onPort(dport, 443)), jump("to443", tcp, onPort(dport, 443))
	rules, network := host(firewall.Accept, to80, shut, to443)
	table := rules.Tables[0]
	web.Table = table
	lost := &firewall.Chain{Table: table, Name: "lost", Handle: 3}
	table.Chains = append(table.Chains, web, lost)
	http, https, all, behind := accept("http", tcp, onPort(dport, 80)), accept("https", tcp, onPort(dport, 443)), drop("all"), drop("behind", udp)
	addRules(web, http, https, all, behind)
	nowhere := drop("nowhere")
	addRules(lost, nowhere)

	review := firewall.NewEvaluator(rules, network).Review()
	got := uses(review, []*firewall.Rule{to80, shut, to443, http, https, all, behind, nowhere})
	if expected := "works; works; shadowed by shut; works; excluded by to80; unreached by http; excluded by to80; chain-unused"; got != expected {
		t.Errorf("got  %s\nwant %s", got, expected)
	}
	if u := review.Chains[lost].Unused; u != firewall.NoCaller {
		t.Errorf("lost: %s", u)
	}
	if u := review.Chains[web].Unused; u != firewall.Used {
		t.Errorf("web: %s", u)
	}
}

func TestChainsBehindOthersOfTheirHook(t *testing.T) {
	early, late := drop("early", tcp, onPort(dport, 23)), accept("late", tcp, onPort(dport, 23))
	rules, network := host(firewall.Accept, early)
	second := &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyIPv4, Name: "second", Handle: 2}
	chain := &firewall.Chain{Table: second, Name: "input", Handle: 1, Base: &firewall.Base{Hook: firewall.Input, Priority: 10, Policy: firewall.Drop}}
	second.Chains = []*firewall.Chain{chain}
	addRules(chain, late)
	rules.Tables = append(rules.Tables, second)
	list := []*firewall.Rule{early, late}
	if got := uses(firewall.NewEvaluator(rules, network).Review(), list); got != "works; excluded by early" {
		t.Errorf("in order: %s", got)
	}
	chain.Base.Priority = 0
	if got := uses(firewall.NewEvaluator(rules, network).Review(), list); got != "works; works" {
		t.Errorf("of one priority, which comes first is not certain: %s", got)
	}
	chain.Base.Priority, second.Dormant = 10, true
	if got := uses(firewall.NewEvaluator(rules, network).Review(), list); got != "works; chain-unused" {
		t.Errorf("dormant: %s", got)
	}
}

func TestChainsOnDevicesThatAreGone(t *testing.T) {
	wire := drop("wire")
	rules, network := host(firewall.Accept)
	netdev := &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyNetdev, Name: "wire", Handle: 2}
	chain := &firewall.Chain{Table: netdev, Name: "in", Handle: 1, Base: &firewall.Base{Hook: firewall.Ingress, Policy: firewall.Accept, Devices: []string{"eth0", "eth9"}}}
	netdev.Chains = []*firewall.Chain{chain}
	addRules(chain, wire)
	rules.Tables = append(rules.Tables, netdev)
	review := firewall.NewEvaluator(rules, network).Review()
	if c := review.Chains[chain]; c.Unused != firewall.Used || !slices.Equal(c.MissingDevices, []string{"eth9"}) || review.Rules[wire].Use != firewall.Works {
		t.Errorf("one of two devices: %+v, %s", c, review.Rules[wire].Use)
	}
	chain.Base.Devices = []string{"eth9"}
	review = firewall.NewEvaluator(rules, network).Review()
	if c := review.Chains[chain]; c.Unused != firewall.NoDevice || review.Rules[wire].Use != firewall.ChainUnused {
		t.Errorf("none of its devices: %+v, %s", c, review.Rules[wire].Use)
	}
}

func TestOpeningsAreWhatIsLeftForARule(t *testing.T) {
	shut := drop("shut", tcp, onPort(dport, 22), in("10.0.0.0/8"))
	some := accept("some", tcp, portRange(20, 25))
	old := accept("old", established)
	lo := accept("lo", onDevice("lo"))
	short := accept("short", firewall.Compare{Value: firewall.Meta{Key: firewall.MetaIifName}, Data: []byte("lo\x00")}) // as iptables-nft writes -i lo
	lan := accept("lan", in("192.168.0.0/16"), onDevice("eth0"))
	away := drop("away", in("10.0.0.0/8"))
	most := accept("most", tcp, onPort(dport, 22))
	rules, network := host(firewall.Drop, old, lo, short, shut, some, lan)
	second, _ := host(firewall.Drop, away, most)
	if got := firewall.NewEvaluator(second, network).Review().Rules[most].Openings; len(got) != 1 || fmt.Sprint(got[0].Except) != "[10.0.0.0/8]" || len(got[0].Sources) != 8 {
		t.Errorf("all sources but one network: got %+v", got)
	}
	review := firewall.NewEvaluator(rules, network).Review()
	for rule, want := range map[*firewall.Rule]string{
		old: "[]", lo: "[]", short: "[]", shut: "[]",
		some: "[{ip false [{6 20 25}] false [] false [] false [] []}]",
		lan:  "[{ip false [{6 0 19} {6 26 65535} {17 0 65535} {132 0 65535} {136 0 65535}] false [] true [192.168.0.0/16] false [] [eth0]}]",
	} {
		if got := fmt.Sprint(review.Rules[rule].Openings); got != want {
			t.Errorf("%s: got %s, want %s", rule.Text(), got, want)
		}
	}
}

func TestReviewsGiveUpInTime(t *testing.T) {
	// Each chain calls the next one often: more ways than anyone can follow.
	rules, network := host(firewall.Accept)
	table := rules.Tables[0]
	base := table.Chains[0]
	chains := []*firewall.Chain{base}
	for i := range 12 {
		c := &firewall.Chain{Table: table, Name: fmt.Sprint("c", i), Handle: uint64(10 + i)}
		chains = append(chains, c)
		table.Chains = append(table.Chains, c)
	}
	for i, c := range chains[:len(chains)-1] {
		for j := range 10 {
			addRules(c, &firewall.Rule{Source: words(fmt.Sprint("jump", j)), Steps: []firewall.Step{firewall.Verdict{Code: firewall.Jump, Chain: chains[i+1]}}})
		}
	}
	addRules(base, drop("all"), accept("behind"))
	review := firewall.NewEvaluator(rules, network).Review()
	if len(review.Incomplete) == 0 {
		t.Error("it claims to have followed all")
	}
	if use := review.Rules[base.Rules[11]].Use; use != firewall.UseUnknown {
		t.Errorf("a rule that was not come to is called %s", use)
	}
}
