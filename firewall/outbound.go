package firewall

import "github.com/netglance/netglance/internal/bdd"

// answerPacket is the answer to p as it leaves the one who got p: addresses and
// ports turned round.
func (w *walker) answerPacket(p *packet, protocol uint8, flags byte) *packet {
	a := &packet{
		family:   p.family,
		protocol: protocol,
		about:    "the answer's ",
		mark:     w.word(0),
		priority: w.word(0),
		pktType:  constantBits([]byte{0}),
		tracking: p.tracking,
	}
	a.network = ipHeader(p.family, protocol, p.destination(), p.source())
	a.transport = transportHeader(protocol, p.port(), p.sourcePort(), flags)
	t := &a.tracking
	t.flow, t.tracked, t.untracked = p.tracking.tracked, bdd.False, bdd.False
	t.reply = true
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
	a.ofSocket = true
	if w.e.setting("ipv4", "", "tcp_fwmark_accept") == 1 {
		a.mark = p.mark
	}
	return w.leave(a, p, live, "the answer doesn't get out")
}

// answerRejected sends the error that a rule or the kernel answers with, and
// settles the packets: rejected where the error gets out, dropped elsewhere.
func (w *walker) answerRejected(p *packet, r rejection) {
	set := r.set
	if p.hook != Ingress {
		a := w.rejectionPacket(p, r.reject)
		set = w.leave(a, p, r.set, r.decision.Text+"; the error doesn't get out")
	}
	w.decide(set, Rejected, r.decision, nil)
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
	default:
		a = w.answerPacket(p, protocolICMPv6, 0)
		a.transport = icmpHeader(r, p.family)
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
	previous := w.answering
	w.answering = failing
	defer func() { w.answering = previous }()

	f := flow{family: a.family, source: a.source(), destination: a.destination(), mark: a.mark, protocol: a.protocol,
		sourcePort: a.sourcePort(), port: a.port()}
	out := bdd.False
	for _, r := range w.lookupScoped(f, live, p.in) {
		if text := unanswerable(r); text != "" {
			w.kernelDrops(r.set, text)
			continue
		}
		c := a.clone()
		c.out = r.out
		w.note(c, nil, nil, "the answer is routed to "+r.out.Name)
		set, _ := w.runHook(c, Output, r.set, nil)
		set, _ = w.runHook(c, Postrouting, set, nil)
		out = w.m.Or(out, set)
	}
	return out
}

func unanswerable(r routed) string {
	switch {
	case r.kind == RouteLocal:
		return "the source is this host's own address"
	case r.route == nil || r.out == nil || r.kind == RouteUnreachable || r.kind == RouteBlackhole || r.kind == RouteProhibit:
		return "no route back to the source"
	}
	return ""
}

// answerForwarded sends the SYN-ACK of the host that got a forwarded packet back
// through this one. That host is taken to answer by the link it was reached by.
func (w *walker) answerForwarded(p *packet, live bdd.Node) bdd.Node {
	if p.protocol != protocolTCP || live == bdd.False {
		return live
	}
	previous := w.answering
	w.answering = "the answer doesn't get back"
	defer func() { w.answering = previous }()

	a := w.answerPacket(p, protocolTCP, tcpSYN|tcpACK)
	a.in = p.out
	a.link = etherHeader(p.family, p.out)
	a.tracking.flow = p.tracking.tracked
	live, _ = w.ingress(a, live, nil)
	live, _ = w.runHook(a, Prerouting, live, nil)
	f := flow{family: a.family, source: a.source(), destination: a.destination(), mark: a.mark, in: a.in.Name,
		protocol: a.protocol, sourcePort: a.sourcePort(), port: a.port()}
	back := bdd.False
	for _, r := range w.lookupScoped(f, live, p.in) {
		if text := unanswerable(r); text != "" {
			w.kernelDrops(r.set, text)
			continue
		}
		c := a.clone()
		c.out = r.out
		set := w.mayForward(c, r.set)
		set = w.validateSource(c, set, r.out.Index)
		set, _ = w.runHook(c, Forward, set, nil)
		set, _ = w.runHook(c, Postrouting, set, nil)
		back = w.m.Or(back, set)
	}
	return back
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
		"policy-fail": 5, "reject-route": 6,
	}
)
