package firewall

import (
	"strconv"

	"github.com/netglance/netglance/internal/bdd"
)

// Priorities of what the kernel itself does in a hook
// (include/uapi/linux/netfilter_ipv4.h).
const (
	priorityConntrack = -200
	priorityDestNAT   = -100
	prioritySourceNAT = 100
)

// hookKey names a list of base chains.
type hookKey struct {
	family Family
	hook   Hook
	nat    bool
}

// indexChains lists the base chains of every hook in the order in which the
// kernel calls them.
func indexChains(rules *Ruleset) map[hookKey][]*Chain {
	index := make(map[hookKey][]*Chain)
	for hook := Ingress; hook <= Egress; hook++ {
		for _, c := range rules.BaseChains(hook) {
			if c.Table.Dormant {
				continue
			}
			for _, family := range hookFamilies(c.Table.Family, hook) {
				key := hookKey{family, hook, c.Base.Type == NATChain}
				index[key] = append(index[key], c)
			}
		}
	}
	return index
}

// hookFamilies are the packets' families that a table's chain sees.
func hookFamilies(f Family, h Hook) []Family {
	switch {
	case f == FamilyInet && h == Ingress, f == FamilyNetdev:
		return []Family{FamilyNetdev}
	case f == FamilyInet:
		return []Family{FamilyIPv4, FamilyIPv6}
	}
	return []Family{f}
}

// A layer is what one base chain let through, for the answer to "by which rule".
type layer struct {
	rank int
	list []settled
}

// Ranks of accepting decisions: a rule of the hook where packets are filtered
// tells most, the policy of a chain that only prepares packets least.
const (
	rankPolicyElsewhere = iota
	rankTranslation
	rankRuleElsewhere
	rankPolicyOfFilter
	rankRuleOfFilter
)

// trail is what let the packets through so far, in the order of the hooks.
type trail []layer

func (t trail) with(c *Chain, r *ruling) trail {
	filter := (c.Base.Hook == Input || c.Base.Hook == Forward) && c.Base.Type != NATChain
	rule, policy := rankRuleElsewhere, rankPolicyElsewhere
	if filter {
		rule, policy = rankRuleOfFilter, rankPolicyOfFilter
	}
	if c.Base.Type == NATChain { // its policy says that nothing is translated, not that packets may pass
		return append(t[:len(t):len(t)], layer{rankTranslation, r.accepted})
	}
	t = append(t[:len(t):len(t)], layer{policy, r.passed})
	return append(t, layer{rule, r.accepted})
}

// runHook takes the packets through everything that stands at a hook, in order,
// and returns those that come out.
func (w *walker) runHook(p *packet, h Hook, live bdd.Node, t trail) (bdd.Node, trail) {
	p.hook = h
	turns := w.turns(w.e.chains[hookKey{p.family, h, false}])
	for _, s := range w.stages(p, h) {
		for len(turns) > 0 && turns[0].chain.Base.Priority < s.priority {
			live, t = w.runTurn(p, turns[0], live, t)
			turns = turns[1:]
		}
		live, t, turns = w.runTied(p, s, turns, live, t)
	}
	for _, next := range turns {
		live, t = w.runTurn(p, next, live, t)
	}
	return live, t
}

// runTied runs a stage and the chains of its very priority. Which of them comes
// first depends on which was registered first, which no reading tells.
func (w *walker) runTied(p *packet, s stage, turns []turn, live bdd.Node, t trail) (bdd.Node, trail, []turn) {
	tied := 0
	for tied < len(turns) && turns[tied].chain.Base.Priority == s.priority {
		tied++
	}
	before, after := bdd.False, live
	if tied > 0 {
		first := w.fact("which was registered first at priority "+strconv.Itoa(int(s.priority))+": the chain or the kernel's own handling", Unmodelled)
		before, after = w.m.And(live, first), w.m.Diff(live, first)
	}
	for _, next := range turns[:tied] {
		before, t = w.runTurn(p, next, before, t)
	}
	live, t = s.run(w.m.Or(before, after), t)
	before, after = w.m.And(live, before), w.m.Diff(live, before)
	for _, next := range turns[:tied] {
		after, t = w.runTurn(p, next, after, t)
	}
	return w.m.Or(before, after), t, turns[tied:]
}

