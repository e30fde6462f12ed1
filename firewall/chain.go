package firewall

import (
	"strconv"
	"strings"

	"github.com/netglance/netglance/internal/bdd"
)

// settled is a set of packets and what decided about them.
type settled struct {
	set      bdd.Node
	decision Decision
}

// rejection is packets that a rule answered with an error.
type rejection struct {
	settled
	reject Reject
}

// ruling is what one base chain did with the packets that it was given.
type ruling struct {
	accepted []settled // by a rule
	passed   []settled // by the policy
	dropped  []settled
	rejected []rejection
	stolen   []settled
}

// remaining are the packets that go on behind the chain.
func (w *walker) remaining(r *ruling) bdd.Node {
	set := bdd.False
	for _, s := range r.accepted {
		set = w.m.Or(set, s.set)
	}
	for _, s := range r.passed {
		set = w.m.Or(set, s.set)
	}
	return set
}

// A call is one way into a chain: the rules that led there.
type call struct {
	chain *Chain
	via   []*Rule
}

// maxDepth is NFT_JUMP_STACK_SIZE (include/net/netfilter/nf_tables.h): the
// kernel takes no deeper ruleset.
const maxDepth = 16

// baseChain walks a base chain with a set of packets. What reaches its end, or
// returns from it, meets its policy.
func (w *walker) baseChain(p *packet, c *Chain, set bdd.Node) *ruling {
	w.ruling = &ruling{}
	p.nfproto = p.family
	if f := c.Table.Family; f == FamilyNetdev || f == FamilyBridge {
		p.nfproto = f
	}
	rest := w.walk(p, call{chain: c}, set)
	if rest == bdd.False {
		return w.ruling
	}
	decision := Decision{Chain: c, Text: "policy " + c.Base.Policy.String()}
	w.note(p, c, nil, decision.Text)
	if c.Base.Policy == Drop {
		w.ruling.dropped = append(w.ruling.dropped, settled{rest, decision})
	} else {
		w.ruling.passed = append(w.ruling.passed, settled{rest, decision})
	}
	return w.ruling
}

// walk takes the packets through a chain's rules, and returns those that come
// out at its end or return from it.
func (w *walker) walk(p *packet, c call, set bdd.Node) bdd.Node {
	returned := bdd.False
	port := guardedPort(p)
	guards := w.e.guards[c.chain]
	f := w.review.enter(p, c, set)
	for i, rule := range c.chain.Rules {
		f.meets(i, set)
		if set == bdd.False {
			break
		}
		if !guards[i].admits(p, port) {
			continue
		}
		w.work++
		if w.work > maxWork || w.review.givesUp(w) {
			w.exhausted = w.m.Or(w.exhausted, set)
			w.review.leave(w, f, p, set)
			return returned
		}
		onward, back := w.rule(p, c, rule, set)
		set = onward
		returned = w.m.Or(returned, back)
		port = guardedPort(p) // the rule may have written another
		w.review.met(f, i, p)
	}
	w.review.leave(w, f, p, set)
	return w.m.Or(set, returned)
}

// maxWork bounds the rules looked at for one question: a ruleset whose chains
// call each other over and over may ask for more than anyone can wait for.
const maxWork = 20_000_000

// rule applies one rule. onward are the packets that go on to the next rule,
// back those that leave the chain for its caller.
func (w *walker) rule(p *packet, c call, r *Rule, set bdd.Node) (onward, back bdd.Node) {
	matched, steps := set, r.Steps
	if p.any != nil {
		if matched, steps = w.leading(p, r, set); matched == bdd.False {
			return set, bdd.False
		}
	}
	for _, step := range steps {
		if acts(step) {
			w.review.acts(r)
		}
		switch s := step.(type) {
		case Verdict:
			onward, back = w.verdict(p, c, r, s, matched)
			return w.m.Or(w.m.Diff(set, matched), onward), back
		case VerdictMap:
			onward, back = w.verdictMap(p, c, r, s, matched)
			return w.m.Or(w.m.Diff(set, matched), onward), back
		case Reject:
			w.note(p, c.chain, r, "reject with "+s.With)
			w.ruling.rejected = append(w.ruling.rejected, rejection{settled{matched, w.decisionOf(c, r)}, s})
			return w.m.Diff(set, matched), bdd.False
		case NAT:
			translated := w.translate(p, c, r, s, matched)
			if translated == bdd.False {
				continue
			}
			w.review.acts(r)
			// nft_nat.c: a translation accepts.
			w.ruling.accepted = append(w.ruling.accepted, settled{translated, w.decisionOf(c, r)})
			set, matched = w.m.Diff(set, translated), w.m.Diff(matched, translated)
		case Opaque:
			if s.Target {
				return w.opaqueTarget(p, c, r, s, set, matched)
			}
			matched = w.m.And(matched, w.unsettled(Unmodelled, w.opaqueText(r, s.Name)))
		case TProxy:
			return w.tproxy(p, c, r, s, set, matched)
		case Forwarding, SynProxy:
			return w.steal(p, c, r, s, set, matched)
		default:
			matched = w.apply(p, r, step, matched)
		}
		if matched == bdd.False {
			return set, bdd.False
		}
	}
	if len(r.Steps) > 0 {
		w.note(p, c.chain, r, "goes on")
	}
	w.review.ends(r)
	return set, bdd.False
}

