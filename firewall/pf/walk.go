package pf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// A match is a rule that packets matched: their last one decides.
type match struct {
	rule *Rule // nil where no rule matched
	// anchor is where the rule stands; via are the anchor rules that led there.
	anchor *Anchor
	via    []*Rule
	set    firewall.PacketSet
	// text tells a decision without a rule.
	text string
	// failed says that the packets are dropped without a rule: anchors call each
	// other too deeply. undecided that they were not followed any further.
	failed, undecided bool
}

// A ruling collects what packets match in one ruleset.
type ruling struct {
	w       *walk
	p       *packet
	matches []match
	// review, when set, watches which rules matter.
	review *reviewer
}

// filter takes packets through the filter rules: in order, the last match decides
// unless a quick rule ends it. What comes out are disjoint sets of packets by the
// rule that decided; with the rule nil none did.
func (w *walk) filter(p *packet, live firewall.PacketSet) []match {
	r := &ruling{w: w, p: p}
	main := w.e.rules.Main
	r.run(main, main.Filter, live, nil)
	return r.last(live)
}

// last leaves each packet its last match.
func (r *ruling) last(all firewall.PacketSet) []match {
	var out []match
	rest := all
	for i := len(r.matches) - 1; i >= 0 && rest != firewall.NoPackets; i-- {
		m := r.matches[i]
		if m.set = r.w.s.And(m.set, rest); m.set != firewall.NoPackets {
			rest = r.w.s.Diff(rest, m.set)
			out = append(out, m)
		}
	}
	if rest != firewall.NoPackets {
		out = append(out, match{set: rest, text: "no rule matches: the default is to pass"})
	}
	return out
}

// run takes packets through a list of rules and returns those that no quick rule
// stopped.
func (r *ruling) run(a *Anchor, rules []*Rule, live firewall.PacketSet, via []*Rule) firewall.PacketSet {
	for _, rule := range rules {
		if r.review != nil {
			r.review.see(r.w, r.p, a, rule, live)
		} else if live == firewall.NoPackets {
			return live
		}
		if r.w.work++; r.w.work > maxWork {
			r.matches = append(r.matches, match{set: live, anchor: a, undecided: true, text: "the rules call each other too often to follow"})
			return firewall.NoPackets
		}
		set := r.w.s.And(live, r.w.matches(r.p, a, rule))
		if set == firewall.NoPackets {
			continue
		}
		if rule.Tag != "" {
			r.w.tag(r.p, rule.Tag, set)
		}
		if rule.IsAnchor {
			live = r.call(a, rule, live, set, via)
			continue
		}
		r.take(a, rule, set, via)
		if rule.Quick {
			live = r.w.s.Diff(live, set)
		}
	}
	return live
}

// take notes a match. A match rule decides nothing and changes packets at once; a
// pass rule does so only if it is the last.
func (r *ruling) take(a *Anchor, rule *Rule, set firewall.PacketSet, via []*Rule) {
	if rule.Action == Match {
		r.w.note(r.p, a, rule, "match")
		r.w.translate(r.p, a, rule, set)
		return
	}
	effect := rule.Action.String()
	if rule.Quick {
		effect += ", quick"
	}
	r.w.note(r.p, a, rule, effect)
	r.matches = append(r.matches, match{rule: rule, anchor: a, via: via, set: set})
}

// call takes packets through the anchors that a rule calls.
func (r *ruling) call(a *Anchor, rule *Rule, live, set firewall.PacketSet, via []*Rule) firewall.PacketSet {
	if len(via) >= maxDepth {
		if r.w.e.rules.Dialect == MacOS {
			return live // xnu's pf_step_into_anchor passes over the call
		}
		r.matches = append(r.matches, match{set: set, anchor: a, failed: true, text: fmt.Sprintf("anchors call each other more than %d deep", maxDepth)})
		return r.w.s.Diff(live, set)
	}
	called := a.called(rule)
	if a.cantBeKnown(rule) {
		open := r.w.s.And(set, r.w.unread(rule))
		r.matches = append(r.matches, match{set: open, anchor: a, undecided: true, text: fmt.Sprintf("anchor %q was not read", rule.Anchor)})
	}
	r.w.note(r.p, a, rule, "goes into the anchor")
	start := len(r.matches)
	inside := set
	via = append(via[:len(via):len(via)], rule)
	for _, c := range called {
		inside = r.run(c, c.Filter, inside, via)
	}
	if rule.Quick {
		inside = r.w.s.Diff(inside, r.stoppedBy(rule, start, inside))
	}
	return r.w.s.Or(r.w.s.Diff(live, set), inside)
}

