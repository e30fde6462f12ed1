package platform

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Connections makes TCP connections that don't block, tells how each went and
// resets it. Not for concurrent use. It needs no privilege.
//
// Every connection comes from one of two ports of its own, so that none can meet
// another one, or itself, in the middle: a connection to the port that it comes
// from is open with nobody there (RFC 9293, simultaneous open).
type Connections struct {
	epoll int
	slots []connection
	free  []int32
	// pending are the slots of the connections that aren't decided, by id
	pending map[uint32]int32
	events  [128]unix.EpollEvent
	// ports by family, and the sockets that hold them
	ports [2][2]uint16
	held  []int
}

// A connection is a descriptor that serves for one connection after the other.
type connection struct {
	fd     int
	family int
	second bool // it is bound to the second of the ports
	busy   bool
	id     uint32
	to     netip.AddrPort
}

// Outcomes of a connection attempt, as Connections and Datagrams tell them.
const (
	outcomeOpen    = "open"    // the peer took it, or answered
	outcomeRefused = "refused" // a reset
	outcomeICMP    = "icmp"    // an ICMP error, whose type and code are told
	outcomeICMP6   = "icmp6"   // the same of ICMPv6
	outcomeAbsent  = "absent"  // no neighbour answered to the address
	outcomeFailed  = "failed"  // the host itself couldn't send it
)

// spareDescriptors is what is left for all else that the process opens.
const spareDescriptors = 64

// OpenConnections prepares for at most a number of connections at a time, as far
// as the limit of open files allows, in the calling thread's network namespace.
func OpenConnections(most int) (*Connections, error) {
	c := &Connections{epoll: -1, pending: map[uint32]int32{}}
	var err error
	if c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for j := range c.ports[i] {
			fd, port, err := holdPort(family)
			if err != nil {
				if family == unix.AF_INET6 {
					break // a host without IPv6
				}
				c.Close()
				return nil, err
			}
			c.held = append(c.held, fd)
			c.ports[i][j] = port
		}
	}
	c.slots = make([]connection, min(most, openFiles()-spareDescriptors))
	for i := range c.slots {
		c.slots[i].fd = -1
		c.free = append(c.free, int32(len(c.slots)-1-i))
	}
	return c, nil
}

// openFiles raises the limit of open files to what may be had, and returns it.
func openFiles() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 256
	}
	if limit.Cur < limit.Max {
		limit.Cur = limit.Max
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
			unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
		}
	}
	return int(max(min(limit.Cur, 1<<20), 2*spareDescriptors))
}

// holdPort binds a port that sockets of this process alone share: SO_REUSEADDR
// lets several connections have it while nobody listens there (socket(7)).
func holdPort(family int) (int, uint16, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, 0, fmt.Errorf("socket: %w", err)
	}
	var port uint16
	if err = bindShared(fd, family, 0); err == nil {
		port, err = localPort(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, 0, err
	}
	return fd, port, nil
}

func bindShared(fd, family int, port uint16) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("setsockopt SO_REUSEADDR: %w", err)
	}
	var at unix.Sockaddr = &unix.SockaddrInet4{Port: int(port)}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fmt.Errorf("setsockopt IPV6_V6ONLY: %w", err)
		}
		at = &unix.SockaddrInet6{Port: int(port)}
	}
	if err := unix.Bind(fd, at); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

// Capacity is how many connections there can be at a time.
func (c *Connections) Capacity() int { return len(c.slots) }

// Ports are those that its connections come from.
func (c *Connections) Ports() []uint16 {
	return []uint16{c.ports[0][0], c.ports[0][1], c.ports[1][0], c.ports[1][1]}
}

// Connect begins a connection and tells heard at once when it is decided already.
// It returns false when as many as there can be are under way.
func (c *Connections) Connect(id uint32, to netip.AddrPort, heard func(id uint32, outcome string, icmpType, icmpCode uint8)) (bool, error) {
	if len(c.free) == 0 {
		return false, nil
	}
	i := c.free[len(c.free)-1]
	s := &c.slots[i]
	if err := c.prepare(i, to); err != nil {
		return false, err
	}
	c.free = c.free[:len(c.free)-1]
	s.busy, s.id, s.to = true, id, to
	err := unix.Connect(s.fd, toSockaddr(to))
	if err == unix.EINPROGRESS {
		// What travels over loopback has been answered by now: asking again tells.
		err = unix.Connect(s.fd, toSockaddr(to))
	}
	if pending(err) {
		c.pending[id] = i
	} else {
		c.finish(i, err, heard)
	}
	return true, nil
}

func pending(err error) bool { return err == unix.EINPROGRESS || err == unix.EALREADY }

