package firewall

import (
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/internal/bdd"
)

// tproxy hands the packet to a socket where one listens for it, else the rule
// ends (nft_tproxy.c) or the packet is dropped (xt_TPROXY.c).
func (w *walker) tproxy(p *packet, c call, r *Rule, s TProxy, set, matched bdd.Node) (onward, back bdd.Node) {
	found := w.proxied(p, r, s, matched)
	if s.HasMark {
		mark := w.combine(BitXor, w.combine(BitAnd, p.mark, w.word(^s.MarkMask)), w.word(s.Mark))
		p.mark = w.choose(found, mark, p.mark)
	}
	rest := w.m.Diff(matched, found)
	if s.DropWithoutSocket {
		w.ruling.dropped = append(w.ruling.dropped, settled{rest, w.decisionOf(c, r)})
		rest = bdd.False
	}
	// What stands behind tproxy in the rule still runs, for the packets that have a socket.
	for i, step := range r.Steps {
		if _, ok := step.(TProxy); !ok || found == bdd.False {
			continue
		}
		w.note(p, c.chain, r, "given to a transparent proxy")
		tail := &Rule{Chain: r.Chain, Handle: r.Handle, Number: r.Number, Comment: r.Comment, Source: r.Source, Steps: r.Steps[i+1:]}
		on, b := w.rule(p, c, tail, found)
		return w.m.Or(w.m.Diff(set, matched), w.m.Or(rest, on)), b
	}
	return w.m.Or(w.m.Diff(set, matched), rest), bdd.False
}

// proxied are the packets that a proxy's socket is found for; they have it from now on.
func (w *walker) proxied(p *packet, r *Rule, s TProxy, matched bdd.Node) bdd.Node {
	switch {
	case s.Family != FamilyUnspecified && s.Family != p.family:
		return bdd.False
	case p.any != nil || w.e.sockets == nil:
		return w.m.And(matched, w.fact("a socket for the transparent proxy of "+placeOf(r), Unmodelled))
	}
	address, port, there := w.proxyEndpoint(p, s)
	matched = w.m.And(matched, there)
	// A connected socket of the packet's own addresses comes first.
	list := w.connectedOnly(w.findSockets(p, p.endpoints(), matched), true)
	rest := w.m.Diff(matched, w.haveSocket(list))
	to := endpoints{p.source(), w.proxyAddress(p, address), p.sourcePort(), port}
	list = append(list, w.connectedOnly(w.findSockets(p, to, rest), false)...)
	given := w.transparentOnly(list, r)
	found := w.haveSocket(given)
	p.sockets = append(w.ownedWithin(p.sockets, w.m.Not(found)), given...)
	return found
}

// proxyEndpoint is where the rule sends packets, nil for no address of its own,
// and where it can be told at all.
func (w *walker) proxyEndpoint(p *packet, s TProxy) (address, port bits, there bdd.Node) {
	port, there = p.port(), bdd.True
	if s.Port != nil {
		b, ok := w.load(p, s.Port)
		there = ok
		if b == nil {
			b = w.field("the port of a transparent proxy", 2, Unmodelled)
		}
		b = b.padded(2)
		port = w.choose(w.equal(b, []byte{0, 0}), port, b)
	}
	if s.Address == nil {
		return nil, port, there
	}
	address, ok := w.load(p, s.Address)
	if address == nil {
		address = w.field("the address of a transparent proxy", p.addressLength(), Unmodelled)
	}
	return address.padded(p.addressLength()), port, w.m.And(there, ok)
}

// proxyAddress is the address that a proxy's socket is looked for at: the
// rule's, else the first one of the link, else the packet's own
// (nf_tproxy_laddr4, nf_tproxy_laddr6).
func (w *walker) proxyAddress(p *packet, address bits) bits {
	own := p.destination()
	if first := w.firstAddress(p); first.IsValid() {
		own = addressBits(first)
	}
	if address == nil {
		return own
	}
	return w.choose(w.equal(address, make([]byte, len(address)/8)), own, address)
}

// firstAddress is a link's first address that may serve; the network's addresses
// are in the kernel's own order.
func (w *walker) firstAddress(p *packet) netip.Addr {
	skipped := uint32(ifaSecondary)
	if p.family == FamilyIPv6 {
		skipped = ifaTentative | ifaDeprecated
	}
	for _, a := range w.e.network.Addresses {
		if p.in != nil && a.Interface == p.in.Index && familyOf(a.Prefix.Addr()) == p.family && a.Flags&skipped == 0 {
			return a.Prefix.Addr().WithZone("")
		}
	}
	return netip.Addr{}
}

// ifaDeprecated is IFA_F_DEPRECATED (include/uapi/linux/if_addr.h).
const ifaDeprecated = 0x20

// connectedOnly keeps what was found as connected sockets, or as others.
func (w *walker) connectedOnly(list []owned, connected bool) []owned {
	var left []owned
	for _, o := range list {
		if o.sockets[0].Remote.IsValid() == connected {
			left = append(left, o)
		}
	}
	return left
}

// transparentOnly keeps packets whose socket is transparent. Where only some at
// its port are, chance has it.
func (w *walker) transparentOnly(list []owned, r *Rule) []owned {
	var left []owned
	for _, o := range list {
		var sockets []*LocalSocket
		for _, s := range o.sockets {
			if s.Transparent {
				sockets = append(sockets, s)
			}
		}
		switch {
		case len(sockets) == 0:
			continue
		case len(sockets) < len(o.sockets):
			text := fmt.Sprintf("which of the sockets at port %d takes it (%s)", sockets[0].Port, placeOf(r))
			o.set = w.m.And(o.set, w.fact(text, Unmodelled))
		}
		o.sockets = sockets
		left = append(left, o)
	}
	return left
}

// refuseProxied drops packets that have a socket already: they are not forwarded
// (ip_forward, ip6_forward).
func (w *walker) refuseProxied(p *packet, live bdd.Node) bdd.Node {
	if len(p.sockets) == 0 {
		return live
	}
	given := w.haveSocket(p.sockets)
	w.kernelDrops(w.m.And(live, given), "packets for a transparent proxy are not forwarded: no route makes them local")
	return w.m.Diff(live, given)
}

// deliverProxied writes down the packets that a proxy's socket gets, and returns the others.
func (w *walker) deliverProxied(p *packet, to netip.Addr, a settled) bdd.Node {
	rest := a.set
	for _, o := range w.ownedWithin(p.sockets, a.set) {
		w.decide(o.set, Accepted, a.decision, o.delivery(to))
		rest = w.m.Diff(rest, o.set)
	}
	return rest
}

// delivery is where packets for an address end up by their socket.
func (o owned) delivery(to netip.Addr) *Delivery {
	s := o.sockets[0]
	if !s.wildcard() {
		to = s.Address.WithZone("").Unmap()
	}
	return &Delivery{Address: to, Port: s.Port}
}