// cantBeKnown says that a file which the anchor, or with a wildcard the one above
// it, is loaded from was not read.
func (a *Anchor) cantBeKnown(r *Rule) bool {
	call := *r
	call.Anchor = strings.TrimSuffix(strings.TrimSuffix(r.Anchor, "*"), "/")
	return slices.ContainsFunc(append(a.called(&call), a.called(r)...), func(c *Anchor) bool { return c.Unread })
}

// unread is where an anchor that was not read has a say.
func (w *walk) unread(r *Rule) firewall.PacketSet {
	return w.s.Fact(firewall.Unread, fmt.Sprintf("what anchor %q does, which was not read", r.Anchor))
}

// stoppedBy is where "anchor quick" ends the evaluation. OpenBSD does so where the
// last match stands directly in the anchor (pf_match_rule: ctx->am == r); FreeBSD
// and macOS where anything inside matched (pf_step_out_of_anchor).
func (r *ruling) stoppedBy(call *Rule, start int, inside firewall.PacketSet) firewall.PacketSet {
	stopped, rest := firewall.NoPackets, inside
	for i := len(r.matches) - 1; i >= start; i-- {
		m := r.matches[i]
		set := r.w.s.And(rest, m.set)
		rest = r.w.s.Diff(rest, m.set)
		if r.w.e.rules.Dialect != OpenBSD || len(m.via) > 0 && m.via[len(m.via)-1] == call {
			stopped = r.w.s.Or(stopped, set)
		}
	}
	return stopped
}

// first takes packets through a ruleset of old translation rules, where the first
// match ends it; "no" rules leave packets as they are.
func (w *walk) first(p *packet, action Action, live firewall.PacketSet, do func(a *Anchor, r *Rule, set firewall.PacketSet)) {
	w.firstIn(p, w.e.rules.Main, action, live, 0, do)
}

func (w *walk) firstIn(p *packet, a *Anchor, action Action, live firewall.PacketSet, depth int, do func(a *Anchor, r *Rule, set firewall.PacketSet)) firewall.PacketSet {
	for _, rule := range *a.ruleset(action) {
		if live == firewall.NoPackets {
			return live
		}
		if w.work++; w.work > maxWork {
			return live
		}
		set := w.s.And(live, w.matchesTranslation(p, a, rule))
		if set == firewall.NoPackets {
			continue
		}
		if !rule.IsAnchor {
			if rule.Tag != "" {
				w.tag(p, rule.Tag, set)
			}
			do(a, rule, set)
			live = w.s.Diff(live, set)
			continue
		}
		if depth >= maxDepth {
			continue
		}
		if a.cantBeKnown(rule) && p.direction == In {
			open := w.s.And(set, w.unread(rule))
			w.decide(open, firewall.Undecided, firewall.Decision{Text: fmt.Sprintf("anchor %q was not read", rule.Anchor)})
			w.open = w.s.Or(w.open, open)
			live, set = w.s.Diff(live, open), w.s.Diff(set, open)
		}
		inside := set
		for _, c := range a.called(rule) {
			inside = w.firstIn(p, c, action, inside, depth+1, do)
		}
		live = w.s.Or(w.s.Diff(live, set), inside)
	}
	return live
}

// matchesTranslation is where a translation rule matches. An inbound packet meets
// a binat rule from its other end (pf_match_translation).
func (w *walk) matchesTranslation(p *packet, a *Anchor, r *Rule) firewall.PacketSet {
	if r.Action != Binat || r.IsAnchor || p.direction == Out || r.NATTo == nil {
		return w.matches(p, a, r)
	}
	turned := *r
	turned.Source, turned.Destination = r.Destination, Endpoint{Address: r.NATTo.Addresses[0]}
	return w.matches(p, a, &turned)
}
