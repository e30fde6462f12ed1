package firewall

import (
	"fmt"

	"github.com/netglance/netglance/internal/bdd"
)

// anything is what a review leaves open beside the headers: its packets are all
// that a hook can meet, fragments and packets of old flows among them, and some
// that none can. What no packet of the larger class does, no packet does.
type anything struct {
	// frame says that the packets need not be IP: those of bridge, arp and netdev.
	frame    bool
	protocol bits // 8 bits
	// length is that of the transport header, 8 bits, up to 63; 0 in a later fragment.
	length bits
	// in and out are nil at hooks where packets have no such link.
	in, out *anyLink
	// direction is true for packets of the reply's direction.
	direction bdd.Node
	// generation numbers the changes that rules made so far: what is looked up after
	// one may differ from what was looked up before.
	generation int
	// generations is the number of changes of all packets of the walk.
	generations *int
}

// An anyLink is any of the host's interfaces, or one that it may have later.
type anyLink struct {
	name, index bits
	// present is for which packets there is such a link.
	present               bdd.Node
	kind, hardware, group bits
	hasKind               bdd.Node
	known                 []bdd.Node // for which packets it is the interface of that place
	interfaces            []Interface
	other                 bdd.Node
	// sane leaves out links that are none: two names for one index, and names that are
	// an interface's up to the zero byte behind it, where iptables-nft stops to compare.
	sane bdd.Node
}

// changed is for a packet whose headers or entry a rule changed.
func (a *anything) changed() *anything {
	if a == nil {
		return nil
	}
	c := *a
	*c.generations++
	c.generation = *c.generations
	return &c
}

// maxTransport is how much of a transport header a review knows: all of TCP's.
const maxTransport = 63

// anyPacket is any packet that a hook of the family can meet, and where the
// variables fit together.
func (w *walker) anyPacket(family Family, hook Hook) (*packet, bdd.Node) {
	frame := family != FamilyIPv4 && family != FamilyIPv6
	p := &packet{family: family, hook: hook, ofSocket: true, any: &anything{frame: frame, generations: new(int)}}
	// What splits the packets into few classes comes first.
	p.any.protocol = w.anyBits(8)
	next := w.nextHeader(p.any.protocol)
	p.any.length = append(make(bits, 2), w.anyBits(6)...)
	w.anyTracking(p)
	port := w.anyBits(16)
	source, destination := w.anyBits(8*p.addressLength()), w.anyBits(8*p.addressLength())
	p.transport = free(8 * (maxTransport + 1))
	copy(p.transport, w.anyBits(16))
	copy(p.transport[16:], port)
	p.mark, p.priority, p.pktType = w.anyBits(32), w.anyBits(32), w.anyBits(8)
	p.link = free(14 * 8)
	if !frame {
		p.network = anyHeader(p, source, destination)
	}
	if family == FamilyIPv6 {
		p.network = replaced(p.network, 6*8, next)
	}
	return p, w.anyLinks(p, hook)
}

// nextHeader is what IPv6's header names: the protocol, or an extension header
// before it (ipv6_ext_hdr in net/ipv6/exthdrs_core.c).
func (w *walker) nextHeader(protocol bits) bits {
	extension, is := w.anyBits(8), bdd.False
	for _, n := range []byte{0, 43, 44, 51, 59, 60} {
		is = w.m.Or(is, w.equal(extension, []byte{n}))
	}
	return w.choose(is, extension, protocol)
}

func anyHeader(p *packet, source, destination bits) bits {
	if p.family == FamilyIPv6 {
		b := free(40 * 8)
		copy(b, constantBits([]byte{0x60})[:4])
		copy(b[8*8:], source)
		copy(b[24*8:], destination)
		return b
	}
	b := free(20 * 8)
	copy(b, constantBits([]byte{0x40})[:4])
	copy(b[9*8:], p.any.protocol)
	copy(b[12*8:], source)
	copy(b[16*8:], destination)
	return b
}

func (w *walker) anyBits(n int) bits {
	b := make(bits, n)
	for i := range b {
		b[i] = w.unsettled(Sender, "any packet")
	}
	return b
}

func (w *walker) anyFact() bdd.Node { return w.anyBits(1)[0] }