// A stage is something that the kernel itself does at a hook.
type stage struct {
	priority int32
	run      func(bdd.Node, trail) (bdd.Node, trail)
}

func (w *walker) stages(p *packet, h Hook) []stage {
	var s []stage
	if h == Prerouting || h == Output {
		s = append(s, stage{priorityConntrack, func(live bdd.Node, t trail) (bdd.Node, trail) {
			w.conntrackHook(p)
			return live, t
		}})
	}
	if !w.e.nat[p.family] {
		return s
	}
	priority := int32(priorityDestNAT)
	if h == Input || h == Postrouting {
		priority = prioritySourceNAT
	}
	if h == Forward {
		return s
	}
	return append(s, stage{priority, func(live bdd.Node, t trail) (bdd.Node, trail) {
		return w.natHook(p, h, live, t)
	}})
}

func (w *walker) conntrackHook(p *packet) {
	if p.about == "" {
		w.startTracking(p)
		return
	}
	// An answer is part of the flow that it answers, unless notrack takes it out or
	// it is looked for in another zone; an error belongs to its flow already.
	t := &p.tracking
	t.tracked = w.m.Diff(t.flow, t.untracked)
	if !p.rejection {
		t.tracked = w.m.Diff(t.tracked, w.differs(t.zone, t.entryZone))
	}
	t.zone = t.entryZone
}

// runChain takes the packets through one base chain and settles those that
// don't come out.
func (w *walker) runChain(p *packet, c *Chain, live bdd.Node, t trail) (bdd.Node, trail) {
	if live == bdd.False {
		return live, t
	}
	mark, destination := p.mark, p.destination()
	r := w.baseChain(p, c, live)
	w.settle(p, r)
	if c.Base.Type == RouteChain {
		p.reroute = w.m.Or(p.reroute, w.m.Or(w.differs(mark, p.mark), w.differs(destination, p.destination())))
	}
	return w.remaining(r), t.with(c, r)
}

// settle writes down the fates that a chain decided. An answer that doesn't
// leave means that the packet it answers meets silence.
func (w *walker) settle(p *packet, r *ruling) {
	for _, s := range r.dropped {
		w.decide(s.set, Dropped, s.decision, nil)
	}
	for _, s := range r.stolen {
		w.decide(s.set, Dropped, s.decision, nil)
	}
	for _, s := range r.rejected {
		w.answerRejected(p, s)
	}
}

// decide writes down a fate.
func (w *walker) decide(set bdd.Node, fate Fate, d Decision, to *Delivery) {
	if set == bdd.False {
		return
	}
	if fate == Dropped && w.answering != "" {
		d.Text = w.answering + ": " + d.Text
	}
	w.outcomes = append(w.outcomes, outcome{set: set, fate: fate, decision: d, delivery: to})
}

// ingress takes the packets through the chains that hook into their device.
func (w *walker) ingress(p *packet, live bdd.Node, t trail) (bdd.Node, trail) {
	p.hook = Ingress
	for _, c := range w.e.chains[hookKey{FamilyNetdev, Ingress, false}] {
		if p.in != nil && hooksInto(c, p.in.Name) {
			live, t = w.runChain(p, c, live, t)
		}
	}
	return live, t
}

// egress takes the packets through the chains that hook into their way out, and
// out of a bridge.
func (w *walker) egress(p *packet, live bdd.Node) bdd.Node {
	return w.goesOut(p, w.leaveBridge(p, w.egressChains(p, outgoingEtherHeader(p), live)))
}

func (w *walker) egressChains(p *packet, link bits, live bdd.Node) bdd.Node {
	chains := w.e.chains[hookKey{FamilyNetdev, Egress, false}]
	if len(chains) == 0 || p.out == nil {
		return live
	}
	c := p.clone()
	c.hook, c.in = Egress, nil
	c.link = link
	for _, chain := range chains {
		if hooksInto(chain, p.out.Name) {
			live, _ = w.runChain(c, chain, live, nil)
		}
	}
	return live
}

func hooksInto(c *Chain, device string) bool {
	for _, d := range c.Base.Devices {
		if d == device {
			return true
		}
		if n := len(d) - 1; n >= 0 && d[n] == '*' && len(device) >= n && device[:n] == d[:n] {
			return true
		}
	}
	return false
}
