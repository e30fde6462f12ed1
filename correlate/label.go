package correlate

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// Analyze answers for every port that something listens on, or that rules lead
// to something, sorted by protocol, port and address.
func Analyze(in Input) []Exposure {
	in.intent = newIntent(in)
	listening := rowsIn(in)
	ways := make([][]target, len(listening))
	for i, r := range listening {
		ways[i] = rowTargets(r, in.Network)
	}
	led := redirections(in, listening, ways)
	at := indexPorts(listening)
	table := ask(in.Firewall, questions(in, listening, ways, led))
	in.places = in.placesOf(forwards(slices.Collect(maps.Values(table))...))

	var others []Exposure
	for _, r := range led {
		if e, ok := r.exposure(in, at, table); ok {
			others = append(others, e)
		}
	}
	var out []Exposure
	for i, r := range listening {
		if !wanted(in, r) {
			continue
		}
		r.Reach = reach(r, ways[i], table, in, at)
		r.Served = served(r.Exposure, in)
		judge(&r.Exposure, in)
		ledTo(&r.Exposure, r, others)
		out = append(out, r.Exposure)
	}
	out = append(out, slices.DeleteFunc(others, func(e Exposure) bool { return !wantedRedirection(in, e) })...)
	slices.SortStableFunc(out, compareExposures)
	return out
}

// questions are all that the rows ask, each once.
func questions(in Input, listening []*row, ways [][]target, led []*redirected) []firewall.Query {
	var queries []firewall.Query
	asked := map[firewall.Query]bool{}
	add := func(q firewall.Query) {
		if !asked[q] {
			asked[q] = true
			queries = append(queries, q)
		}
	}
	for i, r := range listening {
		if !wanted(in, r) {
			continue
		}
		for _, t := range ways[i] {
			add(query(r.Protocol, r.Port, t))
		}
	}
	for _, r := range led {
		for _, t := range r.ways {
			for _, port := range r.samples() {
				add(query(r.protocol, port, t))
			}
		}
	}
	return queries
}

func wanted(in Input, r *row) bool {
	return in.Wanted == nil || slices.ContainsFunc(r.sockets, in.Wanted)
}

func wantedRedirection(in Input, e Exposure) bool {
	return in.Wanted == nil || slices.ContainsFunc(e.Addresses, func(a netip.Addr) bool {
		family := 4
		if a.Is6() {
			family = 6
		}
		return in.Wanted(listeners.Listener{Protocol: e.Protocol, Family: family, Address: a, Port: e.Port, V6Only: true})
	})
}

// rowTargets are the ways to any of a row's sockets. A way is sure if it is for one of them.
func rowTargets(r *row, n *firewall.Network) []target {
	var out []target
	for _, l := range r.sockets {
		out = append(out, targets(l, n)...)
		out = append(out, groupTargets(l, n)...)
	}
	slices.SortFunc(out, compareTargets)
	return slices.CompactFunc(out, func(a, b target) bool { return a.iface == b.iface && a.addr == b.addr })
}

// certainty is how sure it is that a part's sources reach the socket.
type certainty uint8

const (
	never certainty = iota
	perhaps
	surely
)

// reaches says whether the part's sources get through. What passes at some times,
// or whenever the sender wants, gets through.
func reaches(p firewall.Part) certainty {
	switch p.Fate {
	case firewall.Accepted:
		return surely
	case firewall.Rejected, firewall.Dropped:
		return never
	case firewall.Conditional:
		return conditionReaches(p)
	}
	return perhaps
}

func conditionReaches(p firewall.Part) certainty {
	mayPass := len(p.Outcomes) == 0 || slices.Contains(p.Outcomes, firewall.Accepted)
	if !mayPass && !slices.Contains(p.Outcomes, firewall.Undecided) && !slices.Contains(p.Outcomes, firewall.Conditional) {
		return never
	}
	if !mayPass || len(p.Conditions) == 0 {
		return perhaps
	}
	for _, c := range p.Conditions {
		if !atTimes(c.Kind) && c.Kind != firewall.Sender {
			return perhaps
		}
	}
	return surely
}

// atTimes says that a packet passes sooner or later.
func atTimes(k firewall.ConditionKind) bool {
	switch k {
	case firewall.Rate, firewall.History, firewall.Time, firewall.Random:
		return true
	}
	return false
}

// judge gives the row its label, reasons and remedies.
func judge(e *Exposure, in Input) {
	in.holdBack(e)
	in.intent.declare(e)
	var undeclared, declared, open, blocked, fromLink []Reach
	for _, r := range e.Reach {
		switch c := reaches(r.Part); {
		case c == never:
			blocked = append(blocked, r)
		case fromLinkOnly(r):
			fromLink = append(fromLink, r)
		case r.ownerUnseen:
			open = append(open, r)
		case c == surely && r.Declared == Undeclared:
			undeclared = append(undeclared, r)
		case r.Declared != Undeclared:
			declared = append(declared, r)
		default:
			open = append(open, r)
		}
	}
	w := writer{e: e, in: in}
	switch {
	case len(undeclared) > 0:
		e.Label = Exposed
		w.exposed(undeclared, blocked)
	case len(open) > 0:
		e.Label = Unknown
		w.ownerUnseen(open)
		w.undecided(open)
	case onlyPerhaps(declared):
		e.Label = Unknown
		w.undecided(declared)
	case len(declared) > 0:
		e.Label = Intentional
		w.intentional(declared)
	case len(unrouted(blocked)) > 0:
		e.Label = Intentional
		w.awaitsRoute(unrouted(blocked))
	case len(in.Network.Interfaces) == 0:
		e.Label = Unknown
		w.add("network_unread", "the interfaces and addresses of the host could not be read")
	case len(e.Reach) == 0 || loopbackOnly(e.Addresses):
		e.Label = Local
		w.local()
		w.chosenByProgram()
		w.proxyUnseen()
	default:
		e.Label = Filtered
		w.filtered(blocked)
	}
	w.fromLink(fromLink)
	w.about()
}

// fromLinkOnly says that rules lead what is sent to a loopback address elsewhere,
// as Docker does for ports that are published on loopback. Nobody routes such
// packets: only who shares a link with the host can send them.
func fromLinkOnly(r Reach) bool { return r.DeliveredTo != nil && loopbackOnly(r.Destinations) }

// onlyPerhaps says that a rule declares the port and nothing is sure to get
// through. What the policy allows is meant whether it gets through or not, once
// all that decides was read.
func onlyPerhaps(declared []Reach) bool {
	return len(declared) > 0 && !slices.ContainsFunc(declared, func(r Reach) bool {
		return reaches(r.Part) == surely || r.Declared == ByPolicy && r.Fate != firewall.Undecided
	})
}

func loopbackOnly(addresses []netip.Addr) bool {
	return !slices.ContainsFunc(addresses, func(a netip.Addr) bool { return !a.Unmap().IsLoopback() })
}

// Reaches says that the part's sources surely get through, if only at some times.
func Reaches(p firewall.Part) bool { return reaches(p) == surely }
