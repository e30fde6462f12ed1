package firewall

import (
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// Use is what a rule is good for.
type Use uint8

// The uses. All but UseUnknown and Works mean that no packet at all makes the
// rule decide or change anything.
const (
	UseUnknown    Use = iota // it took too much work to tell
	Works                    // some packet can make it act, as far as the rules tell
	Unreached                // earlier verdicts leave no packet for it
	Shadowed                 // packets come to it, and earlier verdicts took all that it matches
	Contradictory            // its matches exclude each other, or the hook has no such packet
	Excluded                 // none of the packets that it matches comes into its chain
	ChainUnused              // no packet comes into its chain
)

func (u Use) String() string {
	names := [...]string{"unknown", "works", "unreached", "shadowed", "contradictory", "excluded", "chain-unused"}
	if int(u) < len(names) {
		return names[u]
	}
	return "unknown"
}

// Dead says that the rule can be deleted without a change to any packet's fate.
func (u Use) Dead() bool { return u > Works }

// A RuleReview is what a rule is good for.
type RuleReview struct {
	Rule *Rule
	Use  Use
	// By are the decisions that take away what the rule would match, in the order
	// in which packets meet them: at most 64.
	By []Decision
	// Openings are the new flows that the rule lets in, by family; none where it
	// lets in none or that is not known.
	Openings []Opening
}

// A ChainReview is why a chain is not used.
type ChainReview struct {
	Chain *Chain
	// Unused says why packets never come here.
	Unused Disuse
	// MissingDevices are those that a base chain hooks into and the host lacks.
	MissingDevices []string
}

// A Review is what a host's rules are good for.
type Review struct {
	Rules  map[*Rule]RuleReview
	Chains map[*Chain]ChainReview
	// Incomplete are the hooks that took too much work to follow.
	Incomplete []string
}

// Review looks at every rule with every packet that its hook can meet: of old
// and new flows, all protocols and links, fragments. A rule is called dead only if
// none of them can make it act. The ruleset is taken as it stands: its sets with
// the elements that they have now, its chains as the hooks call them.
func (e *Evaluator) Review() *Review {
	graph := e.unusedChains()
	r := &Review{Rules: make(map[*Rule]RuleReview), Chains: graph}
	tallies := make(map[*Rule]*tally)
	unknown := make(map[*Chain]bool)
	for _, family := range []Family{FamilyIPv4, FamilyIPv6, FamilyNetdev, FamilyBridge, FamilyARP} {
		for hook := Ingress; hook <= Egress; hook++ {
			for _, group := range e.reviewGroups(family, hook) {
				if e.reviewHook(family, hook, group, tallies) {
					continue
				}
				r.Incomplete = append(r.Incomplete, family.String()+" "+hook.String())
				for _, c := range group {
					markReachable(c, unknown)
				}
			}
		}
	}
	for _, t := range e.rules.Tables {
		blind := hasUnreadVerdicts(t)
		for _, c := range t.Chains {
			for _, rule := range c.Rules {
				r.Rules[rule] = e.ruleReview(rule, tallies[rule], graph[c], unknown[c], blind)
			}
		}
	}
	return r
}

// reviewGroups are the chains that are walked together: those that IP packets
// meet one behind the other. Other families' chains stand for themselves.
func (e *Evaluator) reviewGroups(family Family, hook Hook) [][]*Chain {
	plain := e.chains[hookKey{family, hook, false}]
	nat := e.chains[hookKey{family, hook, true}]
	if family == FamilyIPv4 || family == FamilyIPv6 {
		if len(plain)+len(nat) == 0 {
			return nil
		}
		return [][]*Chain{slices.Concat(plain, nat)}
	}
	var groups [][]*Chain
	for _, c := range plain {
		groups = append(groups, []*Chain{c})
	}
	return groups
}

func (e *Evaluator) ruleReview(rule *Rule, t *tally, chain ChainReview, unknown, blind bool) RuleReview {
	r := RuleReview{Rule: rule}
	switch {
	case chain.Unused != Used:
		r.Use = ChainUnused
	case t != nil && t.acted:
		r.Use, r.Openings = Works, t.openings
	case unknown || blind && (t == nil || !t.entered):
	case t == nil || !t.entered:
		r.Use, r.By = ChainUnused, callers(rule.Chain)
	case !t.possible:
		r.Use = Contradictory
	case !t.enterable:
		r.Use, r.By = Excluded, t.by
	case !t.reached:
		r.Use, r.By = Unreached, t.by
	default:
		r.Use, r.By = Shadowed, t.by
	}
	return r
}

// callers are the rules that lead to a chain.
func callers(c *Chain) []Decision {
	var list []Decision
	for _, from := range c.Table.Chains {
		for _, r := range from.Rules {
			if slices.Contains(r.JumpTargets(), c) && len(list) < maxBlamed {
				list = append(list, Decision{Chain: from, Rule: r, Text: r.Text()})
			}
		}
	}
	return list
}

// reviewHook walks the chains of a hook with every packet; false where that took
// too much work.
func (e *Evaluator) reviewHook(family Family, hook Hook, chains []*Chain, tallies map[*Rule]*tally) bool {
	w := e.walker()
	w.m = bdd.New()
	w.m.Bound(reviewNodes, reviewSteps)
	p, sane := w.anyPacket(family, hook)
	v := &watch{tallies: tallies, first: p.clone(), universe: sane, accepted: make(map[*Rule]bdd.Node)}
	v.filters = !p.any.frame && (hook == Input || hook == Forward)
	w.review = v
	for _, t := range tallies {
		t.misses = 0
	}
	live := w.reviewStages(p, hook, chains, sane)
	if w.exhausted == bdd.False && !w.m.Full() {
		v.explain(w)
		v.openings(w, live)
	}
	return w.exhausted == bdd.False && !w.m.Full()
}

// reviewStages takes the packets through the chains in the order of their
// priorities, and through what the kernel does between them.
func (w *walker) reviewStages(p *packet, hook Hook, chains []*Chain, live bdd.Node) bdd.Node {
	tracked := p.any.frame || hook != Prerouting && hook != Output
	for len(chains) > 0 {
		priority := lowest(chains)
		now, later := atPriority(chains, priority)
		chains = later
		if !tracked && priority >= priorityConntrack {
			w.forgetTracking(p)
		}
		live = w.reviewTied(p, now, live, len(later) == 0 && len(now) == 1)
		if !tracked && priority == priorityConntrack {
			w.forgetTracking(p) // tracking comes first or the chain does
		}
		tracked = tracked || priority >= priorityConntrack
	}
	return live
}

func atPriority(chains []*Chain, priority int32) (now, later []*Chain) {
	for _, c := range chains {
		if c.Base.calledAt() == priority {
			now = append(now, c)
		} else {
			later = append(later, c)
		}
	}
	return now, later
}

func lowest(chains []*Chain) int32 {
	least := chains[0].Base.calledAt()
	for _, c := range chains {
		least = min(least, c.Base.calledAt())
	}
	return least
}

// reviewTied walks chains of one priority. Which of them comes first is not
// certain, so none takes packets from another. What goes on behind the last chain of
// a hook is not asked for.
func (w *walker) reviewTied(p *packet, chains []*Chain, live bdd.Node, last bool) bdd.Node {
	changes := len(chains) > 1 && slices.ContainsFunc(chains, changesPackets)
	out := live
	var passed []passage
	for _, c := range chains {
		q := p.clone()
		if changes {
			w.forgetChanges(q)
		}
		root, set, r := w.reviewChain(q, c, live)
		gone := bdd.False
		if !last {
			gone = w.m.Diff(set, w.remaining(r))
		}
		out = w.m.Diff(out, gone)
		passed = append(passed, passage{root, live, w.m.Diff(live, gone)})
		if len(chains) == 1 {
			*p = *q
		}
	}
	w.review.passages = append(w.review.passages, passed...)
	if changes {
		w.forgetChanges(p)
	}
	if slices.ContainsFunc(chains, func(c *Chain) bool { return c.Base.Type == NATChain }) {
		w.forgetAddresses(p)
	}
	return out
}

// reviewChain walks one base chain, and says which packets it saw.
func (w *walker) reviewChain(p *packet, c *Chain, set bdd.Node) (root *frame, seen bdd.Node, did *ruling) {
	if c.Base.Type == NATChain {
		set = w.m.And(set, w.untranslated(p))
	}
	p.hook = c.Base.Hook
	w.review.frame, w.review.root = nil, nil
	w.translated = bdd.False
	did = w.baseChain(p, c, set)
	return w.review.root, set, did
}

// untranslated are the packets that nat chains see: the first of a flow, and of
// one that belongs to another (nf_nat_inet_fn).
func (w *walker) untranslated(p *packet) bdd.Node {
	state, _ := w.loadCT(p, CT{Key: CTState})
	return w.m.And(p.tracking.tracked, w.m.Or(w.equal(state, w.wordBytes(stateNew)), w.equal(state, w.wordBytes(stateRelated))))
}

// changesPackets says that a rule of the chain, or of one that it calls, changes
// what others may look at.
func changesPackets(c *Chain) bool {
	seen := make(map[*Chain]bool)
	markReachable(c, seen)
	for c := range seen {
		for _, r := range c.Rules {
			for _, step := range r.Steps {
				switch step.(type) {
				case Assign, NoTrack, TProxy, NAT, Opaque, ObjectRef:
					return true
				}
			}
		}
	}
	return false
}

// markReachable marks a chain and all that its rules lead to.
func markReachable(c *Chain, seen map[*Chain]bool) {
	if seen[c] {
		return
	}
	seen[c] = true
	for _, r := range c.Rules {
		for _, to := range r.JumpTargets() {
			markReachable(to, seen)
		}
	}
}
