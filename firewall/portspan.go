package firewall

import (
	"net/netip"
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// A PortSpan is destination ports in a row, both ends included, that the rules
// treat alike.
type PortSpan struct {
	First, Last uint16
	// Sure says that they do so for certain; else what happens to some of their
	// packets takes too much work to tell for all ports at once.
	Sure bool
}

// maxPortFunctions bounds what one outcome may depend on the port in different ways.
const maxPortFunctions = 1 << 16

// PortSpans splits the ports from 1 on into those that the rules treat alike,
// ascending. The query's port doesn't matter.
func (e *Evaluator) PortSpans(q Query) []PortSpan {
	w := e.walker()
	defer e.walkers.Put(w)
	q.Port = 0
	q.Destination, q.Source = q.Destination.Unmap().WithZone(""), netip.Addr{}
	w.inbound(q)
	if w.exhausted != bdd.False {
		w.decide(w.exhausted, Undecided, Decision{}, nil)
	}
	return w.spans(w.merged(w.outcomes))
}

// spans are the ports that outcomes of a question without a port treat alike.
func (w *walker) spans(outcomes []outcome) []PortSpan {
	ends := map[uint16]bool{0xffff: true}
	sure := true
	seen := map[bdd.Node]bool{}
	split := func(set bdd.Node) {
		functions := w.m.From(set, portLevel, maxPortFunctions)
		sure = sure && functions != nil
		for _, n := range functions {
			if !seen[n] {
				seen[n] = true
				w.eachPortValue(n, func(last uint16) { ends[last] = true })
			}
		}
	}
	for _, o := range outcomes {
		sure = sure && o.fate != Undecided
		split(o.set)
	}
	for _, s := range w.unanswered {
		split(s.set)
	}
	return spansBetween(ends, sure && !w.lumped)
}

func spansBetween(ends map[uint16]bool, sure bool) []PortSpan {
	var sorted []uint16
	for last := range ends {
		sorted = append(sorted, last)
	}
	slices.Sort(sorted)
	var spans []PortSpan
	first := uint16(1)
	for _, last := range sorted {
		if last >= first {
			spans = append(spans, PortSpan{first, last, sure})
		}
		first = last + 1
	}
	return spans
}

// eachPortValue calls f with the last of each row of ports for which n, a function
// of the port and what is below it, is the same.
func (w *walker) eachPortValue(n bdd.Node, f func(last uint16)) {
	current, started := bdd.False, false
	var visit func(n bdd.Node, depth int, number uint16)
	visit = func(n bdd.Node, depth int, number uint16) {
		level, branches := w.m.Level(n)
		if depth == 16 || !branches || level >= portLevel+16 {
			if started && n != current {
				f(number - 1)
			}
			current, started = n, true
			return
		}
		lo, hi := n, n
		if level == portLevel+depth {
			lo, hi = w.m.Low(n), w.m.High(n)
		}
		visit(lo, depth+1, number)
		visit(hi, depth+1, number|1<<(15-depth))
	}
	visit(n, 0, 0)
}
