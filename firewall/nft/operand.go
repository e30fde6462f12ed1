package nft

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// kind tells operands apart where that matters for printing.
type kind uint8

const (
	kindOther kind = iota
	kindPayload
	kindMeta
	kindConstant
	kindBinary // left symbol right
	kindConcat // parts
	kindMap    // left looked up in set
	kindSwap   // left in the other byte order
	kindExtHdr
	kindCT
)

// An operand is a value as nft writes it.
type operand struct {
	kind   kind
	text   string // of all but payloads that are still to be recognized, and composites
	format format
	length uint32 // bytes

	payload   firewall.Payload
	bitOffset uint32 // of the field, from the payload's base
	bitLength uint32
	header    *header
	field     *field
	exthdr    firewall.ExtHdr
	meta      firewall.MetaKey
	ct        firewall.CT
	data      []byte
	symbol    string
	left      *operand
	right     *operand
	parts     []*operand
	set       *firewall.Set
	// addresses says that the operand is a conntrack entry's address, whose family
	// shows only in what it is compared with.
	addresses bool
}

// String is the operand's own text. Its payloads have been recognized before.
func (o *operand) String() string {
	switch o.kind {
	case kindPayload:
		return o.payloadText()
	case kindConstant:
		return o.format.value(o.data)
	case kindBinary:
		return o.left.nested(o.symbol) + " " + o.symbol + " " + o.right.nested(o.symbol)
	case kindConcat:
		var parts []string
		for _, p := range o.parts {
			parts = append(parts, p.String())
		}
		return strings.Join(parts, " . ")
	case kindMap:
		return o.left.String() + " map " + setText(o.set, o.left, o.format.interfaces)
	case kindSwap:
		return o.left.String()
	}
	return o.text
}

// precedence of nft's binary operators, the tightest highest.
var precedence = map[string]int{"<<": 4, ">>": 4, "&": 3, "^": 2, "|": 1}

// nested puts parentheses around an operand that would bind otherwise.
func (o *operand) nested(symbol string) string {
	if o.kind == kindBinary && precedence[o.symbol] < precedence[symbol] {
		return "(" + o.String() + ")"
	}
	if o.kind == kindConstant && flagSymbols[o.format.typ] != nil && symbol != "|" {
		if s := o.String(); strings.Contains(s, "|") {
			return "(" + s + ")"
		}
	}
	return o.String()
}

func (o *operand) payloadText() string {
	if o.field != nil {
		return o.header.name + " " + o.field.name
	}
	if o.payload.Base == firewall.TransportHeader && o.bitLength == 16 {
		switch o.bitOffset {
		case 0:
			return "th sport"
		case 16:
			return "th dport"
		}
	}
	return fmt.Sprintf("@%s,%d,%d", baseNames[o.payload.Base], o.bitOffset, o.bitLength)
}

func payloadOperand(p firewall.Payload) *operand {
	o := &operand{
		kind: kindPayload, payload: p, length: p.Length, bitOffset: p.Offset * 8, bitLength: p.Length * 8,
		format: format{typ: "integer", hex: true},
	}
	if p.Base == firewall.TransportHeader && p.Length == 2 && p.Offset <= 2 {
		o.format = format{typ: "inet_service"}
	}
	return o
}

func metaOperand(key firewall.MetaKey) *operand {
	if int(key) >= len(metaNames) {
		return nil
	}
	m := metaNames[key]
	text := m.name
	if !bareMeta[uint32(key)] {
		text = "meta " + text
	}
	o := &operand{kind: kindMeta, meta: key, text: text, format: hostFormat(m.typ), length: metaLength(key)}
	if key == firewall.MetaPRandom {
		o.format.host = false
	}
	return o
}

// hostFormat is the format of a type that doesn't come from the packet's bytes:
// plain numbers are in host order.
func hostFormat(typ string) format {
	f := typeFormat(typ)
	f.host = f.host || typ == "integer" || typ == "tc_handle"
	return f
}

func typeFormat(name string) format {
	f := format{typ: name}
	for _, t := range datatypes {
		if t.name == name {
			f.host = t.hostOrder
		}
	}
	return f
}

func ctOperand(c firewall.CT, family firewall.Family) *operand {
	if int(c.Key) >= len(ctNames) {
		return nil
	}
	n := ctNames[c.Key]
	text := "ct "
	switch c.Dir {
	case firewall.CTOriginal:
		text += "original "
	case firewall.CTReply:
		text += "reply "
	}
	length := ctLength(c.Key, family)
	addresses := n.typ == ""
	if addresses {
		n.typ = "ipv4_addr"
		if length == 16 {
			n.typ = "ipv6_addr"
		}
	}
	o := &operand{kind: kindCT, ct: c, text: text + n.name, format: hostFormat(n.typ), length: length, addresses: addresses}
	if c.Key == firewall.CTID {
		o.format.host = false
	}
	return o
}

