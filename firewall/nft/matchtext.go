package nft

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

func (p *printer) loadCT(e *expression) *operand {
	c := firewall.CT{Key: firewall.CTKey(e.uint32(ctKey)), Dir: firewall.CTNoDir}
	if e.has(ctDirection) {
		c.Dir = firewall.CTDir(e.uint8(ctDirection))
	}
	return ctOperand(c, p.family)
}

func (p *printer) loadExtHdr(e *expression) *operand {
	h := exthdrOf(e)
	switch h.Op {
	case firewall.ExtHdrIPv6, firewall.ExtHdrIPv4:
		p.forget(firewall.NetworkHeader)
	case firewall.ExtHdrTCPOpt:
		p.forget(firewall.TransportHeader)
	}
	return exthdrOperand(h, h.Offset*8, h.Length*8)
}

func loadImmediate(_ *printer, e *expression) *operand {
	data := plainData(e.get(immediateData))
	return &operand{kind: kindConstant, data: data, length: uint32(len(data)), format: format{typ: "integer"}}
}

func (p *printer) loadByteorder(e *expression) *operand {
	inner := p.get(e.uint32(byteorderSreg), e.uint32(byteorderLen))
	if inner == nil {
		return nil
	}
	o := &operand{kind: kindSwap, left: inner, length: e.uint32(byteorderLen), format: inner.format, meta: inner.meta}
	o.format.host = !o.format.host
	return o
}

func (p *printer) loadBitwise(e *expression) *operand {
	length := e.uint32(bitwiseLen)
	o := p.get(e.uint32(bitwiseSreg), length)
	if o == nil || o.kind == kindConcat {
		return nil
	}
	constant := func(b []byte) *operand {
		return &operand{kind: kindConstant, data: b, length: length, format: o.format}
	}
	switch op := e.uint32(bitwiseOp); op {
	case bitwiseMaskXor:
		return maskXorOperand(o, plainData(e.get(bitwiseMask)), plainData(e.get(bitwiseXor)), constant)
	case bitwiseLshift, bitwiseRshift:
		distance := plainData(e.get(bitwiseData))
		if len(distance) != 4 {
			return nil
		}
		symbol := "<<"
		if op == bitwiseRshift {
			symbol = ">>"
		}
		shift := &operand{text: strconv.Itoa(int(binary.NativeEndian.Uint32(distance)))}
		return &operand{kind: kindBinary, symbol: symbol, left: o, right: shift, length: length, format: o.format}
	case bitwiseAnd, bitwiseOr, bitwiseXorOp:
		right := constant(plainData(e.get(bitwiseData)))
		if e.has(bitwiseSreg2) {
			right = p.get(e.uint32(bitwiseSreg2), length)
		}
		if right == nil {
			return nil
		}
		symbol := map[uint32]string{bitwiseAnd: "&", bitwiseOr: "|", bitwiseXorOp: "^"}[op]
		return &operand{kind: kindBinary, symbol: symbol, left: o, right: right, length: length, format: o.format}
	}
	return nil
}

// maskXorOperand takes (o & mask) ^ xor apart: bits that the mask clears and xor
// sets were or-ed, other bits of xor were xor-ed, and the rest of the mask and-ed.
func maskXorOperand(o *operand, mask, xor []byte, constant func([]byte) *operand) *operand {
	if len(mask) != len(xor) {
		return nil
	}
	and, or, flip := make([]byte, len(mask)), make([]byte, len(mask)), make([]byte, len(mask))
	for i := range mask {
		or[i] = xor[i] &^ mask[i]
		flip[i] = xor[i] & mask[i]
		and[i] = mask[i] | or[i]
	}
	join := func(symbol string, b []byte) {
		o = &operand{kind: kindBinary, symbol: symbol, left: o, right: constant(b), length: uint32(len(mask)), format: o.format}
	}
	if !uniform(and, 0xff) {
		join("&", and)
	}
	if !uniform(flip, 0) {
		join("^", flip)
	}
	if !uniform(or, 0) {
		join("|", or)
	}
	return o
}

func (p *printer) loadLookup(e *expression) *operand {
	set := p.table.sets[e.text(lookupSet)]
	if set == nil {
		return nil
	}
	key := p.get(e.uint32(lookupSreg), set.KeyLength)
	if key == nil {
		return nil
	}
	key = p.masked(key)
	p.recognize(key)
	f := hostFormat(set.DataType)
	f.interfaces = p.interfaces
	return &operand{kind: kindMap, left: key, set: set, length: set.DataLength, format: f}
}