// anyTracking lets the packet have any entry or none.
func (w *walker) anyTracking(p *packet) {
	t := &p.tracking
	t.untracked = w.anyFact()
	t.tracked = w.m.Diff(w.anyFact(), t.untracked)
	first, related := w.anyFact(), w.anyFact()
	t.states = w.choose(first, w.word(stateNew), w.choose(related, w.word(stateRelated), w.word(stateEstablished)))
	p.any.direction = w.m.Diff(w.anyFact(), first)
	t.mark, t.zone, t.labels = w.anyBits(32), w.anyBits(16), w.anyBits(128)
}

// unestablished are the packets of no old flow: new ones, and all where nothing is tracked.
func (w *walker) unestablished(p *packet) bdd.Node {
	state, _ := w.loadCT(p, CT{Key: CTState})
	known := w.m.Or(w.equal(state, w.wordBytes(stateNew)), w.equal(state, w.wordBytes(stateUntracked)))
	return w.m.Or(known, w.m.Diff(w.equal(state, w.wordBytes(stateInvalid)), w.trackingOn(p.family)))
}

func (w *walker) wordBytes(v uint32) []byte {
	data, _ := w.word(v).constant()
	return data
}

// anyLinks gives the packet the links that packets have at the hook.
func (w *walker) anyLinks(p *packet, hook Hook) bdd.Node {
	sane := bdd.True
	if hook != Output || p.any.frame {
		p.any.in = w.anyLink(hook == Postrouting || p.any.frame)
		sane = w.m.And(sane, p.any.in.sane)
	}
	if hook >= Forward || p.any.frame {
		p.any.out = w.anyLink(p.any.frame)
		sane = w.m.And(sane, p.any.out.sane)
	}
	return sane
}

// maxLinks bounds the interfaces that a review tells apart by more than one property.
const maxLinks = 24

func (w *walker) anyLink(optional bool) *anyLink {
	l := &anyLink{interfaces: w.e.network.Interfaces[:min(len(w.e.network.Interfaces), maxLinks)]}
	selector := w.anyBits(8)
	l.name, l.index = w.anyBits(16*8), w.anyBits(32)
	l.kind, l.hardware, l.group = w.anyBits(16*8), w.anyBits(16), w.anyBits(32)
	l.hasKind = w.anyFact()
	l.other = bdd.True
	l.sane = w.m.Not(w.equal(l.index, w.wordBytes(0)))
	freeName, freeIndex := l.name, l.index
	for i := range l.interfaces {
		link := &l.interfaces[i]
		chosen := w.equal(selector, []byte{byte(i + 1)})
		l.known = append(l.known, chosen)
		l.other = w.m.Diff(l.other, chosen)
		l.sane = w.m.Diff(l.sane, w.m.Or(w.prefixName(freeName, link.Name), w.sameBits(freeIndex, w.word(uint32(link.Index)))))
		l.name = w.choose(chosen, name16(link.Name), l.name)
		l.index = w.choose(chosen, w.word(uint32(link.Index)), l.index)
		l.kind = w.choose(chosen, name16(link.Kind), l.kind)
		l.hardware = w.choose(chosen, w.hostShort(link.Type), l.hardware)
		l.group = w.choose(chosen, w.word(link.Group), l.group)
		if link.Kind == "" {
			l.hasKind = w.m.Diff(l.hasKind, chosen)
		} else {
			l.hasKind = w.m.Or(l.hasKind, chosen)
		}
	}
	l.present = bdd.True
	if optional {
		l.present = w.anyFact()
		l.name, l.index = w.choose(l.present, l.name, name16("")), w.choose(l.present, l.index, w.word(0))
	}
	return l
}

func (w *walker) prefixName(b bits, name string) bdd.Node {
	return w.equal(b[:8*min(len(name)+1, len(b)/8)], append([]byte(name), 0)[:min(len(name)+1, len(b)/8)])
}

func (w *walker) sameBits(a, b bits) bdd.Node {
	data, _ := b.constant()
	return w.equal(a, data)
}

