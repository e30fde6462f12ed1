package xt

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// rpfilter is xt_rpfilter_info (xt_rpfilter.h): the way back to the source
// leads out of the interface that the packet came in by.
type rpfilter struct{ flags uint8 }

const (
	rpfilterLoose = 1 << iota
	rpfilterMark
	rpfilterLocal
	rpfilterInvert
)

func decodeRPFilter(_ uint8, f *fields) extension { return rpfilter{f.u8()} }

// steps. Packets from this host itself over loopback pass always (rpfilter_mt),
// as the lookup that nf_tables has does it too.
func (r rpfilter) steps(d Decoder) []firewall.Step {
	flags := uint32(firewall.FIBSaddr)
	if r.flags&rpfilterLoose == 0 {
		flags |= firewall.FIBIif
	}
	if r.flags&rpfilterMark != 0 {
		flags |= firewall.FIBMark
	}
	found := equal(firewall.FIB{Result: firewall.FIBOif, Flags: flags | firewall.FIBPresent}, []byte{1}, false)
	if r.flags&rpfilterLocal != 0 {
		const local = 2 // RTN_LOCAL
		found = anyOf(one(found), one(equal(firewall.FIB{Result: firewall.FIBType, Flags: firewall.FIBSaddr}, d.word32(local), false)))
	}
	return one(matchUnless(r.flags&rpfilterInvert != 0, found))
}

var rpfilterNames = []string{"loose", "validmark", "accept-local", "invert"}

func (r rpfilter) String() string {
	var l line
	for i, name := range rpfilterNames {
		if r.flags>>i&1 != 0 {
			l.add(false, "--"+name)
		}
	}
	return l.String()
}

func parseRPFilter(g *given) extension {
	var r rpfilter
	for _, o := range g.list {
		for i, name := range rpfilterNames {
			if o.Name == name {
				r.flags |= 1 << i
			}
		}
	}
	return r
}

// realm is xt_realm_info (xt_realm.h): the route's class.
type realm struct {
	id, mask uint32
	invert   bool
}

func decodeRealm(_ uint8, f *fields) extension { return realm{f.u32(), f.u32(), f.flag()} }

func (r realm) steps(d Decoder) []firewall.Step {
	return one(equal(masked(firewall.RT{Key: firewall.RTClassID}, d.word32(r.mask)), d.word32(r.id), r.invert))
}

func (r realm) String() string {
	var l line
	l.add(r.invert, "--realm", hexMasked(r.id, r.mask))
	return l.String()
}

func parseRealm(g *given) extension {
	var r realm
	for _, o := range g.list {
		r.invert = o.Invert
		r.id, r.mask = g.namedMask(o, "cosmos")
	}
	return r
}

// cpu is xt_cpu_info (xt_cpu.h).
type cpu struct {
	number uint32
	invert bool
}

func decodeCPU(_ uint8, f *fields) extension { return cpu{f.u32(), f.u32() != 0} }

func (c cpu) steps(d Decoder) []firewall.Step {
	return one(equal(meta(firewall.MetaCPU), d.word32(c.number), c.invert))
}

func (c cpu) String() string {
	var l line
	l.add(c.invert, "--cpu", number(c.number))
	return l.String()
}

func parseCPU(g *given) extension {
	var c cpu
	for _, o := range g.list {
		c = cpu{g.u32(o), o.Invert}
	}
	return c
}

// devgroup is xt_devgroup_info (xt_devgroup.h).
type devgroup struct {
	flags                    uint32
	in, inMask, out, outMask uint32
}

const (
	devgroupIn = 1 << iota
	devgroupInInverted
	devgroupOut
	devgroupOutInverted
)

func decodeDevgroup(_ uint8, f *fields) extension {
	return devgroup{f.u32(), f.u32(), f.u32(), f.u32(), f.u32()}
}

func (m devgroup) steps(d Decoder) []firewall.Step {
	var s []firewall.Step
	if m.flags&devgroupIn != 0 {
		s = append(s, equal(masked(meta(firewall.MetaIifGroup), d.word32(m.inMask)), d.word32(m.in), m.flags&devgroupInInverted != 0))
	}
	if m.flags&devgroupOut != 0 {
		s = append(s, equal(masked(meta(firewall.MetaOifGroup), d.word32(m.outMask)), d.word32(m.out), m.flags&devgroupOutInverted != 0))
	}
	return s
}

func (m devgroup) String() string {
	var l line
	if m.flags&devgroupIn != 0 {
		l.add(m.flags&devgroupInInverted != 0, "--src-group", hexMasked(m.in, m.inMask))
	}
	if m.flags&devgroupOut != 0 {
		l.add(m.flags&devgroupOutInverted != 0, "--dst-group", hexMasked(m.out, m.outMask))
	}
	return l.String()
}

func parseDevgroup(g *given) extension {
	var m devgroup
	for _, o := range g.list {
		if o.Name == "src-group" {
			m.in, m.inMask = g.namedMask(o, "default")
			m.flags |= devgroupIn | devgroupInInverted*uint32(boolIndex(o.Invert))
		} else {
			m.out, m.outMask = g.namedMask(o, "default")
			m.flags |= devgroupOut | devgroupOutInverted*uint32(boolIndex(o.Invert))
		}
	}
	return m
}

// helper is xt_helper_info (xt_helper.h): the conntrack helper of the
// connection that this one belongs to; an empty name is any.
type helper struct {
	helper string
	invert bool
}

func decodeHelper(_ uint8, f *fields) extension {
	return helper{invert: f.u32() != 0, helper: f.name(30)}
}

