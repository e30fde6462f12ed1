package nftgen

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Options narrow what a ruleset may contain.
type Options struct {
	// Interfaces are the links that rules name and ingress chains hook into. The
	// first is the one towards the world.
	Interfaces []string
	// Ports are links that are ports of a bridge. Without any there are no tables of
	// family bridge.
	Ports []string
	// Sink is a link that swallows what is sent to it, for copies; empty for none.
	Sink string
	// Own4 and Own6 are own addresses of the host, for rules to name and translate to.
	Own4, Own6 []string
	// Behind4 and Behind6 are addresses that the host forwards to.
	Behind4, Behind6 []string
	// Sockets asks for matches and statements that the host's sockets decide.
	Sockets bool
	// Undecided asks for matches too that no reading of rules and network settles:
	// rates, chance, history, what the sender chooses.
	Undecided bool
}

// Generate writes the ruleset of a seed. Unless the options ask for others, its
// matches are all of a kind that a packet's headers, its links and the host's
// addresses and routes decide.
func Generate(seed uint64, options Options) Script {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x6e6674)), options: options}
	g.copies = options.Sink != "" && g.chance(50)
	var s Script
	for i := range 1 + g.weighted(3, 4, 2) {
		s.Tables = append(s.Tables, g.table(fmt.Sprintf("t%d", i)))
	}
	return s
}

type generator struct {
	*rand.Rand
	options Options
	// copies says that the ruleset may send copies. Then no rule of output rejects:
	// an error about a copy would look like one about the packet.
	copies bool
}

// weighted is an index, each as likely as its weight.
func (g *generator) weighted(weights ...int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	n := g.IntN(total)
	for i, w := range weights {
		if n < w {
			return i
		}
		n -= w
	}
	return 0
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) pick(list ...string) string { return list[g.IntN(len(list))] }

// A place is where a rule stands: what its matches may look at.
type place struct {
	family, hook, kind string
	// transport is the protocol that an earlier match of the rule settled: "tcp",
	// "udp", "th" for either of them, "other"; empty if none did.
	transport string
	table     *Table
	// jumps are the chains that a rule here may go to.
	jumps []string
}

// untracked says that there is no connection tracking at the place, nor anything
// else that only IP has.
func (at place) untracked() bool {
	return at.hook == "ingress" || at.hook == "egress" || at.table.Family == "bridge"
}

func (g *generator) table(name string) Table {
	bridged := 0
	if len(g.options.Ports) > 0 {
		bridged = 12
	}
	family := []string{"inet", "ip", "ip6", "netdev", "bridge"}[g.weighted(10, 4, 4, 1+bridged/4, bridged)]
	t := Table{Family: family, Name: name, Dormant: g.chance(2)}
	t.Sets = g.sets(family)
	bases := 1 + g.weighted(3, 4, 2, 1)
	for i := range bases {
		g.baseChain(&t, i)
	}
	if g.chance(10) {
		unused := place{family: family, hook: "input", kind: "filter", table: &t}
		if family == "netdev" {
			unused.hook = "ingress"
		}
		t.Chains = append(t.Chains, Chain{Name: "unused", Rules: append(g.rules(unused, 1+g.IntN(3)), Rule{"drop"})})
	}
	return t
}

// baseChain adds a base chain and the chains that it calls.
func (g *generator) baseChain(t *Table, number int) {
	at := place{family: t.Family, table: t}
	var base string
	base, at.hook, at.kind = g.hook(t.Family)
	called := g.weighted(4, 3, 2, 1)
	for i := called - 1; i >= 0; i-- {
		name := fmt.Sprintf("c%d_%d", number, i)
		t.Chains = append(t.Chains, Chain{Name: name, Rules: g.rules(at, 1+g.IntN(4))})
		at.jumps = append(at.jumps, name)
	}
	if g.chance(4) {
		at.jumps = append(at.jumps, g.ladder(t, at, number))
	}
	t.Chains = append(t.Chains, Chain{Name: fmt.Sprintf("b%d", number), Base: base, Rules: g.rules(at, 1+g.IntN(6))})
}

