package firewall

import (
	"net/netip"

	"github.com/netglance/netglance/internal/bdd"
)

// loadFIB is nft_fib4_eval and nft_fib6_eval: what the routing tables say of the
// packet's source or destination.
func (w *walker) loadFIB(p *packet, v FIB) (bits, bdd.Node) {
	if v.Result == FIBType {
		return w.addressType(p, v), bdd.True
	}
	if p.in != nil && p.in.Loopback() && p.hook == Prerouting {
		return w.fibDevice(v, p.in), bdd.True
	}
	var result bits
	for _, r := range w.lookupScoped(w.fibFlow(p, v), bdd.True, w.fibLink(p, v)) {
		result = w.choose(r.set, w.fibDevice(v, w.fibOut(p, v, r)), orElse(result, w.fibDevice(v, nil)))
	}
	if p.family == FamilyIPv4 && p.in != nil {
		result = w.choose(w.fromNobody(p), w.fibDevice(v, p.in), result)
	}
	return result, bdd.True
}

// fromNobody is where a host without an address yet asks its link: such a packet
// is taken to come from there without a lookup (nft_fib4_eval).
func (w *walker) fromNobody(p *packet) bdd.Node {
	link := w.m.Or(w.equal(p.destination(), allOnes.AsSlice()), w.prefix(p.destination(), localMulticast4))
	return w.m.And(link, w.prefix(p.source(), nowhere4))
}

func (w *walker) fibFlow(p *packet, v FIB) flow {
	f := flow{
		family: p.family, protocol: p.protocol, mark: w.word(0),
		source: p.destination(), destination: p.source(),
		sourcePort: p.port(), port: p.sourcePort(),
	}
	if v.Flags&FIBDaddr != 0 {
		f.source, f.destination = p.source(), p.destination()
		f.sourcePort, f.port = p.sourcePort(), p.port()
	}
	if v.Flags&FIBMark != 0 {
		f.mark = p.mark
	}
	if p.family == FamilyIPv4 {
		f.source = w.usableSource(f.source)
	}
	return f
}

// usableSource is get_saddr in nft_fib_ipv4.c: a source that no host can have is
// left out of the question.
func (w *walker) usableSource(b bits) bits {
	no := bdd.False
	for _, p := range []netip.Prefix{nowhere4, loopback4, multicast4, broadcast4} {
		no = w.m.Or(no, w.prefix(b, p))
	}
	return w.choose(no, make(bits, 32), b)
}

// fibLink is the link that a lookup for an address of link scope asks about.
func (w *walker) fibLink(p *packet, v FIB) *Interface {
	switch {
	case v.Flags&FIBIif != 0 && p.in != nil:
		return p.in
	case v.Flags&FIBOifFlag != 0 && p.out != nil:
		return p.out
	case p.in != nil:
		return p.in
	case p.hook == Output:
		return nil // the packet has no device yet
	}
	return p.out
}

// lookupScoped asks for routes to IPv6 addresses of link scope on their link only.
func (w *walker) lookupScoped(f flow, set bdd.Node, link *Interface) []routed {
	if f.family != FamilyIPv6 || link == nil {
		return w.lookupRoute(f, set)
	}
	scoped := w.m.And(set, w.m.Or(w.prefix(f.destination, linkLocal6), w.prefix(f.destination, multicast6)))
	found := w.lookupRoute(f, w.m.Diff(set, scoped))
	if scoped == bdd.False {
		return found
	}
	f.out = link.Index
	return append(found, w.lookupRoute(f, scoped)...)
}

// fibOut is the device that a lookup tells of; nil where it tells of none.
func (w *walker) fibOut(p *packet, v FIB, r routed) *Interface {
	if r.route == nil || r.kind != RouteUnicast && (p.family == FamilyIPv6 || r.kind != RouteBroadcast && r.kind != RouteMulticast) {
		return nil
	}
	asked := p.out
	if v.Flags&FIBIif != 0 {
		asked = p.in
	}
	if v.Flags&(FIBIif|FIBOifFlag) == 0 {
		return r.out
	}
	if asked == nil || r.out == nil || asked.Index != r.out.Index && !routeUses(r.route, asked.Index) {
		return nil
	}
	return asked
}

