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
	// Protocols are those without ports; OtherProtocols stands for more than 16 of them.
	Protocols      []uint8
	OtherProtocols bool
	// Sources are empty where any source is among them, or too many to list: then
	// SomeSources is set.
	Sources     []netip.Prefix
	SomeSources bool
	// Except are the sources that are not among Sources, where those are fewer.
	Except []netip.Prefix
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

// fresh are whole packets of new flows.
func (v *watch) fresh(w *walker, p *packet) bdd.Node {
	if v.whole == bdd.False || v.wholeOf != p.any.generation {
		v.whole, v.wholeOf = w.m.And(w.unestablished(p), w.atLeast(p.any.length, []byte{20}, 0)), p.any.generation
	}
	return v.whole
}

// openings puts what was accepted, and is still live behind the last chain, into
// words.
func (v *watch) openings(w *walker, live bdd.Node) {
	if !v.filters {
		return
	}
	outside := v.first.any.in.outside(w)
	for r, set := range v.accepted {
		if len(v.passages) > 1 {
			set = w.m.And(set, live)
		}
		if !w.m.Intersects(set, outside) {
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
	l := lister{m: w.m, first: source, width: len(p.source()), limit: maxOpenSources}
	from := w.m.From(set, source, maxOpenSources)
	switch {
	case len(from) == 0 || !l.list(from, make([]byte, len(p.source())/8), 0):
		o.SomeSources = true
	case len(l.prefixes) != 1 || l.prefixes[0].Bits() > 0:
		o.Sources, o.Except = l.prefixes, v.except(w, l.prefixes)
	}
	return o, o.AllPorts || o.OtherProtocols || len(o.Ports)+len(o.Protocols) > 0
}

// except are the sources that a list leaves out, if they are fewer than the list.
func (v *watch) except(w *walker, list []netip.Prefix) []netip.Prefix {
	source := v.first.source()
	rest := bdd.True
	for _, p := range list {
		rest = w.m.Diff(rest, w.prefix(source, p))
	}
	l := lister{m: w.m, first: levelsOf(w, source), width: len(source), limit: len(list) - 1}
	if !l.list([]bdd.Node{rest}, make([]byte, len(source)/8), 0) {
		return nil
	}
	return l.prefixes
}

// outside is where a link leads out of the host.
func (l *anyLink) outside(w *walker) bdd.Node {
	set := l.other
	for i := range l.interfaces {
		if !l.interfaces[i].Loopback() {
			set = w.m.Or(set, l.known[i])
		}
	}
	return set
}

// among are the interfaces from outside that packets of the set came in by; nil for any.
func (l *anyLink) among(w *walker, set bdd.Node) []string {
	var names []string
	all := w.m.Intersects(set, l.other)
	for i := range l.interfaces {
		switch {
		case l.interfaces[i].Loopback():
		case w.m.Intersects(set, l.known[i]):
			names = append(names, l.interfaces[i].Name)
		default:
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
	ports := w.m.Exists(w.m.Truncate(set, port+16), 0, func(level int) bool { return level >= protocol+8 && level < port })
	if ports == bdd.True {
		o.AllPorts = true
		return
	}
	v.openProtocols(w, ports, protocol, 0, 0, o)
	if len(o.Protocols) > maxOpenProtocols {
		o.Protocols, o.OtherProtocols = nil, true
	}
}

// openProtocols follows the bits of the protocol, and lists each one's ports.
func (v *watch) openProtocols(w *walker, ports bdd.Node, first, depth int, number uint8, o *Opening) {
	if ports == bdd.False {
		return
	}
	if depth < 8 {
		lo, hi := ports, ports
		if level, ok := w.m.Level(ports); ok && level == first+depth {
			lo, hi = w.m.Low(ports), w.m.High(ports)
		}
		v.openProtocols(w, lo, first, depth+1, number, o)
		v.openProtocols(w, hi, first, depth+1, number|0x80>>depth, o)
		return
	}
	if !hasPorts(number) {
		o.Protocols = append(o.Protocols, number)
		return
	}
	l := lister{m: w.m, first: levelsOf(w, v.first.transport[16:32]), width: 16, limit: maxPortRanges}
	if !l.list([]bdd.Node{ports}, make([]byte, 2), 0) {
		l.ranges = [][2]uint16{{0, 0xffff}}
	}
	for _, r := range l.ranges {
		o.Ports = append(o.Ports, PortRange{number, r[0], r[1]})
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

// list writes out the union of some sets; false where it needs more than the
// limit. What depends on other values too counts where it may be.
func (l *lister) list(sets []bdd.Node, value []byte, depth int) bool {
	var lo, hi []bdd.Node
	for _, n := range sets {
		level, ok := l.m.Level(n)
		switch {
		case n == bdd.False:
		case !ok || level >= l.first+l.width:
			l.add(value, depth)
			return len(l.prefixes)+len(l.ranges) <= l.limit
		case level == l.first+depth:
			lo, hi = append(lo, l.m.Low(n)), append(hi, l.m.High(n))
		default:
			lo, hi = append(lo, n), append(hi, n)
		}
	}
	if len(lo) == 0 {
		return true
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