func (w *walker) opaqueText(r *Rule, name string) string {
	return name + ", which netglance doesn't model (" + placeOf(r) + ")"
}

// placeOf names a rule for a condition's text.
func placeOf(r *Rule) string {
	if r == nil || r.Chain == nil {
		return "rule"
	}
	var b strings.Builder
	if t := r.Chain.Table; t != nil {
		b.WriteString(t.Family.String() + " " + t.Name + " ")
	}
	b.WriteString(r.Chain.Name)
	if r.Number == 0 {
		return b.String() + ": " + r.Text()
	}
	return b.String() + ", rule " + strconv.Itoa(r.Number)
}

func (w *walker) decisionOf(c call, r *Rule) Decision {
	text, ok := w.texts[r]
	if !ok {
		text = r.Text()
		w.texts[r] = text
	}
	return Decision{Chain: c.chain, Rule: r, Via: c.via, Text: text}
}

// verdict applies a verdict to packets that met all matches of a rule.
func (w *walker) verdict(p *packet, c call, r *Rule, v Verdict, matched bdd.Node) (onward, back bdd.Node) {
	if matched == bdd.False {
		return bdd.False, bdd.False
	}
	decision := w.decisionOf(c, r)
	w.review.acts(r)
	switch v.Code {
	case Continue:
		w.note(p, c.chain, r, "goes on")
		return matched, bdd.False
	case Accept:
		w.note(p, c.chain, r, "accept")
		w.review.accepts(w, p, r, matched)
		w.ruling.accepted = append(w.ruling.accepted, settled{matched, decision})
		return bdd.False, bdd.False
	case Drop:
		w.note(p, c.chain, r, "drop")
		w.ruling.dropped = append(w.ruling.dropped, settled{matched, decision})
		return bdd.False, bdd.False
	case Return:
		w.note(p, c.chain, r, "return")
		return bdd.False, matched
	case Jump, Goto:
		return w.enter(p, c, r, v, matched)
	case Queue:
		return w.queue(p, c, r, v, matched)
	}
	w.note(p, c.chain, r, v.Code.String())
	w.ruling.stolen = append(w.ruling.stolen, settled{matched, decision})
	return bdd.False, bdd.False
}

// enter goes into another chain. What comes back from a jump meets the next
// rule; what comes back from a goto leaves this chain too.
func (w *walker) enter(p *packet, c call, r *Rule, v Verdict, matched bdd.Node) (onward, back bdd.Node) {
	if v.Chain == nil || len(c.via) >= maxDepth {
		w.exhausted = w.m.Or(w.exhausted, matched)
		return bdd.False, bdd.False
	}
	w.note(p, c.chain, r, v.Code.String()+" "+v.Chain.Name)
	via := append(c.via[:len(c.via):len(c.via)], r)
	rest := w.walk(p, call{v.Chain, via}, matched)
	if v.Code == Goto {
		return bdd.False, rest
	}
	return rest, bdd.False
}

