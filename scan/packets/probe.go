// Package packets crafts first packets of new flows, sends them into a network
// namespace whose links' far ends are ours, and reads what becomes of each.
package packets

import (
	"fmt"
	"net/netip"
)

// A Probe is the first packet of a new flow.
type Probe struct {
	// Via is the interface that the packet comes in by.
	Via string
	// Protocol is 6 (a TCP SYN), 17 (a UDP datagram) or 136 (UDP-Lite).
	Protocol         uint8
	From, To         netip.Addr
	SourcePort, Port uint16
}

func (p Probe) String() string {
	return fmt.Sprintf("%s via %s from %s to %s", protocolName(p.Protocol), p.Via,
		netip.AddrPortFrom(p.From, p.SourcePort), netip.AddrPortFrom(p.To, p.Port))
}

func protocolName(p uint8) string {
	switch p {
	case protocolTCP:
		return "tcp"
	case protocolUDP:
		return "udp"
	case protocolUDPLite:
		return "udplite"
	}
	return fmt.Sprintf("protocol(%d)", p)
}

// Kind is what became of a probe.
type Kind uint8

// The kinds of outcome. A probe of which nothing is seen again was dropped, or
// its answer was.
const (
	Dropped Kind = iota
	// Accepted: a TCP probe's SYN-ACK came out, a datagram reached a socket.
	Accepted
	// Reset: a TCP RST came out. A firewall's and a closed port's look the same.
	Reset
	// Unreachable: an ICMP error came out.
	Unreachable
	// Forwarded: the packet itself left by an interface.
	Forwarded
)

func (k Kind) String() string {
	names := [...]string{"dropped", "accepted", "reset", "unreachable", "forwarded"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// An Outcome is what the kernel did to a Probe.
type Outcome struct {
	Kind Kind
	// Via is the interface by which the answer or the forwarded packet left; empty
	// for a datagram that reached a socket.
	Via string
	// Bridge is the bridge that a Forwarded packet's Via is a port of; empty if it is none.
	Bridge string
	// ICMPType and ICMPCode are those of an Unreachable.
	ICMPType, ICMPCode uint8
	// From and To are the packet's two ends when it left (Forwarded). A datagram
	// that reached a socket (Accepted) has the socket's port in To, with its address invalid.
	From, To netip.AddrPort
	// Answered says that the answer to a Forwarded packet got out: the SYN-ACK or
	// the datagram back, sent by the far end at once.
	Answered bool
}

func (o Outcome) String() string {
	switch o.Kind {
	case Reset:
		return "reset via " + o.Via
	case Unreachable:
		return fmt.Sprintf("icmp error %d/%d via %s", o.ICMPType, o.ICMPCode, o.Via)
	case Forwarded:
		s := fmt.Sprintf("forwarded via %s from %s to %s", o.Via, o.From, o.To)
		if !o.Answered {
			s += ", answer lost"
		}
		return s
	case Accepted:
		if o.Via == "" {
			return fmt.Sprintf("accepted by port %d", o.To.Port())
		}
		return "accepted, answered via " + o.Via
	}
	return o.Kind.String()
}
