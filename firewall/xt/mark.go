package xt

import "github.com/netglance/netglance/firewall"

// mark is xt_mark_mtinfo1 and xt_connmark_mtinfo1 (xt_mark.h, xt_connmark.h).
type mark struct {
	connection bool
	mark, mask uint32
	invert     bool
}

func decodeMark(revision uint8, f *fields) extension     { return readMark(revision, f, false) }
func decodeConnmark(revision uint8, f *fields) extension { return readMark(revision, f, true) }

func readMark(revision uint8, f *fields, connection bool) extension {
	if revision != 1 {
		return nil
	}
	return mark{connection: connection, mark: f.u32(), mask: f.u32(), invert: f.flag()}
}

func (m mark) steps(d Decoder) []firewall.Step {
	return one(equal(masked(m.value(), d.word32(m.mask)), d.word32(m.mark), m.invert))
}

func (m mark) value() firewall.Value {
	if m.connection {
		return ct(firewall.CTMark)
	}
	return meta(firewall.MetaMark)
}

func (m mark) String() string {
	var l line
	l.add(m.invert, "--mark", hexMasked(m.mark, m.mask))
	return l.String()
}

func parseMark(g *given) extension     { return g.mark(mark{}) }
func parseConnmark(g *given) extension { return g.mark(mark{connection: true}) }

func (g *given) mark(m mark) extension {
	for _, o := range g.list {
		m.invert = o.Invert
		m.mark, m.mask = g.valueMask(o, o.first())
	}
	return m
}

// setMark is the MARK target, revision 2 (xt_mark.h): the bits in mask are
// cleared, then value is XORed in.
type setMark struct{ value, mask uint32 }

func decodeSetMark(revision uint8, f *fields) extension {
	if revision != 2 {
		return nil
	}
	return setMark{f.u32(), f.u32()}
}

func (m setMark) steps(d Decoder) []firewall.Step {
	return one(d.assignMark(meta(firewall.MetaMark), m.value, m.mask))
}

// assignMark clears mask and XORs value in, as all xtables marks do.
func (d Decoder) assignMark(target firewall.Value, value, mask uint32) firewall.Step {
	return firewall.Assign{Target: target, Value: d.mix(target, mask, firewall.Constant{Data: d.word32(value)})}
}

// mix is (old & ^mask) ^ value.
func (d Decoder) mix(old firewall.Value, mask uint32, value firewall.Value) firewall.Value {
	if mask == 0xffffffff {
		return value
	}
	kept := old
	if mask != 0 {
		kept = masked(old, d.word32(^mask))
	}
	return firewall.Bitwise{Op: firewall.BitXor, Left: kept, Right: value, Length: 4}
}

func (m setMark) String() string { return "--set-xmark " + hex(m.value) + "/" + hex(m.mask) }

const setMarkOptions = "set-mark=1 set-xmark=1 and-mark=1 or-mark=1 xor-mark=1"

func parseSetMark(g *given) extension {
	var m setMark
	for _, o := range g.list {
		m.value, m.mask = g.markOperation(o)
	}
	return m
}

// markOperation reads --set-mark and its kin into a value and a mask.
func (g *given) markOperation(o Option) (value, mask uint32) {
	switch o.Name {
	case "set-mark":
		value, mask = g.valueMask(o, o.first())
		return value, mask | value
	case "and-mark":
		return 0, ^g.u32(o)
	case "or-mark":
		v := g.u32(o)
		return v, v
	case "xor-mark":
		return g.u32(o), 0
	}
	return g.valueMask(o, o.first())
}

// The modes of CONNMARK.
const (
	connmarkSet = iota
	connmarkSave
	connmarkRestore
)

// setConnmark is the CONNMARK target, revisions 1 and 2 (xt_connmark.h).
type setConnmark struct {
	value, ctMask, packetMask uint32
	mode                      uint8
	right                     bool
	shift                     uint8
}

func decodeSetConnmark(revision uint8, f *fields) extension {
	c := setConnmark{value: f.u32(), ctMask: f.u32(), packetMask: f.u32()}
	switch revision {
	case 1:
	case 2:
		c.right, c.shift = f.flag(), f.u8()
	default:
		return nil
	}
	c.mode = f.u8()
	if c.mode > connmarkRestore {
		return nil
	}
	return c
}

// steps follow connmark_tg_shift.
func (c setConnmark) steps(d Decoder) []firewall.Step {
	entry, packet := ct(firewall.CTMark), meta(firewall.MetaMark)
	switch c.mode {
	case connmarkSave:
		return one(firewall.Assign{Target: entry, Value: d.mix(entry, c.ctMask, c.shifted(masked(packet, d.word32(c.packetMask))))})
	case connmarkRestore:
		return one(firewall.Assign{Target: packet, Value: d.mix(packet, c.packetMask, c.shifted(masked(entry, d.word32(c.ctMask))))})
	}
	mixed := d.mix(entry, c.ctMask, firewall.Constant{Data: d.word32(c.value)})
	return one(firewall.Assign{Target: entry, Value: c.shifted(mixed)})
}

func (c setConnmark) shifted(v firewall.Value) firewall.Value {
	if c.shift == 0 {
		return v
	}
	op := firewall.ShiftLeft
	if c.right {
		op = firewall.ShiftRight
	}
	return firewall.Bitwise{Op: op, Left: v, Shift: uint32(c.shift), Length: 4}
}

func (c setConnmark) String() string {
	var l line
	switch c.mode {
	case connmarkSet:
		l.add(false, "--set-xmark", hex(c.value)+"/"+hex(c.ctMask))
	case connmarkSave:
		l.add(false, "--save-mark", "--nfmask", hex(c.packetMask), "--ctmask", hex(c.ctMask))
	case connmarkRestore:
		l.add(false, "--restore-mark", "--nfmask", hex(c.packetMask), "--ctmask", hex(c.ctMask))
	}
	if c.shift != 0 {
		l.add(false, [...]string{"--left-shift-mark", "--right-shift-mark"}[boolIndex(c.right)], number(c.shift))
	}
	return l.String()
}

func boolIndex(b bool) int {
	if b {
		return 1
	}
	return 0
}

const setConnmarkOptions = setMarkOptions + " save-mark=0 restore-mark=0 ctmask=1 nfmask=1 mask=1 left-shift-mark=1 right-shift-mark=1"

func parseSetConnmark(g *given) extension {
	c := setConnmark{ctMask: 0xffffffff, packetMask: 0xffffffff}
	for _, o := range g.list {
		switch o.Name {
		case "save-mark":
			c.mode = connmarkSave
		case "restore-mark":
			c.mode = connmarkRestore
		case "ctmask":
			c.ctMask = g.u32(o)
		case "nfmask":
			c.packetMask = g.u32(o)
		case "mask":
			c.ctMask = g.u32(o)
			c.packetMask = c.ctMask
		case "left-shift-mark":
			c.shift = g.u8(o)
		case "right-shift-mark":
			c.right, c.shift = true, g.u8(o)
		default:
			c.value, c.ctMask = g.markOperation(o)
		}
	}
	return c
}
