package firewall

import (
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/internal/bdd"
)

// IP protocol numbers (IANA).
const (
	protocolICMP    = 1
	protocolTCP     = 6
	protocolUDP     = 17
	protocolICMPv6  = 58
	protocolSCTP    = 132
	protocolUDPLite = 136
)

// ct state bits as nft and xt_conntrack see them (NF_CT_STATE_BIT).
const (
	stateInvalid     = 1
	stateEstablished = 2
	stateRelated     = 4
	stateNew         = 8
	stateUntracked   = 64
)

// ct status bits (enum ip_conntrack_status).
const (
	statusSeenReply   = 1 << 1
	statusConfirmed   = 1 << 3
	statusSourceNAT   = 1 << 4
	statusDestNAT     = 1 << 5
	statusSourceDone  = 1 << 7
	statusDestDone    = 1 << 8
	unallocated       = ^bdd.Node(0)
	etherTypeIPv4     = 0x0800
	etherTypeIPv6     = 0x86dd
	arphrdEther       = 1
	transportAddress4 = 12
)

// A packet is the set of packets that a question is about, at one point of their
// way: what they have in common is constant, the rest a function of what is free.
//
// The packet of a question is a plain first one: not fragmented, without IP
// options or extension headers, a TCP segment with SYN alone. What else its
// sender chooses (TTL, DSCP, length, TCP options …) is free.
type packet struct {
	family Family // FamilyIPv4 or FamilyIPv6
	// nfproto is the family that the current chain knows it by.
	nfproto  Family
	protocol uint8
	// about names the packet in conditions: "" or "the answer's ".
	about string
	hook  Hook
	// in and out are the links it came by and leaves by; nil if none.
	in, out *Interface
	// bridgePort is the port by which the packet came into the bridge that is in.
	bridgePort *Interface
	// anyPort says that bridgePort is one of several that are not told apart.
	anyPort bool
	// preroutingDone says that the IP family's prerouting hook was among the
	// bridge's, rerouted where it changed the destination: then the route was looked
	// up there.
	preroutingDone bool
	rerouted       bdd.Node

	link, network, transport bits

	mark, priority bits
	pktType        bits
	// socketKnown says that the packet belongs to a local socket: only outgoing
	// packets do.
	ofSocket bool
	// boundTo is the link that the socket is bound to which sends it; nil if none.
	boundTo *Interface
	// sockets are the listeners that tproxy gave packets to, of an answer those that
	// it comes from.
	sockets []owned
	// reroute is where a chain of type route changed what the route depends on.
	reroute bdd.Node
	// toGroup says that it is a broadcast or multicast: no error answers it.
	toGroup bool
	// rejection says that it is an error that answers a packet; sourceChosen that
	// the kernel chooses the address that it comes from, errorLink by which link
	// the packet came that it answers.
	rejection, sourceChosen bool
	errorLink               *Interface
	// any is set in a review: then the packet may be any that the hook can meet.
	any *anything

	tracking tracking
}

// tracking is the packet's conntrack entry. The functions say for which packets.
type tracking struct {
	// tracked have an entry; untracked were taken out by notrack. The rest has
	// none: before conntrack's hook, or invalid.
	tracked, untracked bdd.Node
	// flow is where the packet that this one answers had an entry.
	flow  bdd.Node
	state uint32
	// states, in a review, is the state where the packet has an entry.
	states bits
	// protocol is the flow's, also for an error about it.
	protocol  uint8
	reply     bool
	confirmed bool
	mark      bits
	zone      bits
	// entryZone is the zone of the entry that an answer looks for.
	entryZone bits
	labels    bits
	// the original direction's tuple
	source, destination, sourcePort, port bits
	// translated to, where dnat or snat is true
	dnat, snat                  bdd.Node
	newSource, newDestination   bits
	newSourcePort, newPort      bits
	destinationDone, sourceDone bool
}

func addressBits(a netip.Addr) bits { return constantBits(a.AsSlice()) }

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return FamilyIPv4
	}
	return FamilyIPv6
}

// firstPacket is the set of first packets that the question is about.
func (w *walker) firstPacket(q Query, in *Interface) *packet {
	p := &packet{
		family:   familyOf(q.Destination),
		protocol: q.Protocol,
		in:       in,
		mark:     w.word(0),
		priority: w.word(0),
		pktType:  constantBits([]byte{0}),
		tracking: w.noTracking(),
	}
	source := w.sourceBits(q.Destination.BitLen() / 8)
	if q.Source.IsValid() {
		source = addressBits(q.Source)
	}
	w.origin = source
	sourcePort := w.portBits(sourcePortLevel)
	if q.SourcePort != 0 {
		sourcePort = short(q.SourcePort)
	}
	port := short(q.Port)
	if q.Port == 0 {
		port, w.portFree = w.portBits(portLevel), true
	}
	p.link = etherHeader(p.family, w.e.host(in))
	if kind := w.e.groupKind(q.Destination); kind != 0 {
		// Usually a broadcast or multicast on the link too, but its sender may do otherwise.
		group := w.fact("link-layer broadcast or multicast", Sender)
		p.pktType = w.choose(group, constantBits([]byte{kind}), p.pktType)
		if len(p.link) > 0 {
			p.link = replaced(p.link, 0, w.choose(group, constantBits(groupHardwareAddr(q.Destination)), p.link[:48]))
		}
	}
	p.network = ipHeader(p.family, p.protocol, source, addressBits(q.Destination))
	p.transport = transportHeader(p.protocol, sourcePort, port, tcpSYN)
	return p
}

