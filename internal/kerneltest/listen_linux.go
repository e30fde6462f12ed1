package kerneltest

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sockets are the listeners of a namespace.
type sockets struct {
	fds  []int
	open []Socket
	// ports are those that have sockets, by protocol and port.
	ports map[[2]uint16]bool
	// datagrams are the datagram sockets' ports and protocols by descriptor.
	datagrams map[int]datagramSocket
	epoll     int
}

type datagramSocket struct {
	protocol uint8
	port     uint16
}

func (s *sockets) close() {
	for _, fd := range s.fds {
		unix.Close(fd)
	}
	if s.datagrams != nil {
		unix.Close(s.epoll)
	}
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
	if err := ns.Do(func() error { return ns.sockets.listen(s) }); err != nil {
		return fmt.Errorf("listening on %s/%s: %w", s.At, protocolName(s.Protocol), err)
	}
	return nil
}

// Sockets are all that were opened.
func (ns *Namespace) Sockets() []Socket { return ns.sockets.open }

// ListenEverywhere opens a TCP and a UDP socket for both families and every address
// at each of the ports where there is none yet of the protocol.
func (ns *Namespace) ListenEverywhere(ports ...uint16) error {
	return ns.Do(func() error {
		for _, port := range ports {
			for _, protocol := range []uint8{protocolTCP, protocolUDP} {
				if ns.sockets.ports[[2]uint16{uint16(protocol), port}] {
					continue
				}
				at := netip.AddrPortFrom(netip.IPv6Unspecified(), port)
				if err := ns.sockets.listen(Socket{Protocol: protocol, At: at}); err != nil {
					return fmt.Errorf("listening on %s/%s: %w", at, protocolName(protocol), err)
				}
			}
		}
		return nil
	})
}

func (s *sockets) listen(socket Socket) error {
	kind := unix.SOCK_DGRAM
	if socket.Protocol == protocolTCP {
		kind = unix.SOCK_STREAM
	}
	family, address := socketAddress(socket.At)
	fd, err := openAs(socket.UID, family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(socket.Protocol))
	if err != nil {
		return err
	}
	s.fds = append(s.fds, fd)
	if err := socket.setOptions(fd, family); err != nil {
		return err
	}
	if err := unix.Bind(fd, address); err != nil {
		return err
	}
	if socket.Peer.IsValid() {
		_, peer := socketAddress(socket.Peer)
		if err := unix.Connect(fd, peer); err != nil {
			return err
		}
	}
	s.open = append(s.open, socket)
	if s.ports == nil {
		s.ports = map[[2]uint16]bool{}
	}
	s.ports[[2]uint16{uint16(socket.Protocol), socket.At.Port()}] = true
	if socket.Protocol == protocolTCP {
		return unix.Listen(fd, 4096)
	}
	return s.watch(fd, datagramSocket{socket.Protocol, socket.At.Port()})
}

// openAs opens a socket as a user. That is a matter of the calling thread alone.
func openAs(uid, family, kind, protocol int) (int, error) {
	if uid != 0 {
		unix.SetfsuidRetUid(uid)
		defer unix.SetfsuidRetUid(0)
	}
	return unix.Socket(family, kind, protocol)
}

func (s Socket) setOptions(fd, family int) error {
	flag := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	type option struct{ level, name, value int }
	options := []option{{unix.SOL_SOCKET, unix.SO_MARK, s.Mark}, {unix.SOL_SOCKET, unix.SO_REUSEPORT, flag(s.Shared)}}
	if family == unix.AF_INET6 {
		options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, flag(s.V6Only)},
			option{unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, flag(s.Transparent)})
	} else {
		options = append(options, option{unix.IPPROTO_IP, unix.IP_TRANSPARENT, flag(s.Transparent)})
	}
	if family == unix.AF_INET6 && s.Protocol != protocolTCP && !s.V6Only {
		// An IPv6 socket gets no IPv4 multicast unless it joins or asks for all.
		options = append(options, option{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 1})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	if s.Device != "" {
		return unix.BindToDevice(fd, s.Device)
	}
	return nil
}

// watch has receive look at a datagram socket.
func (s *sockets) watch(fd int, socket datagramSocket) error {
	if s.datagrams == nil {
		epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return err
		}
		s.epoll, s.datagrams = epoll, map[int]datagramSocket{}
	}
	// Room for a whole batch on one port.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
		return err
	}
	s.datagrams[fd] = socket
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &event)
}

// receive hands every datagram of ours that waits in a socket to got.
func (s *sockets) receive(got func(number uint32, socket datagramSocket)) error {
	if s.datagrams == nil {
		return nil
	}
	var events [64]unix.EpollEvent
	var b [256]byte
	for {
		n, err := unix.EpollWait(s.epoll, events[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("waiting for datagrams: %w", err)
		}
		if n == 0 {
			return nil
		}
		for _, event := range events[:n] {
			fd := int(event.Fd)
			for {
				n, err := unix.Read(fd, b[:])
				if err != nil {
					break // EAGAIN, or an ICMP error that came for the socket
				}
				if n == 8 && binary.BigEndian.Uint32(b[:]) == payloadMagic {
					got(binary.BigEndian.Uint32(b[4:]), s.datagrams[fd])
				}
			}
		}
	}
}
