package kerneltest

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sockets are the listeners of a namespace.
type sockets struct {
	fds []int
	// ports are the wildcard listeners, by protocol and port.
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

// Listen opens a listening socket: "tcp", "udp" or "udplite". The unspecified
// IPv6 address serves both families.
func (ns *Namespace) Listen(network string, at netip.AddrPort) error {
	protocol, ok := map[string]uint8{"tcp": protocolTCP, "udp": protocolUDP, "udplite": protocolUDPLite}[network]
	if !ok {
		return fmt.Errorf("listening on %s: unknown network %q", at, network)
	}
	err := ns.Do(func() error { return ns.sockets.listen(protocol, at) })
	if err != nil {
		return fmt.Errorf("listening on %s/%s: %w", at, network, err)
	}
	return nil
}

// ListenEverywhere opens, where there is none yet, a TCP and a UDP socket for
// both families and every address at each of the ports.
func (ns *Namespace) ListenEverywhere(ports ...uint16) error {
	return ns.Do(func() error {
		for _, port := range ports {
			for _, protocol := range []uint8{protocolTCP, protocolUDP} {
				if ns.sockets.ports[[2]uint16{uint16(protocol), port}] {
					continue
				}
				at := netip.AddrPortFrom(netip.IPv6Unspecified(), port)
				if err := ns.sockets.listen(protocol, at); err != nil {
					return fmt.Errorf("listening on %s/%s: %w", at, protocolName(protocol), err)
				}
			}
		}
		return nil
	})
}

func (s *sockets) listen(protocol uint8, at netip.AddrPort) error {
	kind := unix.SOCK_DGRAM
	if protocol == protocolTCP {
		kind = unix.SOCK_STREAM
	}
	family, address := socketAddress(at)
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(protocol))
	if err != nil {
		return err
	}
	s.fds = append(s.fds, fd)
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return err
		}
	}
	if err := unix.Bind(fd, address); err != nil {
		return err
	}
	if at.Addr() == netip.IPv6Unspecified() {
		if s.ports == nil {
			s.ports = map[[2]uint16]bool{}
		}
		s.ports[[2]uint16{uint16(protocol), at.Port()}] = true
	}
	if protocol == protocolTCP {
		return unix.Listen(fd, 4096)
	}
	return s.watch(fd, datagramSocket{protocol, at.Port()})
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
