package firewall

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/netglance/netglance/internal/bdd"
)

// natHook is nf_nat_inet_fn: only a flow's first packet meets the nat chains, at
// NAT's own priority whatever theirs is, until one translates it; later packets
// and answers are translated as the first was.
func (w *walker) natHook(p *packet, h Hook, live bdd.Node, t trail) (bdd.Node, trail) {
	if p.about != "" {
		w.translateAnswer(p, h)
		return w.resetMeetsNAT(p, h, live), t
	}
	if p.tracking.state != stateNew {
		return live, t
	}
	tracked := w.m.And(live, p.tracking.tracked)
	gone := bdd.False
	w.translated = bdd.False
	for _, next := range w.turns(w.e.chains[hookKey{p.family, h, true}]) {
		set := w.m.And(next.when, w.m.Diff(w.m.Diff(tracked, w.translated), gone))
		if set == bdd.False {
			continue
		}
		r := w.baseChain(p, next.chain, set)
		w.settle(p, r)
		gone = w.m.Or(gone, w.m.Diff(set, w.remaining(r)))
		t = t.with(next.chain, r)
	}
	if h == Input || h == Postrouting {
		p.tracking.sourceDone = true
	} else {
		p.tracking.destinationDone = true
	}
	return w.m.Diff(live, gone), t
}

// resetMeetsNAT is for a reset that answers a flow's first packet: it counts as
// related to the flow, which meets the nat chains now where its first packet
// didn't come to them (nf_nat_inet_fn). They may drop it.
func (w *walker) resetMeetsNAT(p *packet, h Hook, live bdd.Node) bdd.Node {
	done := p.tracking.destinationDone
	if h == Postrouting {
		done = p.tracking.sourceDone
	}
	if !p.rejection || p.protocol != protocolTCP || done {
		return live
	}
	c := p.clone()
	gone := bdd.False
	w.translated = bdd.False
	for _, chain := range w.e.chains[hookKey{p.family, h, true}] {
		set := w.m.Diff(w.m.Diff(w.m.And(live, p.tracking.tracked), w.translated), gone)
		if set == bdd.False {
			break
		}
		r := w.baseChain(c, chain, set)
		w.settle(c, r)
		gone = w.m.Or(gone, w.m.Diff(set, w.remaining(r)))
	}
	return w.m.Diff(live, gone)
}

// translate applies a NAT rule, and returns the packets that it translated.
func (w *walker) translate(p *packet, c call, r *Rule, s NAT, matched bdd.Node) bdd.Node {
	if s.Family != FamilyInet && s.Family != FamilyUnspecified && s.Family != p.family {
		return bdd.False // nft_nat_inet_eval
	}
	matched = w.m.And(matched, p.tracking.tracked)
	for _, v := range []Value{s.AddressMin, s.AddressMax, s.PortMin, s.PortMax} {
		if v != nil {
			_, there := w.load(p, v)
			matched = w.m.And(matched, there)
		}
	}
	if matched == bdd.False {
		return bdd.False
	}
	if p.any != nil {
		// To where it is translated is no matter for a review.
		w.translated = w.m.Or(w.translated, matched)
		return matched
	}
	address, fails := w.natAddress(p, s)
	if fails != bdd.False {
		// nf_nat_redirect.c, nf_nat_masquerade.c: without an address the packet is dropped.
		d := w.decisionOf(c, r)
		d.Text += " (no address to translate to)"
		w.ruling.dropped = append(w.ruling.dropped, settled{w.m.And(matched, fails), d})
	}
	done := w.m.Diff(matched, fails)
	w.translated = w.m.Or(w.translated, matched)
	if s.Kind == SourceNAT || s.Kind == MasqueradeNAT {
		w.translateSource(p, s, address, done)
	} else {
		w.translateDestination(p, s, address, done)
	}
	w.note(p, c.chain, r, w.natEffect(p, s, done))
	return done
}

