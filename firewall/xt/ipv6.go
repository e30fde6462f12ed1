package xt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// frag is ip6t_frag (ip6t_frag.h). The kernel ignores the length.
type frag struct {
	ids           spiSpan
	length        uint32
	flags, invert uint8
}

const (
	fragIDs      = 0x01
	fragLength   = 0x02
	fragReserved = 0x04
	fragFirst    = 0x08
	fragMore     = 0x10
	fragLast     = 0x20
)

func decodeFrag(_ uint8, f *fields) extension {
	m := frag{ids: spiSpan{low: f.u32(), high: f.u32()}, length: f.u32(), flags: f.u8(), invert: f.u8()}
	m.ids.invert = m.invert&fragIDs != 0
	return m
}

func (m frag) steps(Decoder) []firewall.Step {
	s := append(one(hasHeader(headerFragment, false)), m.ids.steps(extensionHeader(headerFragment, 4, 4))...)
	position := extensionHeader(headerFragment, 2, 2)
	if m.flags&fragReserved != 0 {
		s = append(s, equal(extensionHeader(headerFragment, 1, 1), []byte{0}, false), anyBit(position, []byte{0, 6}, true))
	}
	if m.flags&fragFirst != 0 {
		s = append(s, anyBit(position, []byte{0xff, 0xf8}, true))
	}
	if m.flags&fragMore != 0 {
		s = append(s, anyBit(position, []byte{0, 1}, false))
	}
	if m.flags&fragLast != 0 {
		s = append(s, anyBit(position, []byte{0, 1}, true))
	}
	return s
}

func (m frag) String() string {
	var l line
	m.ids.text(&l, "--fragid")
	if m.flags&fragLength != 0 {
		l.add(m.invert&fragLength != 0, "--fraglen", number(m.length))
	}
	for _, f := range fragFlags {
		if m.flags&f.bit != 0 {
			l.add(false, "--"+f.name)
		}
	}
	return l.String()
}

var fragFlags = []struct {
	bit  uint8
	name string
}{{fragReserved, "fragres"}, {fragFirst, "fragfirst"}, {fragMore, "fragmore"}, {fragLast, "fraglast"}}

func parseFrag(g *given) extension {
	m := frag{ids: anySPI}
	for _, o := range g.list {
		switch o.Name {
		case "fragid":
			m.ids = g.spis(o)
		case "fraglen":
			m.length = g.u32(o)
			m.flags |= fragLength
			m.invert |= fragLength * uint8(boolIndex(o.Invert))
		}
		for _, f := range fragFlags {
			if o.Name == f.name {
				m.flags |= f.bit
			}
		}
	}
	return m
}

// routing is ip6t_rt (ip6t_rt.h).
type routing struct {
	kind          uint32
	segments      spiSpan
	length        uint32
	flags, invert uint8
	hops          []address
}

const (
	rtType      = 0x01
	rtSegments  = 0x02
	rtLength    = 0x04
	rtReserved  = 0x08
	rtHops      = 0x10
	rtNotStrict = 0x20
)

func decodeRT(_ uint8, f *fields) extension {
	r := routing{kind: f.u32(), segments: spiSpan{low: f.u32(), high: f.u32()}, length: f.u32(), flags: f.u8(), invert: f.u8()}
	r.segments.invert = r.invert&rtSegments != 0
	f.align(4)
	var hops [16]address
	for i := range hops {
		hops[i] = f.take(16)
	}
	count := f.u8()
	if count > 16 {
		return nil
	}
	r.hops = hops[:count]
	return r
}

