package firewall

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// Routing tables and rule actions (include/uapi/linux/rtnetlink.h, fib_rules.h).
const (
	tableDefault = 253
	tableMain    = 254
	tableLocal   = 255

	actionToTable     = 1
	actionGoto        = 2
	actionNop         = 3
	actionBlackhole   = 6
	actionUnreachable = 7
	actionProhibit    = 8

	routeDead = 1
)

// flow is what a routing lookup looks at. An empty in is the host itself; out 0
// is any way out.
type flow struct {
	family              Family
	source, destination bits
	mark                bits
	in                  string
	out                 int
	protocol            uint8
	sourcePort, port    bits
}

// routed is packets and the route that they take; route is nil where there is none.
type routed struct {
	set   bdd.Node
	route *Route
	kind  RouteType
	out   *Interface
}

// lookupRoute is fib_lookup and fib6_rule_lookup for the packets of a set.
func (w *walker) lookupRoute(f flow, set bdd.Node) []routed {
	key, ok := w.routeKey(f)
	if !ok {
		return w.searchRoute(f, set)
	}
	all, ok := w.routes[key]
	if !ok {
		all = w.joinLocal(w.searchRoute(f, bdd.True))
		w.routes[key] = all
	}
	if set == bdd.True {
		return all
	}
	var found []routed
	for _, r := range all {
		if r.set = w.m.And(r.set, set); r.set != bdd.False {
			found = append(found, r)
		}
	}
	return found
}

type routeKey struct {
	family Family
	in     string
	out    int
}

// routeKey names what the routes to every source address depend on: all
// questions that share it go the same ways. False where more than the links
// decides, or the routes hold a condition of their own.
func (w *walker) routeKey(f flow) (routeKey, bool) {
	if !w.e.plainRouting[f.family] || len(f.destination) == 0 {
		return routeKey{}, false
	}
	for i, n := range f.destination {
		if n != w.m.Var(sourceLevel+i) {
			return routeKey{}, false
		}
	}
	return routeKey{f.family, f.in, f.out}, true
}

// hasPlainRouting says that nothing but links and destinations decides about a
// family's routes.
func hasPlainRouting(rules []RoutingRule, routes []Route, family Family) bool {
	for _, r := range rules {
		plain := RoutingRule{Family: r.Family, Priority: r.Priority, InName: r.InName, OutName: r.OutName, Invert: r.Invert,
			Action: actionToTable, Table: r.Table, SuppressPrefixLength: r.SuppressPrefixLength, SuppressInterfaceGroup: r.SuppressInterfaceGroup}
		if r != plain {
			return false
		}
	}
	for _, r := range routes {
		if familyOf(r.Destination.Addr()) == family && (r.Source.IsValid() && r.Source.Bits() > 0 || len(r.Hops) > 0 || r.Opaque != "") {
			return false
		}
	}
	return true
}

// joinLocal makes one of all that leads to the host itself: by which of its own
// addresses doesn't matter.
func (w *walker) joinLocal(list []routed) []routed {
	at := make(map[RouteType]int)
	var joined []routed
	for _, r := range list {
		i, ok := at[r.kind]
		if ok && (r.kind == RouteLocal || r.kind == RouteAnycast) {
			joined[i].set = w.m.Or(joined[i].set, r.set)
			continue
		}
		at[r.kind] = len(joined)
		joined = append(joined, r)
	}
	return joined
}