func (w *walker) translateDestination(p *packet, s NAT, address bits, set bdd.Node) {
	t := &p.tracking
	port := w.natPort(s, p.port(), p)
	t.newDestination = w.choose(set, address, p.destination())
	t.newPort = w.choose(set, port, p.port())
	p.setDestination(t.newDestination)
	p.setPort(t.newPort)
	t.dnat = w.m.Or(t.dnat, set)
}

func (w *walker) translateSource(p *packet, s NAT, address bits, set bdd.Node) {
	t := &p.tracking
	port := p.sourcePort()
	if s.PortMin != nil || s.Random {
		port = w.natPort(s, port, p)
	}
	t.newSource = w.choose(set, address, p.source())
	t.newSourcePort = w.choose(set, port, p.sourcePort())
	p.setSource(t.newSource)
	p.setSourcePort(t.newSourcePort)
	t.snat = w.m.Or(t.snat, set)
}

// natAddress is the address that a rule translates to, and where there is none.
func (w *walker) natAddress(p *packet, s NAT) (bits, bdd.Node) {
	switch s.Kind {
	case RedirectNAT:
		return w.redirectAddress(p)
	case MasqueradeNAT:
		return w.masqueradeAddress(p)
	}
	old := p.destination()
	if s.Kind == SourceNAT {
		old = p.source()
	}
	if s.AddressMin == nil {
		return old, bdd.False
	}
	low, _ := w.load(p, s.AddressMin)
	if low == nil {
		return w.unsettledBits(p.addressLength(), Unmodelled, "the address that NAT chooses"), bdd.False
	}
	low = low.padded(p.addressLength())
	high := low
	if s.AddressMax != nil {
		if h, _ := w.load(p, s.AddressMax); h != nil {
			high = h.padded(p.addressLength())
		}
	}
	if s.NetMap {
		return w.netMap(low, high, old), bdd.False
	}
	return w.oneAddress(low, high), bdd.False
}

// netMap keeps the part of the address in which the range's ends differ.
func (w *walker) netMap(low, high, old bits) bits {
	r := make(bits, len(low))
	for i := range r {
		r[i] = w.m.Ite(w.m.Xor(low[i], high[i]), old[i], low[i])
	}
	return r
}

// oneAddress is an address of a range: which one is the flow's hash's choice
// (find_best_ips_proto).
func (w *walker) oneAddress(low, high bits) bits {
	from, ok := low.constant()
	to, ok2 := high.constant()
	if !ok || !ok2 || bytes.Equal(from, to) {
		return low
	}
	n := len(from)
	size := binary.BigEndian.Uint32(to[n-4:]) - binary.BigEndian.Uint32(from[n-4:]) + 1
	if !bytes.Equal(from[:n-4], to[:n-4]) || size > 1<<16 {
		return w.unsettledBits(n, Random, "the address that NAT chooses")
	}
	offset := make(bits, 8*n)
	copy(offset[8*(n-4):], w.oneOf(size, Random, "the address that NAT chooses"))
	return w.add(offset, from)
}

// natPort is the port that a rule translates to: one that lies in the range
// already stays, another becomes the range's first (nf_nat_core.c,
// get_unique_tuple and nf_nat_l4proto_unique_tuple); a random one may be any.
func (w *walker) natPort(s NAT, old bits, p *packet) bits {
	if !p.hasPorts() {
		return old
	}
	if s.PortMin == nil {
		if s.Random && (s.Kind == SourceNAT || s.Kind == MasqueradeNAT) {
			return w.unsettledBits(2, Random, "the port that NAT chooses")
		}
		return old
	}
	low, _ := w.load(p, s.PortMin)
	if low == nil {
		return w.unsettledBits(2, Unmodelled, "the port that NAT chooses")
	}
	low = low.padded(2)
	high := low
	if s.PortMax != nil {
		if h, _ := w.load(p, s.PortMax); h != nil {
			high = h.padded(2)
		}
	}
	from, ok := low.constant()
	to, ok2 := high.constant()
	if !ok || !ok2 || bytes.Equal(from, to) {
		return low
	}
	first, last := binary.BigEndian.Uint16(from), binary.BigEndian.Uint16(to)
	if last < first {
		return low
	}
	size := uint32(last-first) + 1
	if s.Offset || s.Random || s.Kind == SourceNAT || s.Kind == MasqueradeNAT {
		choice := w.oneOf(size, Random, "the port that NAT chooses")
		return w.add(choice[16:], from)
	}
	return w.choose(w.between(old, from, to), old, low)
}

