package pf

import (
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/firewall"
)

// inbound follows the question's packets from the interface to where they end:
// old translation rules, filter rules in, translations of the rule that decided,
// then this host or the way out of another interface, and the way back.
func (w *walk) inbound(q firewall.Query) {
	link := w.e.byName[q.Interface]
	if link == nil {
		w.decide(firewall.AllPackets, firewall.Undecided, firewall.Decision{Text: "this host has no interface " + q.Interface})
		return
	}
	if !link.Up() {
		w.decide(firewall.AllPackets, firewall.Dropped, firewall.Decision{Text: "interface " + link.Name + " is down"})
		return
	}
	p := w.firstPacket(q, link)
	live := w.fromWire(p, firewall.AllPackets)
	if skipped, text := w.unfiltered(link); skipped != firewall.NoPackets {
		w.note(p, nil, nil, text)
		w.arrive(p, match{set: w.s.And(live, skipped), text: text}, true)
		live = w.s.Diff(live, skipped)
	}
	live = w.frames(p, live)
	passed := w.oldTranslations(p, live)
	live = w.s.Diff(live, w.open)
	for _, m := range passed {
		live = w.s.Diff(live, m.set)
		w.arrive(p, m, true)
	}
	for _, m := range w.filter(p, live) {
		w.settle(p, m)
	}
}

func (w *walk) decide(set firewall.PacketSet, fate firewall.Fate, d firewall.Decision) {
	w.s.Decide(set, fate, d, nil)
}

// wireNets never appear on a wire: ip_input drops them before pf sees them
// (RFC 1122, 3.2.1.3; ip_input.c of FreeBSD and macOS, ipv4_check of OpenBSD;
// RFC 4291, 2.5.3, ip6_input.c).
var wireNets = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// fromWire drops what the kernel itself drops of packets that come in.
func (w *walk) fromWire(p *packet, live firewall.PacketSet) firewall.PacketSet {
	if p.link.Loopback() {
		return live
	}
	bad := firewall.NoPackets
	for _, n := range append(wireNets, netip.MustParsePrefix("ff00::/8")) {
		bad = w.s.Or(bad, w.s.Within(p.source, n))
	}
	for _, n := range wireNets {
		bad = w.s.Or(bad, w.s.Within(p.destination, n))
	}
	bad = w.s.And(live, bad)
	if bad != firewall.NoPackets {
		const text = "a loopback or multicast address can't come from the wire"
		w.note(p, nil, nil, "dropped by the kernel: "+text)
		w.decide(bad, firewall.Dropped, firewall.Decision{Text: text})
	}
	return w.s.Diff(live, bad)
}

// unfiltered is where pf lets everything through an interface, and why.
func (w *walk) unfiltered(link *firewall.Interface) (set firewall.PacketSet, why string) {
	if w.e.rules.Disabled {
		return firewall.AllPackets, "pf is disabled"
	}
	for _, name := range w.e.rules.Skip {
		if skipped := w.isLink(link, name); skipped != firewall.NoPackets {
			set = w.s.Or(set, skipped)
			why = "set skip on " + name + ": pf leaves " + link.Name + " alone"
		}
	}
	return set, why
}

// settle gives packets the fate that the rule they matched last has for them.
func (w *walk) settle(p *packet, m match) {
	d := w.decision(m)
	switch {
	case m.undecided:
		w.decide(m.set, firewall.Undecided, d)
	case m.failed:
		w.decide(m.set, firewall.Dropped, firewall.Decision{Text: m.text})
	case m.rule == nil && w.e.rules.DefaultBlock:
		d.Text = "no rule matches: net.pf.default_to_drop blocks"
		w.decide(m.set, firewall.Dropped, d)
	case m.rule == nil:
		w.arriveFiltered(p, m, false)
	case m.rule.Action == Block:
		w.note(p, m.anchor, m.rule, "block decides")
		w.decide(m.set, m.rule.fate(p), d)
	default:
		w.note(p, m.anchor, m.rule, "pass decides")
		c := *p
		w.translate(&c, m.anchor, m.rule, m.set)
		w.arriveFiltered(&c, m, m.rule.State.Kind != NoState)
	}
}

// arriveFiltered takes packets on that a rule let in. Old translations make state
// whatever the rule says (pf_test_rule: r->keep_state || nr != NULL).
func (w *walk) arriveFiltered(p *packet, m match, stateful bool) {
	if translated := w.s.And(m.set, p.translated); !stateful && translated != firewall.NoPackets {
		part := m
		part.set = translated
		w.arrive(p, part, true)
		m.set = w.s.Diff(m.set, translated)
	}
	w.arrive(p, m, stateful)
}