// loadAny is load for a packet that may be any; false for values that are loaded
// as they always are.
func (w *walker) loadAny(p *packet, v Value) (bits, bdd.Node, bool) {
	switch v := v.(type) {
	case Payload:
		b, there := w.loadAnyPayload(p, v)
		return b, there, true
	case Meta:
		return w.loadAnyMeta(p, v.Key)
	case CT:
		return w.loadAnyCT(p, v)
	case FIB:
		// The tables answer the same for the same addresses and mark.
		about := fmt.Sprintln(v, p.family, p.mark)
		if !p.any.frame {
			about += fmt.Sprintln(p.source(), p.destination())
		}
		return w.anyField(p, "fib "+about, 16), bdd.True, true
	case ExtHdr:
		name := fmt.Sprintf("header %d of kind %d", v.Type, v.Op)
		there := w.anyThere(p, name)
		if v.Present {
			b := make(bits, 8)
			b[7] = there
			return b, bdd.True, true
		}
		return w.anyField(p, fmt.Sprintf("%s, bytes %d and %d", name, v.Offset, v.Length), int(min(v.Length, 256))), there, true
	case BridgePort:
		name := fmt.Sprintf("bridge port %v", v.Out)
		return w.anyField(p, name, 16), w.anyThere(p, name), true
	case Socket:
		name := fmt.Sprintf("socket %d %d", v.Key, v.Level)
		return w.anyField(p, name, 16), w.anyThere(p, name), true
	case RT:
		b, there := w.perhaps(Unmodelled, "rt")
		return b, there, true
	}
	return nil, bdd.False, false
}

func (w *walker) anyName(p *packet, name string) string {
	return fmt.Sprintf("%s, after %d changes", name, p.any.generation)
}

func (w *walker) anyField(p *packet, name string, length int) bits {
	return w.field(w.anyName(p, name), length, Unmodelled)
}

func (w *walker) anyThere(p *packet, name string) bdd.Node {
	return w.fact(w.anyName(p, name)+" being there", Unmodelled)
}

func (w *walker) loadAnyPayload(p *packet, v Payload) (bits, bdd.Node) {
	if v.Length > 256 || v.Offset > 1<<16 {
		return w.perhaps(Unmodelled, "a payload load out of range")
	}
	offset, length := int(v.Offset), int(v.Length)
	name := fmt.Sprintf("%s bytes %d to %d", baseName(v.Base), offset, offset+length)
	b, ok := bits(nil), false
	if v.Base <= TransportHeader {
		b, ok = w.header(p, v.Base, offset, length)
	}
	switch {
	case !ok:
		return w.anyField(p, name, length), w.anyThere(p, name)
	case v.Base == TransportHeader && offset+length <= maxTransport:
		return b, w.atLeast(p.any.length, []byte{byte(offset + length)}, 0)
	case v.Base == NetworkHeader:
		return b, bdd.True
	}
	return b, w.fact(baseName(v.Base)+" being there", Unmodelled)
}

func (w *walker) loadAnyMeta(p *packet, key MetaKey) (bits, bdd.Node, bool) {
	switch key {
	case MetaL4Proto:
		if p.family == FamilyIPv4 {
			return p.any.protocol, bdd.True, true
		}
		return p.any.protocol, w.fact("the transport protocol being known", Unmodelled), true
	case MetaProtocol, MetaNFProto:
		if !p.any.frame {
			return nil, bdd.False, false
		}
		return w.field(fmt.Sprintf("meta key %d", key), 2, Unmodelled), bdd.True, true
	case MetaIif, MetaIifName, MetaIifType, MetaIifGroup, MetaIifKind:
		b, there := w.loadAnyLink(p.any.in, key)
		return b, there, true
	case MetaOif, MetaOifName, MetaOifType, MetaOifGroup, MetaOifKind:
		b, there := w.loadAnyLink(p.any.out, key)
		return b, there, true
	case MetaSDIF, MetaSDIFName, MetaSKUID, MetaSKGID, MetaCgroup:
		name := fmt.Sprintf("meta key %d", key)
		return w.field(name, 16, Unmodelled), w.fact(name+" being there", Unmodelled), true
	case MetaRTClassID:
		b, there := w.perhaps(Unmodelled, "meta rtclassid")
		return b, there, true
	}
	return nil, bdd.False, false
}

