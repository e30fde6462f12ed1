package firewall

import (
	"net/netip"

	"github.com/netglance/netglance/internal/bdd"
)

// An Opening is the new flows from outside that a rule accepts at input or
// forward, and that nothing at the same hook stops later. Each list says what is
// among them; not every combination need be.
type Opening struct {
	Family    Family
	Forwarded bool
	// Ports are destination ports, by protocol; AllPorts stands for every port of
	// every protocol.
	Ports    []PortRange
	AllPorts bool
	// Protocols are those without ports.
	Protocols []uint8
	// Sources are empty where any source is among them, or too many to list: then
	// SomeSources is set.
	Sources     []netip.Prefix
	SomeSources bool
	// Interfaces are the links that the packets come in by; empty for any.
	Interfaces []string
}

// A PortRange is destination ports of one protocol.
type PortRange struct {
	Protocol    uint8
	First, Last uint16
}

// The most that an opening lists.
const (
	maxPortRanges    = 64
	maxOpenProtocols = 16
	maxOpenSources   = 64
)

// accepts notes what a rule lets in.
func (v *watch) accepts(w *walker, p *packet, r *Rule, set bdd.Node) {
	if v != nil && v.filters {
		v.accepted[r] = w.m.Or(v.accepted[r], w.m.And(set, v.fresh(w, p)))
	}
}

// fresh are whole packets of new flows that come from outside.
func (v *watch) fresh(w *walker, p *packet) bdd.Node {
	if v.outside != bdd.False && v.outsideOf == p.any.generation {
		return v.outside
	}
	set := w.m.And(w.unestablished(p), w.atLeast(p.any.length, []byte{20}))
	for i := range p.any.in.interfaces {
		if p.any.in.interfaces[i].Loopback() {
			set = w.m.Diff(set, p.any.in.known[i])
		}
	}
	v.outside, v.outsideOf = set, p.any.generation
	return set
}

// openings puts what was accepted, and is still live behind the last chain, into
// words.
func (v *watch) openings(w *walker, live bdd.Node) {
	for r, set := range v.accepted {
		if set = w.m.And(set, live); set == bdd.False {
			continue
		}
		if o, ok := v.opening(w, set); ok && !w.m.Full() {
			t := v.tally(r)
			t.openings = append(t.openings, o)
		}
	}
}

func (v *watch) opening(w *walker, set bdd.Node) (Opening, bool) {
	p := v.first
	o := Opening{Family: p.family, Forwarded: p.hook == Forward}
	o.Interfaces = p.any.in.among(w, set)
	v.openPorts(w, set, &o)
	source := levelsOf(w, p.source())
	from := w.m.Exists(set, 0, func(level int) bool { return level < source || level >= source+len(p.source()) })
	l := lister{m: w.m, first: source, width: len(p.source()), limit: maxOpenSources}
	if from != bdd.True && !l.list(from, make([]byte, len(p.source())/8), 0) {
		o.SomeSources = true
	} else if from != bdd.True {
		o.Sources = l.prefixes
	}
	return o, o.AllPorts || len(o.Ports)+len(o.Protocols) > 0
}

// among are the interfaces that packets of the set came in by; nil for any.
func (l *anyLink) among(w *walker, set bdd.Node) []string {
	var names []string
	all := w.m.And(set, l.other) != bdd.False
	for i := range l.interfaces {
		switch {
		case w.m.And(set, l.known[i]) != bdd.False:
			names = append(names, l.interfaces[i].Name)
		case !l.interfaces[i].Loopback():
			all = false
		}
	}
	if all {
		return nil
	}
	return names
}

// openPorts lists destination ports by protocol, and protocols that have none.
func (v *watch) openPorts(w *walker, set bdd.Node, o *Opening) {
	p := v.first
	protocol, port := levelsOf(w, p.any.protocol), levelsOf(w, p.transport[16:32])
	ports := w.m.Exists(set, 0, func(level int) bool {
		return (level < protocol || level >= protocol+8) && (level < port || level >= port+16)
	})
	if ports == bdd.True {
		o.AllPorts = true
		return
	}
	for n := range 256 {
		of := ports
		for i, bit := range constantBits([]byte{byte(n)}) {
			of = w.m.Restrict(of, protocol+i, bit == bdd.True)
		}
		if of == bdd.False {
			continue
		}
		if !hasPorts(uint8(n)) {
			if len(o.Protocols) < maxOpenProtocols {
				o.Protocols = append(o.Protocols, uint8(n))
			}
			continue
		}
		l := lister{m: w.m, first: port, width: 16, limit: maxPortRanges}
		if !l.list(of, make([]byte, 2), 0) {
			l.ranges = [][2]uint16{{0, 0xffff}}
		}
		for _, r := range l.ranges {
			o.Ports = append(o.Ports, PortRange{uint8(n), r[0], r[1]})
		}
	}
}

func hasPorts(protocol uint8) bool {
	switch protocol {
	case protocolTCP, protocolUDP, protocolUDPLite, protocolSCTP:
		return true
	}
	return false
}

// levelsOf is the level of a value's first bit; the others follow.
func levelsOf(w *walker, b bits) int {
	level, _ := w.m.Level(b[0])
	return level
}

// A lister writes out a set over the bits of one value: as address prefixes, or
// 16-bit numbers as ranges.
type lister struct {
	m            *bdd.Manager
	first, width int
	limit        int
	prefixes     []netip.Prefix
	ranges       [][2]uint16
}

// list is false where the set needs more than the limit.
func (l *lister) list(n bdd.Node, value []byte, depth int) bool {
	if n == bdd.False {
		return true
	}
	if n == bdd.True {
		l.add(value, depth)
		return len(l.prefixes)+len(l.ranges) <= l.limit
	}
	lo, hi := n, n
	if level, _ := l.m.Level(n); level == l.first+depth {
		lo, hi = l.m.Low(n), l.m.High(n)
	}
	if !l.list(lo, value, depth+1) {
		return false
	}
	value[depth/8] |= 1 << (7 - depth%8)
	ok := l.list(hi, value, depth+1)
	value[depth/8] &^= 1 << (7 - depth%8)
	return ok
}

func (l *lister) add(value []byte, depth int) {
	if l.width != 16 {
		a, _ := netip.AddrFromSlice(value)
		l.prefixes = append(l.prefixes, netip.PrefixFrom(a, depth))
		return
	}
	first := uint16(value[0])<<8 | uint16(value[1])
	last := first | uint16(1<<(16-depth)-1)
	if k := len(l.ranges) - 1; k >= 0 && l.ranges[k][1]+1 == first && first != 0 {
		l.ranges[k][1] = last
		return
	}
	l.ranges = append(l.ranges, [2]uint16{first, last})
}