// prepare gives a slot a descriptor of the family, bound to a port other than the target's.
func (c *Connections) prepare(i int32, to netip.AddrPort) error {
	s := &c.slots[i]
	family := addressFamily(to.Addr())
	ports := c.ports[familyIndex(to.Addr())]
	second := to.Port() == ports[0]
	if s.fd >= 0 && s.family == family && s.second == second {
		return nil
	}
	s.discard()
	port := ports[0]
	if second {
		port = ports[1]
	}
	if port == 0 {
		return unix.EAFNOSUPPORT
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := c.configure(fd, family, port, i); err != nil {
		unix.Close(fd)
		return err
	}
	s.fd, s.family, s.second = fd, family, second
	return nil
}

func (c *Connections) configure(fd, family int, port uint16, i int32) error {
	if err := bindShared(fd, family, port); err != nil {
		return err
	}
	level, option := unix.IPPROTO_IP, unix.IP_RECVERR
	if family == unix.AF_INET6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		return fmt.Errorf("setsockopt IP_RECVERR: %w", err)
	}
	// a reset ends the connection at once and leaves no TIME_WAIT behind
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("setsockopt SO_LINGER: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLET&0xffffffff, Fd: i}
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// Receive tells heard of the connections that are decided; it waits for one if
// there is none yet.
func (c *Connections) Receive(wait time.Duration, heard func(id uint32, outcome string, icmpType, icmpCode uint8)) error {
	for {
		n, err := unix.EpollWait(c.epoll, c.events[:], int((max(wait, 0)+time.Millisecond-1)/time.Millisecond))
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, e := range c.events[:max(n, 0)] {
			c.look(e.Fd, heard)
		}
		if n < len(c.events) {
			return nil
		}
		wait = 0
	}
}

func (c *Connections) look(i int32, heard func(uint32, string, uint8, uint8)) {
	s := &c.slots[i]
	if !s.busy {
		return
	}
	if icmp, kind, code := queuedICMP(s.fd); icmp != "" {
		c.release(i, false)
		heard(s.id, icmp, kind, code)
		return
	}
	if err := unix.Connect(s.fd, toSockaddr(s.to)); !pending(err) {
		c.finish(i, err, heard)
	}
}

// finish tells how a connection went. connect returns an ICMP error as it does a
// reset, so the error queue is asked what it was.
func (c *Connections) finish(i int32, err error, heard func(uint32, string, uint8, uint8)) {
	s := &c.slots[i]
	icmp, kind, code := "", uint8(0), uint8(0)
	if err != nil && err != unix.EISCONN {
		icmp, kind, code = queuedICMP(s.fd)
	}
	open := (err == nil || err == unix.EISCONN) && !c.metItself(s)
	// A refused socket is unconnected again (net/ipv4/af_inet.c, __inet_stream_connect).
	c.release(i, err == unix.ECONNREFUSED && icmp == "")
	switch {
	case icmp != "":
		heard(s.id, icmp, kind, code)
	case open:
		heard(s.id, outcomeOpen, 0, 0)
	case err == nil || err == unix.EISCONN || err == unix.ECONNREFUSED || err == unix.ECONNRESET || err == unix.ECONNABORTED:
		heard(s.id, outcomeRefused, 0, 0)
	case err == unix.EHOSTUNREACH:
		heard(s.id, outcomeAbsent, 0, 0)
	default:
		heard(s.id, outcomeFailed, 0, 0)
	}
}

// metItself tells a connection to one of this process's own: it holds the port, so
// nobody else listens there.
func (c *Connections) metItself(s *connection) bool {
	if !slices.Contains(c.ports[familyIndex(s.to.Addr())][:], s.to.Port()) {
		return false
	}
	local, err := unix.Getsockname(s.fd)
	return err == nil && (fromSockaddr(local).Addr() == s.to.Addr() || s.to.Addr().IsLoopback())
}

// Forget gives up on a connection.
func (c *Connections) Forget(id uint32) {
	if i, ok := c.pending[id]; ok {
		c.release(i, false)
	}
}

// release frees a slot; its descriptor is kept if it can connect again.
func (c *Connections) release(i int32, reusable bool) {
	s := &c.slots[i]
	s.busy = false
	delete(c.pending, s.id)
	c.free = append(c.free, i)
	if !reusable {
		s.discard()
	}
}

func (s *connection) discard() {
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}

// queuedICMP takes an ICMP error off a socket's error queue (ip(7), IP_RECVERR). The
// outcome is empty when there is none.
func queuedICMP(fd int) (outcome string, icmpType, icmpCode uint8) {
	var control [256]byte
	_, n, _, _, err := unix.Recvmsg(fd, nil, control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return "", 0, 0
	}
	return icmpOf(control[:n])
}

// icmpOf finds struct sock_extended_err (include/uapi/linux/errqueue.h) among
// control messages: u32 errno, u8 origin, u8 type, u8 code.
func icmpOf(control []byte) (outcome string, icmpType, icmpCode uint8) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return "", 0, 0
	}
	for _, m := range messages {
		four := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		six := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if !four && !six || len(m.Data) < 7 {
			continue
		}
		switch m.Data[4] {
		case unix.SO_EE_ORIGIN_ICMP:
			return outcomeICMP, m.Data[5], m.Data[6]
		case unix.SO_EE_ORIGIN_ICMP6:
			return outcomeICMP6, m.Data[5], m.Data[6]
		}
	}
	return "", 0, 0
}

// Close ends all connections.
func (c *Connections) Close() error {
	for i := range c.slots {
		c.slots[i].discard()
	}
	for _, fd := range c.held {
		unix.Close(fd)
	}
	if c.epoll >= 0 {
		unix.Close(c.epoll)
	}
	return nil
}
