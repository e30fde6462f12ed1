package firewall

import (
	"fmt"
	mathbits "math/bits"

	"github.com/netglance/netglance/internal/bdd"
)

// load computes a value for every packet at once, and says for which of them it
// can be loaded: for the others the rule ends (NFT_BREAK).
func (w *walker) load(p *packet, v Value) (bits, bdd.Node) {
	if p.any != nil {
		if b, there, ok := w.loadAny(p, v); ok {
			return b, there
		}
	}
	switch v := v.(type) {
	case Constant:
		return constantBits(v.Data), bdd.True
	case Payload:
		return w.loadPayload(p, v)
	case Meta:
		return w.loadMeta(p, v.Key)
	case CT:
		return w.loadCT(p, v)
	case FIB:
		return w.loadFIB(p, v)
	case RT:
		return w.loadRT(p, v)
	case ExtHdr:
		return w.loadExtHdr(p, v)
	case Bitwise:
		return w.loadBitwise(p, v)
	case ByteOrder:
		return w.loadByteOrder(p, v)
	case Concat:
		return w.loadConcat(p, v)
	case Slice:
		return w.loadSlice(p, v)
	case MapLookup:
		return w.loadMap(p, v)
	case Socket:
		return w.loadSocket(p, v)
	case Unpredictable:
		return w.loadUnpredictable(v), bdd.True
	case BridgePort:
		return w.loadBridgePort(p, v)
	case Inner:
		return w.perhaps(Sender, "an encapsulated packet")
	case OpaqueValue:
		return w.perhaps(Unmodelled, v.Name)
	}
	return w.perhaps(Unmodelled, fmt.Sprintf("%T", v))
}

// perhaps is a value that may be anything or not be there at all. Nil bits stand
// for a value of which nothing is known: what is compared with it is unsettled.
func (w *walker) perhaps(kind ConditionKind, text string) (bits, bdd.Node) {
	return nil, w.unsettled(kind, text)
}

func (w *walker) loadPayload(p *packet, v Payload) (bits, bdd.Node) {
	if v.Length > 256 || v.Offset > 1<<16 {
		return w.perhaps(Unmodelled, "a payload load out of range")
	}
	offset, length := int(v.Offset), int(v.Length)
	if v.Base == LinkLayerHeader && len(p.link) == 0 {
		return nil, bdd.False // nft_payload.c: no link-layer header
	}
	if v.Base <= TransportHeader {
		if b, ok := w.header(p, v.Base, offset, length); ok {
			return b, bdd.True
		}
	}
	text := fmt.Sprintf("%s%s bytes %d to %d", p.about, baseName(v.Base), offset, offset+length-1)
	return w.field(text, length, Sender), w.fact(text+" being there", Sender)
}

func baseName(b HeaderBase) string {
	names := [...]string{"link-layer header", "network header", "transport header", "payload", "tunnel header"}
	if int(b) < len(names) {
		return names[b]
	}
	return "header"
}

// loadMeta is nft_meta_get_eval (net/netfilter/nft_meta.c).
func (w *walker) loadMeta(p *packet, key MetaKey) (bits, bdd.Node) {
	switch key {
	case MetaProtocol:
		return short(etherType(p.family)), bdd.True
	case MetaNFProto:
		return constantBits([]byte{byte(p.nfproto)}), bdd.True
	case MetaBriIifName:
		return w.bridgeName(p.in)
	case MetaBriOifName:
		return w.bridgeName(p.out)
	case MetaL4Proto:
		return constantBits([]byte{p.protocol}), bdd.True
	case MetaMark:
		return p.mark, bdd.True
	case MetaPriority:
		return p.priority, bdd.True
	case MetaPktType:
		return p.pktType, bdd.True
	case MetaIif, MetaIifName, MetaIifType, MetaIifGroup, MetaIifKind:
		return w.loadLink(p.in, key)
	case MetaOif, MetaOifName, MetaOifType, MetaOifGroup, MetaOifKind:
		return w.loadLink(p.out, key)
	case MetaSKUID, MetaSKGID, MetaCgroup:
		return w.loadOwner(p, key)
	case MetaSDIF:
		return w.word(0), bdd.True
	case MetaSDIFName:
		return name16(""), bdd.True
	case MetaLen:
		return w.field(p.about+"meta length", 4, Sender), bdd.True
	case MetaTimeNS, MetaTimeDay, MetaTimeHour:
		return w.unsettledBits(8, Time, "the time"), bdd.True
	case MetaCPU:
		return w.field(p.about+"the CPU that takes the packet", 4, Random), bdd.True
	case MetaPRandom:
		return w.unsettledBits(4, Random, "meta random"), bdd.True
	case MetaSecPath:
		return w.field(p.about+"IPsec having protected the packet", 1, Unmodelled), bdd.True
	case MetaRTClassID:
		if p.hook <= Prerouting {
			return nil, bdd.False
		}
	}
	return w.perhaps(Unmodelled, fmt.Sprintf("meta key %d", key))
}

