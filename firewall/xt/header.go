package xt

import (
	"github.com/netglance/netglance/firewall"
)

// pkttype is xt_pkttype_info (xt_pkttype.h): PACKET_HOST, _BROADCAST, …
type pkttype struct {
	kind   uint32
	invert bool
}

func decodePkttype(_ uint8, f *fields) extension { return pkttype{f.u32(), f.u32() != 0} }

func (p pkttype) steps(Decoder) []firewall.Step {
	return one(equal(meta(firewall.MetaPktType), []byte{uint8(p.kind)}, p.invert))
}

var packetTypes = []string{"unicast", "broadcast", "multicast"}

func (p pkttype) String() string {
	var l line
	name := number(p.kind)
	if int(p.kind) < len(packetTypes) {
		name = packetTypes[p.kind]
	}
	l.add(p.invert, "--pkt-type", name)
	return l.String()
}

func parsePkttype(g *given) extension {
	kinds := map[string]uint32{"host": 0, "unicast": 0, "broadcast": 1, "bcast": 1, "multicast": 2, "mcast": 2}
	var p pkttype
	for _, o := range g.list {
		kind, ok := kinds[o.first()]
		if !ok {
			g.fail(o, "unknown packet type")
		}
		p = pkttype{kind, o.Invert}
	}
	return p
}

// length is xt_length_info (xt_length.h): of the whole IP packet.
type length struct {
	low, high uint16
	invert    bool
}

func decodeLength(_ uint8, f *fields) extension { return length{f.u16(), f.u16(), f.flag()} }

// steps. IPv6's header field leaves its own 40 bytes out.
func (l length) steps(d Decoder) []firewall.Step {
	if d.Family != firewall.FamilyIPv6 {
		return one(between(network(2, 2), be16(l.low), be16(l.high), l.invert))
	}
	const header = 40
	if l.high < header {
		if l.invert {
			return nil
		}
		return one(never())
	}
	return one(between(network(4, 2), be16(max(l.low, header)-header), be16(l.high-header), l.invert))
}

func (l length) String() string {
	var t line
	t.add(l.invert, "--length", span(l.low, l.high, ":"))
	return t.String()
}

func parseLength(g *given) extension {
	var l length
	for _, o := range g.list {
		low, high := g.span(o, o.first(), ":", 16)
		l = length{uint16(low), uint16(high), o.Invert}
	}
	return l
}

// hops is ipt_ttl_info and ip6t_hl_info (ipt_ttl.h, ip6t_hl.h).
type hops struct {
	v6          bool
	mode, value uint8
}

func decodeTTL(_ uint8, f *fields) extension { return readHops(f, false) }
func decodeHL(_ uint8, f *fields) extension  { return readHops(f, true) }

func readHops(f *fields, v6 bool) extension {
	h := hops{v6: v6, mode: f.u8(), value: f.u8()}
	if h.mode > 3 {
		return nil
	}
	return h
}

func hopLimit(v6 bool) firewall.Value {
	if v6 {
		return network(7, 1)
	}
	return network(8, 1)
}

func (h hops) steps(Decoder) []firewall.Step {
	op := [...]firewall.Comparison{firewall.Equal, firewall.NotEqual, firewall.Less, firewall.Greater}[h.mode]
	return one(firewall.Compare{Op: op, Value: hopLimit(h.v6), Data: []byte{h.value}})
}

func (h hops) prefix() string {
	if h.v6 {
		return "--hl-"
	}
	return "--ttl-"
}

func (h hops) String() string {
	var l line
	l.add(h.mode == 1, h.prefix()+[...]string{"eq", "eq", "lt", "gt"}[h.mode], number(h.value))
	return l.String()
}

const ttlOptions = "ttl-eq=1 ttl=1 ttl-lt=1 ttl-gt=1"
const hlOptions = "hl-eq=1 hl-lt=1 hl-gt=1"

