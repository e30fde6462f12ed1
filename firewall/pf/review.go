package pf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// Review looks at every filter rule with every packet that can cross an interface,
// and says which can never decide: a quick rule before it takes all that it
// matches, or rules after it do. Tables count as if they could hold any address.
func (e *Evaluator) Review() *firewall.Review {
	out := &firewall.Review{Rules: make(map[*firewall.Rule]firewall.RuleReview), Chains: make(map[*firewall.Chain]firewall.ChainReview)}
	called := e.rules.calledAnchors()
	for key, c := range e.chains {
		review := firewall.ChainReview{Chain: c}
		if !called[key.anchor] {
			review.Unused = firewall.NoCaller
		}
		out.Chains[c] = review
	}
	v := &reviewer{e: e, tallies: make(map[*Rule]*tally)}
	complete := v.everyClass()
	e.rules.Main.walk(func(a *Anchor) {
		if !called[a] {
			return
		}
		for _, r := range a.Filter {
			use := v.use(r)
			if !complete && use.Use != firewall.Works {
				use = firewall.RuleReview{Use: firewall.UseUnknown}
			}
			use.Rule = e.model[r]
			out.Rules[use.Rule] = use
		}
	})
	return out
}

// A tally is what was seen of a rule.
type tally struct {
	// matches are its packets in the class that is looked at, whatever stands before it.
	matches                 firewall.PacketSet
	reached, matched, works bool
	by                      []match
}

type reviewer struct {
	e       *Evaluator
	tallies map[*Rule]*tally
}

// maxSize is how many nodes the sets of one class may take, maxClasses how many
// classes are looked at.
const (
	maxSize    = 1 << 20
	maxClasses = 20000
)

// everyClass takes every kind of packet through the rules; false if that is too
// much work.
func (v *reviewer) everyClass() bool {
	kinds := v.kinds()
	crossings := v.crossings()
	if len(kinds)*len(crossings) > maxClasses {
		return false
	}
	complete := true
	for _, c := range crossings {
		for _, k := range kinds {
			complete = v.class(c, k) && complete
		}
	}
	return complete
}

// A kind is what packets of a class have in common beside the interface.
type kind struct {
	family             uint8
	protocol           int
	flags              uint8
	icmpType, icmpCode int
}

type crossing struct {
	direction Direction
	link      *firewall.Interface
}

// class takes the packets of one class through the filter rules.
func (v *reviewer) class(c crossing, k kind) bool {
	s := firewall.NewSpace()
	w := &walk{e: v.e, s: s, review: true}
	q := firewall.Query{Protocol: uint8(k.protocol), Destination: anyAddress(k.family)}
	p := w.firstPacket(q, c.link)
	p.direction, p.flags, p.icmpType, p.icmpCode = c.direction, k.flags, k.icmpType, k.icmpCode
	p.family, p.protocol = k.family, k.protocol
	p.destination = s.Unsettled(q.Destination.BitLen()/8, firewall.Sender, "the destination")
	if c.direction == Out {
		p.received = nil
		for _, tag := range v.tags() {
			p.tags[tag] = s.Fact(firewall.Sender, "whether the packet came in with the tag "+tag)
		}
	}
	for _, t := range v.tallies {
		t.matches = firewall.NoPackets
	}
	r := &ruling{w: w, p: p, review: v}
	main := v.e.rules.Main
	r.run(main, main.Filter, firewall.AllPackets, nil)
	last := r.last(firewall.AllPackets)
	for _, m := range last {
		if m.rule != nil {
			v.tally(m.rule).works = true
		}
	}
	for _, t := range v.tallies {
		if !t.works && t.matches != firewall.NoPackets {
			t.takenBy(s, last)
		}
	}
	return s.Size() < maxSize && w.work <= maxWork
}

// takenBy notes the decisions that have the rule's packets in the end.
func (t *tally) takenBy(s *firewall.Space, last []match) {
	for _, m := range last {
		known := slices.ContainsFunc(t.by, func(b match) bool { return b.rule == m.rule && b.anchor == m.anchor })
		if m.rule != nil && !known && s.And(m.set, t.matches) != firewall.NoPackets {
			t.by = append(t.by, m)
		}
	}
}

func (v *reviewer) tally(r *Rule) *tally {
	t := v.tallies[r]
	if t == nil {
		t = &tally{}
		v.tallies[r] = t
	}
	return t
}

// see notes what comes to a rule and what it matches.
func (v *reviewer) see(w *walk, p *packet, a *Anchor, r *Rule, live firewall.PacketSet) {
	t := v.tally(r)
	if t.works {
		return
	}
	matches := w.matches(p, a, r)
	t.matches = w.s.Or(t.matches, matches)
	t.reached = t.reached || live != firewall.NoPackets
	if w.s.And(live, matches) != firewall.NoPackets {
		t.matched = true
		// an anchor, a match rule and a tag act although they don't decide
		t.works = r.IsAnchor || r.Action == Match || r.Tag != ""
	}
}

