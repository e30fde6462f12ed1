package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// A fakeFirewall answers by a function.
type fakeFirewall func(firewall.Query) []firewall.Part

func (f fakeFirewall) Reach(q firewall.Query) []firewall.Part { return f(q) }

func (f fakeFirewall) Redirections(firewall.Query) []firewall.Redirection { return nil }

// text is a rule's own words.
type text string

func (t text) String() string { return string(t) }

var (
	filterTable = &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyInet, Name: "filter"}
	inputDrop   = &firewall.Chain{Table: filterTable, Name: "input", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Drop}}
	table6      = &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyIPv6, Name: "filter"}
	input6      = &firewall.Chain{Table: table6, Name: "input", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Accept}}
	natChain    = &firewall.Chain{Table: filterTable, Name: "pre", Base: &firewall.Base{Hook: firewall.Prerouting, Type: firewall.NATChain, Policy: firewall.Accept}}
	webChain    = &firewall.Chain{Table: filterTable, Name: "web"}
	dockerChain = &firewall.Chain{Table: filterTable, Name: "DOCKER"}
	accept      = firewall.Verdict{Code: firewall.Accept}

	ssh       = rule(inputDrop, 3, "tcp dport 22 accept", equals(dport, number(22)), accept)
	lan       = rule(inputDrop, 4, "ip saddr 10.0.0.1 accept", equals(saddr4, ip("10.0.0.1")), accept)
	whatever  = rule(inputDrop, 5, "accept", accept)
	dropRule  = rule(inputDrop, 6, "tcp dport 22 drop", equals(dport, number(22)), firewall.Verdict{Code: firewall.Drop})
	jumpWeb   = rule(inputDrop, 7, "tcp dport 22 jump web", equals(dport, number(22)), firewall.Verdict{Code: firewall.Jump, Chain: webChain})
	inWeb     = rule(webChain, 1, "accept", accept)
	redirect  = rule(natChain, 1, "redirect to :22", firewall.NAT{Kind: firewall.RedirectNAT})
	byDocker  = rule(dockerChain, 1, "tcp dport 22 accept", equals(dport, number(22)), accept)
	everybody = firewall.Sources{Prefixes: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
)

func rule(c *firewall.Chain, number int, words text, steps ...firewall.Step) *firewall.Rule {
	return &firewall.Rule{Chain: c, Number: number, Handle: uint64(number) + 10, Steps: steps, Source: words}
}

func by(r *firewall.Rule, via ...*firewall.Rule) firewall.Decision {
	return firewall.Decision{Chain: r.Chain, Rule: r, Via: via, Text: r.Text()}
}

func policyOf(c *firewall.Chain) firewall.Decision {
	return firewall.Decision{Chain: c, Text: "policy " + c.Base.Policy.String()}
}

func accepted(d firewall.Decision) firewall.Part {
	return firewall.Part{Sources: everybody, Fate: firewall.Accepted, DecidedBy: d, Acceptances: []firewall.Decision{d}}
}

func dropped(d firewall.Decision) firewall.Part {
	return firewall.Part{Sources: everybody, Fate: firewall.Dropped, DecidedBy: d}
}

func conditional(kind firewall.ConditionKind, d firewall.Decision) firewall.Part {
	p := accepted(d)
	p.Fate, p.Outcomes = firewall.Conditional, []firewall.Fate{firewall.Accepted, firewall.Dropped}
	p.Conditions = []firewall.Condition{{Kind: kind, Text: "the condition"}}
	return p
}

// network is a host with eth0 (203.0.113.7, 2001:db8::7), and lo.
func network() *firewall.Network {
	return &firewall.Network{
		Interfaces: []firewall.Interface{{Index: 1, Name: "lo", Flags: 1 | 8}, {Index: 2, Name: "eth0", Flags: 1}},
		Addresses: []firewall.Address{
			{Interface: 1, Prefix: netip.MustParsePrefix("127.0.0.1/8")}, {Interface: 1, Prefix: netip.MustParsePrefix("::1/128")},
			{Interface: 2, Prefix: netip.MustParsePrefix("203.0.113.7/24")}, {Interface: 2, Prefix: netip.MustParsePrefix("2001:db8::7/64")},
		},
	}
}

func listener(address string, family int) listeners.Listener {
	return listeners.Listener{
		Protocol: "tcp", Family: family, State: "listen", Role: listeners.Server, Address: netip.MustParseAddr(address), Port: 22,
		V6OnlyKnown: true, Owners: []listeners.Process{{PID: 640, Name: "sshd", Executable: "/usr/sbin/sshd"}},
	}
}

// onlyRow analyzes one listener whose every way meets the same parts.
func onlyRow(t *testing.T, l listeners.Listener, unread []string, parts ...firewall.Part) Exposure {
	t.Helper()
	rows := Analyze(Input{Listeners: []listeners.Listener{l}, Network: network(), Rules: &firewall.Ruleset{}, Unread: unread,
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return parts })})
	if len(rows) != 1 {
		t.Fatalf("%d rows, want 1", len(rows))
	}
	return rows[0]
}