// bridgeName is the name of the bridge that a port belongs to (nft_meta_bridge.c).
func (w *walker) bridgeName(port *Interface) (bits, bdd.Node) {
	if port == nil {
		return nil, bdd.False
	}
	bridge := w.e.byIndex[port.Master]
	if port.Master == 0 || bridge == nil || bridge.Kind != "bridge" {
		return nil, bdd.False
	}
	return name16(bridge.Name), bdd.True
}

func (w *walker) loadLink(link *Interface, key MetaKey) (bits, bdd.Node) {
	switch key {
	case MetaIif, MetaOif:
		if link == nil {
			return w.word(0), bdd.True
		}
		return w.word(uint32(link.Index)), bdd.True
	case MetaIifName, MetaOifName:
		if link == nil {
			return name16(""), bdd.True
		}
		return name16(link.Name), bdd.True
	}
	if link == nil {
		return nil, bdd.False
	}
	switch key {
	case MetaIifType, MetaOifType:
		return w.hostShort(link.Type), bdd.True
	case MetaIifGroup, MetaOifGroup:
		return w.word(link.Group), bdd.True
	}
	if link.Kind == "" {
		return nil, bdd.False
	}
	return name16(link.Kind), bdd.True
}

// loadBridgePort is the port of a bridged packet, while br_netfilter shows such
// packets to iptables.
func (w *walker) loadBridgePort(p *packet, v BridgePort) (bits, bdd.Node) {
	name := "bridge-nf-call-iptables"
	if p.family == FamilyIPv6 {
		name = "bridge-nf-call-ip6tables"
	}
	if w.e.setting("bridge", "", name) == 0 || p.in == nil || p.in.Kind != "bridge" {
		return nil, bdd.False
	}
	if p.bridgePort != nil && !p.anyPort && !v.Out {
		return name16(p.bridgePort.Name), bdd.True
	}
	return w.perhaps(Unmodelled, "the bridge port that the packet goes through")
}

// loadRT is nft_rt_get_eval: without a route the rule ends.
func (w *walker) loadRT(p *packet, v RT) (bits, bdd.Node) {
	if p.hook <= Prerouting {
		return nil, bdd.False
	}
	return w.perhaps(Unmodelled, fmt.Sprintf("rt key %d", v.Key))
}

// loadExtHdr is nft_exthdr.c. The question's packet has no extension headers and
// no IP options; which TCP options it has is its sender's choice.
func (w *walker) loadExtHdr(p *packet, v ExtHdr) (bits, bdd.Node) {
	absent := v.Op == ExtHdrIPv6 || v.Op == ExtHdrIPv4 || v.Op == ExtHdrTCPOpt && p.protocol != protocolTCP ||
		v.Op == ExtHdrSCTP && p.protocol != protocolSCTP || v.Op == ExtHdrDCCP
	there := bdd.False
	text := fmt.Sprintf("%s%s", p.about, extHdrName(v))
	if !absent {
		there = w.fact(text+" being there", Sender)
	}
	if v.Present {
		b := make(bits, 8)
		b[7] = there
		return b, bdd.True
	}
	if absent {
		return nil, bdd.False
	}
	return w.field(fmt.Sprintf("%s bytes %d to %d", text, v.Offset, v.Offset+v.Length-1), int(min(v.Length, 256)), Sender), there
}