func loadNumgen(_ *printer, e *expression) *operand {
	mode := "inc"
	if e.uint32(numgenType) == 1 {
		mode = "random"
	}
	text := fmt.Sprintf("numgen %s mod %d", mode, e.uint32(numgenModulus))
	return &operand{text: text + offsetText(e.uint32(numgenOffset)), format: hostFormat("integer"), length: 4}
}

func offsetText(n uint32) string {
	if n == 0 {
		return ""
	}
	return " offset " + strconv.FormatUint(uint64(n), 10)
}

func (p *printer) loadHash(e *expression) *operand {
	o := &operand{format: hostFormat("integer"), length: 4}
	tail := fmt.Sprintf(" mod %d", e.uint32(hashModulus))
	if e.uint32(hashType) == 1 {
		o.text = "symhash" + tail + offsetText(e.uint32(hashOffset))
		return o
	}
	source := p.get(e.uint32(hashSreg), e.uint32(hashLength))
	if source == nil {
		return nil
	}
	p.recognize(source)
	if e.has(hashSeed) {
		tail += fmt.Sprintf(" seed 0x%x", e.uint32(hashSeed))
	}
	o.text = "jhash " + source.String() + tail + offsetText(e.uint32(hashOffset))
	return o
}

func loadOSF(_ *printer, e *expression) *operand {
	text := "osf "
	switch e.uint8(osfTTL) {
	case 1:
		text += "ttl loose "
	case 2:
		text += "ttl skip "
	}
	if e.uint32(osfFlags)&1 != 0 {
		return &operand{text: text + "version", format: hostFormat("string"), length: 16}
	}
	return &operand{text: text + "name", format: hostFormat("string"), length: 16}
}

func loadXFRM(_ *printer, e *expression) *operand {
	direction := "in"
	if e.uint8(xfrmDir) == 1 {
		direction = "out"
	}
	text := "ipsec " + direction + " "
	if n := e.uint32(xfrmSpnum); n != 0 {
		text += fmt.Sprintf("spnum %d ", n)
	}
	keys := map[uint32]struct {
		name, typ string
		length    uint32
		host      bool
	}{
		1: {"ip daddr", "ipv4_addr", 4, false}, 2: {"ip6 daddr", "ipv6_addr", 16, false}, 3: {"ip saddr", "ipv4_addr", 4, false},
		4: {"ip6 saddr", "ipv6_addr", 16, false}, 5: {"reqid", "integer", 4, true}, 6: {"spi", "integer", 4, false},
	}
	k, ok := keys[e.uint32(xfrmKey)]
	if !ok {
		return nil
	}
	return &operand{text: text + k.name, format: format{typ: k.typ, host: k.host}, length: k.length}
}

// recognize names the header fields in an operand by the protocols that are
// known, and takes back matches that its names imply.
func (p *printer) recognize(o *operand) {
	switch o.kind {
	case kindConcat:
		for i, part := range o.parts {
			o.parts[i] = p.masked(part)
			p.recognize(o.parts[i])
		}
	case kindBinary:
		p.recognize(o.left)
		if o.right.kind != kindConstant {
			p.recognize(o.right)
			return
		}
		o.format = o.left.format
		o.right.format = o.left.format
	case kindSwap:
		p.recognize(o.left)
		o.format = o.left.format
		o.format.host = !o.format.host
	case kindPayload:
		if o.field == nil {
			p.name(o)
		}
		if o.field != nil {
			p.supersede(o)
		}
	}
}

// name finds the field that a payload is.
func (p *printer) name(o *operand) bool {
	h, skip := p.headerAt(o.payload.Base, o.bitOffset)
	if h == nil {
		return false
	}
	for i := range h.fields {
		f := &h.fields[i]
		if f.offset != o.bitOffset-skip || f.length != o.bitLength || !p.fits(f) {
			continue
		}
		o.header, o.field, o.format = h, f, o.fieldFormat(f)
		return true
	}
	return false
}

// fieldFormat keeps the shift of a field that was found by a mask.
func (o *operand) fieldFormat(f *field) format {
	n := typeFormat(f.typ)
	n.shift, n.bits = o.format.shift, f.length
	return n
}

// fits says that a field can be there: some exist in one ICMP message only.
func (p *printer) fits(f *field) bool {
	return f.dependency == 0 || p.icmpType == 0 || p.icmpType == f.dependency
}