func fibOperand(f firewall.FIB) *operand {
	var keys []string
	for _, k := range []struct {
		bit  uint32
		name string
	}{{firewall.FIBSaddr, "saddr"}, {firewall.FIBDaddr, "daddr"}, {firewall.FIBMark, "mark"}, {firewall.FIBIif, "iif"}, {firewall.FIBOifFlag, "oif"}} {
		if f.Flags&k.bit != 0 {
			keys = append(keys, k.name)
		}
	}
	result := map[firewall.FIBResult]string{firewall.FIBOif: "oif", firewall.FIBOifName: "oifname", firewall.FIBType: "type"}
	types := map[firewall.FIBResult]string{firewall.FIBOif: "iface_index", firewall.FIBOifName: "ifname", firewall.FIBType: "fib_addrtype"}
	typ := types[f.Result]
	if f.Flags&firewall.FIBPresent != 0 {
		typ = "boolean"
	}
	return &operand{text: "fib " + strings.Join(keys, " . ") + " " + result[f.Result], format: hostFormat(typ), length: fibLength(f)}
}

func rtOperand(key firewall.RTKey, family firewall.Family) *operand {
	name := map[firewall.RTKey]string{firewall.RTClassID: "classid", firewall.RTNexthop4: "nexthop", firewall.RTNexthop6: "nexthop", firewall.RTTCPMSS: "mtu", firewall.RTXFRM: "ipsec"}[key]
	switch {
	case key == firewall.RTNexthop4:
		name = "ip " + name
	case key == firewall.RTNexthop6:
		name = "ip6 " + name
	}
	typ := map[firewall.RTKey]string{firewall.RTClassID: "realm", firewall.RTNexthop4: "ipv4_addr", firewall.RTNexthop6: "ipv6_addr", firewall.RTTCPMSS: "integer", firewall.RTXFRM: "boolean"}[key]
	lengths := map[firewall.RTKey]uint32{firewall.RTClassID: 4, firewall.RTNexthop4: 4, firewall.RTNexthop6: 16, firewall.RTTCPMSS: 2, firewall.RTXFRM: 1}
	return &operand{text: "rt " + name, format: hostFormat(typ), length: lengths[key]}
}

func socketOperand(key firewall.SocketKey, level uint32) *operand {
	switch key {
	case firewall.SocketTransparent:
		return &operand{text: "socket transparent", format: hostFormat("integer"), length: 1}
	case firewall.SocketMark:
		return &operand{text: "socket mark", format: hostFormat("mark"), length: 4}
	case firewall.SocketWildcard:
		return &operand{text: "socket wildcard", format: hostFormat("integer"), length: 1}
	case firewall.SocketCgroupV2:
		return &operand{text: "socket cgroupv2 level " + strconv.Itoa(int(level)), format: hostFormat("integer"), length: 8}
	}
	return nil
}

// exthdrOperand finds the option's field by its place; nil where it has no name.
func exthdrOperand(h firewall.ExtHdr, bitOffset, bitLength uint32) *operand {
	o := &operand{kind: kindExtHdr, exthdr: h, length: h.Length, bitOffset: bitOffset, bitLength: bitLength}
	prefix, fields := exthdrFields(h)
	if h.Present {
		o.length, o.format = 1, hostFormat("boolean")
		o.text = prefix
		if h.Op == firewall.ExtHdrIPv6 {
			o.text = "exthdr " + prefix
		}
		return o
	}
	for _, f := range fields {
		if f.offset == bitOffset && f.length == bitLength {
			typ := f.typ
			if typ == "" {
				typ = "integer"
			}
			o.text, o.format = prefix+" "+f.name, typeFormat(typ)
			return o
		}
	}
	if h.Op == firewall.ExtHdrTCPOpt {
		o.text = fmt.Sprintf("tcp option @%d,%d,%d", h.Type, bitOffset, bitLength)
		o.format = format{typ: "integer", hex: true}
		return o
	}
	o.text = fmt.Sprintf("[%s @%d,%d,%d]", strings.TrimSpace("exthdr "+prefix), h.Type, bitOffset, bitLength)
	return o
}

func exthdrFields(h firewall.ExtHdr) (prefix string, fields []field) {
	switch h.Op {
	case firewall.ExtHdrIPv6:
		e := ip6Extensions[h.Type]
		return e.name, e.fields
	case firewall.ExtHdrTCPOpt:
		return "tcp option " + tcpOptionName(h.Type), append(commonOptionFields, tcpOptionFields[h.Type]...)
	case firewall.ExtHdrIPv4:
		e := ipOptions[h.Type]
		return "ip option " + e.name, e.fields
	case firewall.ExtHdrSCTP:
		e := sctpChunks[h.Type]
		return "sctp chunk " + e.name, append(sctpChunkFields, e.fields...)
	}
	return "", nil
}
