package platform

import (
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	cbpf "golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// RawTCP sends whole IP packets and hears the TCP segments for one port of its
// own, with the ICMP errors that reach the host. Not for concurrent use. Needs
// CAP_NET_RAW.
//
// Packets leave through raw IP sockets, so that the kernel routes them and finds
// the neighbour. Answers are taken from packet sockets, before the host's own
// rules can drop them. The kernel itself resets what answers: it has no
// connection there.
type RawTCP struct {
	// by family: IPv4, IPv6
	send, hear [2]int
	reserved   [2]int
	port       uint16
	batch      sendBatch
	received   receiveBatch
	scopes     map[string]uint32
}

const (
	// hearBytes holds the answers to more probes than are ever in flight.
	hearBytes = 16 << 20
	// heardLength is enough for an ICMP error: two IPv6 headers, 8 bytes each of
	// ICMP and TCP, and options.
	heardLength = 192
	batchSize   = 64
)

// OpenRawTCP opens the sockets in the calling thread's network namespace and
// reserves the port that answers come to, so that no other program gets them.
func OpenRawTCP() (*RawTCP, error) {
	r := &RawTCP{send: [2]int{-1, -1}, hear: [2]int{-1, -1}, reserved: [2]int{-1, -1}, scopes: map[string]uint32{}}
	if err := r.reserve(); err != nil {
		r.Close()
		return nil, err
	}
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if err := r.open(i, family); err != nil && i == 0 {
			r.Close()
			return nil, err
		}
	}
	r.received.prepare()
	return r, nil
}

// reserve binds a port without listening on it: a SYN to it is still reset.
func (r *RawTCP) reserve() error {
	for range 100 {
		fd, port, err := bindAny(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		six, _, err := bindAny(unix.AF_INET6, unix.SOCK_STREAM, port)
		if err == nil || err == unix.EAFNOSUPPORT || err == unix.EADDRNOTAVAIL {
			r.reserved, r.port = [2]int{fd, six}, port
			return nil
		}
		unix.Close(fd)
	}
	return fmt.Errorf("no port is free in both families: %w", unix.EADDRINUSE)
}

// bindAny binds a new socket to a port, 0 for any, of every address.
func bindAny(family, kind int, port uint16) (fd int, bound uint16, err error) {
	fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, 0, err
	}
	var at unix.Sockaddr = &unix.SockaddrInet4{Port: int(port)}
	if family == unix.AF_INET6 {
		at = &unix.SockaddrInet6{Port: int(port)}
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.Bind(fd, at)
	}
	if err == nil {
		bound, err = localPort(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, 0, err
	}
	return fd, bound, nil
}

func localPort(fd int) (uint16, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return fromSockaddr(name).Port(), nil
}

func (r *RawTCP) open(i, family int) (err error) {
	// raw(7): IPPROTO_RAW implies IP_HDRINCL; so it does for IPv6 (net/ipv6/raw.c, rawv6_init_sk)
	r.send[i], err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	// without this a full queue drops packets silently (net/ipv4/raw.c, raw_send_hdrinc)
	level, option := unix.IPPROTO_IP, unix.IP_RECVERR
	if family == unix.AF_INET6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	if err := unix.SetsockoptInt(r.send[i], level, option, 1); err != nil {
		return fmt.Errorf("setsockopt IP_RECVERR: %w", err)
	}
	if err := unix.SetsockoptInt(r.send[i], unix.SOL_SOCKET, unix.SO_BROADCAST, 0); err != nil {
		return fmt.Errorf("setsockopt SO_BROADCAST: %w", err)
	}
	filter, protocol := answersIPv4(r.port), uint16(unix.ETH_P_IP)
	if family == unix.AF_INET6 {
		filter, protocol = answersIPv6(r.port), unix.ETH_P_IPV6
	}
	r.hear[i], err = openPacket(protocol, 0, filter)
	return err
}

// openPacket opens a packet socket that hears what arrives with a protocol, from
// its network header on. The filter is there before the first packet.
func openPacket(protocol uint16, device int, filter []cbpf.Instruction) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	if err := attach(fd, filter); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("socket filter: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, hearBytes) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, hearBytes) // as much as the host allows
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: device}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	return fd, nil
}