// headerAt is the header at an offset: behind the Ethernet header come VLAN tags.
func (p *printer) headerAt(base firewall.HeaderBase, offset uint32) (h *header, skip uint32) {
	h = p.protocol[base]
	if base != firewall.LinkLayerHeader || h == nil || offset < etherHeader.length || p.vlans == 0 {
		return h, 0
	}
	skip = etherHeader.length
	for i := 1; i < p.vlans && offset >= skip+vlanHeader.length; i++ {
		skip += vlanHeader.length
	}
	return vlanHeader, skip
}

// masked finds the field that a payload with a mask is: one that doesn't fill
// its bytes. Other operands stay as they are.
func (p *printer) masked(o *operand) *operand {
	if o.kind == kindBinary && o.symbol == ">>" {
		return p.shifted(o)
	}
	if o.kind != kindBinary || o.symbol != "&" || o.right.kind != kindConstant {
		return o
	}
	if o.left.kind != kindPayload && o.left.kind != kindExtHdr || o.left.field != nil {
		return o
	}
	lead, length, trail, ok := maskBits(o.right.data)
	if !ok {
		return o
	}
	trimmed := *o.left
	trimmed.bitOffset += lead
	trimmed.bitLength = length
	trimmed.format.shift = trail
	if o.left.kind == kindExtHdr {
		named := exthdrOperand(o.left.exthdr, trimmed.bitOffset, length)
		if named.text == "" || strings.Contains(named.text, "@") {
			return o
		}
		named.format.shift = trail
		return named
	}
	if !p.name(&trimmed) {
		return o
	}
	return &trimmed
}

// shifted finds the field that a masked payload is when it is shifted to the
// end of its bytes, for a lookup.
func (p *printer) shifted(o *operand) *operand {
	field := p.masked(o.left)
	if field == o.left || o.right.text != strconv.Itoa(int(field.format.shift)) {
		return o
	}
	field.format.shift = 0
	return field
}

// maskBits splits a mask with one run of ones.
func maskBits(mask []byte) (lead, length, trail uint32, ok bool) {
	n := new(big.Int).SetBytes(mask)
	total := uint32(len(mask) * 8)
	if n.Sign() == 0 || uint32(n.BitLen()) > total {
		return 0, 0, 0, false
	}
	trail = uint32(n.TrailingZeroBits())
	lead = total - uint32(n.BitLen())
	length = total - lead - trail
	ones := new(big.Int).Rsh(n, uint(trail))
	ones.Add(ones, big.NewInt(1))
	return lead, length, trail, ones.TrailingZeroBits() == uint(length) && length < total
}

// forget takes back the match that implied the protocol of a base.
func (p *printer) forget(base firewall.HeaderBase) {
	d := &p.implied[base]
	if d.piece == 0 && base == firewall.TransportHeader {
		d = &p.implied[firewall.InnerHeader]
	}
	if d.piece != 0 {
		p.pieces[d.piece-1].removed = true
		*d = implication{}
	}
}

// supersede takes back what nft itself puts before a match on this payload.
func (p *printer) supersede(o *operand) {
	if o.payload.Base > firewall.TransportHeader {
		return
	}
	d := p.implied[o.payload.Base]
	if d.piece == 0 && o.payload.Base == firewall.TransportHeader {
		d = p.implied[firewall.InnerHeader]
	}
	if d.piece != 0 && p.impliedBy(d, o) {
		p.forget(o.payload.Base)
	}
}

func (p *printer) impliedBy(d implication, o *operand) bool {
	several := p.family == firewall.FamilyBridge || p.family == firewall.FamilyNetdev || p.family == firewall.FamilyInet
	if several && d.left.kind == kindPayload {
		// "ip protocol" and "ip6 nexthdr" say which family it is.
		if d.left.payload.Base == firewall.NetworkHeader && o.payload.Base == firewall.TransportHeader {
			return false
		}
		if d.plain && d.left.payload.Base == o.payload.Base {
			if isKey(o) {
				return false
			}
			if o.payload.Base == firewall.LinkLayerHeader {
				return d.left.header == etherHeader && d.value == etherTypeVLAN
			}
		}
	}
	if o.payload.Base != firewall.TransportHeader || d.left.kind != kindPayload || d.left.payload.Base != firewall.TransportHeader {
		return true
	}
	return o.field != nil && o.field.dependency != 0 && o.header == d.left.header && p.icmpType == o.field.dependency
}

