package firewall

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// An outcome is what becomes of some packets.
type outcome struct {
	set      bdd.Node
	fate     Fate
	decision Decision
	delivery *Delivery
}

// inbound follows the question's packets from the link to where they end. Every
// packet ends in exactly one outcome.
func (w *walker) inbound(q Query) {
	in := w.e.byName[q.Interface]
	if in == nil {
		w.decide(bdd.True, Undecided, Decision{Text: "this host has no interface " + q.Interface}, nil)
		return
	}
	p := w.firstPacket(q, in)
	live := bdd.True
	if !in.Up() {
		w.kernelDrops(live, "interface "+in.Name+" is down")
		return
	}
	if vrf := w.e.byIndex[in.Master]; in.Master != 0 && vrf != nil && vrf.Kind == "vrf" {
		w.decide(live, Undecided, Decision{Text: in.Name + " belongs to VRF " + vrf.Name + ", which netglance doesn't model"}, nil)
		return
	}
	live = w.throughParent(p, w.comesIn(p, live))
	w.eachArrival(p, live, "comes in to", func(c *packet, set bdd.Node) {
		set, t := w.prerouting(c, set)
		w.route(c, set, t)
	})
}

// prerouting is all that stands between the link and the routing decision.
func (w *walker) prerouting(p *packet, live bdd.Node) (bdd.Node, trail) {
	live, t := w.arrive(p, live, nil)
	live = w.validate(p, live)
	if p.preroutingDone {
		return live, t
	}
	return w.runHook(p, Prerouting, live, t)
}

// eachArrival splits packets that come in by a bridge by the port that they came
// in by, where some chain can tell.
func (w *walker) eachArrival(p *packet, live bdd.Node, way string, do func(c *packet, set bdd.Node)) {
	if p.in.Kind != "bridge" {
		do(p, live)
		return
	}
	w.eachPort(p.in, "the packet "+way, live, func(port *Interface, set bdd.Node) {
		c := p.clone()
		if port != nil {
			c.in = port
		} else if ports := w.e.ports(p.in); len(ports) > 0 && w.callsIP(p) {
			c.in, c.anyPort = ports[0], len(ports) > 1
		}
		do(c, set)
	})
}

// throughParent allows for the ingress chains of the link that a VLAN or macvlan
// stands on: they see its frames first, with headers that netglance doesn't model.
func (w *walker) throughParent(p *packet, live bdd.Node) bdd.Node {
	parent := w.e.byIndex[p.in.Parent]
	if p.in.Parent == 0 || parent == nil {
		return live
	}
	for _, c := range w.e.chains[hookKey{FamilyNetdev, Ingress, false}] {
		if hooksInto(c, parent.Name) {
			drops := w.fact("what the ingress chains of "+parent.Name+" do to frames for "+p.in.Name, Unmodelled)
			w.decide(w.m.And(live, drops), Dropped, Decision{Chain: c, Text: "an ingress chain of " + parent.Name}, nil)
			return w.m.Diff(live, drops)
		}
	}
	return live
}

// packetOtherHost is PACKET_OTHERHOST (include/uapi/linux/if_packet.h).
const packetOtherHost = 3

// arrive takes packets through the ingress chains of their link, and through the
// bridge, bond or team that it is part of.
func (w *walker) arrive(p *packet, live bdd.Node, t trail) (bdd.Node, trail) {
	master := w.e.byIndex[p.in.Master]
	if p.in.Master == 0 || master == nil {
		return w.ingress(p, live, t)
	}
	others := bdd.False
	if master.Kind == "bridge" {
		others = w.asOthers(p, master)
		p.pktType = w.choose(others, constantBits([]byte{packetOtherHost}), p.pktType)
	}
	live, t = w.ingress(p, live, t)
	switch master.Kind {
	case "bridge":
		p.pktType = w.choose(others, constantBits([]byte{0}), p.pktType)
		live, t = w.throughBridge(p, master, live, t)
	case "bond", "team":
		p.in = master
	default:
		return live, t
	}
	return w.ingress(p, live, t)
}

func (w *walker) kernelDrops(set bdd.Node, text string) {
	if set == bdd.False {
		return
	}
	w.note(nil, nil, nil, "dropped by the kernel: "+text)
	w.decide(set, Dropped, Decision{Text: text}, nil)
}