// fate is how a block rule answers: a reset or an ICMP error rejects, silence drops.
func (r *Rule) fate(p *packet) firewall.Fate {
	if r.Return == ReturnDrop || r.Return == ReturnRST && p.protocol != protoTCP {
		return firewall.Dropped
	}
	return firewall.Rejected
}

// oldTranslations takes packets through binat and rdr rules, which stand before
// the filter rules, and returns those that "rdr pass" lets past them.
func (w *walk) oldTranslations(p *packet, live firewall.PacketSet) (passed []match) {
	translated := func(a *Anchor, r *Rule, set firewall.PacketSet) {
		p.translated = w.s.Or(p.translated, set)
		if r.NATPass {
			passed = append(passed, match{rule: r, anchor: a, set: set})
		}
	}
	done := firewall.NoPackets
	w.first(p, Binat, live, func(a *Anchor, r *Rule, set firewall.PacketSet) {
		done = w.s.Or(done, set)
		if !r.No && r.NATTo != nil {
			p.destination = w.s.Choose(set, w.backToSource(r, p.destination), p.destination)
			w.note(p, a, r, "destination becomes "+addressText(r.Source.Address))
			translated(a, r, set)
		}
	})
	w.first(p, RDR, w.s.Diff(w.s.Diff(live, done), w.open), func(a *Anchor, r *Rule, set firewall.PacketSet) {
		if r.No {
			w.note(p, a, r, "not translated")
			return
		}
		w.redirect(p, a, r, r.RDRTo, r.Destination.Port, set)
		translated(a, r, set)
	})
	return passed
}

// backToSource is the destination that an incoming packet gets by a binat rule.
func (w *walk) backToSource(r *Rule, old firewall.Field) firewall.Field {
	from := r.Source.Address
	if from.Kind != Masked || from.Addr.BitLen() != old.Bits() {
		return w.s.Unsettled(old.Bits()/8, firewall.Unread, "the address behind binat ("+w.e.place(r)+")")
	}
	return w.s.WithPrefix(old, netip.PrefixFrom(from.Addr, from.Bits))
}

// frames takes packets through FreeBSD's rules for frames, which see them first.
func (w *walk) frames(p *packet, live firewall.PacketSet) firewall.PacketSet {
	if len(w.e.rules.Main.Ether) == 0 || p.link.Loopback() {
		return live
	}
	r := &ruling{w: w, p: p}
	w.frameRules(r, w.e.rules.Main, live, 0)
	for _, m := range r.last(live) {
		if m.rule != nil && m.rule.Ethernet.Block {
			w.decide(m.set, firewall.Dropped, w.decision(m))
			live = w.s.Diff(live, m.set)
		}
	}
	return live
}

func (w *walk) frameRules(r *ruling, a *Anchor, live firewall.PacketSet, depth int) firewall.PacketSet {
	for _, rule := range a.Ether {
		if w.work++; live == firewall.NoPackets || w.work > maxWork {
			return live
		}
		set := w.s.And(live, w.matches(r.p, a, rule))
		if rule.Ethernet.Matched {
			set = w.s.And(set, w.s.Fact(firewall.Sender, "the frame's addresses and protocol ("+w.e.place(rule)+")"))
		}
		switch {
		case set == firewall.NoPackets:
		case rule.IsAnchor && depth < maxDepth:
			inside := set
			for _, c := range a.called(rule) {
				inside = w.frameRules(r, c, inside, depth+1)
			}
			live = w.s.Or(w.s.Diff(live, set), inside)
		case !rule.IsAnchor:
			r.matches = append(r.matches, match{rule: rule, anchor: a, set: set})
			if rule.Quick {
				live = w.s.Diff(live, set)
			}
		}
	}
	return live
}

