package xt

import (
	"strings"

	"github.com/netglance/netglance/firewall"
)

// addrtype is xt_addrtype_info and _v1 (xt_addrtype.h): masks of 1<<RTN_*.
type addrtype struct {
	source, destination             uint16
	sourceInvert, destinationInvert bool
	limitIn, limitOut               bool
}

func decodeAddrtype(revision uint8, f *fields) extension {
	if revision > 1 {
		return nil
	}
	a := addrtype{source: f.u16(), destination: f.u16()}
	if revision == 0 {
		a.sourceInvert, a.destinationInvert = f.u32() != 0, f.u32() != 0
		return a
	}
	flags := f.u32()
	a.sourceInvert, a.destinationInvert = flags&1 != 0, flags&2 != 0
	a.limitIn, a.limitOut = flags&4 != 0, flags&8 != 0
	return a
}

func (a addrtype) steps(d Decoder) []firewall.Step {
	var device uint32
	switch {
	case a.limitIn:
		device = firewall.FIBIif
	case a.limitOut:
		device = firewall.FIBOifFlag
	}
	var s []firewall.Step
	if a.source != 0 {
		s = append(s, d.addressType(d.sourceAddress(), firewall.FIBSaddr|device, a.source, a.sourceInvert)...)
	}
	if a.destination != 0 {
		s = append(s, d.addressType(d.destinationAddress(), firewall.FIBDaddr|device, a.destination, a.destinationInvert)...)
	}
	return s
}

func (d Decoder) addressType(a firewall.Value, flags uint32, mask uint16, invert bool) []firewall.Step {
	if d.Family != firewall.FamilyIPv6 {
		types := d.fibTypes(flags, mask)
		if len(types) > 1 && !invert {
			return one(alternatives(types))
		}
		var s []firewall.Step
		for _, t := range types {
			c := t.(firewall.Compare)
			if invert {
				c.Op = firewall.NotEqual
			}
			s = append(s, c)
		}
		return s
	}
	s := d.addressType6(a, flags, mask)
	if invert {
		return one(not(s...))
	}
	return s
}

func (d Decoder) fibTypes(flags uint32, mask uint16) []firewall.Step {
	var types []firewall.Step
	for t := range uint32(16) {
		if mask>>t&1 != 0 {
			types = append(types, equal(firewall.FIB{Result: firewall.FIBType, Flags: flags}, d.word32(t), false))
		}
	}
	return types
}

// addressType6 follows match_type6: the address's own kind must be each of
// those asked for, and one of the types that a route decides must be its.
func (d Decoder) addressType6(a firewall.Value, flags uint32, mask uint16) []firewall.Step {
	const unspecified, unicast, multicast, routed = 1 << 0, 1 << 1, 1 << 5, 1<<2 | 1<<4 | 1<<7
	first := firewall.Slice{Value: a, Length: 1}
	var s []firewall.Step
	if mask&multicast != 0 {
		s = append(s, equal(first, []byte{0xff}, false))
	}
	if mask&unicast != 0 {
		mapped := append(make([]byte, 10), 0xff, 0xff)
		s = append(s, equal(first, []byte{0xff}, true), equal(a, make([]byte, 16), true), equal(a, mapped, true))
	}
	if mask&unspecified != 0 {
		s = append(s, equal(a, make([]byte, 16), false))
	}
	if mask&routed != 0 {
		s = append(s, alternatives(d.fibTypes(flags, mask&routed)))
	}
	return s
}

var addressTypes = []string{"UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE"}

func (a addrtype) String() string {
	var l line
	if a.source != 0 {
		l.add(a.sourceInvert, "--src-type", bitNames(uint32(a.source), addressTypes))
	}
	if a.destination != 0 {
		l.add(a.destinationInvert, "--dst-type", bitNames(uint32(a.destination), addressTypes))
	}
	if a.limitIn {
		l.add(false, "--limit-iface-in")
	}
	if a.limitOut {
		l.add(false, "--limit-iface-out")
	}
	return l.String()
}

const addrtypeOptions = "src-type=1 dst-type=1 limit-iface-in=0 limit-iface-out=0"