func isKey(o *operand) bool {
	return o.field != nil && (o.field.name == o.header.key || o.header.base == firewall.TransportHeader && o.field.name == "type")
}

// learn follows a match by equality: what protocol it shows, and which later
// match would imply it.
func (p *printer) learn(left *operand, value []byte, piece int) {
	n := new(big.Int).SetBytes(value)
	if !n.IsUint64() {
		return
	}
	d := implication{piece: piece, left: left, value: n.Uint64(), plain: true}
	switch left.kind {
	case kindMeta:
		p.learnMeta(left, d, value)
	case kindCT:
		switch left.ct.Key {
		case firewall.CTSrc, firewall.CTDst, firewall.CTProtocol:
			p.forget(firewall.NetworkHeader)
		}
	case kindPayload:
		p.learnPayload(left, d)
	}
}

func (p *printer) learnMeta(left *operand, d implication, value []byte) {
	switch left.meta {
	case firewall.MetaNFProto:
		p.protocol[firewall.NetworkHeader] = map[uint64]*header{2: ipHeader, 10: ip6Header}[d.value]
		p.implied[firewall.NetworkHeader] = d
	case firewall.MetaProtocol:
		if p.family == firewall.FamilyBridge || p.family == firewall.FamilyNetdev {
			if upper := etherHeader.upper[d.value]; upper != nil {
				p.protocol[firewall.NetworkHeader] = upper
			}
			if d.value == etherTypeVLAN || d.value == etherTypeQinQ {
				p.protocol[firewall.LinkLayerHeader] = etherHeader
				p.vlans++
				p.implied[firewall.LinkLayerHeader] = d
				return
			}
		}
		p.implied[firewall.NetworkHeader] = d
	case firewall.MetaL4Proto:
		if p.impliesFamily(d.value) {
			p.forget(firewall.NetworkHeader)
		}
		p.protocol[firewall.TransportHeader] = transports[d.value]
		p.implied[firewall.TransportHeader] = d
	case firewall.MetaIifType:
		if len(value) == 2 && binary.NativeEndian.Uint16(value) == 1 { // ARPHRD_ETHER
			p.protocol[firewall.LinkLayerHeader] = etherHeader
			p.implied[firewall.LinkLayerHeader] = d
		}
	}
}

// impliesFamily says that a transport protocol is one family's own, and that
// this family has just been matched.
func (p *printer) impliesFamily(transport uint64) bool {
	d := p.implied[firewall.NetworkHeader]
	if d.piece == 0 || d.left.kind != kindMeta || !d.plain {
		return false
	}
	switch d.value {
	case 2, etherTypeIPv4:
		return transport == 1
	case 10, etherTypeIPv6:
		return transport == 58
	}
	return false
}

func (p *printer) learnPayload(left *operand, d implication) {
	if left.field == nil {
		return
	}
	if left.header == icmpHeader || left.header == icmp6Header {
		if left.field.name == "type" {
			p.learnICMP(left, d)
		}
		return
	}
	if left.field.name != left.header.key {
		return
	}
	if left.header.base == firewall.LinkLayerHeader && (d.value == etherTypeVLAN || d.value == etherTypeQinQ) {
		p.vlans++
		p.implied[firewall.LinkLayerHeader] = d
		return
	}
	above := left.header.base + 1
	p.protocol[above] = left.header.upper[d.value]
	p.implied[above] = d
}

// learnICMP keeps a message's type. Echo requests and replies have the same
// fields, so a match on one of them is never implied.
func (p *printer) learnICMP(left *operand, d implication) {
	echo := d.value == 8 || d.value == 0
	if left.header == icmp6Header {
		echo = d.value == 128 || d.value == 129
	}
	p.icmpType = int(d.value) + 1
	if echo {
		p.icmpType = 8 + 1
		if left.header == icmp6Header {
			p.icmpType = 128 + 1
		}
		return
	}
	p.implied[firewall.InnerHeader] = d
}

var comparisonSymbols = [...]string{"", "!= ", "< ", "<= ", "> ", ">= "}

func (p *printer) cmp(e *expression) bool {
	data := plainData(e.get(cmpData))
	op := firewall.Comparison(min(e.uint32(cmpOp), uint32(firewall.GreaterEqual)))
	left := p.get(e.uint32(cmpSreg), uint32(len(data)))
	if left == nil || len(data) == 0 {
		return false
	}
	return p.compare(left, op, data)
}