func (w *walker) loadAnyLink(l *anyLink, key MetaKey) (bits, bdd.Node) {
	if l == nil {
		return w.loadLink(nil, key)
	}
	switch key {
	case MetaIif, MetaOif:
		return l.index, bdd.True
	case MetaIifName, MetaOifName:
		return l.name, bdd.True
	case MetaIifType, MetaOifType:
		return l.hardware, l.present
	case MetaIifGroup, MetaOifGroup:
		return l.group, l.present
	}
	return l.kind, w.m.And(l.hasKind, l.present)
}

// loadAnyCT is loadCT for a packet with any entry: what the entry says of
// addresses, counters and translations may be anything.
func (w *walker) loadAnyCT(p *packet, v CT) (bits, bdd.Node, bool) {
	t := &p.tracking
	if w.m.Diff(t.tracked, t.untracked) == bdd.False {
		return nil, bdd.False, v.Key != CTState
	}
	switch v.Key {
	case CTState, CTMark, CTZone, CTLabels, CTL3Protocol:
		return nil, bdd.False, false
	case CTProtocol:
		return p.any.protocol, t.tracked, true
	case CTDirection:
		b := make(bits, 8)
		b[7] = p.any.direction
		return b, t.tracked, true
	}
	name := fmt.Sprintf("ct %d %d", v.Key, v.Dir)
	there := t.tracked
	if v.Key != CTStatus {
		there = w.m.And(there, w.anyThere(p, name))
	}
	return w.anyField(p, name, 16), there, true
}

// mayFail says that a statement can end its rule, which only counts for the
// packets of a review: a flow that can't be offloaded (nft_flow_offload.c), a set
// that is full (nft_dynset.c).
func mayFail(step Step) bool {
	switch s := step.(type) {
	case FlowOffload, DynSet:
		return true
	case Assign:
		_, ok := s.Target.(ExtHdr)
		return ok
	}
	return false
}

// leading applies a rule's matches up to its first statement at once, and gives
// the steps from there on: small sets first, so that a large one is met once.
func (w *walker) leading(p *packet, r *Rule, set bdd.Node) (bdd.Node, []Step) {
	where := bdd.True
	for i, step := range r.Steps {
		switch s := step.(type) {
		case Compare, Range, InSet, Chance, AnyOf, Not:
			where = w.m.And(where, w.match(p, r, step, set))
		case Passive:
			if acts(s) {
				return w.m.And(set, where), r.Steps[i:]
			}
		default:
			return w.m.And(set, where), r.Steps[i:]
		}
	}
	return w.m.And(set, where), nil
}

// changesAny notes that the packet is changed, and says where it can be.
func (w *walker) changesAny(p *packet, target Value) bdd.Node {
	there := bdd.True
	if payload, ok := target.(Payload); ok {
		_, there = w.load(p, payload)
	}
	p.any = p.any.changed()
	return there
}

// forgetTracking and forgetAddresses are for what the kernel does to a packet between two chains of a hook:
// tracking finds an entry, translation changes addresses and ports.
func (w *walker) forgetTracking(p *packet) {
	untracked := p.tracking.untracked
	p.any = p.any.changed()
	w.anyTracking(p)
	p.tracking.untracked = w.m.Or(untracked, p.tracking.untracked)
	p.tracking.tracked = w.m.Diff(p.tracking.tracked, untracked)
}

func (w *walker) forgetAddresses(p *packet) {
	p.any = p.any.changed()
	p.setSource(w.anyBits(8 * p.addressLength()))
	p.setDestination(w.anyBits(8 * p.addressLength()))
	p.transport = replaced(p.transport, 0, w.anyBits(32))
}

// forgetChanges is for packets that a chain of the same priority may have changed.
func (w *walker) forgetChanges(p *packet) {
	w.forgetTracking(p)
	p.tracking.untracked = w.anyFact()
	p.tracking.tracked = w.m.Diff(w.anyFact(), p.tracking.untracked)
	p.mark, p.priority, p.pktType = w.anyBits(32), w.anyBits(32), w.anyBits(8)
	p.link, p.transport = w.anyBits(14*8), w.anyBits(8*(maxTransport+1))
	if !p.any.frame {
		p.network = anyHeader(p, w.anyBits(8*p.addressLength()), w.anyBits(8*p.addressLength()))
		for i, n := range p.network {
			if n == unallocated {
				p.network[i] = w.anyFact()
			}
		}
	}
}