func (v *reviewer) use(r *Rule) firewall.RuleReview {
	t := v.tallies[r]
	switch {
	case t == nil:
		return firewall.RuleReview{Use: firewall.Excluded}
	case t.works:
		return firewall.RuleReview{Use: firewall.Works}
	}
	out := firewall.RuleReview{Use: firewall.Shadowed}
	w := &walk{e: v.e}
	slices.SortStableFunc(t.by, func(a, b match) int { return cmp.Compare(a.rule.Number, b.rule.Number) })
	for _, m := range t.by {
		out.By = append(out.By, w.decision(m))
	}
	if len(t.by) == 0 {
		out.Use = firewall.Contradictory
	}
	return out
}

// crossings are both directions through every interface that the rules tell apart,
// and through those that they name and the host hasn't.
func (v *reviewer) crossings() []crossing {
	names := map[string]bool{}
	v.e.rules.Main.walk(func(a *Anchor) {
		for _, r := range a.Filter {
			names[r.Interface], names[r.ReceivedOn] = true, true
		}
	})
	delete(names, "")
	links := []*firewall.Interface{}
	for i := range v.e.network.Interfaces {
		links = append(links, &v.e.network.Interfaces[i])
	}
	links = append(links, &firewall.Interface{Name: "another interface"})
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	for _, name := range sorted {
		if v.e.byName[name] == nil {
			links = append(links, &firewall.Interface{Name: name, GroupNames: []string{name}})
		}
	}
	w := &walk{e: v.e, s: firewall.NewSpace()}
	seen := map[string]bool{}
	var out []crossing
	for _, link := range links {
		var signature strings.Builder
		for _, name := range sorted {
			fmt.Fprint(&signature, w.isLink(link, name), " ")
		}
		if skipped, _ := w.unfiltered(link); skipped == firewall.AllPackets || seen[signature.String()] {
			continue
		}
		seen[signature.String()] = true
		out = append(out, crossing{In, link}, crossing{Out, link})
	}
	return out
}

// otherProtocol is one that rules don't name (IANA: reserved).
const otherProtocol = 255

// kinds are the families, protocols, TCP flags and ICMP types that the rules tell
// apart.
func (v *reviewer) kinds() []kind {
	protocols := []int{protoTCP, protoUDP, protoICMP, protoICMPv6, otherProtocol}
	flags, types, codes := []uint8{flagSYN}, []int{-1}, []int{-1}
	add := func(list []int, n int) []int {
		if slices.Contains(list, n) {
			return list
		}
		return append(list, n)
	}
	var masks [][2]uint8
	v.e.rules.Main.walk(func(a *Anchor) {
		for _, r := range a.Filter {
			if r.Protocol > 0 {
				protocols = add(protocols, r.Protocol)
			}
			types, codes = add(types, r.ICMPType), add(codes, r.ICMPCode)
			if mask := [2]uint8{r.Flags, r.FlagSet}; !slices.Contains(masks, mask) {
				masks = append(masks, mask)
			}
		}
	})
	flags = append(flags, flagClasses(masks)...)
	var out []kind
	for _, family := range []uint8{4, 6} {
		for _, protocol := range protocols {
			switch {
			case protocol == protoTCP:
				for _, f := range flags {
					out = append(out, kind{family, protocol, f, -1, -1})
				}
			case protocol == protoICMP && family == 4, protocol == protoICMPv6 && family == 6:
				for _, t := range types {
					for _, c := range codes {
						out = append(out, kind{family, protocol, 0, t, c})
					}
				}
			default:
				out = append(out, kind{family, protocol, 0, -1, -1})
			}
		}
	}
	return out
}

// flagClasses are TCP flags, one set for each way to fit the rules' conditions.
func flagClasses(masks [][2]uint8) []uint8 {
	seen := map[string]bool{}
	var out []uint8
	for f := range 256 {
		var signature strings.Builder
		for _, m := range masks {
			fmt.Fprint(&signature, uint8(f)&m[1] == m[0], " ")
		}
		if !seen[signature.String()] {
			seen[signature.String()] = true
			out = append(out, uint8(f))
		}
	}
	return out
}

// anyAddress stands for the family of packets whose destination is left open.
func anyAddress(family uint8) netip.Addr {
	if family == 4 {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func (v *reviewer) tags() []string {
	var out []string
	v.e.rules.Main.walk(func(a *Anchor) {
		a.eachRule(func(r *Rule) {
			if r.Tag != "" && !slices.Contains(out, r.Tag) {
				out = append(out, r.Tag)
			}
		})
	})
	return out
}
