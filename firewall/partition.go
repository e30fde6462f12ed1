package firewall

import (
	"cmp"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/internal/bdd"
)

// reason is what makes two outcomes the same.
type reason struct {
	fate        Fate
	chain       *Chain
	rule        *Rule
	first, last *Rule // of the way into the chain
	depth       int
	text        string
	delivery    Delivery
}

func (o outcome) reason() reason {
	r := reason{fate: o.fate, chain: o.decision.Chain, rule: o.decision.Rule, text: o.decision.Text, depth: len(o.decision.Via)}
	if r.depth > 0 {
		r.first, r.last = o.decision.Via[0], o.decision.Via[r.depth-1]
	}
	if o.delivery != nil {
		r.delivery = *o.delivery
	}
	return r
}

// merged joins outcomes that are the same.
func (w *walker) merged(outcomes []outcome) []outcome {
	index := make(map[reason]int)
	var list []outcome
	for _, o := range outcomes {
		if at, ok := index[o.reason()]; ok {
			list[at].set = w.m.Or(list[at].set, o.set)
			continue
		}
		index[o.reason()] = len(list)
		list = append(list, o)
	}
	return list
}

// cell is sources with the same possible outcomes.
type cell struct {
	sources  bdd.Node
	outcomes []int
}

// partition turns outcomes, disjoint sets of packets that together are all of
// them, into parts: disjoint sets of sources that together are all of them. A
// source with one possible fate has it; one with several is conditional.
func (w *walker) partition(addressBits int) []Part {
	outcomes := w.merged(w.outcomes)
	possible := make([]bdd.Node, len(outcomes))
	seen, ambiguous := bdd.False, bdd.False
	for i, o := range outcomes {
		possible[i] = w.m.Exists(o.set, sourcePortLevel, func(level int) bool { return !w.isSource(level) })
		ambiguous = w.m.Or(ambiguous, w.m.And(seen, possible[i]))
		seen = w.m.Or(seen, possible[i])
	}
	var cells []cell
	mixed := []cell{{sources: ambiguous}}
	for i := range outcomes {
		if sure := w.m.Diff(possible[i], ambiguous); sure != bdd.False {
			cells = append(cells, cell{sure, []int{i}})
		}
		mixed = w.refine(mixed, w.m.And(possible[i], ambiguous), i)
	}
	var parts []Part
	for _, c := range append(cells, mixed...) {
		if c.sources != bdd.False && len(c.outcomes) > 0 {
			parts = append(parts, w.part(c, outcomes))
		}
	}
	return w.listed(parts, addressBits)
}

// refine splits cells by whether outcome i is possible.
func (w *walker) refine(cells []cell, possible bdd.Node, i int) []cell {
	if possible == bdd.False {
		return cells
	}
	var split []cell
	for _, c := range cells {
		if in := w.m.And(c.sources, possible); in != bdd.False {
			split = append(split, cell{in, append(c.outcomes[:len(c.outcomes):len(c.outcomes)], i)})
		}
		if out := w.m.Diff(c.sources, possible); out != bdd.False {
			split = append(split, cell{out, c.outcomes})
		}
	}
	return split
}

// part is one cell's fate, its sources still a diagram. Where packets may be
// delivered to several places, none is named but what that depends on.
func (w *walker) part(c cell, outcomes []outcome) Part {
	best := outcomes[c.outcomes[0]]
	fates := make(map[Fate]bdd.Node)
	deliveries := make(map[Delivery]bdd.Node)
	p := Part{Fate: best.fate, DecidedBy: best.decision, set: c.sources}
	for _, i := range c.outcomes {
		o := outcomes[i]
		set := w.m.And(o.set, c.sources)
		fates[o.fate] = w.m.Or(fates[o.fate], set)
		if o.fate == Accepted {
			p.Acceptances = append(p.Acceptances, o.decision)
		}
		if o.delivery != nil {
			deliveries[*o.delivery] = w.m.Or(deliveries[*o.delivery], set)
		}
	}
	if p.Fate == Dropped && strings.HasPrefix(p.DecidedBy.Text, AnswerLost) {
		p.Acceptances = w.letIn(c.sources)
	}
	for delivery := range deliveries {
		if len(deliveries) == 1 {
			p.DeliveredTo = &delivery
		}
	}
	if len(fates) > 1 {
		p.Fate, p.Outcomes = Conditional, slices.Sorted(maps.Keys(fates))
		if len(p.Acceptances) > 0 {
			p.DecidedBy = p.Acceptances[0] // what may let them in says more than what else keeps them out
		}
	}
	if len(fates) > 1 || len(deliveries) > 1 {
		p.Conditions = w.conditions(append(slices.Collect(maps.Values(fates)), slices.Collect(maps.Values(deliveries))...))
	}
	return p
}

// letIn is by what packets of the sources got to a socket, whose answer is lost.
func (w *walker) letIn(sources bdd.Node) []Decision {
	var list []Decision
	for _, s := range w.unanswered {
		known := slices.ContainsFunc(list, func(d Decision) bool { return d.Chain == s.decision.Chain && d.Rule == s.decision.Rule })
		if !known && w.m.And(s.set, sources) != bdd.False {
			list = append(list, s.decision)
		}
	}
	return list
}

