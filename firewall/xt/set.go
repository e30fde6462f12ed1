package xt

import (
	"strings"

	"github.com/netglance/netglance/firewall"
)

// IPSet is an ipset that rules name.
type IPSet struct {
	Name string
	// Type is ipset's own word: "hash:ip,port". Family is that of its members;
	// unspecified for types without addresses.
	Type   string
	Family firewall.Family
	// Members are the set's elements. A key joins the parts of Type in order, each
	// padded with zeros to 4 bytes: an address (4 or 16 bytes), a port (protocol,
	// then port; bitmap:port has the port alone), a MAC address, a mark in host
	// order, an interface name (16 bytes).
	Members *firewall.Set
	// MarkMask are the bits of a mark that hash:ip,mark looks at.
	MarkMask uint32
	// Lists are the sets that a list:set holds.
	Lists []IPSet
}

// The flags of set matches (ip_set.h): inverted, then for each part of the set
// whether it is the packet's source.
const setInverted = 1

// The command flags of revision 3 and later.
const (
	setSkipCounters    = 1 << 3
	setSkipSubcounters = 1 << 4
	setReturnNomatch   = 1 << 7
)

// A counter comparison of a set match: NONE, EQ, NE, LT, GT.
type setCounter struct {
	op    uint8
	value uint64
}

// setMatch is xt_set_info_match_v0 to _v4 (xt_set.h).
type setMatch struct {
	index          uint16
	setName        string // by text, or as the decoder resolves the index
	dim, flags     uint8
	command        uint32
	packets, bytes setCounter
}

// setReference reads a set's number and resolves it.
func (f *fields) setReference(revision uint8) (index uint16, dim, flags uint8) {
	index = f.u16()
	if revision == 0 {
		f.skip(2 + 24) // the flags of each part; the kernel sums them up behind
		dim, flags = f.u8(), f.u8()
		f.align(4)
		return index, dim, flags
	}
	return index, f.u8(), f.u8()
}

func decodeSetMatch(revision uint8, f *fields) extension {
	if revision > 4 {
		return nil
	}
	var m setMatch
	m.index, m.dim, m.flags = f.setReference(revision)
	if revision == 2 && m.flags&0x80 != 0 {
		m.flags &^= 0x80
		m.command = setReturnNomatch
	}
	if revision >= 3 {
		f.align(8)
		m.packets, m.bytes = readSetCounter(f, revision), readSetCounter(f, revision)
		m.command = f.u32()
	}
	return m
}

func readSetCounter(f *fields, revision uint8) setCounter {
	var c setCounter
	if revision == 3 {
		c.op = f.u8()
		f.align(8)
		c.value = f.u64()
		return c
	}
	c.value, c.op = f.u64(), f.u8()
	f.align(8)
	return c
}

// ipset finds the set by its number or name.
func (d Decoder) ipset(index uint16, name string) (IPSet, bool) {
	switch {
	case name != "" && d.SetByName != nil:
		return d.SetByName(name)
	case name == "" && d.SetByIndex != nil:
		return d.SetByIndex(index)
	}
	return IPSet{Name: name}, false
}

func (m setMatch) steps(d Decoder) []firewall.Step {
	set, ok := d.ipset(m.index, m.setName)
	if !ok {
		return chance(firewall.Unread, "set", m.text(d))
	}
	s := d.inIPSet(set, m.dim, m.flags>>1)
	if m.packets.op != 0 || m.bytes.op != 0 {
		s = append(s, chance(firewall.History, "set", m.text(d))...)
	}
	if m.flags&setInverted == 0 {
		return s
	}
	if in, ok := single(s).(firewall.InSet); ok && len(s) == 1 {
		if _, plain := in.Value.(firewall.Payload); plain {
			in.Invert = true
			return one(in)
		}
	}
	return one(not(s...))
}

func single(s []firewall.Step) firewall.Step {
	if len(s) == 0 {
		return nil
	}
	return s[0]
}