func (p *printer) compare(left *operand, op firewall.Comparison, data []byte) bool {
	switch left.kind {
	case kindBinary:
		return p.compareMasked(left, op, data)
	case kindPayload:
		if op <= firewall.NotEqual && left.field == nil {
			return p.expand(left, op, data)
		}
		p.recognize(left)
	case kindConcat:
		p.recognize(left)
		p.match(left.String() + " " + equalSymbol(op, left.format) + concatText(left, data))
		return true
	default:
		p.recognize(left)
	}
	p.relation(left, op, data)
	return true
}

func concatText(left *operand, data []byte) string {
	var parts []string
	offset := 0
	for _, part := range left.parts {
		end := min(offset+int(part.length), len(data))
		parts = append(parts, part.format.value(data[min(offset, end):end]))
		offset = (end + 3) &^ 3
	}
	return strings.Join(parts, " . ")
}

// equalSymbol writes "==" for flags, which without it would be one of several.
func equalSymbol(op firewall.Comparison, f format) string {
	if op == firewall.Equal && flagSymbols[f.typ] != nil {
		return "== "
	}
	return comparisonSymbols[op]
}

// relation writes a comparison with one value, or joins two to a range.
func (p *printer) relation(left *operand, op firewall.Comparison, data []byte) {
	if left.addresses {
		left = addressFamily(left, data)
	}
	name := left.String()
	if prev := p.previous; prev != nil && prev.left.String() == name {
		joined := ""
		switch {
		case prev.op == firewall.GreaterEqual && op == firewall.LessEqual:
			joined = name + " " + p.rangeText(left.format, prev.value, data)
		case prev.op == firewall.Less && op == firewall.Greater:
			joined = name + " != " + p.rangeText(left.format, prev.value, data)
		}
		if joined != "" {
			p.pieces[prev.piece-1].text = joined
			p.previous = nil
			return
		}
	}
	index := p.match(name + " " + equalSymbol(op, left.format) + p.valueText(left, data))
	p.previous = &comparison{op, left, data, index}
	if op == firewall.Equal {
		p.learn(left, data, index)
	}
}

// addressFamily names the family of a conntrack entry's address by its length.
func addressFamily(o *operand, data []byte) *operand {
	named := *o
	family := "ip6 "
	named.format.typ = "ipv6_addr"
	if len(data) == 4 {
		family, named.format.typ = "ip ", "ipv4_addr"
	}
	direction := strings.LastIndexByte(o.text, ' ') + 1
	named.text = o.text[:direction] + family + o.text[direction:]
	return &named
}

// rangeText never prints a prefix: this is how ranges outside sets are compiled.
func (p *printer) rangeText(f format, from, to []byte) string {
	return f.ends(from, to)
}

// valueText prints what an operand is compared with.
func (p *printer) valueText(left *operand, data []byte) string {
	f := left.format
	f.interfaces = p.interfaces
	if flagSymbols[f.typ] != nil && left.kind == kindPayload {
		return flagValue(f, data)
	}
	if f.typ == "boolean" && left.kind != kindOther && left.kind != kindMeta && left.kind != kindExtHdr {
		return strconv.Itoa(int(data[0]))
	}
	return f.value(data)
}

// flagValue prints one flag by its name and several as a number.
func flagValue(f format, data []byte) string {
	text := f.value(data)
	if strings.Contains(text, "|") {
		return hexText(f.number(data))
	}
	return text
}

// expand splits a comparison of bytes that several header fields fill: nft
// merges matches on neighbours.
func (p *printer) expand(left *operand, op firewall.Comparison, data []byte) bool {
	rest := *left
	left = &rest
	h, skip := p.headerAt(left.payload.Base, left.bitOffset)
	for h != nil && len(data) > 0 {
		f := p.fieldStarting(h, left.bitOffset-skip)
		if f == nil || f.length%8 != 0 {
			break
		}
		one := *left
		n := min(int(f.length/8), len(data))
		one.bitLength, one.length = f.length, uint32(n)
		one.header, one.field, one.format = h, f, typeFormat(f.typ)
		p.supersede(&one)
		if n*8 < int(f.length) {
			return p.comparePrefix(&one, op, data)
		}
		p.relation(&one, op, data[:n])
		left.bitOffset += f.length
		left.bitLength -= f.length
		data = data[n:]
		h, skip = p.headerAt(left.payload.Base, left.bitOffset)
	}
	if len(data) > 0 {
		left.length = uint32(len(data))
		p.recognize(left)
		p.relation(left, op, data)
	}
	return true
}