func TestLabels(t *testing.T) {
	martian := dropped(firewall.Decision{Text: "martian source"})
	for _, c := range []struct {
		name  string
		bind  string
		parts []firewall.Part
		label Label
		code  string // the first reason's
	}{
		{"a rule names the port", "0.0.0.0", []firewall.Part{accepted(by(ssh)), martian}, Intentional, "rule_names_port"},
		{"a rule names the sources only", "0.0.0.0", []firewall.Part{accepted(by(lan)), dropped(policyOf(inputDrop))}, Intentional, "rule_names_sources"},
		{"a rule on the jump path names the port", "0.0.0.0", []firewall.Part{accepted(by(inWeb, jumpWeb))}, Intentional, "rule_names_port"},
		{"a rule accepts everything", "0.0.0.0", []firewall.Part{accepted(by(whatever))}, Exposed, "rule_broad"},
		{"one source declared, another not", "0.0.0.0", []firewall.Part{accepted(by(ssh)), accepted(by(whatever))}, Exposed, "rule_broad"},
		{"policy accept", "0.0.0.0", []firewall.Part{accepted(policyOf(input6))}, Exposed, "policy_accept"},
		{"no firewall at all", "0.0.0.0", []firewall.Part{accepted(firewall.Decision{Text: "no rule drops it"})}, Exposed, "no_filter"},
		{"a NAT rule alone", "0.0.0.0", []firewall.Part{accepted(by(redirect))}, Exposed, "nat_alone"},
		{"a rule that Docker wrote", "0.0.0.0", []firewall.Part{accepted(by(byDocker))}, Exposed, "automatic_rule"},
		{"policy drop", "0.0.0.0", []firewall.Part{dropped(policyOf(inputDrop)), martian}, Filtered, "policy_drop"},
		{"a rule drops", "0.0.0.0", []firewall.Part{dropped(by(dropRule))}, Filtered, "rule_drop"},
		{"only the kernel drops", "0.0.0.0", []firewall.Part{martian}, Filtered, "kernel_drop"},
		{"bound to loopback", "127.0.0.1", []firewall.Part{martian}, Local, "bound_to_loopback"},
		{"bound to loopback, and led there", "127.0.0.1", []firewall.Part{accepted(policyOf(input6))}, Exposed, "policy_accept"},
		{"a rate limit lets some through, undeclared", "0.0.0.0", []firewall.Part{conditional(firewall.Rate, by(whatever))}, Exposed, "rule_broad"},
		{"a rate limit lets some through, declared", "0.0.0.0", []firewall.Part{conditional(firewall.Rate, by(ssh))}, Intentional, "rule_names_port"},
		{"the sender chooses its port", "0.0.0.0", []firewall.Part{conditional(firewall.Sender, by(whatever))}, Exposed, "rule_broad"},
		{"an unmodelled match, undeclared", "0.0.0.0", []firewall.Part{conditional(firewall.Unmodelled, by(whatever))}, Unknown, "undecided"},
		{"an unmodelled match, declared: filtered or not?", "0.0.0.0", []firewall.Part{conditional(firewall.Unmodelled, by(ssh))}, Unknown, "undecided"},
		{"an unmodelled match beside a sure way in", "0.0.0.0", []firewall.Part{conditional(firewall.Unmodelled, by(whatever)), accepted(by(whatever))}, Exposed, "rule_broad"},
		{"an unmodelled match beside a declared way in", "0.0.0.0", []firewall.Part{conditional(firewall.Unmodelled, by(whatever)), accepted(by(ssh))}, Unknown, "undecided"},
		{"an unmodelled match in a rule that names the port, beside a declared way in", "0.0.0.0",
			[]firewall.Part{conditional(firewall.Unmodelled, by(ssh)), accepted(by(ssh))}, Intentional, "rule_names_port"},
		{"a program decides", "0.0.0.0", []firewall.Part{conditional(firewall.External, by(whatever))}, Unknown, "undecided"},
		{"unread", "0.0.0.0", []firewall.Part{{Sources: everybody, Fate: firewall.Undecided,
			Conditions: []firewall.Condition{{Kind: firewall.Unread, Text: "the set could not be read"}}}}, Unknown, "undecided"},
		{"drop or reject, at random", "0.0.0.0", []firewall.Part{{Sources: everybody, Fate: firewall.Conditional, DecidedBy: by(dropRule),
			Outcomes:   []firewall.Fate{firewall.Rejected, firewall.Dropped},
			Conditions: []firewall.Condition{{Kind: firewall.Random, Text: "numgen"}}}}, Filtered, "rule_drop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := onlyRow(t, listener(c.bind, 4), nil, c.parts...)
			if e.Label != c.label || e.Reasons[0].Code != c.code {
				t.Errorf("%s %+v; want %s %s", e.Label, e.Reasons, c.label, c.code)
			}
			if (e.Label == Exposed) != (len(e.Remedy) > 0) && e.Label != Unknown {
				t.Errorf("remedy of %s: %q", e.Label, e.Remedy)
			}
		})
	}
}

