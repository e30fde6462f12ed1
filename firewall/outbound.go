package firewall

import (
	"cmp"
	"net/netip"

	"github.com/netglance/netglance/internal/bdd"
)

// answerPacket is the answer to p as it leaves the one who got p: addresses and
// ports turned round.
func (w *walker) answerPacket(p *packet, protocol uint8, flags byte) *packet {
	a := &packet{
		family:     p.family,
		protocol:   protocol,
		about:      "the answer's ",
		bridgePort: p.bridgePort,
		mark:       w.word(0),
		priority:   w.word(0),
		pktType:    constantBits([]byte{0}),
		tracking:   p.tracking,
	}
	a.network = ipHeader(p.family, protocol, p.destination(), p.source())
	a.transport = transportHeader(protocol, p.port(), p.sourcePort(), flags)
	t := &a.tracking
	t.flow, t.tracked, t.untracked = w.ofFlow(a), bdd.False, bdd.False
	t.reply = true
	t.zone, t.entryZone = w.hostShort(0), p.tracking.zone
	t.state = stateEstablished
	return a
}

// answerAccepted sends the SYN-ACK of a local socket on its way, and returns the
// packets whose answer gets out. A datagram is delivered, answer or not.
func (w *walker) answerAccepted(p *packet, live bdd.Node) bdd.Node {
	if p.protocol != protocolTCP || live == bdd.False {
		return live
	}
	a := w.answerPacket(p, protocolTCP, tcpSYN|tcpACK)
	a.ofSocket = w.e.setting("ipv4", "", "tcp_syncookies") != 2 // a cookie belongs to no socket (tcp_make_synack)
	if w.e.setting("ipv4", "", "tcp_fwmark_accept") == 1 {
		a.mark = p.mark
	}
	w.fromListener(a, p)
	if a.ofSocket {
		w.whileAnswering(AnswerLost, func() { live = w.pastSockets(p, FromSocket, live) })
	}
	bound := w.boundToLink(p, a.sockets, live)
	out := w.leave(a, p, w.m.Diff(live, bound), AnswerLost)
	if bound == bdd.False {
		return out
	}
	b := a.clone()
	b.boundTo = p.in
	return w.m.Or(out, w.leave(b, p, bound, AnswerLost))
}

// answerRejected sends the error that a rule or the kernel answers with, and
// settles the packets: rejected where the error gets out, dropped elsewhere.
func (w *walker) answerRejected(p *packet, r rejection) {
	if p.about != "" || p.toGroup {
		w.decide(r.set, Dropped, r.decision, nil)
		return
	}
	group := w.m.And(r.set, w.unanswerableGroup(p, r.decision.Chain))
	w.decide(group, Dropped, r.decision, nil)
	r.set = w.m.Diff(r.set, group)
	a := w.rejectionPacket(p, r.reject)
	failing := r.decision.Text + "; the error doesn't get out"
	set := r.set
	if d := r.decision.Chain; d != nil && (d.Table.Family == FamilyNetdev || d.Table.Family == FamilyBridge) {
		w.whileAnswering(failing, func() { set = w.sendStraightBack(a, p, d.Table.Family, set) })
	} else if r.reject.TCPReset && p.bridgePort != nil && w.callsIP(p) {
		w.whileAnswering(failing, func() { set = w.resetByPort(a, p, set) })
	} else {
		set = w.leave(a, p, r.set, failing)
	}
	w.decide(set, Rejected, r.decision, nil)
}

// unanswerableGroup is where no error is sent for the group that the packet goes
// to: in IPv6 for multicasts (nf_send_reset6, icmp6_send), before IP for all that
// is not to one link address (nft_reject_netdev.c, nft_reject_bridge.c).
func (w *walker) unanswerableGroup(p *packet, c *Chain) bdd.Node {
	group := bdd.False
	if p.family == FamilyIPv6 {
		group = w.prefix(p.destination(), multicast6)
	}
	early := c != nil && (c.Table.Family == FamilyNetdev || c.Table.Family == FamilyBridge || c.Base != nil && c.Base.Hook == Ingress)
	if early && len(p.link) >= 8 {
		group = w.m.Or(group, p.link[7])
	}
	return group
}