func extHdrName(v ExtHdr) string {
	if v.Op == ExtHdrTCPOpt {
		return fmt.Sprintf("tcp option %d", v.Type)
	}
	return fmt.Sprintf("chunk %d", v.Type)
}

func (w *walker) loadBitwise(p *packet, v Bitwise) (bits, bdd.Node) {
	left, ok := w.load(p, v.Left)
	if left == nil {
		return nil, ok
	}
	left = left.padded(int(v.Length))
	if v.Op == ShiftLeft || v.Op == ShiftRight {
		return w.shifted(left, v.Op == ShiftLeft, v.Shift), ok
	}
	right, ok2 := w.load(p, v.Right)
	if right == nil {
		return nil, w.m.And(ok, ok2)
	}
	return w.combine(v.Op, left, right), w.m.And(ok, ok2)
}

func (w *walker) loadByteOrder(p *packet, v ByteOrder) (bits, bdd.Node) {
	b, ok := w.load(p, v.Value)
	if b == nil {
		return nil, ok
	}
	b = b.padded(int(v.Length))
	if w.e.rules.BigEndian || v.Size < 2 {
		return b, ok
	}
	return b.reversed(int(v.Size)), ok
}

func (w *walker) loadConcat(p *packet, v Concat) (bits, bdd.Node) {
	var all bits
	ok := bdd.True
	for _, part := range v.Parts {
		b, there := w.load(p, part)
		if ok = w.m.And(ok, there); b == nil {
			return nil, ok
		}
		all = append(all, b.padded((len(b)/8+3)&^3)...)
	}
	return all, ok
}

func (w *walker) loadSlice(p *packet, v Slice) (bits, bdd.Node) {
	b, ok := w.load(p, v.Value)
	if b == nil {
		return nil, ok
	}
	b = b.padded(int(v.Offset + v.Length))
	return b[8*v.Offset:], ok
}

func (w *walker) loadMap(p *packet, v MapLookup) (bits, bdd.Node) {
	key, ok := w.load(p, v.Key)
	if key == nil {
		return nil, w.m.And(ok, w.unsettled(Unmodelled, "what @"+v.Map.Name+" has for the packet"))
	}
	length := int(v.Length)
	if length == 0 {
		length = int(v.Map.DataLength)
	}
	result := make(bits, 8*length)
	found := bdd.False
	for _, c := range w.lookup(v.Map, key, ok) {
		found = w.m.Or(found, c.set)
		result = w.choose(c.set, w.elementData(c.element, v.Map, length), result)
	}
	return result, w.m.And(ok, found)
}

// elementData is an element's data; nil is an element that was not read.
func (w *walker) elementData(e *Element, s *Set, length int) bits {
	if e == nil {
		return w.unsettledBits(length, Unread, "what @"+s.Name+" has for the packet")
	}
	return constantBits(e.Data).padded(length)
}

func (w *walker) loadUnpredictable(v Unpredictable) bits {
	if v.Modulus == 0 || v.Length != 4 {
		return w.unsettledBits(int(v.Length), v.Kind, v.Text)
	}
	choice := w.add(w.oneOf(v.Modulus, v.Kind, v.Text), []byte{byte(v.Offset >> 24), byte(v.Offset >> 16), byte(v.Offset >> 8), byte(v.Offset)})
	if w.e.rules.BigEndian {
		return choice
	}
	return choice.reversed(4)
}

// oneOf is a number below n, most significant byte first, of which nothing else
// is known. Values of the bits at or above n stand for themselves without their
// top bit, so that every number below n is there and no other.
func (w *walker) oneOf(n uint32, kind ConditionKind, text string) bits {
	b := make(bits, 32)
	if n <= 1 {
		return b
	}
	top := 32 - mathbits.Len32(n-1)
	for i := top; i < 32; i++ {
		b[i] = w.unsettled(kind, text)
	}
	limit := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	b[top] = w.m.Diff(b[top], w.atLeast(b, limit, 0))
	return b
}