// arrive takes packets that pf let in to where they go: a local socket, another
// program, or out again. Without state their answers are filtered, too.
func (w *walk) arrive(p *packet, m match, stateful bool) {
	if m.set == firewall.NoPackets {
		return
	}
	if r := m.rule; r != nil {
		switch {
		case r.Divert != nil && r.Divert.Kind != "divert-reply" && r.Action != RDR:
			w.diverted(p, m, r)
			return
		case r.Route != nil && r.Route.Kind == "route-to" && r.Direction != Out:
			w.eachPort(p, m, func(p *packet, m match) {
				w.accept(m, m.set, &firewall.Delivery{Address: w.one(p.destination), Port: w.onePort(p), Interface: r.Route.out()})
			})
			return
		case r.AFTo != nil:
			w.acrossFamilies(p, m, r)
			return
		case r.RTable > 0:
			other := w.s.And(m.set, w.s.Fact(firewall.Unmodelled, fmt.Sprintf("what routing table %d does", r.RTable)))
			w.decide(other, firewall.Conditional, w.decision(m))
			m.set = w.s.Diff(m.set, other)
		}
	}
	destinations, ok := w.s.Values(p.destination, m.set, maxDestinations)
	if !ok {
		w.decide(m.set, firewall.Conditional, w.decision(m))
		return
	}
	for _, d := range destinations {
		to, _ := netip.AddrFromSlice(d.Data)
		c := *p
		c.destination = firewall.FixedField(d.Data)
		part := m
		part.set = d.Set
		w.eachPort(&c, part, func(p *packet, m match) { w.route(p, to, m, stateful) })
	}
}

// maxPorts is how many ports of translated packets are told apart.
const maxPorts = 64

// eachPort splits packets by the port that they were translated to.
func (w *walk) eachPort(p *packet, m match, do func(*packet, match)) {
	same := w.s.And(m.set, w.s.Same(p.port, p.asked))
	changed := w.s.Diff(m.set, same)
	if same != firewall.NoPackets {
		c, part := *p, m
		c.port, part.set = p.asked, same
		do(&c, part)
	}
	ports, ok := w.s.Values(p.port, changed, maxPorts)
	if !ok {
		m.set = changed
		do(p, m)
		return
	}
	for _, port := range ports {
		c, part := *p, m
		c.port, part.set = firewall.FixedField(port.Data), port.Set
		do(&c, part)
	}
}

// maxDestinations bounds the ways that translations may split one question.
const maxDestinations = 4096

func (w *walk) accept(m match, set firewall.PacketSet, to *firewall.Delivery) {
	w.s.Decide(set, firewall.Accepted, w.decision(m), to)
}

// one is a field's address where it is one; invalid otherwise.
func (w *walk) one(f firewall.Field) netip.Addr {
	data, _ := f.Constant()
	a, _ := netip.AddrFromSlice(data)
	return a
}

func (w *walk) onePort(p *packet) uint16 {
	data, ok := p.port.Constant()
	if !ok {
		return 0
	}
	return uint16(data[0])<<8 | uint16(data[1])
}

// out is the interface that a route names; a gateway alone doesn't tell it.
func (r *Route) out() string {
	if r.Pool != nil {
		for _, name := range r.Pool.Interfaces {
			if name != "" {
				return name
			}
		}
		return addressText(r.Pool.Addresses[0])
	}
	return ""
}

// diverted packets go to a socket whatever its address is; divert-packet, and
// FreeBSD's divert-to, hand them to a program that decides.
func (w *walk) diverted(p *packet, m match, r *Rule) {
	v := r.Divert
	if v.Kind == "divert-packet" || w.e.rules.Dialect == FreeBSD {
		passes := w.s.Fact(firewall.External, fmt.Sprintf("what the program behind %s does (%s)", v.text(w.e.rules.Dialect), w.e.place(r)))
		w.accept(m, w.s.And(m.set, passes), nil)
		w.decide(w.s.Diff(m.set, passes), firewall.Dropped, w.decision(m))
		return
	}
	w.accept(m, m.set, &firewall.Delivery{Address: v.Address, Port: v.Port})
}

// acrossFamilies sends packets of the other family on: af-to.
func (w *walk) acrossFamilies(p *packet, m match, r *Rule) {
	c := *p
	c.family = r.AFTo.Family
	length := 4
	if c.family == 6 {
		length = 16
	}
	name := w.e.place(r)
	c.source = w.s.Unsettled(length, firewall.Random, "the source of af-to ("+name+")")
	c.destination = w.s.Unsettled(length, firewall.Unread, "the destination of af-to ("+name+")")
	if r.AFTo.To == nil && length == 4 && p.destination.Bits() == 128 {
		c.destination = p.destination.Tail(4) // the last 32 bits (RFC 6052, 2.2, /96)
	} else if r.AFTo.To != nil {
		if prefixes, ok := w.poolPrefixes(p, m.anchor, r.AFTo.To, 8*length); ok && len(prefixes) == 1 && prefixes[0].IsSingleIP() {
			c.destination = firewall.FixedField(prefixes[0].Addr().AsSlice())
		}
	}
	if data, ok := c.destination.Constant(); ok {
		to, _ := netip.AddrFromSlice(data)
		w.route(&c, to, m, true)
		return
	}
	w.decide(m.set, firewall.Conditional, w.decision(m))
}