func TestEveryAcceptingDecisionMustDeclare(t *testing.T) {
	part := accepted(by(ssh))
	part.Acceptances = []firewall.Decision{by(ssh), by(whatever)}
	if e := onlyRow(t, listener("0.0.0.0", 4), nil, part); e.Label != Exposed {
		t.Errorf("accepted by a rule that names the port for some source ports, and by one that names nothing for others: %s", e.Label)
	}
}

func TestIPv6LeftOpenBesideFilteredIPv4(t *testing.T) {
	in := Input{Listeners: []listeners.Listener{listener("::", 6)}, Network: network(), Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part {
			if q.Destination.Is4() {
				return []firewall.Part{dropped(policyOf(inputDrop))}
			}
			return []firewall.Part{accepted(policyOf(input6))}
		})}
	e := Analyze(in)[0]
	if e.Label != Exposed {
		t.Fatalf("label %s", e.Label)
	}
	want := []Reason{
		{"policy_accept", "ip6 filter input has policy accept and no rule for 22/tcp"},
		{"ipv6_open", "IPv6 is left open beside filtered IPv4"},
	}
	if fmt.Sprint(e.Reasons) != fmt.Sprint(want) {
		t.Errorf("reasons %+v\nwant %+v", e.Reasons, want)
	}
	if e.Remedy[0] != "nft add rule ip6 filter input tcp dport 22 drop" {
		t.Errorf("remedy %q", e.Remedy)
	}
}

func TestUnreadRulesAreNeverNoFirewall(t *testing.T) {
	open := accepted(firewall.Decision{Text: "no rule drops it"})
	if e := onlyRow(t, listener("0.0.0.0", 4), []string{"nf_tables"}, open); e.Label != Unknown || !strings.Contains(e.Reasons[0].Text, "nf_tables") {
		t.Errorf("%s %+v", e.Label, e.Reasons)
	}
	if e := onlyRow(t, listener("0.0.0.0", 4), []string{"nf_tables"}, dropped(policyOf(inputDrop))); e.Label != Unknown {
		t.Errorf("filtered by half of the rules: %s", e.Label)
	}
	martian := dropped(firewall.Decision{Text: "martian destination"})
	if e := onlyRow(t, listener("127.0.0.1", 4), []string{"nf_tables"}, martian); e.Label != Local {
		t.Errorf("what the kernel drops by itself is certain: %s", e.Label)
	}
}

func TestNoNetworkReadIsUnknown(t *testing.T) {
	in := Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: &firewall.Network{}, Rules: &firewall.Ruleset{}, Unread: []string{"rtnetlink links"},
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return nil })}
	if e := Analyze(in)[0]; e.Label != Unknown {
		t.Errorf("label %s", e.Label)
	}
}

func TestReasonsNeverPromiseTheInternet(t *testing.T) {
	e := onlyRow(t, listener("0.0.0.0", 4), nil, accepted(by(whatever)))
	for _, r := range e.Reasons {
		if strings.Contains(strings.ToLower(r.Text), "internet") {
			t.Errorf("%q: nobody looked from there", r.Text)
		}
	}
}

// Docker publishes on loopback by translating what is sent to 127.0.0.1: nobody
// but a neighbour on the link can send that.
func TestPublishedOnLoopbackIsLocalAndTellsOfNeighbours(t *testing.T) {
	part := accepted(by(byDocker))
	part.DeliveredTo = &firewall.Delivery{Address: netip.MustParseAddr("172.17.0.3"), Port: 80, Interface: "docker0"}
	open := conditional(firewall.Unmodelled, by(byDocker))
	open.DeliveredTo = part.DeliveredTo
	e := onlyRow(t, listener("127.0.0.1", 4), nil, part, open)
	if e.Label != Local || e.Reasons[0].Code != "bound_to_loopback" {
		t.Errorf("%v: %v", e.Label, e.Reasons)
	}
	if !slices.ContainsFunc(e.Reasons, func(r Reason) bool { return r.Code == "link_reaches" }) {
		t.Errorf("not a word of the neighbours: %v", e.Reasons)
	}
}

func TestPublishedPortsBypassTheHostsOwnRules(t *testing.T) {
	part := accepted(by(byDocker))
	part.DeliveredTo = &firewall.Delivery{Address: netip.MustParseAddr("172.17.0.2"), Port: 80, Interface: "docker0"}
	analyze := func(own firewall.Part) Exposure {
		return Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{},
			Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{part} }),
			Untranslated: func() Firewall {
				return fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{own} })
			}})[0]
	}
	told := func(e Exposure) bool {
		return slices.ContainsFunc(e.Reasons, func(r Reason) bool {
			return r.Code == "bypasses" && strings.Contains(r.Text, "inet filter input: policy drop")
		})
	}
	if e := analyze(dropped(policyOf(inputDrop))); !told(e) {
		t.Errorf("not told: %v", e.Reasons)
	}
	for _, own := range []firewall.Part{accepted(policyOf(input6)), dropped(firewall.Decision{Text: "martian source"})} {
		if e := analyze(own); told(e) {
			t.Errorf("told although no rule of the host's own would keep it out: %v", e.Reasons)
		}
	}
}
