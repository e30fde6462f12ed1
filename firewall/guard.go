package firewall

import (
	"encoding/binary"
)

// A guard is what a rule's first matches ask of the protocol and destination
// port, so that rules that can't match cost one comparison.
type guard struct {
	protocol int16 // -1 for any
	family   int16 // -1 for any
	from, to int32 // destination ports
}

// guardRules looks at every rule of a chain once.
func guardRules(c *Chain) []guard {
	guards := make([]guard, len(c.Rules))
	for i, r := range c.Rules {
		guards[i] = guardOf(r)
	}
	return guards
}

// guardOf reads a rule's leading matches. A statement ends them: what stands
// before a match that fails has happened.
func guardOf(r *Rule) guard {
	g := guard{protocol: -1, family: -1, to: 0xffff}
	for _, step := range r.Steps {
		switch s := step.(type) {
		case Compare:
			if s.Op == Equal {
				g.equal(s.Value, s.Data)
			}
		case Range:
			if isPort(s.Value) && !s.Invert && len(s.From) == 2 && len(s.To) == 2 {
				g.ports(s.From, s.To)
			}
		case InSet:
			g.set(s)
		case Passive:
		default:
			return g
		}
	}
	return g
}

func (g *guard) equal(v Value, data []byte) {
	switch {
	case isMeta(v, MetaL4Proto) && len(data) == 1:
		g.protocol = int16(data[0])
	case isMeta(v, MetaNFProto) && len(data) == 1:
		g.family = int16(data[0])
	case isPort(v) && len(data) == 2:
		g.ports(data, data)
	}
}

func (g *guard) ports(from, to []byte) {
	g.from = max(g.from, int32(binary.BigEndian.Uint16(from)))
	g.to = min(g.to, int32(binary.BigEndian.Uint16(to)))
}

func (g *guard) set(s InSet) {
	if s.Invert || !isPort(s.Value) || !s.Set.Loaded || s.Set.CatchAll != nil || len(s.Set.Elements) == 0 || s.Set.Dynamic {
		return
	}
	first, last := s.Set.Elements[0], s.Set.Elements[len(s.Set.Elements)-1]
	if len(first.Key) == 2 && len(endOf(&last)) == 2 {
		g.ports(first.Key, endOf(&last))
	}
}

func isMeta(v Value, key MetaKey) bool {
	m, ok := v.(Meta)
	return ok && m.Key == key
}

func isPort(v Value) bool {
	p, ok := v.(Payload)
	return ok && p == Payload{Base: TransportHeader, Offset: 2, Length: 2}
}

// guardedPort is the packet's destination port; -1 where it isn't one.
func guardedPort(p *packet) int32 {
	if !p.hasPorts() {
		return -1
	}
	data, ok := p.port().constant()
	if !ok {
		return -1
	}
	return int32(binary.BigEndian.Uint16(data))
}

func (g *guard) admits(p *packet, port int32) bool {
	if p.any != nil {
		return p.any.frame || g.family < 0 || g.family == int16(p.family)
	}
	return (g.protocol < 0 || g.protocol == int16(p.protocol)) && (g.family < 0 || g.family == int16(p.family)) &&
		(port < 0 || g.from <= port && port <= g.to)
}