// ladder adds chains each of which calls the next, as deep as the kernel lets a
// base chain call (NFT_JUMP_STACK_SIZE), and names the first.
func (g *generator) ladder(t *Table, at place, number int) string {
	next := ""
	for i := 12; i >= 0; i-- {
		name := fmt.Sprintf("l%d_%d", number, i)
		at.jumps = nil
		rules := g.rules(at, 1)
		if next != "" {
			rules = append([]Rule{{g.pick("jump ", "jump ", "jump ", "goto ") + next}}, rules...)
		}
		t.Chains = append(t.Chains, Chain{Name: name, Rules: rules})
		next = name
	}
	return next
}

// hook chooses a base chain's place.
func (g *generator) hook(family string) (base, hook, kind string) {
	policy := "accept"
	if family == "netdev" {
		device := fmt.Sprintf("device %q", g.pick(g.devices()...))
		hook = []string{"ingress", "egress"}[g.weighted(3, 1)]
		if hook == "ingress" && g.chance(30) {
			device = "devices = { " + strings.Join(g.devices(), ", ") + " }"
		}
		if g.chance(10) {
			policy = "drop"
		}
		return fmt.Sprintf("type filter hook %s %s priority %d; policy %s;", hook, device, g.IntN(20)-10, policy), hook, "filter"
	}
	if family == "bridge" {
		return g.bridgeHook()
	}
	hooks := []string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}
	weights := []int{6, 12, 4, 3, 2, 0}
	if family == "inet" {
		weights[5] = 1
	}
	hook = hooks[g.weighted(weights...)]
	if hook == "ingress" {
		return fmt.Sprintf("type filter hook ingress device %q priority %d; policy accept;", g.pick(g.devices()...), g.IntN(20)-10), hook, "filter"
	}
	kind = "filter"
	switch hook {
	case "prerouting", "postrouting":
		if g.chance(45) {
			kind = "nat"
		}
	case "output":
		kind = []string{"filter", "nat", "route"}[g.weighted(6, 1, 2)]
	case "input":
		kind = []string{"filter", "nat"}[g.weighted(30, 1)]
	}
	if kind != "nat" && g.chance(map[string]int{"input": 35, "forward": 25, "prerouting": 8, "output": 6, "postrouting": 5}[hook]) {
		policy = "drop"
	}
	return fmt.Sprintf("type %s hook %s priority %d; policy %s;", kind, hook, g.priority(hook, kind), policy), hook, kind
}

// devices are the links that chains of ingress and egress hook into.
func (g *generator) devices() []string {
	return append(g.options.Interfaces[:len(g.options.Interfaces):len(g.options.Interfaces)], g.options.Ports...)
}

// bridgeHook chooses a base chain's place in a bridge. What bridges between two
// ports is not for the host.
func (g *generator) bridgeHook() (base, hook, kind string) {
	hook = []string{"prerouting", "input", "output", "postrouting"}[g.weighted(4, 5, 2, 2)]
	policy := "accept"
	if g.chance(15) {
		policy = "drop"
	}
	priority := g.pick("-300", "-200", "-1", "1", "100", "300")
	return fmt.Sprintf("type filter hook %s priority %s; policy %s;", hook, priority, policy), hook, "filter"
}