func parseAddrtype(g *given) extension {
	types := make(map[string]uint32)
	for i, n := range addressTypes {
		types[n] = 1 << i
	}
	var a addrtype
	for _, o := range g.list {
		switch o.Name {
		case "src-type":
			a.source, a.sourceInvert = uint16(g.bits(o, o.first(), types)), o.Invert
		case "dst-type":
			a.destination, a.destinationInvert = uint16(g.bits(o, o.first(), types)), o.Invert
		case "limit-iface-in":
			a.limitIn = true
		case "limit-iface-out":
			a.limitOut = true
		}
	}
	return a
}

// iprange is xt_iprange_mtinfo, revision 1 (xt_iprange.h).
type iprange struct {
	source, destination             [2]address
	hasSource, hasDestination       bool
	sourceInvert, destinationInvert bool
}

func decodeIprange(revision uint8, f *fields) extension {
	if revision != 1 {
		return nil
	}
	r := iprange{source: [2]address{f.address(), f.address()}, destination: [2]address{f.address(), f.address()}}
	flags := f.u8()
	r.hasSource, r.hasDestination = flags&1 != 0, flags&2 != 0
	r.sourceInvert, r.destinationInvert = flags&0x10 != 0, flags&0x20 != 0
	return r
}

func (r iprange) steps(d Decoder) []firewall.Step {
	var s []firewall.Step
	if r.hasSource {
		s = append(s, between(d.sourceAddress(), r.source[0], r.source[1], r.sourceInvert))
	}
	if r.hasDestination {
		s = append(s, between(d.destinationAddress(), r.destination[0], r.destination[1], r.destinationInvert))
	}
	return s
}

func (r iprange) String() string {
	var l line
	if r.hasSource {
		l.add(r.sourceInvert, "--src-range", r.source[0].String()+"-"+r.source[1].String())
	}
	if r.hasDestination {
		l.add(r.destinationInvert, "--dst-range", r.destination[0].String()+"-"+r.destination[1].String())
	}
	return l.String()
}

func parseIprange(g *given) extension {
	var r iprange
	for _, o := range g.list {
		from, to, found := strings.Cut(o.first(), "-")
		if !found {
			to = from
		}
		span := [2]address{g.address(o, from), g.address(o, to)}
		if o.Name == "src-range" {
			r.source, r.hasSource, r.sourceInvert = span, true, o.Invert
		} else {
			r.destination, r.hasDestination, r.destinationInvert = span, true, o.Invert
		}
	}
	return r
}

// mac is xt_mac_info (xt_mac.h): the Ethernet source address.
type mac struct {
	address [6]byte
	invert  bool
}

func decodeMAC(_ uint8, f *fields) extension {
	m := mac{address: [6]byte(f.take(6))}
	f.align(4)
	m.invert = f.u32() != 0
	return m
}

// steps. Only a packet from an Ethernet device has such an address, inverted or not.
func (m mac) steps(d Decoder) []firewall.Step {
	return []firewall.Step{
		equal(meta(firewall.MetaIifType), d.word16(1), false),
		equal(linkLayer(6, 6), m.address[:], m.invert),
	}
}

func (m mac) String() string {
	var l line
	l.add(m.invert, "--mac-source", macText(m.address))
	return l.String()
}

func macText(a [6]byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i, x := range a {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteByte(digits[x>>4])
		b.WriteByte(digits[x&15])
	}
	return b.String()
}

func parseMAC(g *given) extension {
	var m mac
	for _, o := range g.list {
		m.invert = o.Invert
		parts := strings.Split(o.first(), ":")
		if len(parts) != 6 {
			g.fail(o, "no Ethernet address")
			continue
		}
		for i, p := range parts {
			m.address[i] = uint8(g.number(o, "0x"+p, 8))
		}
	}
	return m
}

// eui64 matches a source address whose last 8 bytes are made from the Ethernet
// source address (ip6t_eui64.c). It has no options.
type eui64 struct{}

func decodeEUI64(uint8, *fields) extension { return eui64{} }
func parseEUI64(*given) extension          { return eui64{} }

func (eui64) steps(Decoder) []firewall.Step {
	same := func(left, right firewall.Value, n uint32, data []byte) firewall.Step {
		return equal(firewall.Bitwise{Op: firewall.BitXor, Left: left, Right: right, Length: n}, data, false)
	}
	return []firewall.Step{
		same(linkLayer(6, 3), network(16, 3), 3, []byte{2, 0, 0}),
		equal(network(19, 2), []byte{0xff, 0xfe}, false),
		same(linkLayer(9, 3), network(21, 3), 3, []byte{0, 0, 0}),
	}
}

func (eui64) String() string { return "" }
