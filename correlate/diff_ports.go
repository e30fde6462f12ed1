package correlate

import (
	"fmt"
	"maps"
	"slices"
)

// A PortSpan is ports in a row.
type PortSpan struct {
	Protocol    string
	First, Last uint16
}

func (s PortSpan) String() string {
	if s.First == s.Last {
		return fmt.Sprintf("%d/%s", s.First, s.Protocol)
	}
	return fmt.Sprintf("%d-%d/%s", s.First, s.Last, s.Protocol)
}

// answers are the ports that other sources reach than before, of rows that have
// every port once.
func (w *differ) answers(before, after []Exposure) (out []PortSpan) {
	for _, protocol := range []string{"tcp", "udp"} {
		old, now := ofProtocol(before, protocol), ofProtocol(after, protocol)
		for first := 1; len(old) > 0 && len(now) > 0; {
			last := min(lastPort(old[0]), lastPort(now[0]))
			if !w.alike(old[0], now[0]) {
				out = append(out, PortSpan{protocol, uint16(first), last})
			}
			if lastPort(old[0]) == last {
				old = old[1:]
			}
			if lastPort(now[0]) == last {
				now = now[1:]
			}
			first = int(last) + 1
		}
	}
	return joined(out)
}

func ofProtocol(all []Exposure, protocol string) []Exposure {
	return slices.DeleteFunc(slices.Clone(all), func(e Exposure) bool { return e.Protocol != protocol })
}

func lastPort(e Exposure) uint16 { return max(e.Port, e.LastPort) }

// alike says that the same sources get through, or may, by the same ways.
func (w *differ) alike(a, b Exposure) bool {
	sureA, maybeA := openBy(w.space, a)
	sureB, maybeB := openBy(w.space, b)
	return maps.Equal(sureA, sureB) && maps.Equal(maybeA, maybeB)
}

// joined makes one of spans that follow each other.
func joined(spans []PortSpan) (out []PortSpan) {
	for _, s := range spans {
		if n := len(out) - 1; n >= 0 && out[n].Protocol == s.Protocol && int(out[n].Last)+1 == int(s.First) {
			out[n].Last = s.Last
			continue
		}
		out = append(out, s)
	}
	return out
}

// withoutRows takes the ports out that have rows of their own: those are compared
// with what listens there.
func withoutRows(spans []PortSpan, rows ...[]Exposure) (out []PortSpan) {
	taken := map[PortSpan]bool{}
	for _, e := range slices.Concat(rows...) {
		for port := int(e.Port); port <= int(lastPort(e)); port++ {
			taken[PortSpan{e.Protocol, uint16(port), uint16(port)}] = true
		}
	}
	for _, s := range spans {
		start := int(s.First)
		for port := int(s.First); port <= int(s.Last)+1; port++ {
			if port <= int(s.Last) && !taken[PortSpan{s.Protocol, uint16(port), uint16(port)}] {
				continue
			}
			if start < port {
				out = append(out, PortSpan{s.Protocol, uint16(start), uint16(port - 1)})
			}
			start = port + 1
		}
	}
	return out
}