// searchRoute looks a route up: the rules in order, the longest prefix in each table.
func (w *walker) searchRoute(f flow, set bdd.Node) []routed {
	var found []routed
	rest := set
	var jump uint32
	for i := range w.e.routing[f.family] {
		r := &w.e.routing[f.family][i]
		if rest == bdd.False {
			break
		}
		if r.Priority < jump {
			continue
		}
		jump = 0
		matched := w.m.And(rest, w.ruleMatches(r, f))
		if matched == bdd.False {
			continue
		}
		switch r.Action {
		case actionToTable:
			var settled bdd.Node
			found, settled = w.lookupTable(r, f, matched, found)
			rest = w.m.Diff(rest, settled)
		case actionBlackhole, actionUnreachable, actionProhibit:
			found = append(found, routed{set: matched, kind: RouteType(r.Action)})
			rest = w.m.Diff(rest, matched)
		case actionGoto:
			if matched == rest {
				jump = r.Goto
			} else {
				unsure := w.m.And(matched, w.unsettled(Unmodelled, "an ip rule that goes to another"))
				found = append(found, routed{set: unsure})
				rest = w.m.Diff(rest, unsure)
			}
		}
	}
	if rest != bdd.False {
		found = append(found, routed{set: rest})
	}
	return found
}

// ruleMatches is fib_rule_match and fib4_rule_match.
func (w *walker) ruleMatches(r *RoutingRule, f flow) bdd.Node {
	if r.InName != "" && r.InName != orLoopback(f.in) || r.OutName != "" && !w.isInterface(f.out, r.OutName) {
		return boolNode(r.Invert)
	}
	n := w.m.And(w.prefix(f.source, r.Source), w.prefix(f.destination, r.Destination))
	if r.MarkMask != 0 || r.Mark != 0 {
		n = w.m.And(n, w.equalWord(w.combine(BitAnd, f.mark, w.word(r.MarkMask)), r.Mark&r.MarkMask))
	}
	if r.Protocol != 0 && r.Protocol != f.protocol {
		n = bdd.False
	}
	n = w.m.And(n, w.portRange(f.sourcePort, r.SourcePort))
	n = w.m.And(n, w.portRange(f.port, r.DestPort))
	if r.HasUIDRange || r.TOS != 0 || r.Opaque != "" {
		n = w.m.And(n, w.fact(fmt.Sprintf("ip rule %d", r.Priority), Unmodelled))
	}
	if r.Invert {
		return w.m.Not(n)
	}
	return n
}

func orLoopback(in string) string {
	if in == "" {
		return "lo"
	}
	return in
}

func boolNode(b bool) bdd.Node {
	if b {
		return bdd.True
	}
	return bdd.False
}

func (w *walker) isInterface(index int, name string) bool {
	i := w.e.byIndex[index]
	return i != nil && i.Name == name
}

func (w *walker) equalWord(b bits, v uint32) bdd.Node {
	data, _ := w.word(v).constant()
	return w.equal(b, data)
}

func (w *walker) portRange(b bits, r [2]uint16) bdd.Node {
	if r == [2]uint16{} {
		return bdd.True
	}
	if len(b) < 16 {
		return bdd.False
	}
	return w.between(b, []byte{byte(r[0] >> 8), byte(r[0])}, []byte{byte(r[1] >> 8), byte(r[1])})
}

// prefix is where an address lies in a prefix; an invalid prefix has every address.
func (w *walker) prefix(b bits, p netip.Prefix) bdd.Node {
	if !p.IsValid() || p.Bits() == 0 {
		return bdd.True
	}
	if len(b) != p.Addr().BitLen() {
		return bdd.False
	}
	want := addressBits(p.Addr())
	n := bdd.True
	for i := p.Bits() - 1; i >= 0 && n != bdd.False; i-- {
		if want[i] == bdd.True {
			n = w.m.And(b[i], n)
		} else {
			n = w.m.Diff(n, b[i])
		}
	}
	return n
}