func (r routing) steps(Decoder) []firewall.Step {
	s := one(hasHeader(headerRouting, false))
	if r.segments != anySPI {
		low, high := r.segments.low, min(r.segments.high, 255)
		if low > 255 {
			s = append(s, matchUnless(r.segments.invert, never()))
		} else {
			s = append(s, between(extensionHeader(headerRouting, 3, 1), []byte{uint8(low)}, []byte{uint8(high)}, r.segments.invert))
		}
	}
	if r.flags&rtLength != 0 {
		s = append(s, unitLength(headerRouting, r.length, 8, 1, r.invert&rtLength != 0))
	}
	if r.flags&rtType != 0 {
		invert := r.invert&rtType != 0
		if r.kind > 255 {
			s = append(s, matchUnless(invert, never()))
		} else {
			s = append(s, equal(extensionHeader(headerRouting, 2, 1), []byte{uint8(r.kind)}, invert))
		}
	}
	if r.flags&rtReserved != 0 {
		s = append(s, equal(extensionHeader(headerRouting, 4, 4), make([]byte, 4), false))
	}
	if r.flags&(rtHops|rtNotStrict) != 0 {
		s = append(s, chance(firewall.Sender, "rt", r.String())...)
	}
	return s
}

func (r routing) String() string {
	var l line
	if r.flags&rtType != 0 {
		l.add(r.invert&rtType != 0, "--rt-type", number(r.kind))
	}
	r.segments.text(&l, "--rt-segsleft")
	if r.flags&rtLength != 0 {
		l.add(r.invert&rtLength != 0, "--rt-len", number(r.length))
	}
	if r.flags&rtReserved != 0 {
		l.add(false, "--rt-0-res")
	}
	if r.flags&(rtHops|rtNotStrict) != 0 {
		var hops []string
		for _, h := range r.hops {
			hops = append(hops, h.String())
		}
		l.add(false, "--rt-0-addrs", strings.Join(hops, ","))
	}
	if r.flags&rtNotStrict != 0 {
		l.add(false, "--rt-0-not-strict")
	}
	return l.String()
}

const rtOptions = "rt-type=1 rt-segsleft=1 rt-len=1 rt-0-res=0 rt-0-addrs=1 rt-0-not-strict=0"

func parseRT(g *given) extension {
	r := routing{segments: anySPI}
	for _, o := range g.list {
		var bit uint8
		switch o.Name {
		case "rt-type":
			bit, r.kind = rtType, g.u32(o)
		case "rt-segsleft":
			bit, r.segments = rtSegments, g.spis(o)
		case "rt-len":
			bit, r.length = rtLength, g.u32(o)
		case "rt-0-res":
			bit = rtReserved
		case "rt-0-addrs":
			bit = rtHops
			for _, s := range strings.Split(o.first(), ",") {
				r.hops = append(r.hops, g.address(o, s))
			}
		case "rt-0-not-strict":
			bit = rtNotStrict
		}
		r.flags |= bit
		r.invert |= bit * uint8(boolIndex(o.Invert))
	}
	return r
}

// headerOptions is ip6t_opts (ip6t_opts.h), of hbh and dst. An option is its type, and
// in the lower byte its length; 255 there is any length.
type headerOptions struct {
	match         string
	header        uint8
	length        uint32
	flags, invert uint8
	options       string
}

const (
	optsLength    = 1
	optsOptions   = 2
	optsNotStrict = 4
)

func decodeHBH(_ uint8, f *fields) extension { return readHeaderOptions("hbh", headerHopByHop, f) }
func decodeDST(_ uint8, f *fields) extension { return readHeaderOptions("dst", headerDestination, f) }

func readHeaderOptions(match string, header uint8, f *fields) extension {
	h := headerOptions{match: match, header: header, length: f.u32(), flags: f.u8(), invert: f.u8()}
	var options [16]uint16
	for i := range options {
		options[i] = f.u16()
	}
	count := f.u8()
	if count > 16 {
		return nil
	}
	var texts []string
	for _, o := range options[:count] {
		text := number(o >> 8)
		if o&0xff != 0xff {
			text += ":" + number(o&0xff)
		}
		texts = append(texts, text)
	}
	h.options = strings.Join(texts, ",")
	return h
}

func (h headerOptions) steps(Decoder) []firewall.Step {
	s := one(hasHeader(h.header, false))
	if h.flags&optsLength != 0 {
		s = append(s, unitLength(h.header, h.length, 8, 1, h.invert&optsLength != 0))
	}
	if h.flags&optsOptions != 0 {
		s = append(s, chance(firewall.Sender, h.match, h.String())...)
	}
	return s
}

