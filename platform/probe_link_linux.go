package platform

import (
	"fmt"
	"net"
	"time"

	cbpf "golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A Link sends and hears packets of one Ethernet protocol on an interface. Not for
// concurrent use. Needs CAP_NET_RAW.
type Link struct {
	fd       int
	index    int
	protocol uint16
	buffer   [512]byte
}

// OpenLink opens an interface for an Ethernet protocol (0x0806 ARP, 0x86dd IPv6)
// in the calling thread's network namespace.
func OpenLink(name string, protocol uint16) (*Link, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %q: %w", name, err)
	}
	fd, err := openPacket(protocol, i.Index, linkFilter(protocol))
	if err != nil {
		return nil, err
	}
	return &Link{fd: fd, index: i.Index, protocol: protocol}, nil
}

// linkFilter lets of IPv6 nothing pass but ICMPv6, which neighbours answer with.
func linkFilter(protocol uint16) []cbpf.Instruction {
	if protocol != unix.ETH_P_IPV6 {
		return nil
	}
	return []cbpf.Instruction{
		cbpf.LoadAbsolute{Off: 6, Size: 1},
		cbpf.JumpIf{Cond: cbpf.JumpEqual, Val: unix.IPPROTO_ICMPV6, SkipFalse: 1},
		cbpf.RetConstant{Val: 512},
		cbpf.RetConstant{Val: 0},
	}
}

// Send sends a packet, from its network header on, to a link address. It returns
// false when the kernel takes no more now.
func (l *Link) Send(to [6]byte, packet []byte) (bool, error) {
	at := unix.SockaddrLinklayer{Protocol: l.protocol<<8 | l.protocol>>8, Ifindex: l.index, Halen: 6}
	copy(at.Addr[:], to[:])
	switch err := unix.Sendto(l.fd, packet, unix.MSG_DONTWAIT, &at); err {
	case nil:
		return true, nil
	case unix.EAGAIN, unix.ENOBUFS, unix.EINTR:
		return false, nil
	default:
		return false, fmt.Errorf("send: %w", err)
	}
}

// Receive calls heard for each packet that has arrived, cut to its first 512
// bytes, with the link address that it came from. It waits for one if there is none yet.
func (l *Link) Receive(wait time.Duration, heard func(from [6]byte, packet []byte)) error {
	if some, err := l.drain(heard); some || err != nil || wait <= 0 {
		return err
	}
	if err := awaitInput(wait, []int{l.fd}); err != nil {
		return err
	}
	_, err := l.drain(heard)
	return err
}

func (l *Link) drain(heard func([6]byte, []byte)) (some bool, err error) {
	for {
		n, from, err := unix.Recvfrom(l.fd, l.buffer[:], unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN || err == unix.ENETDOWN:
			return some, nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return some, fmt.Errorf("receiving: %w", err)
		}
		at, ok := from.(*unix.SockaddrLinklayer)
		if !ok || at.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		some = true
		heard([6]byte(at.Addr[:6]), l.buffer[:n])
	}
}

// Close closes the link's socket.
func (l *Link) Close() error { return unix.Close(l.fd) }
