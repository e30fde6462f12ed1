package kerneltest

import (
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/platform"
)

// IP protocol numbers.
const (
	protocolTCP     = 6
	protocolUDP     = 17
	protocolUDPLite = 136
)

// sockets are the listeners of a namespace.
type sockets struct {
	open []Socket
	// taken are the ports that have sockets, by protocol and port.
	taken map[[2]uint16]bool
	// datagrams are the datagram sockets' ports by the namespace's number.
	datagrams map[int]uint16
}

func newSockets() sockets {
	return sockets{taken: map[[2]uint16]bool{}, datagrams: map[int]uint16{}}
}

// A Socket is a TCP listener or a datagram socket of a namespace.
type Socket struct {
	Protocol uint8 // 6, 17 or 136
	At       netip.AddrPort
	// Peer is whom a datagram socket is connected to; invalid for nobody.
	Peer netip.AddrPort
	// Device is the interface that it is bound to; empty for all.
	Device string
	// V6Only keeps IPv4 from an IPv6 socket.
	V6Only      bool
	Transparent bool
	Mark        int
	// UID is the user who opens the socket.
	UID int
	// Shared is SO_REUSEPORT.
	Shared bool
}

func (s Socket) options() (bits int) {
	for bit, set := range map[int]bool{platform.SocketV6Only: s.V6Only, platform.SocketTransparent: s.Transparent, platform.SocketShared: s.Shared} {
		if set {
			bits |= bit
		}
	}
	return bits
}

// Listen opens a listening socket: "tcp", "udp" or "udplite". The unspecified
// IPv6 address serves both families.
func (ns *Namespace) Listen(network string, at netip.AddrPort) error {
	protocol, ok := map[string]uint8{"tcp": protocolTCP, "udp": protocolUDP, "udplite": protocolUDPLite}[network]
	if !ok {
		return fmt.Errorf("listening on %s: unknown network %q", at, network)
	}
	return ns.Open(Socket{Protocol: protocol, At: at})
}

// Open opens a socket.
func (ns *Namespace) Open(s Socket) error {
	return ns.Do(func() error { return ns.listen(s) })
}

// Sockets are all that were opened.
func (ns *Namespace) Sockets() []Socket { return ns.sockets.open }

// ListenEverywhere opens a TCP and a UDP socket for both families and every address
// at each of the ports where there is none yet of the protocol.
func (ns *Namespace) ListenEverywhere(ports ...uint16) error {
	return ns.Do(func() error {
		for _, port := range ports {
			for _, protocol := range []uint8{protocolTCP, protocolUDP} {
				if ns.sockets.taken[[2]uint16{uint16(protocol), port}] {
					continue
				}
				at := netip.AddrPortFrom(netip.IPv6Unspecified(), port)
				if err := ns.listen(Socket{Protocol: protocol, At: at}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (ns *Namespace) listen(s Socket) error {
	number, err := ns.twin.Listen(s.Protocol, s.At, s.Peer, s.Device, s.options(), uint32(s.Mark), uint32(s.UID))
	if err != nil {
		return fmt.Errorf("listening on %s, protocol %d: %w", s.At, s.Protocol, err)
	}
	ns.sockets.open = append(ns.sockets.open, s)
	ns.sockets.taken[[2]uint16{uint16(s.Protocol), s.At.Port()}] = true
	if s.Protocol != protocolTCP {
		ns.sockets.datagrams[number] = s.At.Port()
	}
	return nil
}
