package platform

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Datagrams sends UDP datagrams from one port and hears what comes back to it:
// datagrams, and ICMP errors about those that it sent. Not for concurrent use. It
// needs no privilege.
type Datagrams struct {
	fds    [2]int
	ports  [2]uint16
	buffer [2048]byte
	// control holds an extended error and the address of who sent it
	control [256]byte
}

// OpenDatagrams opens the sockets in the calling thread's network namespace.
func OpenDatagrams() (*Datagrams, error) {
	d := &Datagrams{fds: [2]int{-1, -1}}
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		fd, port, err := openDatagram(family)
		if err != nil {
			if family == unix.AF_INET6 {
				break // a host without IPv6
			}
			return nil, err
		}
		d.fds[i], d.ports[i] = fd, port
	}
	return d, nil
}

func openDatagram(family int) (int, uint16, error) {
	fd, port, err := bindAny(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return -1, 0, fmt.Errorf("UDP socket: %w", err)
	}
	// udp(7): errors about what was sent to any address are queued with that address
	level, option := unix.IPPROTO_IP, unix.IP_RECVERR
	if family == unix.AF_INET6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		unix.Close(fd)
		return -1, 0, fmt.Errorf("setsockopt IP_RECVERR: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, hearBytes) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, hearBytes)
	}
	return fd, port, nil
}

// Ports are those that the datagrams come from.
func (d *Datagrams) Ports() []uint16 { return d.ports[:] }

// Send sends a datagram. It returns false when the kernel takes no more now.
func (d *Datagrams) Send(to netip.AddrPort, payload []byte) (bool, error) {
	fd := d.fds[familyIndex(to.Addr())]
	if fd < 0 {
		return false, unix.EAFNOSUPPORT
	}
	// An error about an earlier datagram is returned once; it is in the queue too.
	var err error
	for range 8 {
		err = unix.Sendto(fd, payload, unix.MSG_DONTWAIT, toSockaddr(to))
		switch {
		case err == nil:
			return true, nil
		case err == unix.EAGAIN || err == unix.ENOBUFS:
			return false, nil
		case !ofAnEarlierOne(err):
			return false, fmt.Errorf("send: %w", err)
		}
	}
	return false, fmt.Errorf("send: %w", err)
}

// ofAnEarlierOne says that an error may be what an ICMP message made of an earlier
// datagram (net/ipv4/icmp.c, icmp_err_convert; net/ipv6/icmp.c, tab_unreach).
func ofAnEarlierOne(err error) bool {
	switch err {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENOPROTOOPT, unix.EOPNOTSUPP, unix.EHOSTDOWN,
		unix.ENONET, unix.EPROTO, unix.EACCES, unix.EMSGSIZE, unix.EINTR:
		return true
	}
	return false
}

// Receive tells heard of each answer: a datagram's peer and payload (outcome
// "open"), or the peer that an ICMP error is about ("icmp", "icmp6") with type and code. The
// payload is cut to 2 KiB and valid during the call. It waits for an answer if
// there is none yet.
func (d *Datagrams) Receive(wait time.Duration, heard func(peer netip.AddrPort, outcome string, payload []byte, icmpType, icmpCode uint8)) error {
	if d.drain(heard) || wait <= 0 {
		return nil
	}
	if err := awaitInput(wait, d.fds[:]); err != nil {
		return err
	}
	d.drain(heard)
	return nil
}

func (d *Datagrams) drain(heard func(netip.AddrPort, string, []byte, uint8, uint8)) (some bool) {
	for _, fd := range d.fds {
		for fd >= 0 && (d.next(fd, 0, heard) || d.next(fd, unix.MSG_ERRQUEUE, heard)) {
			some = true
		}
	}
	return some
}

// next takes a datagram, or with MSG_ERRQUEUE an error, off a socket. It returns
// false when there is none.
func (d *Datagrams) next(fd, queue int, heard func(netip.AddrPort, string, []byte, uint8, uint8)) bool {
	n, controls, _, from, err := unix.Recvmsg(fd, d.buffer[:], d.control[:], queue|unix.MSG_DONTWAIT)
	if err != nil {
		return ofAnEarlierOne(err) && queue == 0 // reported here too, once
	}
	peer := fromSockaddr(from)
	if queue == 0 {
		heard(peer, outcomeOpen, d.buffer[:n], 0, 0)
		return true
	}
	if icmp, kind, code := icmpOf(d.control[:controls]); icmp != "" {
		heard(peer, icmp, nil, kind, code)
	}
	return true
}

// Close closes the sockets.
func (d *Datagrams) Close() error {
	for _, fd := range d.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	return nil
}
