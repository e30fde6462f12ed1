package correlate

import (
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
)

// join says what becomes of an outer part whose packets meet the inner parts' fates.
func (place *Place) join(outer firewall.Part, inner []firewall.Part) []firewall.Part {
	if len(inner) == 1 {
		return []firewall.Part{meet(outer, inner[0])}
	}
	var out []firewall.Part
	for _, p := range inner {
		sources, ok := common(outer.Sources, p.Sources)
		if !ok || outer.DeliveredTo.SourceHidden {
			return []firewall.Part{place.mixed(outer, inner)}
		}
		if len(sources.Prefixes) > 0 {
			part := outer
			part.Sources = sources
			out = append(out, meet(part, p))
		}
	}
	return out
}

// mixed is a part whose packets meet several fates, and it can't be told which.
func (place *Place) mixed(outer firewall.Part, inner []firewall.Part) firewall.Part {
	joined := inner[0]
	for _, p := range inner {
		if p.Fate == firewall.Undecided {
			return meet(outer, p)
		}
		if p.Fate != joined.Fate {
			joined.Outcomes = append(joined.Outcomes, fatesOf(p)...)
		}
		joined.Conditions = append(slices.Clip(joined.Conditions), p.Conditions...)
	}
	if fates := append(fatesOf(inner[0]), joined.Outcomes...); !same(fates) {
		joined.Fate, joined.Outcomes = firewall.Conditional, unique(fates)
		joined.Conditions = append(joined.Conditions, firewall.Condition{Kind: firewall.Unmodelled,
			Text: "the rules of " + place.Title + " go by the source, which they don't see as it came in"})
	}
	return meet(outer, joined)
}

func same(fates []firewall.Fate) bool { return len(unique(fates)) == 1 }

func unique(fates []firewall.Fate) []firewall.Fate {
	out := slices.Clone(fates)
	slices.Sort(out)
	return slices.Compact(out)
}

// fatesOf are those that a part can have.
func fatesOf(p firewall.Part) []firewall.Fate {
	if p.Fate == firewall.Conditional && len(p.Outcomes) > 0 {
		return p.Outcomes
	}
	return []firewall.Fate{p.Fate}
}

// meet is the fate of an outer part's packets, which the inner part's decides where
// they get there. What accepted them stays the outer part's: it is what declares.
func meet(outer, inner firewall.Part) firewall.Part {
	if inner.Fate == firewall.Accepted {
		return outer
	}
	p := outer
	p.Here = &outer
	p.DecidedBy = inner.DecidedBy
	p.Conditions = append(slices.Clip(outer.Conditions), inner.Conditions...)
	if outer.Fate == firewall.Undecided || inner.Fate == firewall.Undecided {
		p.Fate, p.Outcomes = firewall.Undecided, nil
		return p
	}
	fates := fatesOf(inner)
	if outer.Fate == firewall.Conditional {
		if len(outer.Outcomes) == 0 { // not told: anything that keeps it out, or not
			fates = append(slices.Clone(fates), firewall.Dropped)
		}
		fates = append(slices.DeleteFunc(slices.Clone(outer.Outcomes), func(f firewall.Fate) bool { return f == firewall.Accepted }), fates...)
	}
	if fates = unique(fates); len(fates) > 1 {
		p.Fate, p.Outcomes = firewall.Conditional, fates
		return p
	}
	p.Fate, p.Outcomes, p.Conditions = fates[0], nil, nil
	if p.Fate == firewall.Rejected || p.Fate == firewall.Dropped {
		p.Acceptances = nil
	}
	return p
}

// common are the sources of both; false where sets that can't be listed are among them.
func common(a, b firewall.Sources) (firewall.Sources, bool) {
	if len(a.Masked)+len(a.Sets)+len(b.Masked)+len(b.Sets) > 0 {
		return firewall.Sources{}, false
	}
	var out firewall.Sources
	for i, j := 0, 0; i < len(a.Prefixes) && j < len(b.Prefixes); {
		p, q := a.Prefixes[i], b.Prefixes[j]
		if p.Overlaps(q) {
			narrow := p
			if q.Bits() > p.Bits() {
				narrow = q
			}
			out.Prefixes = append(out.Prefixes, narrow)
		}
		if last(p).Compare(last(q)) <= 0 {
			i++
		} else {
			j++
		}
	}
	return out, true
}

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