func (g *generator) priority(hook, kind string) int {
	if g.options.Undecided && kind != "nat" && g.chance(15) {
		// Hooks of one priority run in an order that depends on which was registered first.
		return []int{-200, -100, 100}[g.IntN(3)]
	}
	if kind == "nat" {
		around := map[string]int{"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}[hook]
		return around + g.IntN(3) - 1
	}
	// Beside connection tracking (-200) and translation (-100, 100), never with
	// them: hooks of one priority run in the order in which they were registered,
	// which no ruleset tells.
	priorities := []int{-350, -300, -250, -201, -199, -150, -101, -99, -50, 0, 0, 0, 1, 50, 99, 101, 300}
	return priorities[g.IntN(len(priorities))]
}

func (g *generator) rules(at place, count int) []Rule {
	rules := make([]Rule, count)
	for i := range rules {
		rules[i] = g.rule(at)
	}
	return rules
}

func (g *generator) rule(at place) Rule {
	var rule Rule
	if at.kind == "nat" && g.chance(75) {
		return g.natRule(at)
	}
	matches := g.weighted(1, 10, 8, 3)
	for range matches {
		rule = append(rule, g.match(&at))
	}
	if g.chance(20) {
		rule = append(rule, g.change(&at))
	}
	if g.mayProxy(&at) && g.chance(20) {
		rule = append(rule, g.proxy(&at))
	}
	if g.chance(15) {
		rule = append(rule, g.count(&at))
	}
	if g.chance(8) {
		rule = append(rule, g.aside(&at))
	}
	if g.chance(15) {
		return append(rule, g.verdictMap(&at))
	}
	return append(rule, g.verdict(at, matches == 0))
}

// verdict is how a rule ends. A rule that matches everything seldom decides, lest
// nothing after it matter.
func (g *generator) verdict(at place, everything bool) string {
	if everything && g.chance(70) || g.chance(8) {
		return g.pick("counter", "continue", "meta nftrace set 0", "counter comment \"noted\"")
	}
	if len(at.jumps) > 0 && g.chance(35) {
		return g.pick("jump ", "jump ", "goto ") + g.pick(at.jumps...)
	}
	if g.options.Sink != "" && at.hook == "ingress" && at.table.Family == "netdev" && g.chance(10) {
		return "fwd to " + quoted(g.options.Sink)
	}
	if g.options.Undecided && at.hook == "input" && at.table.Family != "bridge" && (at.transport == "" || at.transport == "tcp") && g.chance(4) {
		// What a proxy sends to the host itself must not come to it again.
		return "iifname != \"lo\" meta l4proto tcp synproxy mss 1460 wscale 7 timestamp sack-perm"
	}
	drops := 8
	if at.hook == "output" || at.hook == "postrouting" || at.hook == "egress" {
		drops = 3
	}
	switch g.weighted(10, drops, 2, 3) {
	case 0:
		return "accept"
	case 1:
		return "drop"
	case 2:
		return "return"
	}
	return g.reject(at)
}

func (g *generator) reject(at place) string {
	if g.copies && at.hook == "output" || at.hook == "postrouting" || at.kind == "nat" || at.hook == "egress" || at.kind == "route" || at.table.Family == "bridge" {
		return "drop"
	}
	// A reset only answers TCP, a match nft asks for: elsewhere the rule gets it.
	switch {
	case g.chance(25) && at.hook != "ingress" && (at.transport == "" || at.transport == "tcp"):
		return "meta l4proto tcp reject with tcp reset"
	case at.family == "ip":
		return "reject with icmp type " + g.pick("port-unreachable", "host-unreachable", "admin-prohibited", "net-prohibited")
	case at.family == "ip6":
		return "reject with icmpv6 type " + g.pick("port-unreachable", "no-route", "admin-prohibited", "addr-unreachable")
	case at.hook == "ingress":
		return "drop"
	}
	return g.pick("reject", "reject with icmpx type "+g.pick("port-unreachable", "no-route", "host-unreachable", "admin-prohibited"))
}

// natRule translates.
func (g *generator) natRule(at place) Rule {
	v4 := at.family == "ip" || at.family == "inet" && g.chance(60)
	rule := Rule{}
	if at.family == "inet" {
		// The family that the address is of has to be said.
		rule = append(rule, "meta nfproto "+map[bool]string{true: "ipv4", false: "ipv6"}[v4])
		at.family = map[bool]string{true: "ip", false: "ip6"}[v4]
	}
	transport := g.pick("tcp", "tcp", "udp")
	at.transport = transport
	rule = append(rule, transport+" dport "+g.portMatch())
	if g.chance(40) {
		rule = append(rule, g.match(&at))
	}
	return append(rule, g.translation(at, v4, transport))
}

func (g *generator) translation(at place, v4 bool, transport string) string {
	family := map[bool]string{true: "ip", false: "ip6"}[v4]
	if at.table.Family != "inet" {
		family = ""
	}
	if at.hook == "postrouting" || at.hook == "input" {
		own := g.address(g.options.Own4, g.options.Own6, v4)
		if at.hook == "postrouting" && g.chance(50) {
			return "masquerade"
		}
		return join("snat", family, "to", own)
	}
	if at.hook == "output" {
		return g.pick("accept", "counter")
	}
	switch g.weighted(6, 6, 3, 2, 7) {
	case 4:
		return g.mappedTranslation(family, v4, transport)
	case 0:
		return "redirect to :" + g.port()
	case 1:
		return join("dnat", family, "to", withPort(g.address(g.options.Behind4, g.options.Behind6, v4), v4, g.port()))
	case 2:
		return join("dnat", family, "to", g.address(g.options.Own4, g.options.Own6, v4))
	}
	return join("dnat", family, "to", withPort(g.address(g.options.Own4, g.options.Own6, v4), v4,
		transport+" dport map { "+g.port()+" : "+g.port()+" }"))
}

func (g *generator) address(v4, v6 []string, is4 bool) string {
	if is4 {
		return g.pick(v4...)
	}
	return g.pick(v6...)
}

func withPort(address string, v4 bool, port string) string {
	if strings.Contains(port, "map") {
		return address + " : " + port
	}
	if v4 {
		return address + ":" + port
	}
	return "[" + address + "]:" + port
}

func join(words ...string) string {
	var s []string
	for _, word := range words {
		if word != "" {
			s = append(s, word)
		}
	}
	return strings.Join(s, " ")
}

// change is a statement that later rules may look at.
func (g *generator) change(at *place) string {
	if at.untracked() {
		if at.hook == "prerouting" && g.chance(30) {
			return "meta pkttype set " + g.pick("host", "broadcast")
		}
		return "meta mark set " + g.mark()
	}
	switch g.weighted(6, 4, 3, 2, 2, 2, 1, 1, 2, 1, 1) {
	case 8:
		if transport, ok := g.transport(at); ok && transport != "th" {
			return transport + " " + g.pick("dport", "dport", "sport") + " set " + g.port()
		}
		return "meta mark set " + g.mark()
	case 9:
		if at.hook == "prerouting" || at.hook == "output" {
			return "ct zone set 7"
		}
		return "meta priority set 1:1"
	case 10:
		return "meta mark set " + g.pick("ct mark & 0xff", "ct mark | 0x100", "ct mark << 1")
	case 0:
		return "meta mark set " + g.mark()
	case 1:
		return "ct mark set " + g.mark()
	case 2:
		return g.pick("ct mark set meta mark", "meta mark set ct mark")
	case 3:
		return "meta mark set meta mark " + g.pick("|", "&", "^") + " " + g.mark()
	case 4:
		return "meta mark set meta mark " + g.pick("<<", ">>") + " " + g.pick("1", "4", "9")
	case 5:
		transport, ok := g.transport(at)
		if ok && at.table.has("port_marks") {
			return "meta mark set " + transport + " dport map @port_marks"
		}
		if !ok {
			return "meta mark set " + g.mark()
		}
		elements := g.distinct(g.portOrSpan, disjointPorts, 2)
		for i := range elements {
			elements[i] += " : " + g.mark()
		}
		return "meta mark set " + transport + " dport map " + anonymous(elements)
	case 6:
		return "ct mark set ct mark " + g.pick("|", "^", "<<") + " " + g.pick("1", "2", "3")
	}
	if at.hook != "prerouting" && at.hook != "output" {
		return "meta mark set " + g.mark()
	}
	if at.hook == "prerouting" && g.chance(30) {
		return "meta pkttype set " + g.pick("host", "broadcast")
	}
	return "notrack"
}
