package firewall

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// A LocalSocket is a socket of the host that packets can reach: a TCP listener or
// a bound UDP socket.
type LocalSocket struct {
	// Protocol is the packets' IP protocol number: 6 or 17.
	Protocol uint8
	// Family is the socket's own.
	Family Family
	// Address is the bind address; unspecified for any.
	Address netip.Addr
	Port    uint16
	// Remote is the peer of a connected UDP socket; invalid otherwise.
	Remote netip.AddrPort
	// Device is the index of the link that the socket is bound to; 0 for all.
	Device int
	// V6Only says that an IPv6 socket takes no IPv4 packets.
	V6Only bool
	// Transparent is IP_TRANSPARENT (ip(7)).
	Transparent bool
	// Mark is SO_MARK, if MarkKnown.
	Mark      uint32
	MarkKnown bool
	// Cgroup is the id of the cgroup v2 that the socket was made in; 0 if not known.
	Cgroup uint64
	// UID is the user who opened the socket, if Owned: sockets of the kernel itself
	// have no file and so no owner.
	UID   uint32
	Owned bool
}

// serves says that packets of a family can reach the socket.
func (s *LocalSocket) serves(family Family) bool {
	if s.Family == FamilyIPv4 {
		return family == FamilyIPv4
	}
	if s.Address.Is4In6() {
		return family == FamilyIPv4
	}
	return family == FamilyIPv6 || !s.V6Only && s.Address.IsUnspecified()
}

// wildcard says that the socket is bound to all addresses.
func (s *LocalSocket) wildcard() bool { return s.Address.IsUnspecified() }

// A socketGroup is the sockets at one address and port. Which of several the
// kernel takes depends on what it doesn't tell: who has SO_REUSEPORT and the order
// of binding.
type socketGroup struct {
	address netip.Addr     // invalid for all
	remote  netip.AddrPort // invalid if not connected
	sockets []*LocalSocket
}

// rank is the order of a lookup: connected sockets, those of one address, the rest
// (__inet_lookup_listener, __udp4_lib_lookup and their IPv6 likes).
func (g *socketGroup) rank() int {
	switch {
	case g.remote.IsValid():
		return 0
	case g.address.IsValid():
		return 1
	}
	return 2
}

type socketKey struct {
	protocol uint8
	family   Family
	port     uint16
}

// socketIndex is the groups of each port in the order of a lookup.
type socketIndex struct {
	groups map[socketKey][]*socketGroup
	// ports are ascending; their keys have no port.
	ports map[socketKey][]uint16
}

// indexSockets is nil where the host's sockets are not known.
func indexSockets(sockets []LocalSocket) *socketIndex {
	if sockets == nil {
		return nil
	}
	x := &socketIndex{groups: make(map[socketKey][]*socketGroup), ports: make(map[socketKey][]uint16)}
	for i := range sockets {
		for _, family := range []Family{FamilyIPv4, FamilyIPv6} {
			if sockets[i].serves(family) {
				x.add(family, &sockets[i])
			}
		}
	}
	for _, groups := range x.groups {
		slices.SortStableFunc(groups, func(a, b *socketGroup) int { return a.rank() - b.rank() })
	}
	for _, ports := range x.ports {
		slices.Sort(ports)
	}
	return x
}

func (x *socketIndex) add(family Family, s *LocalSocket) {
	key := socketKey{s.Protocol, family, s.Port}
	g := socketGroup{remote: netip.AddrPortFrom(s.Remote.Addr().WithZone("").Unmap(), s.Remote.Port())}
	if !s.wildcard() {
		g.address = s.Address.WithZone("").Unmap()
	}
	known := x.groups[key]
	for _, other := range known {
		if other.address == g.address && other.remote == g.remote {
			other.sockets = append(other.sockets, s)
			return
		}
	}
	if len(known) == 0 {
		all := socketKey{protocol: s.Protocol, family: family}
		x.ports[all] = append(x.ports[all], s.Port)
	}
	g.sockets = []*LocalSocket{s}
	x.groups[key] = append(known, &g)
}

// owned is packets and the socket that they have: one of several where more than one fits.
type owned struct {
	set     bdd.Node
	sockets []*LocalSocket
}

// endpoints are the addresses and ports that a lookup asks for.
type endpoints struct {
	source, destination, sourcePort, port bits
}

func (p *packet) endpoints() endpoints {
	return endpoints{p.source(), p.destination(), p.sourcePort(), p.port()}
}

// findSockets is a lookup for packets that come in by p's link; what has no socket
// is in none of the sets.
func (w *walker) findSockets(p *packet, to endpoints, within bdd.Node) []owned {
	if p.in == nil || !p.hasPorts() {
		return nil
	}
	all := socketKey{protocol: p.protocol, family: p.family}
	ports := w.e.sockets.ports[all]
	if data, ok := to.port.constant(); ok {
		ports = []uint16{uint16(data[0])<<8 | uint16(data[1])}
	}
	var found []owned
	for _, port := range ports {
		here := w.m.And(within, w.equal(to.port, []byte{byte(port >> 8), byte(port)}))
		if here == bdd.False {
			continue
		}
		for _, g := range w.e.sockets.groups[socketKey{p.protocol, p.family, port}] {
			sockets := g.on(p.in)
			if len(sockets) == 0 {
				continue
			}
			if set := w.m.And(here, w.reaches(g, to)); set != bdd.False {
				found = append(found, owned{set, sockets})
				here = w.m.Diff(here, set)
			}
		}
	}
	return found
}