// inIPSet matches a packet that is in the set; dim says how many parts the rule
// names, sources has a bit for each that is the packet's source. A set with more
// parts, or of another family, has no packet (ip_set_test).
func (d Decoder) inIPSet(set IPSet, dim, sources uint8) []firewall.Step {
	if int(dim) < 1+strings.Count(set.Type, ",") {
		return one(never())
	}
	if set.Family != firewall.FamilyUnspecified && set.Family != d.Family {
		return one(never())
	}
	if set.Type == "list:set" {
		var a firewall.AnyOf
		for _, member := range set.Lists {
			a.Alternatives = append(a.Alternatives, d.inIPSet(member, dim, sources))
		}
		return one(a)
	}
	value, ok := d.setKey(set, sources)
	if !ok || set.Members == nil {
		return chance(firewall.Unmodelled, "set", "--match-set "+set.Name+" ("+set.Type+")")
	}
	return one(firewall.InSet{Value: value, Set: set.Members})
}

// setKey is what a set of this type looks up.
func (d Decoder) setKey(set IPSet, sources uint8) (firewall.Value, bool) {
	_, parts, _ := strings.Cut(set.Type, ":")
	var key []firewall.Value
	for i, part := range strings.Split(parts, ",") {
		source := sources>>i&1 != 0
		v, ok := d.setPart(set, part, source)
		if !ok {
			return nil, false
		}
		key = append(key, v...)
	}
	if len(key) == 1 {
		return key[0], true
	}
	return firewall.Concat{Parts: key}, len(key) > 0
}

func (d Decoder) setPart(set IPSet, part string, source bool) ([]firewall.Value, bool) {
	switch part {
	case "ip", "net":
		if source {
			return []firewall.Value{d.sourceAddress()}, true
		}
		return []firewall.Value{d.destinationAddress()}, true
	case "port":
		port := transport(2, 2)
		if source {
			port = transport(0, 2)
		}
		if set.Type == "bitmap:port" {
			return []firewall.Value{port}, true
		}
		return []firewall.Value{meta(firewall.MetaL4Proto), port}, true
	case "mac":
		if source {
			return []firewall.Value{linkLayer(6, 6)}, true
		}
		return []firewall.Value{linkLayer(0, 6)}, true
	case "mark":
		return []firewall.Value{masked(meta(firewall.MetaMark), d.word32(set.MarkMask))}, true
	case "iface":
		if source {
			return []firewall.Value{meta(firewall.MetaIifName)}, true
		}
		return []firewall.Value{meta(firewall.MetaOifName)}, true
	}
	return nil, false
}

func (m setMatch) String() string { return m.text(Decoder{}) }

// text with the set's name where the decoder knows it.
func (m setMatch) text(d Decoder) string {
	var l line
	l.add(m.flags&setInverted != 0, "--match-set", d.setText(m.index, m.setName), directions(m.dim, m.flags>>1))
	if m.command&setReturnNomatch != 0 {
		l.add(false, "--return-nomatch")
	}
	if m.command&setSkipCounters != 0 {
		l.add(true, "--update-counters")
	}
	if m.command&setSkipSubcounters != 0 {
		l.add(true, "--update-subcounters")
	}
	m.packets.text(&l, "--packets")
	m.bytes.text(&l, "--bytes")
	return l.String()
}

func (c setCounter) text(l *line, name string) {
	switch c.op {
	case 1, 2:
		l.add(c.op == 2, name+"-eq", number(c.value))
	case 3:
		l.add(false, name+"-lt", number(c.value))
	case 4:
		l.add(false, name+"-gt", number(c.value))
	}
}

// setText names a set: by its number where its name isn't known.
func (d Decoder) setText(index uint16, name string) string {
	if name != "" {
		return name
	}
	if set, ok := d.ipset(index, ""); ok {
		return set.Name
	}
	return "#" + number(index)
}

// directions is "src,dst".
func directions(dim, sources uint8) string {
	var words []string
	for i := range min(dim, 6) {
		if sources>>i&1 != 0 {
			words = append(words, "src")
		} else {
			words = append(words, "dst")
		}
	}
	return strings.Join(words, ",")
}

// readDirections reads "src,dst".
func (g *given) directions(o Option, s string) (dim, sources uint8) {
	for i, word := range strings.Split(s, ",") {
		if i >= 6 || word != "src" && word != "dst" {
			g.fail(o, "neither src nor dst")
			break
		}
		if word == "src" {
			sources |= 1 << i
		}
		dim++
	}
	return dim, sources
}

const setMatchOptions = "match-set=2 set=2 return-nomatch=0 update-counters=0 update-subcounters=0 packets-eq=1 packets-lt=1 packets-gt=1 bytes-eq=1 bytes-lt=1 bytes-gt=1"

