package scan

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/scan/service"
)

// A Change is a difference between two scans of the same targets.
type Change struct {
	Address netip.Addr
	// Protocol and Port are empty for a host that came or went.
	Protocol string
	Port     uint16
	Kind     ChangeKind
	// Before and After are states, or for a service what it told.
	Before, After string
}

// A ChangeKind is what changed.
type ChangeKind string

// The kinds of change.
const (
	HostCame       ChangeKind = "host-new"
	HostWent       ChangeKind = "host-gone"
	PortOpened     ChangeKind = "opened"
	PortClosed     ChangeKind = "closed"
	ServiceChanged ChangeKind = "service"
)

// Diff compares the open ports of two scans. A port counts only if both asked it and
// know; a host that came has all its open ports as opened.
func Diff(before, after []Host) []Change {
	old := byAddress(before)
	now := byAddress(after)
	var out []Change
	for address, h := range now {
		was, known := old[address]
		if !known {
			out = append(out, Change{Address: address, Kind: HostCame})
		}
		out = append(out, portChanges(address, was, h, known)...)
	}
	for address := range old {
		if _, still := now[address]; !still {
			out = append(out, Change{Address: address, Kind: HostWent})
		}
	}
	slices.SortFunc(out, func(a, b Change) int {
		return cmp.Or(a.Address.Compare(b.Address), strings.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port), strings.Compare(string(a.Kind), string(b.Kind)))
	})
	return out
}

func byAddress(hosts []Host) map[netip.Addr]Host {
	out := make(map[netip.Addr]Host, len(hosts))
	for _, h := range hosts {
		out[h.Address] = h
	}
	return out
}

func portChanges(address netip.Addr, was, now Host, known bool) (out []Change) {
	now.eachOpen(func(e Endpoint) {
		before := was.State(e)
		switch {
		case !known:
			out = append(out, Change{address, e.Protocol, e.Port, PortOpened, "", Open.String()})
		case before == Open:
			if a, b, changed := serviceChange(was, now, e); changed {
				out = append(out, Change{address, e.Protocol, e.Port, ServiceChanged, a, b})
			}
		case before != StateUnknown:
			out = append(out, Change{address, e.Protocol, e.Port, PortOpened, before.String(), Open.String()})
		}
	})
	was.eachOpen(func(e Endpoint) {
		if after := now.State(e); after != Open && after != StateUnknown {
			out = append(out, Change{address, e.Protocol, e.Port, PortClosed, Open.String(), after.String()})
		}
	})
	return out
}

// serviceChange compares what a service told both times.
func serviceChange(was, now Host, e Endpoint) (before, after string, changed bool) {
	a, told := was.Services[e]
	b, tells := now.Services[e]
	if !told || !tells {
		return "", "", false
	}
	before, after = e.told(a), e.told(b)
	return before, after, before != after
}

// told is a service's name, or else the port's, with product and version.
func (e Endpoint) told(s service.Service) string {
	name := cmp.Or(s.Name, service.Name(e.Protocol, e.Port))
	return strings.Join(strings.Fields(name+" "+s.Product+" "+s.Version), " ")
}

func (h Host) eachOpen(f func(Endpoint)) {
	for _, g := range h.Groups {
		if g.State == Open {
			g.Each(func(port uint16) { f(Endpoint{g.Protocol, port}) })
		}
	}
}

// State is a port's; StateUnknown if it wasn't asked.
func (h Host) State(e Endpoint) State {
	for _, g := range h.Groups {
		if g.Protocol != e.Protocol {
			continue
		}
		i, _ := slices.BinarySearchFunc(g.Ports, e.Port, func(s Span, port uint16) int { return cmp.Compare(s.Last, port) })
		if i < len(g.Ports) && g.Ports[i].First <= e.Port {
			return g.State
		}
	}
	return StateUnknown
}

// ParseSpans reads what Spans writes.
func ParseSpans(list string) ([]Span, bool) {
	var out []Span
	for _, word := range strings.Split(list, ",") {
		first, last, ok := parseSpan(word)
		if !ok || len(out) > 0 && out[len(out)-1].Last >= first {
			return nil, false
		}
		out = append(out, Span{first, last})
	}
	return out, true
}

// ParseState is the state with a name.
func ParseState(name string) (State, bool) {
	for s := StateUnknown; s <= OpenFiltered; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return StateUnknown, false
}