// sendStraightBack is how nft_reject_netdev.c and nft_reject_bridge.c answer: by
// the link that the frame came in by, a bridge by its output hook.
func (w *walker) sendStraightBack(a, p *packet, family Family, set bdd.Node) bdd.Node {
	a.out = p.in
	if family == FamilyNetdev {
		return w.egress(a, set)
	}
	other := w.m.And(set, w.notToHost(p))
	w.kernelDrops(other, "no error answers a broadcast or multicast")
	if bridge := w.e.byIndex[p.in.Master]; bridge != nil {
		a.out = bridge
	}
	return w.outOfPort(a, p.in, w.m.Diff(set, other))
}

// resetByPort is how a reset answers what br_netfilter has shown to IP's rules: it
// goes out of the port that the packet came in by, past the hooks of what leaves,
// wherever its route would lead (nf_send_reset).
func (w *walker) resetByPort(a, p *packet, live bdd.Node) bdd.Node {
	out := bdd.False
	if p.family == FamilyIPv4 {
		// A reset to 0.0.0.0 is not sent to the host itself.
		nobody := w.m.And(live, w.prefix(a.destination(), nowhere4))
		out = w.byPort(a, p.bridgePort, nobody)
		live = w.m.Diff(live, nobody)
	}
	for _, r := range w.lookupScoped(a.outgoing(), w.errorReceiver(a, p, live), nil) {
		if text := w.unanswerable(a, r); text != "" && r.kind != RouteLocal && r.kind != RouteAnycast {
			w.kernelDrops(r.set, text)
			continue
		}
		out = w.m.Or(out, w.byPort(a, p.bridgePort, r.set))
	}
	return out
}

// byPort sends a packet out of a bridge's port as if from the bridge.
func (w *walker) byPort(a *packet, port *Interface, live bdd.Node) bdd.Node {
	c := a.clone()
	c.out = w.e.host(port)
	link := outgoingEtherHeader(c)
	c.out = port
	return w.egressChains(c, link, live)
}

// rejectionPacket is nf_send_reset's and icmp_send's answer: it belongs to the
// flow that it is about (nf_conntrack_attach).
func (w *walker) rejectionPacket(p *packet, r Reject) *packet {
	var a *packet
	switch {
	case r.TCPReset:
		a = w.answerPacket(p, protocolTCP, tcpRST|tcpACK)
	case p.family == FamilyIPv4:
		a = w.answerPacket(p, protocolICMP, 0)
		a.transport = icmpHeader(r, p.family)
		a.sourceChosen = p.hook != Input // icmp_send keeps a local destination only
	default:
		a = w.answerPacket(p, protocolICMPv6, 0)
		a.transport = icmpHeader(r, p.family)
		a.sourceChosen = !w.ownDestination(p)
	}
	a.rejection, a.errorLink = true, p.in
	if p.hook <= Prerouting {
		a.bridgePort = nil // the bridge learns where a sender is behind its prerouting hook
	}
	a.tracking.tracked = a.tracking.flow
	a.tracking.state = stateRelated
	if w.e.setting("ipv4", "", "fwmark_reflect") == 1 {
		a.mark = p.mark
	}
	return a
}

// leave routes an answer out of this host and takes it through output and
// postrouting, and returns the packets that it gets out for. The others are
// settled as dropped.
func (w *walker) leave(a, p *packet, live bdd.Node, failing string) bdd.Node {
	link := p.in
	if a.rejection && a.protocol == protocolTCP {
		link = nil // nf_send_reset6 asks for no way out
	}
	out := bdd.False
	w.whileAnswering(failing, func() {
		live = w.errorReceiver(a, p, live)
		if a.rejection && a.protocol != protocolTCP {
			other := w.m.And(live, w.notToHost(p))
			w.kernelDrops(other, "no error answers a broadcast or multicast")
			live = w.m.Diff(live, other)
		}
		for _, r := range w.lookupAnswer(a, live, link) {
			// What input's SNAT changed is undone in output, and routed again.
			translated := r
			translated.set = w.m.And(r.set, w.m.And(a.tracking.snat, a.tracking.flow))
			r.set = w.m.Diff(r.set, translated.set)
			out = w.m.Or(out, w.leaveRouted(a, r))
			out = w.m.Or(out, w.leaveTranslated(a, translated))
		}
	})
	return out
}

