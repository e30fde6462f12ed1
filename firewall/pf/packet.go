package pf

import (
	"github.com/netglance/netglance/firewall"
)

// A packet is the set of packets that a question is about, at one crossing of an
// interface: what they have in common is constant, the rest depends on what is free.
type packet struct {
	family    uint8
	protocol  int
	direction Direction
	// link is the interface that is crossed, received the one that the packet came
	// in by.
	link, received *firewall.Interface

	source, destination, sourcePort, port firewall.Field
	// asked is the port that the question is about, before any translation.
	asked firewall.Field
	// translated are the packets that old translation rules have changed.
	translated firewall.PacketSet
	// flags are TCP's: SYN alone for a first packet.
	flags              uint8
	icmpType, icmpCode int
	// tos is -1 where it is left to the sender.
	tos int
	// tags say for each tag which packets bear it; a packet has one at most.
	tags map[string]firewall.PacketSet
	// answer says that the packet answers one that came in.
	answer bool
}

const flagSYN, flagACK = 1 << 1, 1 << 4

// firstPacket is the first packets that the question is about.
func (w *walk) firstPacket(q firewall.Query, link *firewall.Interface) *packet {
	port := w.s.Port(q)
	return &packet{
		family: familyOf(q.Destination), protocol: int(q.Protocol), direction: In, link: link, received: link,
		source: w.s.Source(q), destination: firewall.FixedField(q.Destination.AsSlice()),
		sourcePort: w.s.SourcePort(q), port: port, asked: port,
		flags: flagSYN, icmpType: -1, icmpCode: -1, tos: -1,
		tags: make(map[string]firewall.PacketSet),
	}
}

// reply is the packet that answers p, on its way out.
func (p *packet) reply() *packet {
	return &packet{
		family: p.family, protocol: p.protocol, direction: Out, link: p.link,
		source: p.destination, destination: p.source, sourcePort: p.port, port: p.sourcePort,
		flags: flagSYN | flagACK, icmpType: -1, icmpCode: -1, tos: -1, answer: true,
		tags: make(map[string]firewall.PacketSet),
	}
}

// through is the packet at its next crossing: out of another interface. Tags stay.
func (p *packet) through(out *firewall.Interface) *packet {
	c := *p
	c.direction, c.link = Out, out
	return &c
}

func (p *packet) hook() string {
	hook := "in"
	if p.direction == Out {
		hook = "out"
	}
	if p.link != nil {
		hook += " on " + p.link.Name
	}
	if p.answer {
		return "answer " + hook
	}
	return hook
}

func (p *packet) hasPorts() bool {
	return p.protocol == protoTCP || p.protocol == protoUDP || p.protocol == protoSCTP
}

// tag gives packets a tag in place of the one that they bear.
func (w *walk) tag(p *packet, name string, set firewall.PacketSet) {
	for other, bearing := range p.tags {
		p.tags[other] = w.s.Diff(bearing, set)
	}
	p.tags[name] = w.s.Or(p.tags[name], set)
}