func parseTTL(g *given) extension { return g.hops(hops{}) }
func parseHL(g *given) extension  { return g.hops(hops{v6: true}) }

func (g *given) hops(h hops) extension {
	for _, o := range g.list {
		h.value = g.u8(o)
		switch o.Name[len(o.Name)-2:] {
		case "lt":
			h.mode = 2
		case "gt":
			h.mode = 3
		default:
			h.mode = uint8(boolIndex(o.Invert))
		}
	}
	return h
}

// trafficClass is the TOS byte or IPv6 traffic class, and the bits in it that
// mask stands for. IPv6 keeps the class across two bytes.
func (d Decoder) trafficClass(mask uint8) (v firewall.Value, shift uint) {
	if d.Family == firewall.FamilyIPv6 {
		return masked(network(0, 2), be16(uint16(mask)<<4)), 4
	}
	return masked(network(1, 1), []byte{mask}), 0
}

func (d Decoder) classEquals(value, mask uint8, invert bool) firewall.Step {
	v, shift := d.trafficClass(mask)
	if shift == 0 {
		return equal(v, []byte{value}, invert)
	}
	return equal(v, be16(uint16(value)<<shift), invert)
}

// dscp is xt_dscp_info (xt_dscp.h): the upper 6 bits of the class.
type dscp struct {
	value  uint8
	invert bool
}

func decodeDSCP(_ uint8, f *fields) extension { return dscp{f.u8(), f.flag()} }

func (m dscp) steps(d Decoder) []firewall.Step {
	return one(d.classEquals(m.value<<2, 0xfc, m.invert))
}

func (m dscp) String() string {
	var l line
	l.add(m.invert, "--dscp", paddedHex(m.value))
	return l.String()
}

func paddedHex(v uint8) string {
	const digits = "0123456789abcdef"
	return "0x" + string([]byte{digits[v>>4], digits[v&15]})
}

const dscpOptions = "dscp=1 dscp-class=1"

func parseDSCP(g *given) extension {
	var m dscp
	for _, o := range g.list {
		m = dscp{g.dscpValue(o), o.Invert}
	}
	return m
}

func (g *given) dscpValue(o Option) uint8 {
	if o.Name != "dscp-class" && o.Name != "set-dscp-class" {
		v := g.u8(o)
		if v > 63 {
			g.fail(o, "above 63")
		}
		return v
	}
	v, ok := dscpClass(o.first())
	if !ok {
		g.fail(o, "unknown class")
	}
	return v
}

// dscpClass reads BE, EF, CS0 to CS7 and AF11 to AF43 (RFC 2474, 2597, 3246).
func dscpClass(s string) (uint8, bool) {
	if len(s) < 2 {
		return 0, false
	}
	digit := func(i int) uint8 { return s[i] - '0' }
	switch class := upper(s[:2]); {
	case class == "BE" && len(s) == 2:
		return 0, true
	case class == "EF" && len(s) == 2:
		return 0x2e, true
	case class == "CS" && len(s) == 3 && digit(2) <= 7:
		return digit(2) << 3, true
	case class == "AF" && len(s) == 4 && digit(2)-1 <= 3 && digit(3)-1 <= 2:
		return digit(2)<<3 | digit(3)<<1, true
	}
	return 0, false
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 32
		}
	}
	return string(b)
}

// tos is xt_tos_match_info (xt_dscp.h).
type tos struct {
	mask, value uint8
	invert      bool
}

func decodeTOS(revision uint8, f *fields) extension {
	if revision != 1 {
		return nil
	}
	return tos{f.u8(), f.u8(), f.flag()}
}

func (t tos) steps(d Decoder) []firewall.Step { return one(d.classEquals(t.value, t.mask, t.invert)) }

func (t tos) String() string {
	var l line
	l.add(t.invert, "--tos", paddedHex(t.value)+"/"+paddedHex(t.mask))
	return l.String()
}