// groupKind is PACKET_BROADCAST or PACKET_MULTICAST (include/uapi/linux/if_packet.h)
// for a destination that isn't one host's; 0 for others.
func (e *Evaluator) groupKind(destination netip.Addr) byte {
	if destination.IsMulticast() {
		return 2
	}
	if destination == allOnes {
		return 1
	}
	for _, r := range e.tables[tableKey{familyOf(destination), tableLocal}] {
		if r.Type == RouteBroadcast && r.Destination.Contains(destination) {
			return 1
		}
	}
	return 0
}

// host is the link that a frame is sent to which comes in by the link: a port's bridge.
func (e *Evaluator) host(in *Interface) *Interface {
	if master := e.byIndex[in.Master]; in.Master != 0 && master != nil && master.Kind == "bridge" {
		return master
	}
	return in
}

// groupHardwareAddr is a group's or broadcast's Ethernet address (RFC 1112, 6.4;
// RFC 2464, 7).
func groupHardwareAddr(a netip.Addr) []byte {
	b := a.AsSlice()
	switch {
	case a.Is4() && a.IsMulticast():
		return []byte{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	case a.Is4():
		return []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	return append([]byte{0x33, 0x33}, b[12:]...)
}

func (w *walker) noTracking() tracking {
	return tracking{
		mark:   w.word(0),
		zone:   w.hostShort(0),
		labels: make(bits, 128),
	}
}

// TCP flags.
const (
	tcpRST = 0x04
	tcpSYN = 0x02
	tcpACK = 0x10
)

func free(n int) bits {
	b := make(bits, n)
	for i := range b {
		b[i] = unallocated
	}
	return b
}

// etherHeader is the link-layer header of a packet that came in; nil where the
// link has none.
func etherHeader(family Family, in *Interface) bits {
	if in == nil || in.Type != arphrdEther {
		return nil
	}
	b := free(14 * 8)
	copy(b, constantBits(in.HardwareAddr))
	copy(b[12*8:], short(etherType(family)))
	return b
}

// outgoingEtherHeader is the link-layer header of a packet about to leave.
func outgoingEtherHeader(p *packet) bits {
	if p.out == nil || p.out.Type != arphrdEther {
		return nil
	}
	b := free(14 * 8)
	copy(b[6*8:], constantBits(p.out.HardwareAddr))
	copy(b[12*8:], short(etherType(p.family)))
	return b
}

func etherType(family Family) uint16 {
	if family == FamilyIPv4 {
		return etherTypeIPv4
	}
	return etherTypeIPv6
}

func ipHeader(family Family, protocol uint8, source, destination bits) bits {
	if family == FamilyIPv6 {
		b := free(40 * 8)
		copy(b, constantBits([]byte{0x60})[:4])
		copy(b[6*8:], constantBits([]byte{protocol}))
		copy(b[8*8:], source)
		copy(b[24*8:], destination)
		return b
	}
	b := free(20 * 8)
	copy(b, constantBits([]byte{0x45}))
	b[6*8] = bdd.False   // reserved
	b[6*8+2] = bdd.False // more fragments
	for i := 6*8 + 3; i < 8*8; i++ {
		b[i] = bdd.False // fragment offset
	}
	copy(b[9*8:], constantBits([]byte{protocol}))
	copy(b[12*8:], source)
	copy(b[16*8:], destination)
	return b
}

func transportHeader(protocol uint8, sourcePort, port bits, flags byte) bits {
	var b bits
	switch protocol {
	case protocolTCP:
		b = free(20 * 8)
		copy(b[13*8:], constantBits([]byte{flags}))
	case protocolUDP, protocolUDPLite:
		b = free(8 * 8)
	case protocolSCTP:
		b = free(12 * 8)
	default:
		return nil
	}
	copy(b, sourcePort)
	copy(b[16:], port)
	return b
}

func (p *packet) addressLength() int {
	if p.family == FamilyIPv4 {
		return 4
	}
	return 16
}

// sourceAt and destinationAt are the addresses' places in the network header, in bits.
func (p *packet) sourceAt() int {
	if p.family == FamilyIPv4 {
		return 12 * 8
	}
	return 8 * 8
}

func (p *packet) destinationAt() int { return p.sourceAt() + 8*p.addressLength() }

func (p *packet) source() bits {
	return p.network[p.sourceAt() : p.sourceAt()+8*p.addressLength()]
}

func (p *packet) destination() bits {
	return p.network[p.destinationAt() : p.destinationAt()+8*p.addressLength()]
}

func (p *packet) hasPorts() bool {
	return len(p.transport) >= 32 && p.protocol != protocolICMP && p.protocol != protocolICMPv6
}

func (p *packet) sourcePort() bits { return p.ports(0) }
func (p *packet) port() bits       { return p.ports(16) }

func (p *packet) ports(at int) bits {
	if !p.hasPorts() {
		return make(bits, 16)
	}
	return p.transport[at : at+16]
}

func (p *packet) setSource(b bits)      { p.network = replaced(p.network, p.sourceAt(), b) }
func (p *packet) setDestination(b bits) { p.network = replaced(p.network, p.destinationAt(), b) }
func (p *packet) setSourcePort(b bits)  { p.setPorts(0, b) }
func (p *packet) setPort(b bits)        { p.setPorts(16, b) }

func (p *packet) setPorts(at int, b bits) {
	if p.hasPorts() {
		p.transport = replaced(p.transport, at, b)
	}
}

func replaced(b bits, at int, with bits) bits {
	r := make(bits, len(b))
	copy(r, b)
	copy(r[at:], with)
	return r
}

// clone is a packet that goes its own way from here. Bit vectors are never
// changed in place, so they are shared.
func (p *packet) clone() *packet {
	c := *p
	return &c
}

// header gives the bits of a header, naming those that are the sender's choice.
func (w *walker) header(p *packet, base HeaderBase, offset, length int) (bits, bool) {
	h := p.link
	switch base {
	case NetworkHeader:
		h = p.network
	case TransportHeader:
		h = p.transport
	}
	if offset < 0 || length < 0 || 8*(offset+length) > len(h) {
		return nil, false
	}
	b := make(bits, 8*length)
	copy(b, h[8*offset:])
	for i, n := range b {
		if n == unallocated {
			b[i] = w.headerBit(p, base, 8*offset+i)
		}
	}
	return b, true
}

func (w *walker) headerBit(p *packet, base HeaderBase, i int) bdd.Node {
	kind := Sender
	if p.about != "" {
		kind = Unmodelled
	}
	name := p.about + headerField(p.family, p.protocol, base, i)
	return w.namedFact(fmt.Sprintf("%s bit %d", name, i), name, kind)
}

// namedFact is a fact that is told by another text than it is known by.
func (w *walker) namedFact(key, text string, kind ConditionKind) bdd.Node {
	if n, ok := w.facts[key]; ok {
		return n
	}
	n := w.unsettled(kind, text)
	w.facts[key] = n
	return n
}

// headerField names the field that a header's bit belongs to.
func headerField(family Family, protocol uint8, base HeaderBase, bit int) string {
	fields := linkFields
	switch {
	case base == NetworkHeader && family == FamilyIPv4:
		fields = ipv4Fields
	case base == NetworkHeader:
		fields = ipv6Fields
	case base == TransportHeader && protocol == protocolTCP:
		fields = tcpFields
	case base == TransportHeader:
		fields = udpFields
	}
	for _, f := range fields {
		if bit < f.end {
			return f.name
		}
	}
	return "header"
}

type headerPart struct {
	end  int // the first bit behind it
	name string
}

var (
	linkFields = []headerPart{{48, "ether daddr"}, {96, "ether saddr"}, {112, "ether type"}}
	ipv4Fields = []headerPart{{8, "ip version"}, {14, "ip dscp"}, {16, "ip ecn"}, {32, "ip length"}, {48, "ip id"}, {64, "ip frag-off"},
		{72, "ip ttl"}, {80, "ip protocol"}, {96, "ip checksum"}, {128, "ip saddr"}, {160, "ip daddr"}}
	ipv6Fields = []headerPart{{4, "ip6 version"}, {10, "ip6 dscp"}, {12, "ip6 ecn"}, {32, "ip6 flowlabel"}, {48, "ip6 length"}, {56, "ip6 nexthdr"},
		{64, "ip6 hoplimit"}, {192, "ip6 saddr"}, {320, "ip6 daddr"}}
	tcpFields = []headerPart{{16, "tcp sport"}, {32, "tcp dport"}, {64, "tcp sequence"}, {96, "tcp ackseq"}, {100, "tcp doff"}, {104, "tcp reserved"},
		{112, "tcp flags"}, {128, "tcp window"}, {144, "tcp checksum"}, {160, "tcp urgptr"}}
	udpFields = []headerPart{{16, "udp sport"}, {32, "udp dport"}, {48, "udp length"}, {64, "udp checksum"}}
)