// validate is what ip6_rcv_core checks before any hook (net/ipv6/ip6_input.c).
func (w *walker) validate(p *packet, live bdd.Node) bdd.Node {
	if p.family != FamilyIPv6 || p.in.Loopback() {
		return live
	}
	if w.e.setting("ipv6/conf", p.in.Name, "disable_ipv6") == 1 {
		w.kernelDrops(live, "IPv6 is disabled on "+p.in.Name)
		return bdd.False
	}
	bad := w.prefix(p.source(), multicast6)
	bad = w.m.Or(bad, w.prefix(p.source(), loopback6))
	w.kernelDrops(w.m.And(live, bad), "the source can't come from outside (multicast or loopback)")
	live = w.m.Diff(live, bad)
	loopback := w.prefix(p.destination(), loopback6)
	w.kernelDrops(w.m.And(live, loopback), "::1 is no destination for packets from outside")
	return w.m.Diff(live, loopback)
}

// maxDestinations bounds the ways that translations may split one question.
const maxDestinations = 4096

// route splits the packets by where they are sent to now, and each part by its route.
func (w *walker) route(p *packet, live bdd.Node, t trail) {
	destinations, ok := w.values(p.destination(), live, maxDestinations)
	if !ok {
		w.decide(live, Conditional, Decision{Text: "too many translated destinations to follow"}, nil)
		w.exhausted = w.m.Or(w.exhausted, live)
		return
	}
	for _, d := range destinations {
		c := p.clone()
		c.setDestination(constantBits(d.data))
		addr, _ := netip.AddrFromSlice(d.data)
		w.routeTo(c, addr, d.set, t)
	}
}

func (w *walker) routeTo(p *packet, to netip.Addr, live bdd.Node, t trail) {
	if to.IsMulticast() || to == allOnes {
		live = w.copied(p, live) // by the bridge, before the host looks at its own
	}
	if p.family == FamilyIPv4 {
		live = w.martians(p, to, live)
	}
	if to.IsMulticast() && !w.e.joined(p.in, to) {
		w.kernelDrops(live, p.in.Name+" is not in the group "+to.String())
		return
	}
	if to.Is4() && (to.IsMulticast() || to == allOnes) {
		w.group(p, to, live, t) // not in the routing tables (ip_route_input_slow)
		return
	}
	f := flow{family: p.family, source: p.source(), destination: p.destination(), mark: p.mark, in: p.in.Name,
		protocol: p.protocol, sourcePort: p.sourcePort(), port: p.port()}
	for _, r := range w.lookupInbound(f, live, p.in) {
		c := p.clone()
		switch {
		case r.kind == RouteLocal || r.kind == RouteAnycast:
			w.local(c, to, r.set, t)
		case r.kind == RouteBroadcast:
			w.group(c, to, w.copied(c, r.set), t)
		case r.kind == RouteMulticast:
			w.group(c, to, r.set, t)
		case r.kind == RouteUnicast && r.out != nil:
			w.forward(c, to, r, t)
		default:
			w.noRoute(c, to, r)
		}
	}
}

// lookupInbound is ip6_route_input's look-up: ::1, which only a translation makes a
// packet's destination, is sought on the link that it came in by alone, where it
// never is (rt6_need_strict in net/ipv6/route.c).
func (w *walker) lookupInbound(f flow, live bdd.Node, in *Interface) []routed {
	if f.family != FamilyIPv6 || in.Loopback() {
		return w.lookupScoped(f, live, in)
	}
	loopback := w.m.And(live, w.prefix(f.destination, loopback6))
	found := w.lookupScoped(f, w.m.Diff(live, loopback), in)
	if loopback == bdd.False {
		return found
	}
	f.out = in.Index
	return append(found, w.lookupRoute(f, loopback)...)
}

// allOnes is the limited broadcast address.
var allOnes = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// joined says that a link takes packets for a group.
func (e *Evaluator) joined(link *Interface, group netip.Addr) bool {
	return slices.ContainsFunc(e.network.Groups, func(g Group) bool { return g.Interface == link.Index && g.Address == group })
}

// martians are the addresses that ip_route_input_slow refuses (net/ipv4/route.c).
func (w *walker) martians(p *packet, to netip.Addr, live bdd.Node) bdd.Node {
	localnet := w.e.switchedOn(p.in, "route_localnet")
	source := p.source()
	bad := w.m.Or(w.prefix(source, multicast4), w.prefix(source, broadcast4))
	if to != allOnes && !to.IsLinkLocalMulticast() {
		bad = w.m.Or(bad, w.prefix(source, nowhere4))
	}
	if !localnet && to != allOnes {
		bad = w.m.Or(bad, w.prefix(source, loopback4))
	}
	if p.in.Loopback() {
		bad = bdd.False
	}
	w.kernelDrops(w.m.And(live, bad), "the source can't come from outside (martian)")
	live = w.m.Diff(live, bad)
	if to.IsLoopback() && !localnet && !p.in.Loopback() {
		w.kernelDrops(live, "packets from outside don't reach 127.0.0.0/8 (route_localnet is off)")
		return bdd.False
	}
	return live
}