// tosNames are RFC 1349's; with a name the mask is 0x3f.
var tosNames = map[string]uint8{
	"minimize-delay": 16, "maximize-throughput": 8, "maximize-reliability": 4, "minimize-cost": 2, "normal-service": 0,
}

// tosValue reads "value[/mask]" or a name.
func (g *given) tosValue(o Option) (value, mask uint8) {
	for name, v := range tosNames {
		if upper(name) == upper(o.first()) {
			return v, 0x3f
		}
	}
	v, m := g.valueMask(o, o.first())
	if v > 255 || m > 255 && m != 0xffffffff {
		g.fail(o, "above 255")
	}
	return uint8(v), uint8(m)
}

func parseTOS(g *given) extension {
	var t tos
	for _, o := range g.list {
		t.value, t.mask = g.tosValue(o)
		t.invert = o.Invert
	}
	return t
}

// ecn is xt_ecn_info (xt_ecn.h): bits of the IP and of the TCP header.
type ecn struct {
	operation, invert, ect uint8
}

const (
	ecnIP  = 0x01
	ecnECE = 0x10
	ecnCWR = 0x20
)

func decodeECN(_ uint8, f *fields) extension { return ecn{f.u8(), f.u8(), f.u8()} }

func (e ecn) steps(d Decoder) []firewall.Step {
	var s []firewall.Step
	if e.operation&ecnIP != 0 {
		s = append(s, d.classEquals(e.ect, 3, e.invert&ecnIP != 0))
	}
	if e.operation&ecnECE != 0 {
		s = append(s, anyBit(transport(13, 1), []byte{0x40}, e.invert&ecnECE != 0))
	}
	if e.operation&ecnCWR != 0 {
		s = append(s, anyBit(transport(13, 1), []byte{0x80}, e.invert&ecnCWR != 0))
	}
	return s
}

func (e ecn) String() string {
	var l line
	if e.operation&ecnECE != 0 {
		l.add(e.invert&ecnECE != 0, "--ecn-tcp-ece")
	}
	if e.operation&ecnCWR != 0 {
		l.add(e.invert&ecnCWR != 0, "--ecn-tcp-cwr")
	}
	if e.operation&ecnIP != 0 {
		l.add(e.invert&ecnIP != 0, "--ecn-ip-ect", number(e.ect))
	}
	return l.String()
}

const ecnOptions = "ecn-tcp-ece=0 ecn-tcp-cwr=0 ecn-ip-ect=1"

func parseECN(g *given) extension {
	var e ecn
	for _, o := range g.list {
		bit := map[string]uint8{"ecn-tcp-ece": ecnECE, "ecn-tcp-cwr": ecnCWR, "ecn-ip-ect": ecnIP}[o.Name]
		e.operation |= bit
		if o.Invert {
			e.invert |= bit
		}
		if bit == ecnIP {
			e.ect = g.u8(o)
		}
	}
	return e
}

// tcpmss is xt_tcpmss_match_info: a range of the MSS option, which must be there.
type tcpmss struct {
	low, high uint16
	invert    bool
}

func decodeTCPMSSMatch(_ uint8, f *fields) extension { return tcpmss{f.u16(), f.u16(), f.flag()} }

// steps. Without the option the match fails, and matches where inverted.
func (t tcpmss) steps(Decoder) []firewall.Step {
	size := firewall.ExtHdr{Op: firewall.ExtHdrTCPOpt, Type: 2, Offset: 2, Length: 2}
	return one(matchUnless(t.invert, between(size, be16(t.low), be16(t.high), false)))
}

func (t tcpmss) String() string {
	var l line
	l.add(t.invert, "--mss", span(t.low, t.high, ":"))
	return l.String()
}

func parseTCPMSSMatch(g *given) extension {
	var t tcpmss
	for _, o := range g.list {
		low, high := g.span(o, o.first(), ":", 16)
		t = tcpmss{uint16(low), uint16(high), o.Invert}
	}
	return t
}
