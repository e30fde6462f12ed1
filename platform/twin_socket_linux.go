package platform

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Options of a Twin's sockets, for Listen.
const (
	SocketV6Only      = 1 << iota // no IPv4 packets for an IPv6 socket
	SocketTransparent             // IP_TRANSPARENT
	SocketShared                  // SO_REUSEPORT, and of datagrams SO_REUSEADDR
)

// listening are the sockets of a Twin.
type listening struct {
	fds []int
	// datagrams are the numbers of datagram sockets by descriptor.
	datagrams map[int]int
	epoll     int
	// cramped says that the sockets could not have the room that they should.
	cramped bool
}

// Cramped says that datagram sockets have room for some hundred datagrams only, as
// without privilege.
func (l *listening) Cramped() bool { return l.cramped }

func (l *listening) close() {
	for _, fd := range l.fds {
		unix.Close(fd)
	}
	if l.datagrams != nil {
		unix.Close(l.epoll)
	}
}

// Listen opens a listener (protocol 6) or a datagram socket (17, 136) and returns
// its number, which Receive gives. peer is whom a datagram socket is connected to,
// invalid for nobody; device is empty for all links; options are Socket* bits.
func (t *Twin) Listen(protocol uint8, at, peer netip.AddrPort, device string, options int, mark, uid uint32) (int, error) {
	kind := unix.SOCK_DGRAM
	if protocol == unix.IPPROTO_TCP {
		kind = unix.SOCK_STREAM
	}
	family, address := socketAddress(at)
	fd, err := openAs(int(uid), family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(protocol))
	if err != nil {
		return 0, err
	}
	t.fds = append(t.fds, fd)
	if err := setOptions(fd, family, protocol, options, mark); err != nil {
		return 0, err
	}
	if device != "" {
		if err := unix.BindToDevice(fd, device); err != nil {
			return 0, err
		}
	}
	if err := unix.Bind(fd, address); err != nil {
		return 0, err
	}
	if peer.IsValid() {
		_, far := socketAddress(peer)
		if err := unix.Connect(fd, far); err != nil {
			return 0, err
		}
	}
	number := len(t.fds) - 1
	if protocol == unix.IPPROTO_TCP {
		return number, unix.Listen(fd, 4096)
	}
	return number, t.watch(fd, number)
}

// openAs opens a socket as a user. That is a matter of the calling thread alone.
func openAs(uid, family, kind, protocol int) (int, error) {
	if uid != 0 {
		unix.SetfsuidRetUid(uid)
		defer unix.SetfsuidRetUid(0)
	}
	return unix.Socket(family, kind, protocol)
}

func setOptions(fd, family int, protocol uint8, options int, mark uint32) error {
	flag := func(bit int) int {
		if options&bit != 0 {
			return 1
		}
		return 0
	}
	type option struct{ level, name, value int }
	// Sockets may be bound to addresses that no link has.
	list := []option{{unix.SOL_SOCKET, unix.SO_REUSEPORT, flag(SocketShared)}, {unix.IPPROTO_IP, unix.IP_FREEBIND, 1}}
	if protocol != unix.IPPROTO_TCP && options&SocketShared != 0 {
		list = append(list, option{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1})
	}
	if mark != 0 {
		list = append(list, option{unix.SOL_SOCKET, unix.SO_MARK, int(mark)})
	}
	transparent := option{unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1}
	if family == unix.AF_INET6 {
		list = append(list, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, flag(SocketV6Only)}, option{unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1})
		transparent = option{unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, 1}
		if protocol != unix.IPPROTO_TCP && options&SocketV6Only == 0 {
			// An IPv6 socket gets no IPv4 multicast unless it joins or asks for all.
			list = append(list, option{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 1})
		}
	}
	if options&SocketTransparent != 0 {
		list = append(list, transparent)
	}
	for _, o := range list {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

func socketAddress(at netip.AddrPort) (family int, address unix.Sockaddr) {
	if at.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
}

// watch has Receive look at a datagram socket.
func (l *listening) watch(fd, number int) error {
	if l.datagrams == nil {
		epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return err
		}
		l.epoll, l.datagrams = epoll, map[int]int{}
	}
	// Room for a whole batch on one port. In a user namespace there is less.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
		l.cramped = true
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<20); err != nil {
			return err
		}
	}
	l.datagrams[fd] = number
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event)
}

// Receive hands every datagram that waits in a socket to got, which must not keep it.
func (t *Twin) Receive(got func(socket int, payload []byte)) error {
	if t.datagrams == nil {
		return nil
	}
	var events [64]unix.EpollEvent
	var b [256]byte
	for {
		n, err := unix.EpollWait(t.epoll, events[:], 0)
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
			for {
				n, err := unix.Read(int(event.Fd), b[:])
				if err != nil {
					break // EAGAIN, or an ICMP error that came for the socket
				}
				got(t.datagrams[int(event.Fd)], b[:n])
			}
		}
	}
}

// CloseSockets closes what Listen and Join opened. Half-open connections go with them.
func (t *Twin) CloseSockets() {
	t.listening.close()
	t.listening = listening{}
}

// Join has a link take packets to a multicast group.
func (t *Twin) Join(index int, group netip.Addr) error {
	family, _ := socketAddress(netip.AddrPortFrom(group, 0))
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.fds = append(t.fds, fd)
	if group.Is4() {
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)})
	}
	return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
}