// validateSource is fib_validate_source (net/ipv4/fib_frontend.c): own addresses
// are refused, and with rp_filter what wouldn't be answered by the same link.
func (w *walker) validateSource(p *packet, live bdd.Node, out int) bdd.Node {
	if p.family != FamilyIPv4 || p.in.Loopback() {
		return live
	}
	filter := max(w.e.setting("ipv4/conf", "all", "rp_filter"), w.e.setting("ipv4/conf", p.in.Name, "rp_filter"))
	acceptLocal := w.e.switchedOn(p.in, "accept_local")
	redirects := w.e.switchedOn(p.in, "send_redirects")
	if filter == 0 && !w.e.customRouting && !(p.in.Index == out && redirects) {
		if acceptLocal {
			return live
		}
		own := w.ownAddress(p.source())
		w.kernelDrops(w.m.And(live, own), "the source is this host's own address")
		return w.m.Diff(live, own)
	}
	f := flow{family: p.family, source: p.destination(), destination: p.source(), mark: w.word(0), protocol: p.protocol,
		sourcePort: p.port(), port: p.sourcePort()}
	if w.e.switchedOn(p.in, "src_valid_mark") {
		f.mark = p.mark
	}
	for _, r := range w.lookupRoute(f, live) {
		if text := sourceRefused(r, p.in, filter, acceptLocal); text != "" {
			w.kernelDrops(r.set, text)
			live = w.m.Diff(live, r.set)
		}
	}
	return live
}

func sourceRefused(r routed, in *Interface, filter int, acceptLocal bool) string {
	none := r.route == nil || r.kind == RouteBlackhole || r.kind == RouteUnreachable || r.kind == RouteProhibit
	switch {
	case none && filter != 0:
		return "rp_filter: no route back to the source"
	case none:
		return ""
	case r.kind == RouteLocal && acceptLocal, r.kind == RouteUnicast:
		if filter == 1 && !routeUses(r.route, in.Index) {
			return "rp_filter: the source would be answered by another link"
		}
		return ""
	case r.kind == RouteLocal:
		return "the source is this host's own address"
	}
	return "the source is no unicast address"
}

func (w *walker) ownAddress(b bits) bdd.Node {
	n := bdd.False
	for _, a := range w.e.network.Addresses {
		if addr := a.Prefix.Addr(); len(b) == addr.BitLen() {
			n = w.m.Or(n, w.prefix(b, netip.PrefixFrom(addr, addr.BitLen())))
		}
	}
	return n
}

// local delivers to this host.
func (w *walker) local(p *packet, to netip.Addr, live bdd.Node, t trail) {
	live = w.validateSource(p, live, 0)
	w.note(p, nil, nil, "routed to this host")
	live, t = w.runHook(p, Input, live, t)
	live = w.throughPolicies(p, DirectionIn, w.balance(p, live))
	w.routedByBridge(p, to, live, func(p *packet, live bdd.Node) {
		live = w.toSocket(p, w.validateForTCP(p, live))
		p.tracking.confirmed = true
		answered := w.answerAccepted(p, live)
		w.unanswered = append(w.unanswered, w.deciding(t, w.m.Diff(live, answered))...)
		w.deliver(p, to, answered, t, "")
	})
}

// notToHost is where the packet isn't one to this host's link address: a rule may
// say so (meta pkttype set). TCP, forwarding and ICMP pass such packets over.
func (w *walker) notToHost(p *packet) bdd.Node {
	return w.m.Not(w.equal(p.pktType, []byte{0}))
}

// validateForTCP is what TCP refuses itself (tcp_v4_rcv, tcp_v6_rcv): packets to
// another link address and, in IPv6, sources that are IPv4 addresses
// (tcp_v6_conn_request).
func (w *walker) validateForTCP(p *packet, live bdd.Node) bdd.Node {
	if p.protocol != protocolTCP {
		return live
	}
	other := w.m.And(live, w.notToHost(p))
	w.kernelDrops(other, "TCP takes no broadcast or multicast")
	if live = w.m.Diff(live, other); p.family != FamilyIPv6 {
		return live
	}
	mapped := w.m.And(live, w.prefix(p.source(), mapped4))
	w.kernelDrops(mapped, "TCP answers no IPv4-mapped source")
	return w.m.Diff(live, mapped)
}