func (w *walker) leaveRouted(a *packet, r routed) bdd.Node {
	c, set := w.takeWayOut(a, r)
	if set == bdd.False {
		return bdd.False
	}
	set, _ = w.runHook(c, Output, set, nil)
	again := w.m.And(set, c.reroute)
	return w.m.Or(w.leaveBy(c.clone(), w.m.Diff(set, again)), w.leaveAgain(c, again))
}

// leaveTranslated is for answers whose destination NAT puts back in output: the
// first route is to the changed address, this host's own maybe (nf_nat_ipv4_local_fn).
func (w *walker) leaveTranslated(a *packet, r routed) bdd.Node {
	if r.set == bdd.False {
		return bdd.False
	}
	if r.route == nil || r.out == nil {
		w.kernelDrops(r.set, "no route back to the translated source")
		return bdd.False
	}
	c := a.clone()
	c.out = r.out
	if r.kind == RouteLocal {
		c.out = w.e.loopback()
	}
	set, _ := w.runHook(c, Output, r.set, nil)
	return w.leaveAgain(c, set)
}

// leaveAgain is ip_route_me_harder: a second look-up for what output changed. An
// address of link scope is sought on the link of the first.
func (w *walker) leaveAgain(c *packet, set bdd.Node) bdd.Node {
	out := bdd.False
	for _, r := range w.lookupAnswer(c, set, c.out) {
		if again, set := w.takeWayOut(c, r); set != bdd.False {
			out = w.m.Or(out, w.leaveBy(again, set))
		}
	}
	return out
}

// outgoing is the routing question of a packet that this host sends.
func (p *packet) outgoing() flow {
	f := flow{family: p.family, source: p.source(), destination: p.destination(), mark: p.mark, protocol: p.protocol,
		sourcePort: p.sourcePort(), port: p.port()}
	if p.sourceChosen {
		f.source = make(bits, len(f.source))
	}
	if p.boundTo != nil {
		f.out = p.boundTo.Index
	}
	return f
}

// takeWayOut is the answer on its route, and the packets whose answer can take it.
func (w *walker) takeWayOut(a *packet, r routed) (*packet, bdd.Node) {
	if text := w.unanswerable(a, r); text != "" {
		w.kernelDrops(r.set, text)
		return nil, bdd.False
	}
	c := a.clone()
	c.out = r.out
	if a.sourceChosen {
		c.setSource(w.chosenSource(c, r))
	}
	w.note(c, nil, nil, "routed to "+r.out.Name)
	return c, w.errorDestination(c, r)
}

func (w *walker) leaveBy(c *packet, set bdd.Node) bdd.Node {
	set = w.throughPolicies(c, DirectionOut, set)
	set, _ = w.runHook(c, Postrouting, set, nil)
	if c.out.Loopback() {
		w.kernelDrops(set, "it goes to this host itself, by "+c.out.Name)
		return bdd.False
	}
	return w.egress(c, set)
}

// errorReceiver leaves out the sources that are sent no answer at all: a
// rejection before routing looks up the source itself, and answers no broadcast
// or multicast (nf_reject_ipv4.c); IPv6 answers no source that is no host's
// (nf_reject_ipv6.c, icmp6_send);
// IPv4 routes an answer to 0.0.0.0 to itself.
func (w *walker) errorReceiver(a, p *packet, live bdd.Node) bdd.Node {
	none := bdd.False
	to := a.destination()
	switch {
	case a.family == FamilyIPv4:
		none = w.prefix(to, nowhere4)
		if a.rejection && p.hook <= Prerouting {
			none = w.m.Or(none, w.groupAddress4(to))
		}
	case a.rejection:
		none = w.m.Or(w.prefix(to, nowhere6), w.prefix(to, multicast6))
	}
	w.kernelDrops(w.m.And(live, none), "no error is sent to such a source")
	return w.m.Diff(live, none)
}

