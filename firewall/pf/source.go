package pf

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
)

// address is where a field of a packet is one of a rule's addresses
// (PF_MISMATCHAW).
func (w *walk) address(p *packet, at *Anchor, a Address, f firewall.Field, side string) firewall.PacketSet {
	if a.Kind == Any {
		return w.unless(a.Not, firewall.AllPackets)
	}
	return w.unless(a.Not, w.plainAddress(p, at, a, f, side))
}

func (w *walk) plainAddress(p *packet, at *Anchor, a Address, f firewall.Field, side string) firewall.PacketSet {
	switch a.Kind {
	case Masked:
		return w.s.Within(f, netip.PrefixFrom(a.Addr, a.Bits))
	case Range:
		if f.Bits() != a.Addr.BitLen() {
			return firewall.NoPackets
		}
		return w.s.Between(f, a.Addr.AsSlice(), a.High.AsSlice())
	case TableName:
		return w.inTable(at, a.Name, f, side)
	case Dynamic:
		return w.ofInterface(a, f, side)
	case NoRoute:
		return w.noRoute(f, side)
	case URPFFailed:
		return w.failsURPF(f, p.link)
	case RouteLabel:
		return w.s.Fact(firewall.Unmodelled, fmt.Sprintf("whether the route to the %s has the label %q", side, a.Name))
	}
	return w.s.Fact(firewall.Unread, fmt.Sprintf("whether the %s is %s, which is not resolved", side, a.text()))
}

// inTable is where the longest entry that holds the address isn't a negated one
// (pfr_match_addr).
func (w *walk) inTable(at *Anchor, name string, f firewall.Field, side string) firewall.PacketSet {
	t := at.table(name)
	if t == nil && w.review {
		t = &Table{} // it may be filled at run time
	}
	if t == nil {
		return firewall.NoPackets // an undefined table is empty
	}
	set := w.tableSet(t, f, side)
	if w.review {
		return w.s.Or(set, w.s.Fact(firewall.History, fmt.Sprintf("whether the %s is in table <%s> at another time", side, name)))
	}
	if t.Unread == "" {
		return set
	}
	unread := w.s.Fact(firewall.Unread, fmt.Sprintf("whether the %s is in table <%s>, of which %s was not read", side, name, t.Unread))
	return w.s.Or(set, unread)
}

// tableSet is where the entries have the address.
func (w *walk) tableSet(t *Table, f firewall.Field, side string) firewall.PacketSet {
	entries := w.e.entries[t]
	resolved := !unresolved(entries)
	if data, constant := f.Constant(); constant && resolved {
		a, _ := netip.AddrFromSlice(data)
		return holds(entries, a)
	}
	build := func() firewall.PacketSet {
		set := firewall.NoPackets
		for _, e := range slices.Backward(entries) {
			var in firewall.PacketSet
			switch e.Kind {
			case Unresolved:
				in = w.s.Fact(firewall.Unread, fmt.Sprintf("whether the %s is %s, which is not resolved", side, e.text()))
			case Masked:
				in = w.s.Within(f, netip.PrefixFrom(e.Addr, e.Bits))
			}
			if e.Not {
				set = w.s.Diff(set, in)
			} else {
				set = w.s.Or(set, in)
			}
		}
		return set
	}
	if resolved && w.s.IsFreeSource(f) {
		return w.s.Kept(keptTable{t, f.Bits()}, build)
	}
	return build()
}

// keptTable names the sources in a table, of one family.
type keptTable struct {
	table *Table
	bits  int
}

// holds looks one address up: the entries with the longest masks come first.
func holds(entries []Address, a netip.Addr) firewall.PacketSet {
	for _, e := range entries {
		if e.Kind != Masked || e.Addr.BitLen() != a.BitLen() || !netip.PrefixFrom(e.Addr, e.Bits).Contains(a) {
			continue
		}
		if e.Not {
			return firewall.NoPackets
		}
		return firewall.AllPackets
	}
	return firewall.NoPackets
}

// ofInterface is where the address is one that an interface has at run time. An
// interface that isn't there has none.
func (w *walk) ofInterface(a Address, f firewall.Field, side string) firewall.PacketSet {
	base, m, _ := splitModifiers(a.Name)
	if len(w.e.links.of(base)) == 0 && w.groupUnknown(base) {
		return w.s.Fact(firewall.Unread, fmt.Sprintf("whether the %s is one of (%s)", side, a.Name))
	}
	set := firewall.NoPackets
	for _, found := range w.e.links.addresses(base, m) {
		prefix := found.prefix
		if a.Bits >= 0 {
			prefix = netip.PrefixFrom(prefix.Addr(), min(a.Bits, prefix.Addr().BitLen()))
		}
		set = w.s.Or(set, w.s.Within(f, prefix.Masked()))
	}
	return set
}

// groupUnknown says that a name may be a group, and that nobody told the groups of
// some interface.
func (w *walk) groupUnknown(name string) bool {
	if !w.e.rules.Dialect.groups() || family(name) != name {
		return false
	}
	return len(w.e.network.Interfaces) == 0 ||
		slices.ContainsFunc(w.e.network.Interfaces, func(i firewall.Interface) bool { return i.GroupNames == nil })
}

// noRoute is where no route leads to the address.
func (w *walk) noRoute(f firewall.Field, side string) firewall.PacketSet {
	routed := firewall.NoPackets
	for _, r := range w.e.routes() {
		routed = w.s.Or(routed, w.s.Within(f, r.prefix))
	}
	if len(w.e.network.Routes) == 0 {
		routed = w.s.Or(routed, w.s.Fact(firewall.Unread, "whether a route leads to the "+side))
	}
	return w.unless(true, routed)
}

// failsURPF is where the best route to the source leaves by another interface than
// the packet came in by (pf_routable).
func (w *walk) failsURPF(f firewall.Field, link *firewall.Interface) firewall.PacketSet {
	return w.unless(true, w.routedBy(f, link))
}

// routedBy is where the longest route to an address leaves by a link. Without any
// reading of routes only the interfaces' own networks are known.
func (w *walk) routedBy(f firewall.Field, link *firewall.Interface) firewall.PacketSet {
	set := firewall.NoPackets
	if len(w.e.network.Routes) == 0 {
		set = w.s.Fact(firewall.Unread, "whether the route to the source leaves by "+link.Name)
	}
	for _, r := range w.e.routes() {
		in := w.s.Within(f, r.prefix)
		if r.link == link.Index {
			set = w.s.Or(set, in)
		} else {
			set = w.s.Diff(set, in)
		}
	}
	return set
}

// A way is a route: to a network by an interface.
type way struct {
	prefix netip.Prefix
	link   int
}

// routes are the networks of the interfaces and the routes that were read, the
// shortest first.
func (e *Evaluator) routes() []way {
	var list []way
	for _, a := range e.network.Addresses {
		list = append(list, way{a.Prefix.Masked(), a.Interface})
		if a.Peer.IsValid() {
			list = append(list, way{netip.PrefixFrom(a.Peer, a.Peer.BitLen()), a.Interface})
		}
	}
	for _, r := range e.network.Routes {
		if r.Destination.IsValid() && (r.Type == firewall.RouteUnicast || r.Type == firewall.RouteLocal) {
			list = append(list, way{r.Destination.Masked(), r.Interface})
		}
	}
	slices.SortStableFunc(list, func(a, b way) int { return a.prefix.Bits() - b.prefix.Bits() })
	return list
}