func (p *printer) fieldStarting(h *header, offset uint32) *field {
	for i := range h.fields {
		if f := &h.fields[i]; f.offset == offset && p.fits(f) {
			return f
		}
	}
	return nil
}

// comparePrefix is a comparison of an address's first bytes: a prefix.
func (p *printer) comparePrefix(left *operand, op firewall.Comparison, data []byte) bool {
	whole := make([]byte, left.field.length/8)
	copy(whole, data)
	if !prefixes[left.format.typ] {
		return false
	}
	p.match(left.String() + " " + comparisonSymbols[op] + left.format.value(whole) + "/" + strconv.Itoa(len(data)*8))
	return true
}

// compareMasked is a comparison of something with bits masked out.
func (p *printer) compareMasked(left *operand, op firewall.Comparison, data []byte) bool {
	if trimmed := p.masked(left); trimmed != left {
		p.recognize(trimmed)
		p.relation(trimmed, op, data)
		return true
	}
	p.recognize(left)
	if left.symbol != "&" || left.right.kind != kindConstant {
		p.relation(left, op, data)
		return true
	}
	name, f, mask := left.left.String(), left.format, left.right
	flags := flagSymbols[f.typ]
	zero := uniform(data, 0)
	switch {
	case flags != nil && op == firewall.NotEqual && zero:
		p.match(name + " " + flagText(flags, f.number(mask.data).Uint64(), ","))
	case flags != nil && op == firewall.Equal && zero:
		p.match(name + " ! " + flagText(flags, f.number(mask.data).Uint64(), ","))
	case flags != nil && op <= firewall.NotEqual && strings.Contains(mask.String(), "|"):
		p.match(name + " " + comparisonSymbols[op] + flagText(flags, f.number(data).Uint64(), ",") +
			" / " + flagText(flags, f.number(mask.data).Uint64(), ","))
	case prefixes[f.typ] && op <= firewall.NotEqual && isPrefix(f.networkOrder(mask.data)):
		length, _ := maskLength(f.networkOrder(mask.data))
		p.match(name + " " + comparisonSymbols[op] + f.value(data) + "/" + strconv.Itoa(length))
	default:
		symbol := comparisonSymbols[op]
		if op == firewall.Equal {
			symbol = "== "
		}
		p.match(left.String() + " " + symbol + f.value(data))
	}
	return true
}

func isPrefix(mask []byte) bool { _, ok := maskLength(mask); return ok }

func (p *printer) rangeMatch(e *expression) bool {
	from, to := plainData(e.get(rangeFrom)), plainData(e.get(rangeTo))
	left := p.get(e.uint32(rangeSreg), uint32(len(from)))
	if left == nil || len(from) == 0 || len(from) != len(to) {
		return false
	}
	left = p.masked(left)
	p.recognize(left)
	not := implicit(left)
	if e.uint32(rangeOp) == 1 {
		not = "!= "
	}
	p.match(left.String() + " " + not + p.rangeText(left.format, from, to))
	return true
}

// implicit is the sign of equality where it can't be left out.
func implicit(left *operand) string {
	if left.kind == kindBinary {
		return "== "
	}
	return ""
}

func (p *printer) lookup(e *expression) bool {
	set := p.table.sets[e.text(lookupSet)]
	if set == nil {
		return false
	}
	key := p.get(e.uint32(lookupSreg), set.KeyLength)
	if key == nil {
		return false
	}
	key = p.masked(key)
	p.recognize(key)
	if e.has(lookupDreg) {
		p.add(key.String() + " vmap " + p.setText(set, key))
		return true
	}
	not := implicit(key)
	if e.uint32(lookupFlags)&1 != 0 {
		not = "!= "
	}
	p.match(key.String() + " " + not + p.setText(set, key))
	return true
}

// setText is the set that a key is looked up in.
func (p *printer) setText(s *firewall.Set, key *operand) string {
	return setText(s, key, p.interfaces)
}

func (p *printer) verdict(e *expression) bool {
	var data attributes
	data.parse(e.get(immediateData))
	v, ok := p.table.decodeVerdict(data.get(dataVerdict)).(firewall.Verdict)
	if !ok {
		return false
	}
	p.add(verdictText(v))
	return true
}

// same says that two payloads are the same bytes.
func same(a, b *operand) bool {
	return a.kind == kindPayload && b.kind == kindPayload && a.payload == b.payload
}