func (h headerOptions) String() string {
	var l line
	if h.flags&optsLength != 0 {
		l.add(h.invert&optsLength != 0, "--"+h.match+"-len", number(h.length))
	}
	if h.flags&optsOptions != 0 {
		l.add(false, "--"+h.match+"-opts", h.options)
	}
	if h.flags&optsNotStrict != 0 {
		l.add(false, "--"+h.match+"-not-strict")
	}
	return l.String()
}

func parseHBH(g *given) extension {
	return g.headerOptions(headerOptions{match: "hbh", header: headerHopByHop})
}
func parseDST(g *given) extension {
	return g.headerOptions(headerOptions{match: "dst", header: headerDestination})
}

func (g *given) headerOptions(h headerOptions) extension {
	for _, o := range g.list {
		switch {
		case strings.HasSuffix(o.Name, "-len"):
			h.length = g.u32(o)
			h.flags |= optsLength
			h.invert |= optsLength * uint8(boolIndex(o.Invert))
		case strings.HasSuffix(o.Name, "-opts"):
			h.flags |= optsOptions
			h.options = o.first()
		default:
			h.flags |= optsNotStrict
		}
	}
	return h
}

// ipv6header is ip6t_ipv6header_info (ip6t_ipv6header.h): which headers a packet
// has. Soft asks for those named, otherwise it must be those and no others.
type ipv6header struct {
	match, invert uint8
	soft          bool
}

// headerKinds in the order of their bits, the lowest first; "prot" is anything
// but "none" behind the extension headers.
var headerKinds = []struct {
	name   string
	header int
}{{"protocol", -1}, {"ipv6-nonxt", headerNone}, {"esp", headerESP}, {"ah", headerAH}, {"ipv6-frag", headerFragment},
	{"ipv6-route", headerRouting}, {"ipv6-opts", headerDestination}, {"hop-by-hop", headerHopByHop}}

func decodeIPv6Header(_ uint8, f *fields) extension {
	return ipv6header{match: f.u8(), invert: f.u8(), soft: f.flag()}
}

func (h ipv6header) steps(Decoder) []firewall.Step {
	var s []firewall.Step
	for i, k := range headerKinds {
		wanted := h.match>>i&1 != 0
		if h.soft && !wanted {
			continue
		}
		s = append(s, headerKind(k.header, wanted != (h.soft && h.invert>>i&1 != 0)))
	}
	if !h.soft && h.invert != 0 {
		return one(not(s...))
	}
	return s
}

// headerKind matches a packet that has such a header, or has not.
func headerKind(header int, there bool) firewall.Step {
	switch header {
	case -1:
		last := meta(firewall.MetaL4Proto)
		if there {
			return not(alternatives([]firewall.Step{equal(last, []byte{headerNone}, false), equal(last, []byte{headerESP}, false)}))
		}
		return alternatives([]firewall.Step{equal(last, []byte{headerNone}, false), equal(last, []byte{headerESP}, false)})
	case headerNone, headerESP:
		return equal(meta(firewall.MetaL4Proto), []byte{uint8(header)}, !there)
	}
	return hasHeader(uint8(header), !there)
}

func (h ipv6header) String() string {
	var names []string
	for i, k := range slices.Backward(headerKinds) {
		if h.match>>i&1 != 0 {
			names = append(names, k.name)
		}
	}
	var l line
	l.add(h.invert != 0, "--header", strings.Join(names, ","))
	if h.soft {
		l.add(false, "--soft")
	}
	return l.String()
}

func parseIPv6Header(g *given) extension {
	aliases := map[string]string{"hop": "hop-by-hop", "dst": "ipv6-opts", "route": "ipv6-route", "frag": "ipv6-frag", "auth": "ah", "none": "ipv6-nonxt", "prot": "protocol"}
	var h ipv6header
	for _, o := range g.list {
		if o.Name == "soft" {
			h.soft = true
			continue
		}
		for _, name := range strings.Split(o.first(), ",") {
			if long, ok := aliases[name]; ok {
				name = long
			}
			i := -1
			for n, k := range headerKinds {
				if k.name == name {
					i = n
				}
			}
			if i < 0 {
				g.fail(o, "unknown header")
				continue
			}
			h.match |= 1 << i
		}
		if o.Invert {
			h.invert = 0xff
		}
	}
	return h
}