// forwardRejects says that a forward chain's table answers some packets with an error.
func (e *Evaluator) forwardRejects(family Family) bool {
	for _, base := range e.chains[hookKey{family, Forward, false}] {
		for _, c := range base.Table.Chains {
			if slices.ContainsFunc(c.Rules, func(r *Rule) bool {
				return slices.ContainsFunc(r.Steps, func(s Step) bool { _, ok := s.(Reject); return ok })
			}) {
				return true
			}
		}
	}
	return false
}

// copied takes out the packets that somebody answers who looks at the copies which a
// bridge makes of a broadcast or multicast: br_netfilter shows forward rules those for
// its other ports, and one may answer with an error.
func (w *walker) copied(p *packet, live bdd.Node) bdd.Node {
	if p.protocol != protocolTCP || p.bridgePort == nil || !w.callsIP(p) || !w.e.forwardRejects(p.family) {
		return live
	}
	copies := w.m.And(live, w.fact("what forward rules say to the copies for the other ports of "+p.in.Name, Unmodelled))
	w.decide(copies, Rejected, Decision{Text: "forward rules for the bridge's copies"}, nil)
	return w.m.Diff(live, copies)
}

// group delivers a broadcast or multicast: to UDP sockets only.
func (w *walker) group(p *packet, to netip.Addr, live bdd.Node, t trail) {
	p.toGroup = true
	nobody := bdd.False
	if p.family == FamilyIPv4 {
		nobody = w.m.And(live, w.prefix(p.source(), nowhere4)) // a host without an address yet
	}
	live = w.m.Or(nobody, w.validateSource(p, w.m.Diff(live, nobody), 0))
	sentTo := p.port()
	live, t = w.runHook(p, Input, live, t)
	if p.protocol == protocolTCP {
		w.kernelDrops(live, "TCP takes no broadcast or multicast")
		return
	}
	live = w.throughPolicies(p, DirectionIn, live)
	early := w.demultiplexed(p, sentTo, live)
	w.deliver(p, to, w.toSocket(p, w.m.Diff(live, early)), t, "")
	if early != bdd.False {
		p.setPort(sentTo)
		w.deliver(p, to, early, t, "")
	}
}

// demultiplexed are the packets to a group whose port a rule of input has changed, too
// late: the kernel may have found their socket before, by the port that they were sent
// to. It does so where it has few sockets to look through (udp_v4_early_demux,
// __udp4_lib_mcast_demux_lookup).
func (w *walker) demultiplexed(p *packet, sentTo bits, live bdd.Node) bdd.Node {
	changed := w.m.And(live, w.differs(sentTo, p.port()))
	if changed == bdd.False {
		return bdd.False
	}
	return w.m.And(changed, w.fact("early demultiplexing", Unmodelled))
}

// noRoute is a destination that leads nowhere: an error where the host forwards
// (ip_error, ip6_pkt_discard), silence elsewhere.
func (w *walker) noRoute(p *packet, to netip.Addr, r routed) {
	d := Decision{Text: "no route to " + to.String()}
	w.note(p, nil, nil, d.Text)
	forwards := w.e.setting("ipv4/conf", p.in.Name, "forwarding") == 1
	if r.kind == RouteBlackhole || p.family == FamilyIPv4 && !forwards {
		w.decide(r.set, Dropped, d, nil)
		return
	}
	w.answerRejected(p, rejection{settled{r.set, d}, Reject{With: "icmp host-unreachable"}})
}

// forward sends the packets on by another link.
func (w *walker) forward(p *packet, to netip.Addr, r routed, t trail) {
	p.out = r.out
	live := w.refuseProxied(p, w.mayForward(p, w.bridgedBack(p, r.out, r.set)))
	if p.family == FamilyIPv4 {
		live = w.validateSource(p, live, r.out.Index)
	} else {
		live = w.validateForwarded6(p, live)
	}
	w.note(p, nil, nil, "routed to "+r.out.Name)
	live = w.throughPolicies(p, DirectionOut, w.throughPolicies(p, DirectionForward, live))
	live, t = w.runHook(p, Forward, live, t)
	live, t = w.runHook(p, Postrouting, live, t)
	live = w.egress(p, live)
	p.tracking.confirmed = true
	live = w.answerForwarded(p, live)
	w.deliver(p, to, live, t, r.out.Name)
}