// on are the sockets that take packets from a link.
func (g *socketGroup) on(link *Interface) []*LocalSocket {
	fits := func(s *LocalSocket) bool { return s.Device == 0 || s.Device == link.Index }
	if !slices.ContainsFunc(g.sockets, func(s *LocalSocket) bool { return !fits(s) }) {
		return g.sockets
	}
	var sockets []*LocalSocket
	for _, s := range g.sockets {
		if fits(s) {
			sockets = append(sockets, s)
		}
	}
	return sockets
}

// reaches is where packets to the port are for the group.
func (w *walker) reaches(g *socketGroup, to endpoints) bdd.Node {
	n := bdd.True
	if g.address.IsValid() {
		n = w.prefix(to.destination, netip.PrefixFrom(g.address, g.address.BitLen()))
	}
	if g.remote.IsValid() {
		n = w.m.And(n, w.prefix(to.source, netip.PrefixFrom(g.remote.Addr(), g.remote.Addr().BitLen())))
		n = w.m.And(n, w.equal(to.sourcePort, []byte{byte(g.remote.Port() >> 8), byte(g.remote.Port())}))
	}
	return n
}

// ownedWithin cuts what is known of packets' sockets down to a set.
func (w *walker) ownedWithin(list []owned, set bdd.Node) []owned {
	var left []owned
	for _, o := range list {
		if o.set = w.m.And(o.set, set); o.set != bdd.False {
			left = append(left, o)
		}
	}
	return left
}

func (w *walker) haveSocket(list []owned) bdd.Node {
	n := bdd.False
	for _, o := range list {
		n = w.m.Or(n, o.set)
	}
	return n
}

// socketsOf are the sockets of packets that come in: those that tproxy gave them,
// else the ones that a lookup finds (nft_socket_eval).
func (w *walker) socketsOf(p *packet) []owned {
	rest := w.m.Not(w.haveSocket(p.sockets))
	return append(p.sockets[:len(p.sockets):len(p.sockets)], w.findSockets(p, w.socketEndpoints(p), rest)...)
}

// socketEndpoints are the packet's, but an answer that comes back to an address
// that was put there by NAT is looked up by the flow's own (nf_sk_lookup_slow_v4).
func (w *walker) socketEndpoints(p *packet) endpoints {
	to := p.endpoints()
	if t := &p.tracking; t.reply && t.tracked != bdd.False && len(t.source) == len(to.destination) {
		to.destination = w.choose(t.tracked, t.source, to.destination)
		to.port = w.choose(t.tracked, t.sourcePort, to.port)
	}
	return to
}

// loadSocket is nft_socket.c: without a local socket the rule ends.
func (w *walker) loadSocket(p *packet, v Socket) (bits, bdd.Node) {
	switch {
	case p.rejection:
		return w.loadKernelSocket(p, v)
	case p.about != "" && p.in == nil:
		return w.loadRequestSocket(p, v)
	case w.e.sockets == nil || v.Key > SocketWildcard:
		return w.unmodelledSocket(p, v)
	}
	return w.ofSockets(w.socketsOf(p), func(s *LocalSocket) bits { return w.socketProperty(s, v.Key) },
		fmt.Sprintf("%swhich of the sockets at its port takes it (socket key %d)", p.about, v.Key))
}

func (w *walker) unmodelledSocket(p *packet, v Socket) (bits, bdd.Node) {
	text := p.about + "local socket"
	there := w.fact(text+" being there", Unmodelled)
	if w.e.sockets != nil {
		there = w.haveSocket(w.socketsOf(p))
	}
	return w.field(fmt.Sprintf("%s (socket key %d)", text, v.Key), 16, Unmodelled), there
}

// ofSockets is a property of the packets' sockets, and where they have one. The
// text tells what it is of which nothing is known where the sockets differ.
func (w *walker) ofSockets(list []owned, property func(*LocalSocket) bits, text string) (bits, bdd.Node) {
	var value bits
	there := bdd.False
	for _, o := range list {
		b := property(o.sockets[0])
		for _, s := range o.sockets[1:] {
			if other := property(s); b == nil || other == nil || !slices.Equal(b, other) {
				b = nil
				break
			}
		}
		if b == nil {
			b = w.field(fmt.Sprintf("%s, at port %d of %s", text, o.sockets[0].Port, o.sockets[0].Address), 4, Unmodelled)
		}
		value = w.choose(o.set, b, value)
		there = w.m.Or(there, o.set)
	}
	return value, there
}