// mobility is ip6t_mh (ip6t_mh.h): a range of message types.
type mobility struct {
	low, high uint8
	invert    bool
}

func decodeMH(_ uint8, f *fields) extension { return mobility{f.u8(), f.u8(), f.u8()&1 != 0} }

func (m mobility) steps(Decoder) []firewall.Step {
	if m == (mobility{high: 255}) {
		return nil
	}
	return one(between(transport(2, 1), []byte{m.low}, []byte{m.high}, m.invert))
}

func (m mobility) String() string {
	var l line
	if m != (mobility{high: 255}) {
		l.add(m.invert, "--mh-type", span(m.low, m.high, ":"))
	}
	return l.String()
}

func parseMH(g *given) extension {
	m := mobility{high: 255}
	for _, o := range g.list {
		low, high := g.span(o, o.first(), ":", 8)
		m = mobility{uint8(low), uint8(high), o.Invert}
	}
	return m
}

// srhText reads ip6t_srh and ip6t_srh1 (ip6t_srh.h).
func srhText(revision uint8, f *fields, l *line) bool {
	if revision > 1 {
		return false
	}
	next, length, left, last, tag := f.u8(), f.u8(), f.u8(), f.u8(), f.u16()
	var sids, masks [3]address
	if revision == 1 {
		f.align(4)
		for i := range sids {
			sids[i] = f.take(16)
		}
		for i := range masks {
			masks[i] = f.take(16)
		}
	}
	flags, invert := f.u16(), f.u16()
	fields := []struct{ name, value string }{
		{"next-hdr", number(next)},
		{"hdr-len-eq", number(length)}, {"hdr-len-gt", number(length)}, {"hdr-len-lt", number(length)},
		{"segs-left-eq", number(left)}, {"segs-left-gt", number(left)}, {"segs-left-lt", number(left)},
		{"last-entry-eq", number(last)}, {"last-entry-gt", number(last)}, {"last-entry-lt", number(last)},
		{"tag", number(tag)},
	}
	for i, name := range []string{"psid", "nsid", "lsid"} {
		if revision == 1 {
			fields = append(fields, struct{ name, value string }{name, sids[i].String() + shownMask(masks[i])})
		}
	}
	for i, field := range fields {
		if flags>>i&1 != 0 {
			l.add(invert>>i&1 != 0, "--srh-"+field.name, field.value)
		}
	}
	return true
}

const srhOptions = "srh-next-hdr=1 srh-hdr-len-eq=1 srh-hdr-len-gt=1 srh-hdr-len-lt=1 srh-segs-left-eq=1 srh-segs-left-gt=1 srh-segs-left-lt=1 srh-last-entry-eq=1 srh-last-entry-gt=1 srh-last-entry-lt=1 srh-tag=1 srh-psid=1 srh-nsid=1 srh-lsid=1"

// u32 is xt_u32 (xt_u32.h): tests on words of the packet, from the network
// header on, that all must hold.
type u32 struct {
	tests  []u32Test
	invert bool
}

type u32Test struct {
	// operations start with the offset; each further one has an operator.
	operations []u32Operation
	values     [][2]uint32
}

type u32Operation struct {
	operator uint8
	number   uint32
}

const (
	u32And = iota
	u32Left
	u32Right
	u32At
)

func decodeU32(_ uint8, f *fields) extension {
	var tests [11]u32Test
	for i := range tests {
		var operations [11]u32Operation
		for j := range operations {
			operations[j].number, operations[j].operator = f.u32(), f.u8()
			f.align(4)
		}
		var values [11][2]uint32
		for j := range values {
			values[j] = [2]uint32{f.u32(), f.u32()}
		}
		numbers, count := f.u8(), f.u8()
		f.align(4)
		if numbers > 11 || count > 11 {
			return nil
		}
		tests[i] = u32Test{operations[:numbers], values[:count]}
	}
	count, invert := f.u8(), f.flag()
	if count > 11 {
		return nil
	}
	u := u32{tests[:count], invert}
	for _, t := range u.tests {
		for _, o := range t.operations {
			if o.operator > u32At {
				return nil
			}
		}
	}
	return u
}