func (h helper) steps(Decoder) []firewall.Step {
	value := ct(firewall.CTHelper)
	if h.helper == "" {
		return one(matchUnless(h.invert, loads(value, 16)))
	}
	name := make([]byte, 16)
	copy(name[:15], h.helper)
	return one(matchUnless(h.invert, equal(value, name, false)))
}

func (h helper) String() string {
	var l line
	l.add(h.invert, "--helper", quote(h.helper))
	return l.String()
}

func parseHelper(g *given) extension {
	var h helper
	for _, o := range g.list {
		h = helper{cut(o.first(), 29), o.Invert}
	}
	return h
}

// connlabel is xt_connlabel_mtinfo (xt_connlabel.h): a bit of the connection's labels.
type connlabel struct {
	bit         uint16
	set, invert bool
}

func decodeConnlabel(_ uint8, f *fields) extension {
	bit, options := f.u16(), f.u16()
	if bit > 127 {
		return nil
	}
	return connlabel{bit, options&2 != 0, options&1 != 0}
}

// steps. Labels are an array of words; on a big-endian machine the bit is in
// another byte. Setting one succeeds where the connection has labels at all.
func (c connlabel) steps(d Decoder) []firewall.Step {
	if c.set {
		return chance(firewall.Unmodelled, "connlabel", c.String())
	}
	at := c.bit / 8
	if d.BigEndian {
		at = c.bit/64*8 + 7 - c.bit%64/8
	}
	mask := make([]byte, 16)
	mask[at] = 1 << (c.bit % 8)
	return one(matchUnless(c.invert, anyBit(ct(firewall.CTLabels), mask, false)))
}

func (c connlabel) String() string {
	var l line
	l.add(c.invert, "--label", `"`+number(c.bit)+`"`)
	if c.set {
		l.add(false, "--set")
	}
	return l.String()
}

func parseConnlabel(g *given) extension {
	var c connlabel
	for _, o := range g.list {
		if o.Name == "set" {
			c.set = true
			continue
		}
		c.bit, c.invert = uint16(g.number(o, o.first(), 7)), o.Invert
	}
	return c
}

// synproxy is nf_synproxy_info (nf_synproxy.h).
type synproxy struct{ options string }

func decodeSynproxy(_ uint8, f *fields) extension {
	options, scale, mss := f.u8(), f.u8(), f.u16()
	var l line
	if options&4 != 0 {
		l.add(false, "--sack-perm")
	}
	if options&8 != 0 {
		l.add(false, "--timestamp")
	}
	if options&2 != 0 {
		l.add(false, "--wscale", number(scale))
	}
	if options&1 != 0 {
		l.add(false, "--mss", number(mss))
	}
	if options&16 != 0 {
		l.add(false, "--ecn")
	}
	return synproxy{l.String()}
}

func (s synproxy) steps(Decoder) []firewall.Step { return one(firewall.SynProxy{}) }
func (s synproxy) String() string                { return s.options }

func parseSynproxy(g *given) extension { return synproxy{writtenText(g.list)} }

// hmark is xt_hmark_info (xt_HMARK.h): the mark becomes a hash of the packet,
// below modulus, plus offset.
type hmark struct {
	modulus, offset uint32
	options         string
}

func decodeHmark(_ uint8, f *fields) extension {
	source, destination := f.address16(), f.address16()
	masks, sets := f.take(4), f.take(4)
	flags, protocolMask := f.u32(), f.u16()
	f.align(4)
	seed := f.u32()
	h := hmark{modulus: f.u32(), offset: f.u32()}
	var l line
	add := func(bit int, name, value string) {
		if flags>>bit&1 != 0 {
			l.add(false, "--hmark-"+name, value)
		}
	}
	port := func(b []byte) string { return "0x" + hexBytes(b) }
	size := addressLength(f.family)
	add(0, "src-prefix", prefixNumber(source[:size]))
	add(1, "dst-prefix", prefixNumber(destination[:size]))
	add(6, "sport-mask", port(masks[:2]))
	add(7, "dport-mask", port(masks[2:]))
	add(3, "spi-mask", port(masks))
	add(4, "sport-set", port(sets[:2]))
	add(5, "dport-set", port(sets[2:]))
	add(2, "spi-set", port(sets))
	add(8, "proto-mask", fmt.Sprintf("0x%02x", protocolMask))
	add(9, "rnd", "0x"+hexBytes(be32(seed)))
	add(10, "mod", number(h.modulus))
	add(11, "offset", number(h.offset))
	add(12, "tuple", "ct")
	h.options = l.String()
	return h
}

func (h hmark) steps(Decoder) []firewall.Step {
	return one(firewall.Assign{Target: meta(firewall.MetaMark), Value: firewall.Unpredictable{
		Kind: firewall.Sender, Name: "HMARK", Text: "-j HMARK " + h.options, Modulus: h.modulus, Offset: h.offset, Length: 4,
	}})
}

func (h hmark) String() string { return h.options }

const hmarkOptions = "hmark-tuple=1 hmark-mod=1 hmark-offset=1 hmark-src-prefix=1 hmark-dst-prefix=1 hmark-sport-mask=1 hmark-dport-mask=1 hmark-spi-mask=1 hmark-sport-set=1 hmark-dport-set=1 hmark-spi-set=1 hmark-proto-mask=1 hmark-rnd=1"

func parseHmark(g *given) extension {
	h := hmark{options: writtenText(g.list)}
	for _, o := range g.list {
		switch o.Name {
		case "hmark-mod":
			h.modulus = g.u32(o)
		case "hmark-offset":
			h.offset = g.u32(o)
		}
	}
	return h
}

func hexBytes(b []byte) string {
	const digits = "0123456789abcdef"
	var t strings.Builder
	for _, c := range b {
		t.WriteByte(digits[c>>4])
		t.WriteByte(digits[c&15])
	}
	return t.String()
}