// redirectAddress is the incoming link's first address in the kernel's order;
// for IPv6 one of link scope where the old destination is (nf_nat_redirect.c).
func (w *walker) redirectAddress(p *packet) (address bits, none bdd.Node) {
	address, none = w.ownOn(p, false)
	if p.family != FamilyIPv6 {
		return address, none
	}
	onLink := bdd.False
	for _, scope := range linkScopes {
		onLink = w.m.Or(onLink, w.prefix(p.destination(), scope))
	}
	linkAddress, noneOnLink := w.ownOn(p, true)
	return w.choose(onLink, linkAddress, address), w.m.Ite(onLink, noneOnLink, none)
}

// linkScopes are the addresses of link scope (RFC 4291, 2.5.6 and 2.7).
var linkScopes = []netip.Prefix{netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff02::/16")}

// ownOn is the incoming link's first address, or its first of link scope.
func (w *walker) ownOn(p *packet, linkLocal bool) (address bits, none bdd.Node) {
	if p.in != nil {
		for _, a := range w.e.network.Addresses {
			addr := a.Prefix.Addr()
			if a.Interface == p.in.Index && familyOf(addr) == p.family && a.Flags&ifaTentative == 0 && (!linkLocal || addr.IsLinkLocalUnicast()) {
				return addressBits(addr), bdd.False
			}
		}
	}
	return make(bits, 8*p.addressLength()), bdd.True
}

// ifaTentative is IFA_F_TENTATIVE (include/uapi/linux/if_addr.h).
const ifaTentative = 0x40

// masqueradeAddress is an address of the outgoing link: which one is the route's
// choice, and no matter for the packet's fate unless there is none.
func (w *walker) masqueradeAddress(p *packet) (bits, bdd.Node) {
	if p.out != nil {
		for _, a := range w.e.network.Addresses {
			if a.Interface == p.out.Index && familyOf(a.Prefix.Addr()) == p.family && !a.Prefix.Addr().IsLinkLocalUnicast() {
				return addressBits(a.Prefix.Addr()), bdd.False
			}
		}
	}
	return w.unsettledBits(p.addressLength(), Unmodelled, "the address that masquerading chooses"), bdd.False
}

// translateAnswer undoes the first packet's translation on its answer: sources
// at postrouting, destinations where the answer comes in.
func (w *walker) translateAnswer(p *packet, h Hook) {
	t := &p.tracking
	if h == Postrouting {
		p.setSource(w.choose(w.m.And(t.dnat, t.tracked), t.destination, p.source()))
		p.setSourcePort(w.choose(w.m.And(t.dnat, t.tracked), t.port, p.sourcePort()))
		return
	}
	if h == Prerouting || h == Output {
		p.setDestination(w.choose(w.m.And(t.snat, t.tracked), t.source, p.destination()))
		p.setPort(w.choose(w.m.And(t.snat, t.tracked), t.sourcePort, p.port()))
	}
}

func (w *walker) natEffect(p *packet, s NAT, set bdd.Node) string {
	if w.path == nil {
		return ""
	}
	address, port, what := p.destination(), p.port(), "destination"
	if s.Kind == SourceNAT || s.Kind == MasqueradeNAT {
		address, port, what = p.source(), p.sourcePort(), "source"
	}
	to := "chosen by the kernel"
	if values, ok := w.values(append(append(bits(nil), address...), port...), set, 1); ok && len(values) == 1 {
		n := p.addressLength()
		addr, _ := netip.AddrFromSlice(values[0].data[:n])
		to = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(values[0].data[n:])).String()
	}
	return what + " becomes " + to
}