func (u u32) steps(d Decoder) []firewall.Step {
	var s []firewall.Step
	for _, t := range u.tests {
		v, ok := t.value(d)
		if !ok {
			return chance(firewall.Sender, "u32", u.String())
		}
		var each []firewall.Step
		for _, r := range t.values {
			each = append(each, between(v, be32(r[0]), be32(r[1]), false))
		}
		s = append(s, alternatives(each))
	}
	if u.invert {
		return one(not(s...))
	}
	return s
}

// value is the word that a test compares, most significant byte first. "@" is
// understood where it jumps over IPv4's header; other jumps are to places that
// the packet's own bytes name.
func (t u32Test) value(d Decoder) (firewall.Value, bool) {
	if len(t.operations) == 0 {
		return nil, false
	}
	operations := t.operations
	v := network(operations[0].number, 4)
	if d.Family == firewall.FamilyIPv4 && len(operations) >= 4 && operations[0].number == 0 &&
		operations[1] == (u32Operation{u32Right, 22}) && operations[2] == (u32Operation{u32And, 0x3c}) && operations[3].operator == u32At {
		v = transport(operations[3].number, 4)
		operations = operations[3:]
	}
	for _, o := range operations[1:] {
		switch o.operator {
		case u32And:
			v = masked(v, be32(o.number))
		case u32Left, u32Right:
			if o.number > 31 {
				return nil, false
			}
			op := firewall.ShiftLeft
			if o.operator == u32Right {
				op = firewall.ShiftRight
			}
			host := firewall.ByteOrder{Value: v, Size: 4, Length: 4}
			shifted := firewall.Bitwise{Op: op, Left: host, Shift: o.number, Length: 4}
			v = firewall.ByteOrder{Value: shifted, ToNetwork: true, Size: 4, Length: 4}
		default:
			return nil, false
		}
	}
	return v, true
}

var u32Operators = [...]string{"&", "<<", ">>", "@"}

func (u u32) String() string {
	var tests []string
	for _, t := range u.tests {
		var b strings.Builder
		for i, o := range t.operations {
			if i > 0 {
				b.WriteString(u32Operators[o.operator])
			}
			fmt.Fprintf(&b, "0x%x", o.number)
		}
		b.WriteByte('=')
		for i, r := range t.values {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "0x%x", r[0])
			if r[0] != r[1] {
				fmt.Fprintf(&b, ":0x%x", r[1])
			}
		}
		tests = append(tests, b.String())
	}
	var l line
	l.add(u.invert, "--u32", `"`+strings.Join(tests, "&&")+`"`)
	return l.String()
}

func parseU32(g *given) extension {
	var u u32
	for _, o := range g.list {
		u.invert = o.Invert
		for _, text := range strings.Split(strings.ReplaceAll(o.first(), " ", ""), "&&") {
			t, ok := readU32Test(text)
			if !ok {
				g.fail(o, "no test")
			}
			u.tests = append(u.tests, t)
		}
	}
	return u
}

func readU32Test(s string) (t u32Test, ok bool) {
	location, values, ok := strings.Cut(s, "=")
	if !ok {
		return t, false
	}
	operator := uint8(0)
	for location != "" {
		end := strings.IndexAny(location, "&<>@")
		if end < 0 {
			end = len(location)
		}
		n, err := strconv.ParseUint(location[:end], 0, 32)
		if err != nil {
			return t, false
		}
		t.operations = append(t.operations, u32Operation{operator, uint32(n)})
		location = location[end:]
		for i, o := range u32Operators {
			if rest, found := strings.CutPrefix(location, o); found && o != "" {
				operator, location = uint8(i), rest
				break
			}
		}
	}
	for _, v := range strings.Split(values, ",") {
		low, high, isRange := strings.Cut(v, ":")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(low, 0, 32)
		to, err2 := strconv.ParseUint(high, 0, 32)
		if err1 != nil || err2 != nil {
			return t, false
		}
		t.values = append(t.values, [2]uint32{uint32(from), uint32(to)})
	}
	return t, len(t.operations) > 0
}
