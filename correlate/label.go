package correlate

import (
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
)

// Analyze answers for every port that something listens on, sorted by protocol,
// port and address.
func Analyze(in Input) []Exposure {
	all := rows(in.Listeners)
	if in.Wanted != nil {
		all = slices.DeleteFunc(all, func(r *row) bool { return !in.Wanted(r.Exposure) })
	}
	ways := make([][]target, len(all))
	var queries []firewall.Query
	asked := map[firewall.Query]bool{}
	for i, r := range all {
		ways[i] = rowTargets(r, in.Network)
		for _, t := range ways[i] {
			if q := query(r.Protocol, r.Port, t); !asked[q] {
				asked[q] = true
				queries = append(queries, q)
			}
		}
	}
	table := ask(in.Firewall, queries)
	out := make([]Exposure, len(all))
	for i, r := range all {
		r.Reach = reach(r, ways[i], table, in.Unread)
		judge(&r.Exposure, in)
		out[i] = r.Exposure
	}
	return out
}

// rowTargets are the ways to any of a row's sockets. A way is sure if it is for one of them.
func rowTargets(r *row, n *firewall.Network) []target {
	var out []target
	for _, l := range r.sockets {
		out = append(out, targets(l, n)...)
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
	var undeclared, declared, open, blocked []Reach
	for _, r := range e.Reach {
		switch c := reaches(r.Part); {
		case c == never:
			blocked = append(blocked, r)
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
		w.undecided(open)
	case onlyPerhaps(declared):
		e.Label = Unknown
		w.undecided(declared)
	case len(declared) > 0:
		e.Label = Intentional
		w.intentional(declared)
	case len(in.Network.Interfaces) == 0:
		e.Label = Unknown
		w.add("network_unread", "the interfaces and addresses of the host could not be read")
	case len(e.Reach) == 0 || loopbackOnly(e.Addresses):
		e.Label = Local
		w.local()
	default:
		e.Label = Filtered
		w.filtered(blocked)
	}
	w.about()
}

// onlyPerhaps says that a rule declares the port and nothing is sure to get through.
func onlyPerhaps(declared []Reach) bool {
	return len(declared) > 0 && !slices.ContainsFunc(declared, func(r Reach) bool { return reaches(r.Part) == surely })
}

func loopbackOnly(addresses []netip.Addr) bool {
	return !slices.ContainsFunc(addresses, func(a netip.Addr) bool { return !a.Unmap().IsLoopback() })
}

// Reaches says that the part's sources surely get through, if only at some times.
func Reaches(p firewall.Part) bool { return reaches(p) == surely }