// queue leaves the verdict to a program; an accepted packet goes on behind this
// base chain (nf_reinject).
func (w *walker) queue(p *packet, c call, r *Rule, v Verdict, matched bdd.Node) (onward, back bdd.Node) {
	text := "the program on queue " + itoa(v.Number) + " (" + placeOf(r) + ")"
	w.note(p, c.chain, r, "asks "+text)
	takes := w.unsettled(External, text)
	w.ruling.accepted = append(w.ruling.accepted, settled{w.m.And(matched, takes), w.decisionOf(c, r)})
	w.ruling.dropped = append(w.ruling.dropped, settled{w.m.Diff(matched, takes), w.decisionOf(c, r)})
	return bdd.False, bdd.False
}

func (w *walker) verdictMap(p *packet, c call, r *Rule, s VerdictMap, matched bdd.Node) (onward, back bdd.Node) {
	key, ok := w.load(p, s.Key)
	matchedKey := w.m.And(matched, ok)
	onward = w.m.Diff(matched, ok)
	if matchedKey == bdd.False {
		return onward, bdd.False
	}
	if key == nil {
		return w.unknownVerdict(p, c, r, "a verdict map's key in "+placeOf(r), matchedKey, onward)
	}
	rest := matchedKey
	for _, m := range w.lookup(s.Map, key, matchedKey) {
		set := w.m.And(m.set, matchedKey)
		if set == bdd.False {
			continue
		}
		rest = w.m.Diff(rest, set)
		if m.element == nil {
			on, b := w.unknownVerdict(p, c, r, "what @"+s.Map.Name+" has for the packet", set, bdd.False)
			onward, back = w.m.Or(onward, on), w.m.Or(back, b)
			continue
		}
		set2 := w.elementSteps(p, r, s.Map, m.element, set)
		onward = w.m.Or(onward, w.m.Diff(set, set2))
		if m.element.Verdict == nil {
			onward = w.m.Or(onward, set2)
			continue
		}
		on, b := w.verdict(p, c, r, *m.element.Verdict, set2)
		onward, back = w.m.Or(onward, on), w.m.Or(back, b)
	}
	return w.m.Or(onward, rest), back
}

// unknownVerdict is for packets of which it can't be said what becomes of them:
// dropped, accepted or neither.
func (w *walker) unknownVerdict(p *packet, c call, r *Rule, text string, matched, onward bdd.Node) (bdd.Node, bdd.Node) {
	w.note(p, c.chain, r, "can't tell: "+text)
	w.review.acts(r)
	decides := w.unsettled(Unmodelled, text)
	drops := w.unsettled(Unmodelled, text)
	decided := w.m.And(matched, decides)
	w.ruling.dropped = append(w.ruling.dropped, settled{w.m.And(decided, drops), w.decisionOf(c, r)})
	w.ruling.accepted = append(w.ruling.accepted, settled{w.m.Diff(decided, drops), w.decisionOf(c, r)})
	return w.m.Or(onward, w.m.Diff(matched, decides)), bdd.False
}

func (w *walker) opaqueTarget(p *packet, c call, r *Rule, s Opaque, set, matched bdd.Node) (onward, back bdd.Node) {
	return w.unknownVerdict(p, c, r, w.opaqueText(r, s.Name), matched, w.m.Diff(set, matched))
}

func (w *walker) steal(p *packet, c call, r *Rule, s Step, set, matched bdd.Node) (onward, back bdd.Node) {
	if _, ok := s.(SynProxy); ok {
		if p.protocol != protocolTCP {
			return set, bdd.False
		}
		w.synProxy(p, c, r, matched)
		return w.m.Diff(set, matched), bdd.False
	}
	w.note(p, c.chain, r, "sent out of another device")
	w.ruling.stolen = append(w.ruling.stolen, settled{matched, w.decisionOf(c, r)})
	return w.m.Diff(set, matched), bdd.False
}

// synProxy answers the SYN itself, and tries the server when the client has
// answered in turn (nft_synproxy.c): the packet ends here, reachable if the
// server is.
func (w *walker) synProxy(p *packet, c call, r *Rule, matched bdd.Node) {
	w.note(p, c.chain, r, "a SYN proxy answers")
	w.review.acts(r)
	reached := w.unsettled(External, "what a SYN proxy comes to ("+placeOf(r)+")")
	if p.about == "" {
		w.decide(w.m.And(matched, reached), Accepted, w.decisionOf(c, r), nil)
		matched = w.m.Diff(matched, reached)
	}
	w.ruling.stolen = append(w.ruling.stolen, settled{matched, w.decisionOf(c, r)})
}
