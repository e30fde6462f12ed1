package pf

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/netglance/netglance/firewall"
)

// An Evaluator answers what a host's pf does to the first packets of new flows. It
// is safe for concurrent use.
type Evaluator struct {
	rules   *Ruleset
	network *firewall.Network
	links   *links
	byName  map[string]*firewall.Interface
	// chains and model are the rulesets and rules as answers name them.
	chains map[chainKey]*firewall.Chain
	model  map[*Rule]*firewall.Rule
	table  *firewall.Table
	// entries are the tables' entries, those with the longest masks first.
	entries map[*Table][]Address
	spaces  sync.Pool
}

type chainKey struct {
	anchor *Anchor
	action Action
}

// NewEvaluator prepares rules for questions about a host with that network.
func NewEvaluator(rs *Ruleset, n *firewall.Network) *Evaluator {
	e := &Evaluator{
		rules: rs, network: n, links: newLinks(n, rs.Dialect),
		byName:  make(map[string]*firewall.Interface),
		chains:  make(map[chainKey]*firewall.Chain),
		model:   make(map[*Rule]*firewall.Rule),
		entries: make(map[*Table][]Address),
		table:   &firewall.Table{Backend: firewall.PF, Family: firewall.FamilyInet, Name: "pf"},
	}
	for i := range n.Interfaces {
		e.byName[n.Interfaces[i].Name] = &n.Interfaces[i]
	}
	rs.Main.walk(func(a *Anchor) {
		for _, t := range a.Tables {
			e.entries[t] = slices.Clone(t.Entries)
			slices.SortStableFunc(e.entries[t], func(a, b Address) int { return b.Bits - a.Bits })
		}
	})
	rs.Main.walk(e.addModel)
	rs.Main.walk(e.addCalls)
	return e
}

// Model is the rules as answers name them.
func (e *Evaluator) Model() *firewall.Ruleset {
	return &firewall.Ruleset{Tables: []*firewall.Table{e.table}}
}

// Reach says for every source address what happens to its first packet: a
// partition of all addresses of the query's family, the largest part first.
func (e *Evaluator) Reach(q firewall.Query) []firewall.Part {
	return e.answer(q, nil)
}

// Explain follows the query's packet.
func (e *Evaluator) Explain(q firewall.Query) firewall.Explanation {
	var path []firewall.PathStep
	part := firewall.OneAnswer(e.answer(q, &path))
	return firewall.Explanation{Part: part, Path: path}
}

// PortSpans splits the ports from 1 on into those that the rules treat alike. The
// query's port doesn't matter.
func (e *Evaluator) PortSpans(q firewall.Query) []firewall.PortSpan {
	if !q.Destination.IsValid() {
		return []firewall.PortSpan{{First: 1, Last: 0xffff, Sure: true}}
	}
	q.Destination, q.Port, q.Source = q.Destination.WithZone("").Unmap(), 0, netip.Addr{}
	w := e.walk()
	defer e.spaces.Put(w.s)
	w.inbound(q)
	return w.s.PortSpans()
}

// walk is a walk with a space of its own.
func (e *Evaluator) walk() *walk {
	s, _ := e.spaces.Get().(*firewall.Space)
	if s == nil {
		s = firewall.NewSpace()
	}
	s.Reset()
	return &walk{e: e, s: s}
}

func (e *Evaluator) answer(q firewall.Query, path *[]firewall.PathStep) []firewall.Part {
	if !q.Destination.IsValid() {
		return []firewall.Part{{DecidedBy: firewall.Decision{Text: "the question names no destination address"}}}
	}
	q.Destination, q.Source = q.Destination.WithZone("").Unmap(), q.Source.WithZone("")
	if q.Destination.Is4() {
		q.Source = q.Source.Unmap()
	}
	if q.Source.IsValid() && q.Source.BitLen() != q.Destination.BitLen() {
		return []firewall.Part{{DecidedBy: firewall.Decision{Text: "source and destination are of different families"}}}
	}
	w := e.walk()
	defer e.spaces.Put(w.s)
	w.path = path
	w.inbound(q)
	return w.s.Parts(q)
}

// A walk follows the packets of one question.
type walk struct {
	e    *Evaluator
	s    *firewall.Space
	path *[]firewall.PathStep
	work int
	// open are packets that translations which weren't read may change.
	open firewall.PacketSet
	// review says that all packets are looked at, not only first ones: what isn't
	// known of them may be anything.
	review bool
}

// maxWork bounds the rules that one question may look at: anchors that call each
// other can make that grow without end.
const maxWork = 1 << 22

// note writes down a step of an explanation's path.
func (w *walk) note(p *packet, a *Anchor, r *Rule, effect string) {
	if w.path == nil {
		return
	}
	step := firewall.PathStep{Hook: p.hook(), Effect: effect}
	if r != nil {
		step.Chain, step.Rule = w.e.chains[chainKey{a, r.Action.list()}], w.e.model[r]
	}
	*w.path = append(*w.path, step)
}

// decision names a rule in an answer.
func (w *walk) decision(m match) firewall.Decision {
	if m.rule == nil && w.e.rules.Disabled {
		return firewall.Decision{Text: m.text} // no ruleset was asked
	}
	if m.rule == nil {
		return firewall.Decision{Chain: w.e.chains[chainKey{w.e.rules.Main, Pass}], Text: m.text}
	}
	d := firewall.Decision{Chain: w.e.chains[chainKey{m.anchor, m.rule.Action.list()}], Rule: w.e.model[m.rule], Text: m.rule.text(w.e.rules.Dialect)}
	for _, r := range m.via {
		d.Via = append(d.Via, w.e.model[r])
	}
	return d
}

// Redirections are the ports of the query's destination that rules lead elsewhere,
// for packets that come in by its interface: ports that can be reachable with no
// socket behind them. The query's port and source don't matter.
func (e *Evaluator) Redirections(q firewall.Query) []firewall.Redirection {
	link := e.byName[q.Interface]
	if link == nil || !q.Destination.IsValid() {
		return nil
	}
	q.Destination = q.Destination.WithZone("").Unmap()
	q.Port, q.Source = 0, netip.Addr{}
	w := e.walk()
	defer e.spaces.Put(w.s)
	if skipped, _ := w.unfiltered(link); skipped == firewall.AllPackets {
		return nil
	}
	var found []firewall.Redirection
	e.rules.Main.walk(func(a *Anchor) {
		for _, list := range [][]*Rule{a.RDR, a.Filter} {
			for _, r := range list {
				found = append(found, w.redirections(q, link, a, r)...)
			}
		}
	})
	return found
}
