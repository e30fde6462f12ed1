package firewall

import (
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// A watch sees what a walk with every packet does with each rule. A nil watch
// sees nothing.
type watch struct {
	tallies map[*Rule]*tally
	// what follows is of one walk through one hook
	first    *packet
	universe bdd.Node
	passages []passage
	frame    *frame
	root     *frame // the base chain's
	missed   []missed
	accepted map[*Rule]bdd.Node
	// filters says that the hook's filter chains let packets in.
	filters bool
	// whole are the packets of openings, for packets of that generation.
	whole   bdd.Node
	wholeOf int
}

// A tally is what is known of a rule after all walks so far.
type tally struct {
	// acted: some packet made the rule decide or change something. entered: packets
	// came into its chain; reached: up to it. possible: some packet meets its matches;
	// enterable: one that comes into its chain.
	acted, entered, reached, possible, enterable bool
	by                                           []Decision
	openings                                     []Opening
	misses                                       int
}

// A frame is one time that packets went through a chain.
type frame struct {
	call
	generation int
	// lives are the packets before each rule; shorter where none were left.
	lives    []bdd.Node
	parent   *frame
	by       *Rule // the parent's rule that leads here
	at       int   // the index of the rule that packets are at
	children map[int][]*frame
}

// A passage is what a base chain was given and what went on behind it.
type passage struct {
	root          *frame
	before, after bdd.Node
}

// missed is a rule that no packet of a walk made do anything.
type missed struct {
	frame *frame
	index int
	p     *packet
}

// maxMisses bounds the walks through a chain that are looked into for one rule.
const maxMisses = 8

func (v *watch) tally(r *Rule) *tally {
	t := v.tallies[r]
	if t == nil {
		t = &tally{}
		v.tallies[r] = t
	}
	return t
}

func (v *watch) enter(p *packet, c call, set bdd.Node) *frame {
	if v == nil {
		return nil
	}
	f := &frame{call: c, parent: v.frame, generation: p.any.generation}
	if f.parent != nil {
		if f.parent.children == nil {
			f.parent.children = make(map[int][]*frame)
		}
		f.by = f.parent.chain.Rules[f.parent.at]
		f.parent.children[f.parent.at] = append(f.parent.children[f.parent.at], f)
	} else {
		v.root = f
	}
	v.frame = f
	return f
}

// meets notes what is left before a rule.
func (f *frame) meets(index int, set bdd.Node) {
	if f == nil {
		return
	}
	f.at = index
	for len(f.lives) < index {
		f.lives = append(f.lives, f.lives[len(f.lives)-1])
	}
	f.lives = append(f.lives, set)
}

// live is what was left before a rule, or at the chain's end.
func (f *frame) live(index int) bdd.Node {
	if index < len(f.lives) {
		return f.lives[index]
	}
	return bdd.False
}

// met keeps the packet for a rule that did nothing.
func (v *watch) met(f *frame, index int, p *packet) {
	if v == nil {
		return
	}
	t := v.tally(f.chain.Rules[index])
	t.entered, t.reached = true, true
	if !t.acted && t.misses < maxMisses {
		t.misses++
		v.missed = append(v.missed, missed{f, index, p.clone()})
	}
}

// leave ends a frame: the rules behind the last that packets came to were not
// reached.
func (v *watch) leave(w *walker, f *frame, p *packet, set bdd.Node) {
	if v == nil {
		return
	}
	v.frame = f.parent
	rules := f.chain.Rules
	if set != bdd.False || len(f.lives) == 0 {
		f.meets(len(rules), set)
		return
	}
	w.work += len(rules) - len(f.lives)
	p = p.clone()
	for i := len(f.lives) - 1; i < len(rules); i++ {
		t := v.tally(rules[i])
		t.entered = t.entered || f.live(0) != bdd.False
		if !t.acted && t.misses < maxMisses {
			t.misses++
			v.missed = append(v.missed, missed{f, i, p})
		}
	}
}

// The bounds of a review: of rules met, nodes made and steps taken in one hook.
const (
	reviewWork  = 1 << 20
	reviewNodes = 1 << 22
	reviewSteps = 1 << 27
)

func (v *watch) givesUp(w *walker) bool {
	return v != nil && (w.work > reviewWork || w.m.Full())
}

// acts notes that some packet makes the rule do something.
func (v *watch) acts(r *Rule) {
	if v != nil {
		v.tally(r).acted = true
	}
}

// ends notes that packets came to a rule's end.
func (v *watch) ends(r *Rule) {
	if v == nil {
		return
	}
	if n := len(r.Steps); n > 0 {
		if _, ok := r.Steps[n-1].(NAT); ok {
			return // not of this family
		}
	}
	v.acts(r)
}

// acts says that a step is more than a match: what it does can't be taken back.
func acts(step Step) bool {
	switch s := step.(type) {
	case Reject, TProxy, Forwarding, SynProxy, Assign, NoTrack, ObjectRef, DynSet, Dup, FlowOffload:
		return true
	case Opaque:
		return s.Target
	case Passive:
		return s.Name == "log"
	}
	return false
}

// wouldMatch are the packets of a set for which the rule would do something if
// they came to it.
func (w *walker) wouldMatch(p *packet, r *Rule, set bdd.Node) bdd.Node {
	v := w.review
	w.review = nil
	defer func() { w.review = v }()
	p = p.clone()
	if g := guardOf(r); !g.admits(p, -1) {
		return bdd.False
	}
	for _, step := range r.Steps {
		switch s := step.(type) {
		case Verdict:
			return set
		case VerdictMap:
			return w.wouldDecide(p, r, s, set)
		case NAT:
			return w.m.And(set, w.translate(p, call{chain: r.Chain}, r, s, set))
		case Opaque:
			if s.Target {
				return set
			}
			set = w.m.And(set, w.anyFact())
		default:
			if acts(step) {
				return set
			}
			set = w.apply(p, r, step, set)
		}
		if set == bdd.False {
			return set
		}
	}
	return set
}

func (w *walker) wouldDecide(p *packet, r *Rule, s VerdictMap, set bdd.Node) bdd.Node {
	key, there := w.load(p, s.Key)
	set = w.m.And(set, there)
	if key == nil {
		return set
	}
	found := bdd.False
	for _, m := range w.lookup(s.Map, key, set) {
		found = w.m.Or(found, m.set)
	}
	return w.m.And(set, found)
}

// explain finds out why the rules that did nothing did nothing.
func (v *watch) explain(w *walker) {
	for _, m := range v.missed {
		r := m.frame.chain.Rules[m.index]
		if t := v.tally(r); !t.acted && !w.m.Full() {
			v.explainMiss(w, m, r, t)
		}
	}
}

func (v *watch) explainMiss(w *walker, m missed, r *Rule, t *tally) {
	would := w.m.And(v.universe, w.wouldMatch(m.p, r, v.universe))
	if would == bdd.False {
		t.possible = t.possible || w.wouldMatch(v.first, r, v.universe) != bdd.False
		return
	}
	t.possible = true
	b := blame{w: w, by: t.by}
	defer func() { t.by = b.by }()
	coming := w.m.And(would, m.frame.live(0))
	switch {
	case coming != bdd.False:
		t.enterable = true
		if !b.alone(m, coming) {
			b.within(m.frame, coming, 0, m.index)
		}
	case m.frame.parent != nil:
		b.add(w.decisionOf(m.frame.parent.call, m.frame.by))
	default:
		b.before(v.passages, m.frame, would)
	}
}

// A blame collects what took packets away.
type blame struct {
	w  *walker
	by []Decision
}

// maxBlamed bounds the rules that are named for one.
const maxBlamed = 64

func (b *blame) add(d Decision) {
	same := func(e Decision) bool { return e.Chain == d.Chain && e.Rule == d.Rule }
	if len(b.by) < maxBlamed && !slices.ContainsFunc(b.by, same) {
		b.by = append(b.by, d)
	}
}

// alone names one earlier rule that by itself would take all the packets, if
// there is one.
func (b *blame) alone(m missed, set bdd.Node) bool {
	if m.p.any.generation != m.frame.generation {
		return false // what rules changed meanwhile may count
	}
	var takers blame
	takers.w = b.w
	takers.within(m.frame, set, 0, m.index)
	if len(takers.by) < 2 {
		return false
	}
	for _, d := range takers.by {
		if d.Rule == nil || d.Chain != m.frame.chain || !decides(d.Rule) {
			continue
		}
		if b.w.m.Diff(set, b.w.wouldMatch(m.p, d.Rule, set)) == bdd.False {
			b.add(d)
			return true
		}
	}
	return false
}

// decides says that a rule is matches and a verdict.
func decides(r *Rule) bool {
	for _, step := range r.Steps {
		switch s := step.(type) {
		case Verdict:
			return s.Code == Accept || s.Code == Drop || s.Code == Return
		case Reject:
			return true
		}
		if _, ok := step.(NAT); ok || acts(step) {
			return false
		}
	}
	return false
}

// within names the rules of a frame, from one index to another, that took packets
// of the set. Packets never come back, so halves that took none are skipped.
func (b *blame) within(f *frame, set bdd.Node, from, to int) {
	m := b.w.m
	if from >= to || len(b.by) >= maxBlamed {
		return
	}
	left := m.And(set, f.live(to))
	taken := m.Diff(m.And(set, f.live(from)), left)
	if taken == bdd.False {
		return
	}
	if to-from > 1 {
		middle := (from + to) / 2
		b.within(f, set, from, middle)
		b.within(f, set, middle, to)
		return
	}
	for _, child := range f.children[from] {
		gone := m.Diff(m.And(taken, child.live(0)), child.live(len(child.chain.Rules)))
		b.within(child, gone, 0, len(child.chain.Rules))
		taken = m.Diff(taken, gone)
	}
	if taken != bdd.False {
		b.add(b.w.decisionOf(f.call, f.chain.Rules[from]))
	}
}

// before names what chains called earlier at the hook did with the packets.
func (b *blame) before(passages []passage, f *frame, set bdd.Node) {
	for _, passed := range passages {
		if passed.root == f {
			return
		}
		taken := b.w.m.Diff(b.w.m.And(set, passed.before), passed.after)
		if taken == bdd.False {
			continue
		}
		last := len(passed.root.chain.Rules)
		b.within(passed.root, taken, 0, last)
		if c := passed.root.chain; b.w.m.And(taken, passed.root.live(last)) != bdd.False && c.Base.Policy == Drop {
			b.add(Decision{Chain: c, Text: "policy drop"})
		}
	}
}