func routeUses(r *Route, index int) bool {
	for _, h := range r.Hops {
		if h.Interface == index {
			return true
		}
	}
	return r.Interface == index
}

func (w *walker) fibDevice(v FIB, out *Interface) bits {
	if v.Flags&FIBPresent != 0 {
		return constantBits([]byte{boolByte(out != nil)})
	}
	if v.Result == FIBOifName {
		if out == nil {
			return name16("")
		}
		return name16(out.Name)
	}
	if out == nil {
		return w.word(0)
	}
	return w.word(uint32(out.Index))
}

// addressType is what kind of address it is: nft_fib4_eval_type looks into the
// local table only, and calls everything else unicast.
func (w *walker) addressType(p *packet, v FIB) bits {
	address := p.source()
	if v.Flags&FIBDaddr != 0 {
		address = p.destination()
	}
	var device *Interface
	switch {
	case v.Flags&FIBIif != 0:
		device = p.in
	case v.Flags&FIBOifFlag != 0:
		device = p.out
	}
	if p.family == FamilyIPv4 {
		return w.addressType4(address, device)
	}
	return w.addressType6(p, address, device, v)
}

// addressType4 is __inet_dev_addr_type (net/ipv4/fib_frontend.c).
func (w *walker) addressType4(address bits, device *Interface) bits {
	result := w.word(uint32(RouteUnicast))
	taken := bdd.False
	put := func(set bdd.Node, t RouteType) {
		result = w.choose(w.m.Diff(set, taken), w.word(uint32(t)), result)
		taken = w.m.Or(taken, set)
	}
	put(w.prefix(address, nowhere4), RouteBroadcast)
	put(w.prefix(address, broadcast4), RouteBroadcast)
	put(w.prefix(address, multicast4), RouteMulticast)
	for _, r := range w.e.tables[tableKey{FamilyIPv4, tableLocal}] {
		set := w.prefix(address, r.Destination)
		if device != nil && r.Interface != device.Index {
			taken = w.m.Or(taken, set)
			continue
		}
		put(set, r.Type)
	}
	return result
}

// addressType6 is __nft_fib6_eval_type (net/ipv6/netfilter/nft_fib_ipv6.c).
func (w *walker) addressType6(p *packet, address bits, device *Interface, v FIB) bits {
	f := w.fibFlow(p, v)
	multicast := w.prefix(address, multicast6)
	own := bdd.False
	if device != nil {
		own = w.localOn(address, device)
	}
	result := w.word(uint32(RouteUnspec))
	for _, r := range w.lookupScoped(f, bdd.True, w.fibLink(p, v)) {
		kind := w.choose(multicast, w.word(uint32(RouteMulticast)), w.word(uint32(RouteUnicast)))
		switch {
		case r.route == nil:
			kind = w.word(uint32(RouteUnreachable))
		case r.kind == RouteBlackhole, r.kind == RouteProhibit, r.kind == RouteUnreachable, r.kind == RouteAnycast:
			kind = w.word(uint32(r.kind))
		case r.kind == RouteLocal && device == nil:
			kind = w.word(uint32(RouteLocal))
		default:
			kind = w.choose(own, w.word(uint32(RouteLocal)), kind)
			kind = w.choose(w.subnetRouter(address, r), w.word(uint32(RouteAnycast)), kind)
		}
		result = w.choose(r.set, kind, result)
	}
	return result
}

// localOn is where an IPv6 address is one of the host's own, on the device if one is named.
func (w *walker) localOn(address bits, device *Interface) bdd.Node {
	n := bdd.False
	for _, a := range w.e.network.Addresses {
		if !a.Prefix.Addr().Is6() || device != nil && a.Interface != device.Index || a.Flags&ifaTentative != 0 {
			continue
		}
		n = w.m.Or(n, w.prefix(address, netip.PrefixFrom(a.Prefix.Addr(), 128)))
	}
	return n
}
