package platform

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Pings sends ICMP echo requests and hears the replies. Not for concurrent use. The
// kernel lets groups in ping_group_range do so (icmp(7)); others need CAP_NET_RAW.
type Pings struct {
	fds    [2]int
	raw    [2]bool
	buffer [256]byte
}

// pingID is what raw sockets' requests carry; ping sockets have one of their own.
const pingID = 0x4e47

// OpenPings opens the sockets in the calling thread's network namespace.
func OpenPings() (*Pings, error) {
	p := &Pings{fds: [2]int{-1, -1}}
	var failed error
	for i, protocol := range []int{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
		family := []int{unix.AF_INET, unix.AF_INET6}[i]
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		if err != nil {
			fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
			p.raw[i] = true
		}
		if err != nil {
			failed = fmt.Errorf("ping socket: %w", err)
			continue
		}
		p.fds[i] = fd
	}
	if p.fds[0] < 0 && p.fds[1] < 0 {
		return nil, failed
	}
	return p, nil
}

// Send sends an echo request. It returns false when the kernel takes no more now.
func (p *Pings) Send(to netip.Addr) (bool, error) {
	fd := p.fds[familyIndex(to)]
	if fd < 0 {
		return false, unix.EAFNOSUPPORT
	}
	request := [16]byte{0: 8}
	if to.Is6() {
		request[0] = 128
	}
	binary.BigEndian.PutUint16(request[4:], pingID)
	if to.Is4() {
		binary.BigEndian.PutUint16(request[2:], ^(uint16(8)<<8 + pingID)) // RFC 1071; the rest is zero
	}
	switch err := unix.Sendto(fd, request[:], unix.MSG_DONTWAIT, toSockaddr(netip.AddrPortFrom(to, 0))); err {
	case nil:
		return true, nil
	case unix.EAGAIN, unix.ENOBUFS, unix.EINTR:
		return false, nil
	default:
		return false, fmt.Errorf("ping: %w", err)
	}
}

// Receive tells heard of everyone who has replied; it waits for one if nobody has yet.
func (p *Pings) Receive(wait time.Duration, heard func(from netip.Addr)) error {
	if p.drain(heard) || wait <= 0 {
		return nil
	}
	if err := awaitInput(wait, p.fds[:]); err != nil {
		return err
	}
	p.drain(heard)
	return nil
}

func (p *Pings) drain(heard func(netip.Addr)) (some bool) {
	for i, fd := range p.fds {
		for fd >= 0 {
			n, from, err := unix.Recvfrom(fd, p.buffer[:], unix.MSG_DONTWAIT)
			if err != nil {
				break
			}
			some = true
			if isReply(p.buffer[:n], i == 1, p.raw[i]) {
				heard(fromSockaddr(from).Addr())
			}
		}
	}
	return some
}

// isReply tells echo replies. A raw IPv4 socket gives the IP header too (raw(7)).
func isReply(b []byte, six, raw bool) bool {
	if raw && !six {
		if len(b) < 20 || len(b) < int(b[0]&15)*4 {
			return false
		}
		b = b[int(b[0]&15)*4:]
	}
	kind := byte(0)
	if six {
		kind = 129
	}
	return len(b) >= 8 && b[0] == kind && (!raw || binary.BigEndian.Uint16(b[4:]) == pingID)
}

// Close closes the sockets.
func (p *Pings) Close() error {
	for _, fd := range p.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	return nil
}