// groupAddress4 is where an address is a broadcast or multicast address.
func (w *walker) groupAddress4(b bits) bdd.Node {
	n := w.m.Or(w.prefix(b, multicast4), w.prefix(b, broadcast4))
	for _, r := range w.e.tables[tableKey{FamilyIPv4, tableLocal}] {
		if r.Type == RouteBroadcast {
			n = w.m.Or(n, w.prefix(b, r.Destination))
		}
	}
	return n
}

// chosenSource is the address that the kernel gives an ICMP error of its own:
// the route's preferred one, else one of the way out's, for IPv6 of the way in's
// (icmp_send, icmp6_send).
func (w *walker) chosenSource(c *packet, r routed) bits {
	if s := r.route.PreferredSource; s.IsValid() {
		return addressBits(s)
	}
	if c.family == FamilyIPv4 {
		return w.onlyAddress(c, r.out, false)
	}
	scoped := w.prefix(c.destination(), linkLocal6)
	return w.choose(scoped, w.onlyAddress(c, c.errorLink, true), w.onlyAddress(c, c.errorLink, false))
}

// onlyAddress is a link's address of the wanted scope, where it has just one.
func (w *walker) onlyAddress(c *packet, link *Interface, scoped bool) bits {
	var found []netip.Addr
	for _, a := range w.e.network.Addresses {
		addr := a.Prefix.Addr()
		if link != nil && a.Interface == link.Index && familyOf(addr) == c.family && a.Flags&ifaSecondary == 0 &&
			(c.family == FamilyIPv4 || addr.IsLinkLocalUnicast() == scoped) {
			found = append(found, addr)
		}
	}
	if len(found) == 1 {
		return addressBits(found[0])
	}
	return w.field("the address that the error comes from", c.addressLength(), Unmodelled)
}

// ifaSecondary is IFA_F_SECONDARY (include/uapi/linux/if_addr.h).
const ifaSecondary = 0x01

// whileAnswering settles what is dropped meanwhile as an answer that fails.
func (w *walker) whileAnswering(failing string, do func()) {
	previous := w.answering
	w.answering = failing
	do()
	w.answering = previous
}

// errorDestination leaves out the addresses that ICMPv6 sends no error to: the
// subnet router's anycast address of a link (icmpv6_route_lookup).
func (w *walker) errorDestination(a *packet, r routed) bdd.Node {
	if a.protocol != protocolICMPv6 {
		return r.set
	}
	anycast := w.subnetRouter(a.destination(), r)
	w.kernelDrops(w.m.And(r.set, anycast), "no ICMPv6 error goes to an anycast address")
	return w.m.Diff(r.set, anycast)
}

// subnetRouter is where an address is the subnet router's anycast address of a
// link (ipv6_anycast_destination, include/net/ip6_route.h).
func (w *walker) subnetRouter(address bits, r routed) bdd.Node {
	if r.route == nil || r.route.Gateway.IsValid() || len(r.route.Hops) > 0 || r.route.Destination.Bits() >= 127 {
		return bdd.False
	}
	return w.prefix(address, netip.PrefixFrom(r.route.Destination.Addr(), 128))
}

func (w *walker) unanswerable(a *packet, r routed) string {
	switch {
	case r.kind == RouteLocal || r.kind == RouteAnycast:
		return OwnSource
	case r.route == nil || r.out == nil || r.kind == RouteUnreachable || r.kind == RouteBlackhole || r.kind == RouteProhibit:
		return NoRouteBack + " to the source"
	case a.family == FamilyIPv4 && !a.sourceChosen && !w.localnetOn(r.out) && w.m.And(r.set, w.prefix(a.source(), loopback4)) == r.set:
		// __mkroute_output (net/ipv4/route.c)
		return "no answer from 127.0.0.0/8 leaves by " + r.out.Name + " (route_localnet is off)"
	}
	return ""
}