func parseSetMatch(g *given) extension {
	var m setMatch
	for _, o := range g.list {
		switch o.Name {
		case "match-set", "set":
			var sources uint8
			m.setName = o.first()
			m.dim, sources = g.directions(o, o.second())
			m.flags = sources<<1 | uint8(boolIndex(o.Invert))
		case "return-nomatch":
			m.command |= setReturnNomatch
		case "update-counters":
			if o.Invert {
				m.command |= setSkipCounters
			}
		case "update-subcounters":
			if o.Invert {
				m.command |= setSkipSubcounters
			}
		default:
			c := &m.packets
			if strings.HasPrefix(o.Name, "bytes") {
				c = &m.bytes
			}
			c.value = g.number(o, o.first(), 64)
			c.op = map[string]uint8{"eq": 1, "lt": 3, "gt": 4}[o.Name[len(o.Name)-2:]]
			if c.op == 1 && o.Invert {
				c.op = 2
			}
		}
	}
	return m
}

// setChange is the SET target, revisions 1 to 3 (xt_set.h): the packet's
// address joins or leaves a set, or takes its mark from one.
type setChange struct {
	add, del, mapped setUse
	command          uint32
	timeout          uint32
}

// setUse is one set that a SET target names; dim 0 for none.
type setUse struct {
	index        uint16
	setName      string
	dim, sources uint8
}

const noSet = 0xffff // IPSET_INVALID_ID

// The command flags of the SET target.
const (
	setExist       = 1 << 0
	setMapMark     = 1 << 8
	setMapPriority = 1 << 9
	setMapQueue    = 1 << 10
)

func (f *fields) setUse() setUse {
	index, dim, flags := f.setReference(1)
	if index == noSet {
		return setUse{}
	}
	return setUse{index: index, dim: dim, sources: flags >> 1}
}

func decodeSetChange(revision uint8, f *fields) extension {
	if revision < 1 || revision > 3 {
		return nil
	}
	c := setChange{add: f.setUse(), del: f.setUse(), timeout: 0xffffffff}
	if revision == 3 {
		c.mapped = f.setUse()
	}
	if revision >= 2 {
		c.command, c.timeout = f.u32(), f.u32()
	}
	return c
}

func (c setChange) steps(d Decoder) []firewall.Step {
	if c.mapped.dim != 0 {
		return one(firewall.Opaque{Name: "SET", Target: true, Data: []byte(c.text(d))})
	}
	return passive("SET", c.text(d))
}

func (c setChange) String() string { return c.text(Decoder{}) }

func (c setChange) text(d Decoder) string {
	var l line
	use := func(u setUse, name string) {
		if u.dim != 0 {
			l.add(false, name, d.setText(u.index, u.setName), directions(u.dim, u.sources))
		}
	}
	use(c.add, "--add-set")
	if c.command&setExist != 0 {
		l.add(false, "--exist")
	}
	if c.timeout != 0xffffffff {
		l.add(false, "--timeout", number(c.timeout))
	}
	use(c.del, "--del-set")
	use(c.mapped, "--map-set")
	for _, m := range []struct {
		bit  uint32
		name string
	}{{setMapMark, "--map-mark"}, {setMapPriority, "--map-prio"}, {setMapQueue, "--map-queue"}} {
		if c.command&m.bit != 0 {
			l.add(false, m.name)
		}
	}
	return l.String()
}

const setChangeOptions = "add-set=2 del-set=2 map-set=2 exist=0 timeout=1 map-mark=0 map-prio=0 map-queue=0"

func parseSetChange(g *given) extension {
	c := setChange{timeout: 0xffffffff}
	for _, o := range g.list {
		switch o.Name {
		case "add-set", "del-set", "map-set":
			u := setUse{setName: o.first()}
			u.dim, u.sources = g.directions(o, o.second())
			*map[string]*setUse{"add-set": &c.add, "del-set": &c.del, "map-set": &c.mapped}[o.Name] = u
		case "timeout":
			c.timeout = g.u32(o)
		default:
			c.command |= map[string]uint32{"exist": setExist, "map-mark": setMapMark, "map-prio": setMapPriority, "map-queue": setMapQueue}[o.Name]
		}
	}
	return c
}
