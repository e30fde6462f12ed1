package correlate

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
)

// PortFirewall is a Firewall that also tells which ports its rules treat alike.
type PortFirewall interface {
	Firewall
	PortSpans(firewall.Query) []firewall.PortSpan
}

// AnalyzePlanned answers for every port of a host of which only the rules and the
// addresses are known, as if something served all of them: ports in a row that
// fare alike are one row.
func AnalyzePlanned(in Input, fw PortFirewall) []Exposure {
	in.Listeners = nil
	in.intent = newIntent(in)
	var out []Exposure
	for _, protocol := range []string{"tcp", "udp"} {
		any4, any6 := socketAt(protocol, "0.0.0.0", 4), socketAt(protocol, "::", 6)
		any6.V6Only = true
		ways := append(targets(any4, in.Network), targets(any6, in.Network)...)
		for _, e := range plannedRows(in, protocol, ways, commonSpans(fw, protocol, ways)) {
			if wantedSpan(in, e) {
				out = append(out, e)
			}
		}
	}
	return out
}

// commonSpans are the ports that fare alike on every way.
func commonSpans(fw PortFirewall, protocol string, ways []target) []firewall.PortSpan {
	common := []firewall.PortSpan{{First: 1, Last: 0xffff, Sure: true}}
	for _, t := range ways {
		common = refineSpans(common, fw.PortSpans(query(protocol, 0, t)))
	}
	return common
}

// refineSpans splits each of two partitions by the other.
func refineSpans(a, b []firewall.PortSpan) []firewall.PortSpan {
	var out []firewall.PortSpan
	for first := uint16(1); len(a) > 0 && len(b) > 0; {
		last := min(a[0].Last, b[0].Last)
		out = append(out, firewall.PortSpan{First: first, Last: last, Sure: a[0].Sure && b[0].Sure})
		if a[0].Last == last {
			a = a[1:]
		}
		if len(b) > 0 && b[0].Last == last {
			b = b[1:]
		}
		first = last + 1
	}
	return out
}

func plannedRows(in Input, protocol string, ways []target, spans []firewall.PortSpan) []Exposure {
	var queries []firewall.Query
	for _, s := range spans {
		for _, t := range ways {
			queries = append(queries, query(protocol, s.First, t))
		}
	}
	table := ask(in.Firewall, queries)
	var out []Exposure
	for _, s := range spans {
		e := plannedRow(in, protocol, s, ways, table)
		if last := len(out) - 1; last >= 0 && slices.EqualFunc(out[last].Reach, e.Reach, alikeReach) {
			out[last].LastPort, out[last].Service = s.Last, ""
			continue
		}
		out = append(out, e)
	}
	for i := range out {
		judge(&out[i], in)
		out[i].Fingerprint = fingerprint(out[i])
	}
	return out
}

func plannedRow(in Input, protocol string, s firewall.PortSpan, ways []target, table reachTable) Exposure {
	e := Exposure{Protocol: protocol, Port: s.First, Namespace: "host", Service: Service(protocol, s.First)}
	if s.Last != s.First {
		e.LastPort, e.Service = s.Last, ""
	}
	for _, t := range ways {
		e.Addresses = append(e.Addresses, t.addr)
	}
	slices.SortFunc(e.Addresses, netip.Addr.Compare)
	e.Addresses = slices.Compact(e.Addresses)
	e.Reach = reach(&row{Exposure: e}, ways, table, in, nil)
	if !s.Sure && s.Last != s.First {
		for i := range e.Reach {
			e.Reach[i].Part = undecided(e.Reach[i].Part, fmt.Sprintf("the rules may treat the ports %d-%d differently: ask about one of them", s.First, s.Last))
		}
	}
	return e
}

// alikeReach says that the ports of neighbouring rows fare alike, by the same rules.
func alikeReach(a, b Reach) bool {
	return a.Interface == b.Interface && slices.Equal(a.Destinations, b.Destinations) && equalParts(a.Part, b.Part) && a.Declared == b.Declared
}

// wantedSpan says that some port of the row was asked for.
func wantedSpan(in Input, e Exposure) bool {
	for port := int(e.Port); port <= max(int(e.Port), int(e.LastPort)); port++ {
		one := e
		one.Port = uint16(port)
		if wantedRedirection(in, one) {
			return true
		}
	}
	return false
}