// lookupTable adds the routes that a rule's table has for the packets, and
// returns the packets for which the lookup ends there.
func (w *walker) lookupTable(r *RoutingRule, f flow, set bdd.Node, found []routed) ([]routed, bdd.Node) {
	ended := bdd.False
	for _, route := range w.e.tables[tableKey{f.family, r.Table}] {
		matched := w.m.And(w.m.And(set, w.prefix(f.destination, route.Destination)), w.prefix(f.source, route.Source))
		if matched == bdd.False || !w.usable(route, f.out) {
			continue
		}
		set = w.m.Diff(set, matched)
		if route.Type == RouteThrow || r.SuppressPrefixLength >= 0 && int32(route.Destination.Bits()) <= r.SuppressPrefixLength {
			continue
		}
		ended = w.m.Or(ended, matched)
		found = w.takeRoute(route, matched, f.out, found)
		if set == bdd.False {
			break
		}
	}
	return found, ended
}

// usable says that a route leads out by the wanted way and isn't dead.
func (w *walker) usable(route *Route, out int) bool {
	if len(route.Hops) > 0 {
		return slices.ContainsFunc(route.Hops, func(h Hop) bool {
			return h.Flags&routeDead == 0 && (out == 0 || h.Interface == out)
		})
	}
	return route.Flags&routeDead == 0 && (out == 0 || route.Interface == 0 || route.Interface == out)
}

func (w *walker) takeRoute(route *Route, set bdd.Node, out int, found []routed) []routed {
	if route.Opaque != "" {
		set = w.m.And(set, w.fact("a route with "+route.Opaque, Unmodelled))
	}
	if len(route.Hops) == 0 {
		return append(found, routed{set, route, route.Type, w.e.byIndex[route.Interface]})
	}
	var hops []Hop
	for _, h := range route.Hops {
		if h.Flags&routeDead == 0 && (out == 0 || h.Interface == out) {
			hops = append(hops, h)
		}
	}
	choice := w.oneOf(uint32(len(hops)), Random, "the way that a multipath route takes")
	for i, h := range hops {
		n := w.equal(choice, []byte{0, 0, byte(i >> 8), byte(i)})
		found = append(found, routed{w.m.And(set, n), route, route.Type, w.e.byIndex[h.Interface]})
	}
	return found
}

type tableKey struct {
	family Family
	table  uint32
}

// indexRoutes sorts every table's routes in the order in which a lookup prefers
// them: the longest prefix, then the lowest metric.
func indexRoutes(n *Network) map[tableKey][]*Route {
	index := make(map[tableKey][]*Route)
	for i := range n.Routes {
		r := &n.Routes[i]
		if !r.Destination.IsValid() {
			continue
		}
		key := tableKey{familyOf(r.Destination.Addr()), r.Table}
		index[key] = append(index[key], r)
	}
	for _, routes := range index {
		slices.SortStableFunc(routes, func(a, b *Route) int {
			return cmp.Or(
				cmp.Compare(b.Destination.Bits(), a.Destination.Bits()),
				cmp.Compare(max(b.Source.Bits(), 0), max(a.Source.Bits(), 0)),
				cmp.Compare(b.TOS, a.TOS),
				cmp.Compare(a.Metric, b.Metric))
		})
	}
	return index
}

// indexRules sorts the routing rules of each family. A kernel without policy
// routing looks into the local and main tables.
func indexRules(n *Network) map[Family][]RoutingRule {
	index := map[Family][]RoutingRule{}
	for _, r := range n.Rules {
		index[r.Family] = append(index[r.Family], r)
	}
	for _, family := range []Family{FamilyIPv4, FamilyIPv6} {
		if len(index[family]) == 0 {
			index[family] = defaultRules(family)
		}
		slices.SortStableFunc(index[family], func(a, b RoutingRule) int { return cmp.Compare(a.Priority, b.Priority) })
	}
	return index
}

func defaultRules(family Family) []RoutingRule {
	var rules []RoutingRule
	for i, table := range []uint32{tableLocal, tableMain, tableDefault} {
		rules = append(rules, RoutingRule{Family: family, Priority: uint32(i), Action: actionToTable, Table: table,
			SuppressPrefixLength: -1, SuppressInterfaceGroup: -1})
	}
	return rules
}