func (w *walker) mayForward(p *packet, live bdd.Node) bdd.Node {
	on := w.e.setting("ipv4/conf", p.in.Name, "forwarding") == 1
	if p.family == FamilyIPv6 {
		on = w.e.setting("ipv6/conf", "all", "forwarding") == 1 || w.e.setting("ipv6/conf", p.in.Name, "force_forwarding") == 1
	}
	if on {
		other := w.m.And(live, w.notToHost(p))
		w.kernelDrops(other, "broadcasts and multicasts are not forwarded")
		return w.m.Diff(live, other)
	}
	w.kernelDrops(live, "this host doesn't forward")
	return bdd.False
}

// validateForwarded6 is ip6_forward's: what may not leave its link is answered
// with "beyond scope of source address", what is no host's with nothing. What
// goes out by the link that it came by stays on it, and what br_netfilter has
// routed already is taken for that (ip6_rcv_core).
func (w *walker) validateForwarded6(p *packet, live bdd.Node) bdd.Node {
	if p.in == p.out {
		return live
	}
	if p.preroutingDone && p.rerouted != bdd.False {
		routed := w.m.And(live, p.rerouted)
		c := p.clone()
		c.preroutingDone = false
		return w.m.Or(routed, w.validateForwarded6(c, w.m.Diff(live, routed)))
	}
	nobody := w.m.And(live, w.prefix(p.source(), nowhere6))
	w.kernelDrops(nobody, "the source is no host's")
	scoped := w.m.And(live, w.prefix(p.source(), linkLocal6))
	if scoped != bdd.False {
		w.answerRejected(p, rejection{settled{scoped, Decision{Text: "a link-local source is not forwarded"}}, Reject{With: "icmpv6 beyond-scope"}})
	}
	return w.m.Diff(w.m.Diff(live, nobody), scoped)
}

// deliver writes down what got through, with what let it through and where it went.
func (w *walker) deliver(p *packet, to netip.Addr, live bdd.Node, t trail, out string) {
	live = w.m.Diff(live, w.exhausted)
	for _, a := range w.deciding(t, live) {
		a.set = w.deliverProxied(p, to, a)
		for _, port := range w.deliveredPorts(p, a.set) {
			d := Delivery{Address: to, Port: binary.BigEndian.Uint16(port.data), Interface: out}
			hidden := d
			hidden.SourceHidden = true
			unseen := w.sourceHidden(p, port.set, out)
			w.decide(w.m.Diff(port.set, unseen), Accepted, a.decision, &d)
			w.decide(w.m.And(port.set, unseen), Accepted, a.decision, &hidden)
		}
	}
}

// sourceHidden are the sources of forwarded packets that leave with another, if only at times.
func (w *walker) sourceHidden(p *packet, set bdd.Node, out string) bdd.Node {
	if out == "" {
		return bdd.False
	}
	other := w.m.And(set, w.m.Or(p.tracking.snat, w.differs(p.source(), w.origin)))
	return w.m.Exists(other, sourcePortLevel, func(level int) bool {
		return !w.isSource(level) && (level < portLevel || level >= portLevel+16)
	})
}

// deliveredPorts splits packets by the port that they end at. A port that is
// free in the question stays 0.
func (w *walker) deliveredPorts(p *packet, set bdd.Node) []valued {
	var kept bdd.Node
	if w.portFree {
		kept = w.m.Diff(set, w.differs(w.portBits(portLevel), p.port()))
	}
	ports, ok := w.values(p.port(), w.m.Diff(set, kept), 256)
	if !ok {
		w.lumped = true
		return []valued{{[]byte{0, 0}, set}}
	}
	if kept != bdd.False {
		ports = append(ports, valued{[]byte{0, 0}, kept})
	}
	return ports
}

// deciding tells for accepted packets what let them through: the rule or policy
// of the highest rank, among equals the last one met.
func (w *walker) deciding(t trail, live bdd.Node) []settled {
	var found []settled
	for rank := rankRuleOfFilter; rank >= rankPolicyElsewhere && live != bdd.False; rank-- {
		for i := len(t) - 1; i >= 0; i-- {
			if t[i].rank != rank {
				continue
			}
			taken := bdd.False
			for _, s := range t[i].list {
				if set := w.m.And(live, s.set); set != bdd.False {
					found = append(found, settled{set, s.decision})
					taken = w.m.Or(taken, set)
				}
			}
			live = w.m.Diff(live, taken)
		}
	}
	if live != bdd.False {
		found = append(found, settled{live, Decision{Text: "no rule filters it"}})
	}
	return found
}
