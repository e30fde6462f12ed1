package xt

import (
	"github.com/netglance/netglance/firewall"
)

// spiSpan is a range of security parameter indexes, all of them unless set.
type spiSpan struct {
	low, high uint32
	invert    bool
}

var anySPI = spiSpan{high: 0xffffffff}

func (s spiSpan) text(l *line, name string) {
	if s != anySPI {
		l.add(s.invert, name, span(s.low, s.high, ":"))
	}
}

func (s spiSpan) steps(v firewall.Value) []firewall.Step {
	if s == anySPI {
		return nil
	}
	return one(between(v, be32(s.low), be32(s.high), s.invert))
}

func (g *given) spis(o Option) spiSpan {
	low, high := g.span(o, o.first(), ":", 32)
	return spiSpan{uint32(low), uint32(high), o.Invert}
}

// esp is xt_esp (xt_esp.h).
type esp struct{ spis spiSpan }

func decodeESP(_ uint8, f *fields) extension {
	return esp{spiSpan{f.u32(), f.u32(), f.u8()&1 != 0}}
}

func (e esp) steps(Decoder) []firewall.Step { return e.spis.steps(transport(0, 4)) }

func (e esp) String() string {
	var l line
	e.spis.text(&l, "--espspi")
	return l.String()
}

func parseESP(g *given) extension {
	e := esp{anySPI}
	for _, o := range g.list {
		e.spis = g.spis(o)
	}
	return e
}

// ah is ipt_ah and ip6t_ah (ipt_ah.h, ip6t_ah.h). IPv6's length is of the whole
// header, in bytes; 0 is any.
type ah struct {
	v6           bool
	spis         spiSpan
	length       uint32
	lengthInvert bool
	reserved     bool
}

func decodeAH4(_ uint8, f *fields) extension {
	return ah{spis: spiSpan{f.u32(), f.u32(), f.u8()&1 != 0}}
}

func decodeAH6(_ uint8, f *fields) extension {
	a := ah{v6: true, spis: spiSpan{low: f.u32(), high: f.u32()}, length: f.u32(), reserved: f.flag()}
	invert := f.u8()
	a.spis.invert, a.lengthInvert = invert&1 != 0, invert&2 != 0
	return a
}

// Extension headers of IPv6 (RFC 8200, RFC 4302).
const (
	headerHopByHop    = 0
	headerRouting     = 43
	headerFragment    = 44
	headerESP         = 50
	headerAH          = 51
	headerNone        = 59
	headerDestination = 60
)

// extensionHeader is a part of an IPv6 extension header.
func extensionHeader(kind uint8, offset, length uint32) firewall.Value {
	return firewall.ExtHdr{Op: firewall.ExtHdrIPv6, Type: kind, Offset: offset, Length: length}
}

// hasHeader matches a packet with such an extension header.
func hasHeader(kind uint8, invert bool) firewall.Step {
	there := firewall.ExtHdr{Op: firewall.ExtHdrIPv6, Type: kind, Length: 1, Present: true}
	return equal(there, []byte{1}, invert)
}

func (a ah) steps(Decoder) []firewall.Step {
	if !a.v6 {
		return a.spis.steps(transport(4, 4))
	}
	s := append(one(hasHeader(headerAH, false)), a.spis.steps(extensionHeader(headerAH, 4, 4))...)
	if a.length != 0 {
		// the field counts words of 4 bytes, less two
		s = append(s, unitLength(headerAH, a.length, 4, 2, a.lengthInvert))
	}
	if a.reserved {
		s = append(s, equal(extensionHeader(headerAH, 2, 2), []byte{0, 0}, false))
	}
	return s
}

// unitLength matches an extension header's length in bytes: the field behind the
// next header's number counts units, less some.
func unitLength(kind uint8, length, unit, less uint32, invert bool) firewall.Step {
	units := length / unit
	if length%unit != 0 || units < less || units-less > 255 {
		return matchUnless(invert, never())
	}
	return equal(extensionHeader(kind, 1, 1), []byte{uint8(units - less)}, invert)
}

func (a ah) String() string {
	var l line
	a.spis.text(&l, "--ahspi")
	if a.length != 0 || a.lengthInvert {
		l.add(a.lengthInvert, "--ahlen", number(a.length))
	}
	if a.reserved {
		l.add(false, "--ahres")
	}
	return l.String()
}

func parseAH4(g *given) extension { return g.ah(ah{spis: anySPI}) }
func parseAH6(g *given) extension { return g.ah(ah{v6: true, spis: anySPI}) }

func (g *given) ah(a ah) extension {
	for _, o := range g.list {
		switch o.Name {
		case "ahspi":
			a.spis = g.spis(o)
		case "ahlen":
			a.length, a.lengthInvert = g.u32(o), o.Invert
		case "ahres":
			a.reserved = true
		}
	}
	return a
}

// ipcomp is xt_ipcomp (xt_ipcomp.h): 16 bits of index.
type ipcomp struct {
	spis     spiSpan
	reserved bool
}

func decodeIPComp(_ uint8, f *fields) extension {
	return ipcomp{spiSpan{f.u32(), f.u32(), f.u8()&1 != 0}, f.flag()}
}

func (c ipcomp) steps(Decoder) []firewall.Step {
	if c.spis == anySPI {
		return nil
	}
	if c.spis.low > 0xffff {
		return one(matchUnless(c.spis.invert, never()))
	}
	return one(between(transport(2, 2), be16(uint16(c.spis.low)), be16(uint16(min(c.spis.high, 0xffff))), c.spis.invert))
}

