package pf

import (
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
)

// route takes packets that came in to this host's sockets, or out again.
func (w *walk) route(p *packet, to netip.Addr, m match, stateful bool) {
	if w.local(p.link, to) {
		w.deliver(p, to, m, stateful)
		return
	}
	if to.IsMulticast() {
		w.deliver(p, to, m, true)
		return
	}
	out, known := w.wayOut(to)
	if !known {
		open := w.s.Fact(firewall.Unread, "whether, and where, packets to "+to.String()+" are forwarded")
		w.s.Decide(w.s.And(m.set, open), firewall.Accepted, w.decision(m), &firewall.Delivery{Address: to, Port: w.onePort(p), Interface: "?"})
		w.decide(w.s.Diff(m.set, open), firewall.Dropped, firewall.Decision{Text: "no known route leads to " + to.String()})
		return
	}
	if w.forwards(p.family) == no {
		w.decide(m.set, firewall.Dropped, firewall.Decision{Text: "this host forwards nothing"})
		return
	}
	w.forward(p, to, out, m)
}

// local says that an address is this host's own, or one that all hosts on the link
// take packets for.
func (w *walk) local(link *firewall.Interface, to netip.Addr) bool {
	if to == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || to.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(w.e.network.Addresses, func(a firewall.Address) bool {
		return a.Prefix.Addr().WithZone("") == to || a.Broadcast == to && a.Broadcast.IsValid()
	})
}

// deliver hands packets to a socket, if the answer finds its way out: state lets
// it pass, without one the rules are asked.
func (w *walk) deliver(p *packet, to netip.Addr, m match, stateful bool) {
	set := m.set
	if !stateful && p.protocol == protoTCP {
		set = w.answered(p, set)
	}
	w.note(p, nil, nil, "delivered to "+netip.AddrPortFrom(to, w.onePort(p)).String())
	w.accept(m, set, &firewall.Delivery{Address: to, Port: w.onePort(p)})
}

// answered are the packets whose answer gets out. The others meet silence.
func (w *walk) answered(p *packet, live firewall.PacketSet) firewall.PacketSet {
	skipped, _ := w.unfiltered(p.link)
	r := p.reply()
	for _, m := range w.filter(r, w.s.Diff(live, skipped)) {
		lost := m.failed || m.rule != nil && m.rule.Action == Block || m.rule == nil && w.e.rules.DefaultBlock
		switch {
		case m.undecided:
			w.decide(m.set, firewall.Undecided, w.decision(m))
		case lost:
			d := w.decision(m)
			d.Text = firewall.AnswerLost + ": " + d.Text
			w.decide(m.set, firewall.Dropped, d)
		default:
			continue
		}
		live = w.s.Diff(live, m.set)
	}
	return live
}

// A tristate is what a setting says.
type tristate uint8

const (
	unknown tristate = iota
	yes
	no
)

// forwards says whether the host is a router (sysctl net.inet.ip.forwarding).
func (w *walk) forwards(family uint8) tristate {
	name := "net.inet.ip.forwarding"
	if family == 6 {
		name = "net.inet6.ip6.forwarding"
	}
	switch w.e.network.Settings[name] {
	case "":
		return unknown
	case "0":
		return no
	}
	return yes
}

// wayOut is the interface by which packets to an address leave: the longest route,
// or the network of an interface; false where nothing tells it.
func (w *walk) wayOut(to netip.Addr) (*firewall.Interface, bool) {
	index := 0
	for _, r := range w.e.routes() {
		if r.prefix.Contains(to) {
			index = r.link
		}
	}
	for i := range w.e.network.Interfaces {
		if link := &w.e.network.Interfaces[i]; index != 0 && link.Index == index {
			return link, true
		}
	}
	return nil, false
}

// forward takes packets out of another interface: its rules are asked again.
func (w *walk) forward(p *packet, to netip.Addr, out *firewall.Interface, in match) {
	c := p.through(out)
	delivery := &firewall.Delivery{Address: to, Port: w.onePort(p), Interface: out.Name}
	skipped, _ := w.unfiltered(out)
	live := w.s.Diff(in.set, skipped)
	passed := w.outgoingTranslations(c, live)
	live = w.s.Diff(live, passed)
	w.accept(in, w.s.Diff(in.set, live), delivery)
	for _, m := range w.filter(c, live) {
		d := w.decision(m)
		switch {
		case m.undecided:
			w.decide(m.set, firewall.Undecided, d)
		case m.failed, m.rule == nil && w.e.rules.DefaultBlock:
			w.decide(m.set, firewall.Dropped, d)
		case m.rule != nil && m.rule.Action == Block:
			w.note(c, m.anchor, m.rule, "block decides")
			w.decide(m.set, m.rule.fate(c), d)
		default:
			decides := in
			if in.rule == nil {
				decides = m
			}
			w.accept(decides, m.set, delivery)
		}
	}
}

// outgoingTranslations takes packets through binat and nat rules on their way out,
// and returns those that "nat pass" lets past the filter rules.
func (w *walk) outgoingTranslations(p *packet, live firewall.PacketSet) firewall.PacketSet {
	passed, done := firewall.NoPackets, firewall.NoPackets
	for _, action := range []Action{Binat, NAT} {
		w.first(p, action, w.s.Diff(live, done), func(a *Anchor, r *Rule, set firewall.PacketSet) {
			done = w.s.Or(done, set)
			if r.No || r.NATTo == nil {
				return
			}
			w.newSource(p, a, r, r.NATTo, set)
			if r.NATPass {
				passed = w.s.Or(passed, set)
			}
		})
	}
	return passed
}
