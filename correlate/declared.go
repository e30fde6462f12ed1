package correlate

import (
	"net/netip"
	"slices"

	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/addresses"
	"github.com/netglance/netglance/listeners"
)

// maxOutside bounds the sources that are told to be outside of the policy.
const maxOutside = 1000

// An intent is a policy, ready to be asked.
type intent struct {
	*policy.Policy
	space *addresses.Space
	// expired are the entries whose last day is over, by their place among all.
	expired map[int]bool
	// filler are sources that no packet from outside has: texts needn't leave them out.
	filler addresses.Set
}

func newIntent(in Input) *intent {
	if in.Policy == nil {
		return nil
	}
	t := &intent{Policy: in.Policy, space: addresses.New(), expired: map[int]bool{}}
	for i, e := range in.Policy.Entries {
		t.expired[i] = policy.Expired(e.Until, in.Now)
	}
	t.filler = t.space.Of(noSources(in.Network)...)
	return t
}

// noSources are addresses that no packet from outside has as its source: those
// that are never on a wire, and the host's own.
func noSources(n *firewall.Network) []netip.Prefix {
	out := slices.Clone(addresses.OffWire)
	for _, a := range n.Addresses {
		out = append(out, netip.PrefixFrom(a.Prefix.Addr().WithZone("").Unmap(), a.Prefix.Addr().Unmap().BitLen()))
	}
	for _, r := range n.Routes {
		if r.Type == firewall.RouteBroadcast {
			out = append(out, r.Destination)
		}
	}
	return out
}

// sourceSet is a part's sources. A list of masks that was cut off stands for everybody.
func sourceSet(space *addresses.Space, s firewall.Sources, family int) addresses.Set {
	set := space.Of(s.Prefixes...)
	for _, m := range s.Masked {
		set = space.Or(set, space.Masked(m.Address, m.Mask))
	}
	if len(s.Masked) >= firewall.MaxSources {
		set = addresses.Family(family)
	}
	for _, m := range s.Sets {
		named := space.Named(setName(m.Set))
		if m.Outside {
			named = space.Diff(addresses.Everything, named)
		}
		set = space.And(set, named)
	}
	return set
}

// setName is "FAMILY TABLE NAME", as reports have it.
func setName(s *firewall.Set) string {
	if s.Table == nil {
		return s.Name
	}
	return s.Table.Family.String() + " " + s.Table.Name + " " + s.Name
}

// declare sets what the policy says of each part of the reach: a part is declared
// when every one of its sources is.
func (t *intent) declare(e *Exposure) {
	if t == nil {
		return
	}
	for i := range e.Reach {
		r := &e.Reach[i]
		if reaches(r.Part) == never || fromLinkOnly(*r) {
			continue
		}
		sure, maybe, entries := t.allowed(e, *r)
		from := sourceSet(t.space, r.Sources, r.Family)
		r.Entries, r.ruled = entries, r.Declared
		switch rest := t.space.Diff(from, sure); {
		case rest.Empty():
			r.Declared = ByPolicy
		case t.space.Holds(maybe, from):
			r.ownerUnseen = r.Declared == Undeclared || t.NothingElse
		default:
			r.Outside, r.outside = t.list(rest), rest
			if t.NothingElse {
				r.Declared = Undeclared
			}
		}
	}
}

// list names sources one by one; at least one if there are any.
func (t *intent) list(s addresses.Set) []netip.Prefix {
	list, _ := t.space.Prefixes(s, maxOutside)
	return list
}

// owned says whether the owner that an entry asks for holds the port, or is whom
// all that hold it serve: a container behind docker-proxy, or behind rules alone.
func owned(o policy.Owner, e *Exposure) policy.Match {
	direct := o.Owns(e.Owners, e.Kernel)
	holds := func(p listeners.Process) bool { return !p.Proxies() }
	if direct == policy.Fits || len(e.Served) == 0 || slices.ContainsFunc(e.Owners, holds) {
		return direct
	}
	worst := policy.Fits
	for _, s := range e.Served {
		if s.Unsure {
			worst = min(worst, policy.Unsure)
		}
		worst = min(worst, o.Owns(s.Owners, s.Kernel))
	}
	return worst
}

// allowed are the sources that the policy allows to come in by the reach's way:
// surely, or if the owners, which could not be seen, are those that it names.
func (t *intent) allowed(e *Exposure, r Reach) (sure, maybe addresses.Set, entries []policy.Entry) {
	for i, entry := range t.Entries {
		if t.expired[i] || !entry.For(e.Protocol, e.Port, max(e.Port, e.LastPort)) || !entry.Via(r.Interface) {
			continue
		}
		from := addresses.Everything
		if len(entry.Sources) > 0 {
			from = t.space.Of(entry.Sources...)
		}
		if t.space.And(from, addresses.Family(r.Family)).Empty() {
			continue
		}
		switch owned(entry.Owner, e) {
		case policy.Differs:
			continue
		case policy.Fits:
			sure = t.space.Or(sure, from)
			entries = append(entries, entry)
		}
		maybe = t.space.Or(maybe, from)
	}
	return sure, maybe, entries
}