func (c ipcomp) String() string {
	var l line
	c.spis.text(&l, "--ipcompspi")
	if c.reserved {
		l.add(false, "--compres")
	}
	return l.String()
}

func parseIPComp(g *given) extension {
	c := ipcomp{spis: anySPI}
	for _, o := range g.list {
		if o.Name == "compres" {
			c.reserved = true
		} else {
			c.spis = g.spis(o)
		}
	}
	return c
}

// The flags of xt_policy_info, and the bits of an element's match and invert.
const (
	policyIn     = 1
	policyOut    = 2
	policyNone   = 4
	policyStrict = 8

	policySource      = 1
	policyDestination = 2
	policyProtocol    = 4
	policyMode        = 8
	policySPI         = 16
	policyRequest     = 32
)

// policy is xt_policy_info (xt_policy.h): how IPsec protects the packet.
type policy struct {
	flags    uint16
	elements []policyElement
}

// policyElement. iptables writes the SPI in host order, though the kernel
// compares it in network order.
type policyElement struct {
	source, sourceMask, destination, destinationMask address
	spi, request                                     uint32
	protocol, mode                                   uint8
	match, invert                                    uint8
}

func decodePolicy(_ uint8, f *fields) extension {
	var elements [4]policyElement
	for i := range elements {
		elements[i] = policyElement{
			source: f.address(), sourceMask: f.address(), destination: f.address(), destinationMask: f.address(),
			spi: f.u32(), request: f.u32(), protocol: f.u8(), mode: f.u8(), match: f.u8(), invert: f.u8(),
		}
	}
	p := policy{flags: f.u16()}
	count := f.u16()
	if count > 4 {
		return nil
	}
	p.elements = elements[:count]
	return p
}

// steps. Whether there is IPsec at all is exact; which, is not computed.
func (p policy) steps(Decoder) []firewall.Step {
	var protected firewall.Value = meta(firewall.MetaSecPath)
	if p.flags&policyOut != 0 {
		protected = firewall.RT{Key: firewall.RTXFRM}
	}
	none := p.flags&policyNone != 0
	s := one(equal(protected, []byte{0}, !none))
	if none {
		return s
	}
	for _, e := range p.elements {
		if e.match != 0 || p.flags&policyStrict != 0 {
			return append(s, chance(firewall.Unmodelled, "policy", p.String())...)
		}
	}
	return s
}

func (p policy) String() string {
	var l line
	l.add(false, "--dir", [...]string{"in", "out"}[boolIndex(p.flags&policyOut != 0)])
	l.add(false, "--pol", [...]string{"ipsec", "none"}[boolIndex(p.flags&policyNone != 0)])
	if p.flags&policyStrict != 0 {
		l.add(false, "--strict")
	}
	for i, e := range p.elements {
		if i > 0 {
			l.add(false, "--next")
		}
		e.text(&l)
	}
	return l.String()
}

func (e policyElement) text(l *line) {
	add := func(bit uint8, name, argument string) {
		if e.match&bit != 0 {
			l.add(e.invert&bit != 0, name, argument)
		}
	}
	add(policyRequest, "--reqid", number(e.request))
	add(policySPI, "--spi", hex(e.spi))
	add(policyProtocol, "--proto", ProtocolName(e.protocol))
	mode := "tunnel"
	if e.mode == 0 {
		mode = "transport"
	}
	add(policyMode, "--mode", mode)
	add(policyDestination, "--tunnel-dst", e.destination.String()+shownMask(e.destinationMask))
	add(policySource, "--tunnel-src", e.source.String()+shownMask(e.sourceMask))
}

// shownMask is a mask's text, also where it is whole.
func shownMask(mask address) string {
	if text := maskText(mask); text != "" {
		return text
	}
	return "/" + number(8*len(mask))
}

const policyOptions = "dir=1 pol=1 strict=0 reqid=1 spi=1 proto=1 mode=1 tunnel-dst=1 tunnel-src=1 next=0"

func parsePolicy(g *given) extension {
	var p policy
	element := policyElement{}
	for _, o := range g.list {
		switch o.Name {
		case "dir":
			p.flags |= map[string]uint16{"in": policyIn, "out": policyOut}[o.first()]
		case "pol":
			p.flags |= map[string]uint16{"none": policyNone}[o.first()]
		case "strict":
			p.flags |= policyStrict
		case "next":
			p.elements = append(p.elements, element)
			element = policyElement{}
		default:
			element.read(g, o)
		}
	}
	if p.flags&policyNone == 0 {
		p.elements = append(p.elements, element)
	}
	return p
}

func (e *policyElement) read(g *given, o Option) {
	var bit uint8
	switch o.Name {
	case "reqid":
		bit, e.request = policyRequest, g.u32(o)
	case "spi":
		bit, e.spi = policySPI, g.u32(o)
	case "proto":
		bit, e.protocol = policyProtocol, g.protocolNumber(o, o.first())
	case "mode":
		bit, e.mode = policyMode, map[string]uint8{"transport": 0, "tunnel": 1}[o.first()]
	case "tunnel-dst":
		bit = policyDestination
		e.destination, e.destinationMask = g.network(o, o.first())
	case "tunnel-src":
		bit = policySource
		e.source, e.sourceMask = g.network(o, o.first())
	}
	e.match |= bit
	if o.Invert {
		e.invert |= bit
	}
}