func (w *walker) localnetOn(link *Interface) bool {
	return link.Loopback() || w.e.switchedOn(link, "route_localnet")
}

// answerForwarded sends the SYN-ACK of the host that got a forwarded packet back
// through this one. That host is taken to answer by the link it was reached by.
func (w *walker) answerForwarded(p *packet, live bdd.Node) bdd.Node {
	if p.protocol != protocolTCP || live == bdd.False {
		return live
	}
	back := bdd.False
	w.whileAnswering("the answer doesn't get back", func() { back = w.comeBack(p, live) })
	return back
}

func (w *walker) comeBack(p *packet, live bdd.Node) bdd.Node {
	a := w.answerPacket(p, protocolTCP, tcpSYN|tcpACK)
	a.in = p.out
	a.link = etherHeader(p.family, p.out)
	back := bdd.False
	w.eachArrival(a, live, "leaves", func(c *packet, set bdd.Node) {
		back = w.m.Or(back, w.comeBackBy(c, p, set))
	})
	return back
}

func (w *walker) comeBackBy(a, p *packet, live bdd.Node) bdd.Node {
	live, _ = w.arrive(a, w.validate(a, live), nil)
	if !a.preroutingDone {
		live, _ = w.runHook(a, Prerouting, live, nil)
	}
	a.bridgePort = p.bridgePort
	f := flow{family: a.family, source: a.source(), destination: a.destination(), mark: a.mark, in: a.in.Name,
		protocol: a.protocol, sourcePort: a.sourcePort(), port: a.port()}
	back := bdd.False
	for _, r := range w.lookupScoped(f, live, a.in) {
		if text := w.unanswerable(a, r); text != "" || r.kind != RouteUnicast {
			w.kernelDrops(r.set, cmp.Or(text, "the source is no host's address"))
			continue
		}
		c := a.clone()
		c.out = r.out
		set := w.refuseProxied(c, w.mayForward(c, w.bridgedBack(c, r.out, r.set)))
		if c.family == FamilyIPv4 {
			set = w.validateSource(c, set, r.out.Index)
		} else {
			set = w.validateForwarded6(c, set)
		}
		set = w.throughPolicies(c, DirectionOut, w.throughPolicies(c, DirectionForward, set))
		set, _ = w.runHook(c, Forward, set, nil)
		set, _ = w.runHook(c, Postrouting, set, nil)
		back = w.m.Or(back, w.egress(c, set))
	}
	return back
}

// ownDestination says that the packet was sent to one of this host's addresses.
func (w *walker) ownDestination(p *packet) bool {
	data, ok := p.destination().constant()
	if !ok {
		return false
	}
	address := constantBits(data)
	if w.prefix(address, linkLocal6) == bdd.True {
		return w.localOn(address, p.in) == bdd.True
	}
	return w.ownAddress(address) == bdd.True
}

// icmpHeader is an error's type and code (RFC 792, RFC 4443).
func icmpHeader(r Reject, family Family) bits {
	b := free(8 * 8)
	kind := byte(3)
	codes := icmpCodes
	if family == FamilyIPv6 {
		kind, codes = 1, icmpv6Codes
	}
	copy(b, constantBits([]byte{kind}))
	if code, ok := codes[lastWord(r.With)]; ok {
		copy(b[8:], constantBits([]byte{code}))
	}
	return b
}

func lastWord(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == ' ' {
			return s[i+1:]
		}
	}
	return s
}

// The codes by the names that nft and iptables have for them; icmpx names are
// those of both families.
var (
	icmpCodes = map[string]byte{
		"net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2, "port-unreachable": 3,
		"net-prohibited": 9, "host-prohibited": 10, "admin-prohibited": 13, "no-route": 0,
	}
	icmpv6Codes = map[string]byte{
		"no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "host-unreachable": 3, "port-unreachable": 4,
		"policy-fail": 5, "reject-route": 6, "beyond-scope": 2,
	}
)