// conditions are what it depends on, beside the source, to be in one of the sets
// or in another.
func (w *walker) conditions(sets []bdd.Node) []Condition {
	levels := make(map[int]bool)
	for _, set := range sets {
		for _, level := range w.m.Support(set) {
			levels[level] = true
		}
	}
	var list []Condition
	for level := range levels {
		if w.isSource(level) {
			continue
		}
		if c := w.condition(level); !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Condition) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text))
	})
	return list
}

// listed writes out the parts' sources, a part for every combination of sets
// too large to list, the largest part first.
func (w *walker) listed(parts []Part, addressBits int) []Part {
	var list []Part
	for _, p := range parts {
		for _, s := range w.sources(p.set, addressBits, nil) {
			q := p
			q.Sources, q.set, q.share = s.sources, bdd.False, s.share
			list = append(list, q)
		}
	}
	slices.SortStableFunc(list, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.share, a.share), cmp.Compare(a.Fate, b.Fate), compareSources(a.Sources, b.Sources))
	})
	return list
}

func compareSources(a, b Sources) int {
	if len(a.Prefixes) == 0 || len(b.Prefixes) == 0 {
		return cmp.Compare(len(b.Prefixes), len(a.Prefixes))
	}
	return a.Prefixes[0].Addr().Compare(b.Prefixes[0].Addr())
}

type listedSources struct {
	sources Sources
	share   float64
}

// sources splits a set by its memberships in sets too large to list.
func (w *walker) sources(set bdd.Node, addressBits int, sets []SetMembership) []listedSources {
	if set == bdd.False {
		return nil
	}
	if level := w.m.Deepest(set); level >= dynamicLevel {
		s := w.variables[level-dynamicLevel].membership
		in := append(sets[:len(sets):len(sets)], SetMembership{Set: s})
		out := append(sets[:len(sets):len(sets)], SetMembership{Set: s, Outside: true})
		return append(w.sources(w.m.Restrict(set, level, true), addressBits, in),
			w.sources(w.m.Restrict(set, level, false), addressBits, out)...)
	}
	l := listedSources{sources: Sources{Sets: sets}}
	if list, ok := w.prefixes(set, make([]byte, addressBits/8), 0, nil); ok {
		l.sources.Prefixes = list
		for _, p := range list {
			l.share += math.Ldexp(1, -p.Bits())
		}
		return []listedSources{l}
	}
	l.share = w.share(set, make(map[bdd.Node]float64))
	l.sources.Masked = w.masked(set, make([]byte, addressBits/8), make([]byte, addressBits/8), nil)
	return []listedSources{l}
}

// maxPrefixes bounds the prefixes of one part; a set that needs more, such as
// all odd addresses, is told as addresses with masks.
const maxPrefixes = MaxSources

// MaxSources is how many prefixes, or addresses with masks, a part lists. A list of
// masks that is as long was cut off.
const MaxSources = 1 << 17

// share is the part of all addresses that are in the set.
func (w *walker) share(n bdd.Node, memo map[bdd.Node]float64) float64 {
	if n <= bdd.True {
		return float64(n)
	}
	if s, ok := memo[n]; ok {
		return s
	}
	s := (w.share(w.m.Low(n), memo) + w.share(w.m.High(n), memo)) / 2
	memo[n] = s
	return s
}

// prefixes appends the set's prefixes in ascending order; false when there are
// too many.
func (w *walker) prefixes(n bdd.Node, address []byte, depth int, list []netip.Prefix) ([]netip.Prefix, bool) {
	switch n {
	case bdd.False:
		return list, true
	case bdd.True:
		a, _ := netip.AddrFromSlice(address)
		return append(list, netip.PrefixFrom(a, depth)), len(list) < maxPrefixes
	}
	lo, hi := n, n
	if level, _ := w.m.Level(n); level == depth {
		lo, hi = w.m.Low(n), w.m.High(n)
	}
	list, ok := w.prefixes(lo, address, depth+1, list)
	if !ok {
		return nil, false
	}
	address[depth/8] |= 1 << (7 - depth%8)
	list, ok = w.prefixes(hi, address, depth+1, list)
	address[depth/8] &^= 1 << (7 - depth%8)
	return list, ok
}

// masked appends the set as addresses of which only the bits in a mask count.
func (w *walker) masked(n bdd.Node, address, mask []byte, list []MaskedAddress) []MaskedAddress {
	level, ok := w.m.Level(n)
	if !ok {
		if n == bdd.False || len(list) > maxPrefixes {
			return list
		}
		a, _ := netip.AddrFromSlice(address)
		m, _ := netip.AddrFromSlice(mask)
		return append(list, MaskedAddress{a, m})
	}
	bit := byte(1) << (7 - level%8)
	mask[level/8] |= bit
	list = w.masked(w.m.Low(n), address, mask, list)
	address[level/8] |= bit
	list = w.masked(w.m.High(n), address, mask, list)
	address[level/8] &^= bit
	mask[level/8] &^= bit
	return list
}