func attach(fd int, program []cbpf.Instruction) error {
	if program == nil {
		return nil
	}
	code, err := cbpf.Assemble(program)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(code))
	for i, c := range code {
		filter[i] = unix.SockFilter{Code: c.Op, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// answersIPv4 lets TCP segments to the port pass, and ICMP's destination
// unreachable (3) and time exceeded (11).
func answersIPv4(port uint16) []cbpf.Instruction {
	return []cbpf.Instruction{
		cbpf.LoadAbsolute{Off: 9, Size: 1},
		cbpf.JumpIf{Cond: cbpf.JumpEqual, Val: unix.IPPROTO_ICMP, SkipTrue: 6},
		cbpf.JumpIf{Cond: cbpf.JumpEqual, Val: unix.IPPROTO_TCP, SkipFalse: 9},
		cbpf.LoadAbsolute{Off: 6, Size: 2}, // a later fragment has no ports
		cbpf.JumpIf{Cond: cbpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 7},
		cbpf.LoadMemShift{Off: 0},
		cbpf.LoadIndirect{Off: 2, Size: 2},
		cbpf.JumpIf{Cond: cbpf.JumpEqual, Val: uint32(port), SkipTrue: 5, SkipFalse: 4},
		cbpf.LoadMemShift{Off: 0},
		cbpf.LoadIndirect{Off: 0, Size: 1},
		cbpf.JumpIf{Cond: cbpf.JumpEqual, Val: 3, SkipTrue: 2},
		cbpf.JumpIf{Cond: cbpf.JumpEqual, Val: 11, SkipTrue: 1},
		cbpf.RetConstant{Val: 0},
		cbpf.RetConstant{Val: heardLength},
	}
}

// answersIPv6 does the same where no extension header stands before: ICMPv6's
// errors are the types 1 to 4.
func answersIPv6(port uint16) []cbpf.Instruction {
	return []cbpf.Instruction{
		cbpf.LoadAbsolute{Off: 6, Size: 1},
		cbpf.JumpIf{Cond: cbpf.JumpEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 3},
		cbpf.JumpIf{Cond: cbpf.JumpEqual, Val: unix.IPPROTO_TCP, SkipFalse: 5},
		cbpf.LoadAbsolute{Off: 42, Size: 2},
		cbpf.JumpIf{Cond: cbpf.JumpEqual, Val: uint32(port), SkipTrue: 4, SkipFalse: 3},
		cbpf.LoadAbsolute{Off: 40, Size: 1},
		cbpf.JumpIf{Cond: cbpf.JumpLessOrEqual, Val: 4, SkipFalse: 1},
		cbpf.JumpIf{Cond: cbpf.JumpGreaterOrEqual, Val: 1, SkipTrue: 1},
		cbpf.RetConstant{Val: 0},
		cbpf.RetConstant{Val: heardLength},
	}
}

// Port is the port that answers are heard on.
func (r *RawTCP) Port() uint16 { return r.port }

// Send sends packets of one family, each to its address. It returns how many went
// out: fewer when the kernel takes no more now. An error is about packets[sent].
func (r *RawTCP) Send(to []netip.Addr, packets [][]byte) (sent int, err error) {
	for sent < len(packets) {
		n, err := r.sendSome(to[sent:min(sent+batchSize, len(to))], packets[sent:])
		sent += n
		switch err {
		case nil:
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			return sent, nil
		default:
			return sent, err
		}
	}
	return sent, nil
}

// Family of a batch is that of its first packet; another one ends it.
func (r *RawTCP) sendSome(to []netip.Addr, packets [][]byte) (int, error) {
	i := familyIndex(to[0])
	if r.send[i] < 0 {
		return 0, unix.EAFNOSUPPORT
	}
	n := 0
	for n < len(to) && familyIndex(to[n]) == i {
		r.batch.put(n, to[n], r.scope(to[n]), packets[n])
		n++
	}
	return r.batch.send(r.send[i], n)
}

func familyIndex(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

func (r *RawTCP) scope(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	index, known := r.scopes[a.Zone()]
	if !known {
		index = zoneIndex(a.Zone())
		r.scopes[a.Zone()] = index
	}
	return index
}

// Receive calls heard for each packet that has arrived, from its IP header on,
// cut to its first 192 bytes. It waits for one if there is none yet.
func (r *RawTCP) Receive(wait time.Duration, heard func(packet []byte)) error {
	if some, err := r.drain(heard); some || err != nil || wait <= 0 {
		return err
	}
	if err := awaitInput(wait, r.hear[:]); err != nil {
		return err
	}
	_, err := r.drain(heard)
	return err
}

func (r *RawTCP) drain(heard func([]byte)) (some bool, err error) {
	for _, fd := range r.hear {
		if fd < 0 {
			continue
		}
		for {
			n, err := r.received.receive(fd)
			if err != nil {
				return some, err
			}
			for i := range n {
				heard(r.received.packet(i))
			}
			some = some || n > 0
			if n < batchSize {
				break
			}
		}
	}
	return some, nil
}

// Close closes the sockets and gives the port back.
func (r *RawTCP) Close() error {
	for _, fds := range [][2]int{r.send, r.hear, r.reserved} {
		for _, fd := range fds {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
	}
	return nil
}

// mmsghdr is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

type sendBatch struct {
	messages [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet6
}

func (b *sendBatch) put(i int, to netip.Addr, scope uint32, packet []byte) {
	b.vectors[i].Base = &packet[0]
	b.vectors[i].SetLen(len(packet))
	m := &b.messages[i].header
	m.Iov = &b.vectors[i]
	m.SetIovlen(1)
	m.Name = (*byte)(unsafe.Pointer(&b.names[i]))
	if to.Is4() {
		m.Namelen = unix.SizeofSockaddrInet4
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i])) = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.As4()}
		return
	}
	m.Namelen = unix.SizeofSockaddrInet6
	b.names[i] = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.As16(), Scope_id: scope}
}

func (b *sendBatch) send(fd, n int) (int, error) {
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(sent), nil
}

type receiveBatch struct {
	messages [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec
	data     [batchSize][heardLength]byte
}

func (b *receiveBatch) prepare() {
	for i := range b.messages {
		b.vectors[i].Base = &b.data[i][0]
		b.vectors[i].SetLen(heardLength)
		b.messages[i].header.Iov = &b.vectors[i]
		b.messages[i].header.SetIovlen(1)
	}
}

// receive returns 0 when nothing is there.
func (b *receiveBatch) receive(fd int) (int, error) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EAGAIN, unix.ENETDOWN: // an interface went away: what was heard before stays
			return 0, nil
		case unix.EINTR:
		default:
			return 0, fmt.Errorf("receiving: %w", errno)
		}
	}
}

func (b *receiveBatch) packet(i int) []byte {
	return b.data[i][:min(b.messages[i].length, heardLength)]
}

// awaitInput returns when one of the descriptors can be read, or after the wait;
// a negative descriptor is none.
func awaitInput(wait time.Duration, fds []int) error {
	list := make([]unix.PollFd, 0, len(fds))
	for _, fd := range fds {
		list = append(list, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	limit := unix.NsecToTimespec(int64(wait))
	_, err := unix.Ppoll(list, &limit, nil)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("poll: %w", err)
	}
	return nil
}