// socketProperty is nil where it is not known.
func (w *walker) socketProperty(s *LocalSocket, key SocketKey) bits {
	switch {
	case key == SocketTransparent:
		return constantBits([]byte{boolByte(s.Transparent)})
	case key == SocketWildcard:
		return constantBits([]byte{boolByte(s.wildcard())})
	case key == SocketMark && s.MarkKnown:
		return w.word(s.Mark)
	}
	return nil
}

// loadKernelSocket is for errors: a reset has no socket, an ICMP error the
// kernel's own (icmp_xmit_lock; asked of Linux 6.18).
func (w *walker) loadKernelSocket(p *packet, v Socket) (bits, bdd.Node) {
	switch {
	case p.protocol == protocolTCP:
		return nil, bdd.False
	case v.Key == SocketTransparent:
		return constantBits([]byte{0}), bdd.True
	case v.Key == SocketWildcard:
		return constantBits([]byte{1}), bdd.True
	case v.Key == SocketMark && (p.family == FamilyIPv4 || w.e.setting("ipv4", "", "fwmark_reflect") == 0):
		return w.word(0), bdd.True
	}
	return w.field(fmt.Sprintf("%ssocket (socket key %d)", p.about, v.Key), 16, Unmodelled), bdd.True
}

// loadRequestSocket is for a SYN-ACK: it has no full socket yet, only a request
// that knows whether the listener is transparent. A SYN cookie has not even that.
func (w *walker) loadRequestSocket(p *packet, v Socket) (bits, bdd.Node) {
	if v.Key != SocketTransparent || !p.ofSocket {
		return nil, bdd.False
	}
	return w.ofListeners(p, func(s *LocalSocket) bits { return w.socketProperty(s, v.Key) },
		"the listener that answers being transparent")
}

// ofListeners is a property of the listeners that a SYN-ACK comes from. One to a
// port where nobody listens is unsettled: its listener is yet to come.
func (w *walker) ofListeners(p *packet, property func(*LocalSocket) bits, text string) (bits, bdd.Node) {
	value, there := w.ofSockets(p.sockets, property, text)
	known := w.haveSocket(p.sockets)
	if known == bdd.True {
		return value, there
	}
	unknown := w.field(text, 4, Unmodelled)
	if value == nil {
		return unknown, w.fact(text+" being known", Unmodelled)
	}
	return w.choose(known, value, unknown), w.m.Ite(known, there, w.fact(text+" being known", Unmodelled))
}

// loadOwner is nft_meta_get_eval_skugid and the cgroup: those of the packet's
// socket, which a packet that comes in doesn't have yet.
func (w *walker) loadOwner(p *packet, key MetaKey) (bits, bdd.Node) {
	if p.any == nil && p.about == "" {
		return w.loadReceiver(p, key)
	}
	if !p.ofSocket {
		return nil, bdd.False
	}
	text := fmt.Sprintf("the owner of the socket that answers (meta key %d)", key)
	if key != MetaSKUID {
		return w.field(text, 4, Unmodelled), w.fact(text+" being known", Unmodelled)
	}
	return w.ofListeners(p, w.socketOwner, text)
}

// socketOwner is nil where it is not known.
func (w *walker) socketOwner(s *LocalSocket) bits {
	if !s.Owned {
		return nil
	}
	return w.word(s.UID)
}

// loadReceiver is the owner of a socket that a packet has before it is delivered:
// from tproxy, or from early demultiplexing of connected UDP (udp_v4_early_demux).
func (w *walker) loadReceiver(p *packet, key MetaKey) (bits, bdd.Node) {
	list := p.sockets
	there := w.haveSocket(list)
	if w.e.sockets != nil && p.protocol == protocolUDP && p.hook > Prerouting {
		for _, o := range w.findSockets(p, p.endpoints(), w.m.Not(there)) {
			if o.sockets[0].Remote.IsValid() || p.toGroup {
				there = w.m.Or(there, w.m.And(o.set, w.fact("early demultiplexing", Unmodelled)))
				list = append(list[:len(list):len(list)], o)
			}
		}
	}
	if there == bdd.False {
		return nil, bdd.False
	}
	text := fmt.Sprintf("the owner of the packet's socket (meta key %d)", key)
	if key != MetaSKUID {
		return w.field(text, 4, Unmodelled), w.m.And(there, w.fact(text+" being known", Unmodelled))
	}
	value, _ := w.ofSockets(list, w.socketOwner, text)
	return value, there
}

// fromListener gives a SYN-ACK the listener that p is for, and its mark if it has
// one (inet_request_mark).
func (w *walker) fromListener(a, p *packet) {
	if w.e.sockets == nil {
		return
	}
	a.sockets = w.socketsOf(p)
	text := "the mark of the socket that answers"
	mark, _ := w.ofSockets(a.sockets, func(s *LocalSocket) bits {
		if !s.MarkKnown {
			return nil
		}
		return w.word(s.Mark)
	}, text)
	if mark == nil {
		return
	}
	marked := w.m.Diff(w.haveSocket(a.sockets), w.equalWord(mark, 0))
	a.mark = w.choose(marked, mark, a.mark)
}
