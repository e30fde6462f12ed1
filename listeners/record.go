package listeners

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// What a list of records, as BSD kernels give them, may be wrong with.
var (
	errCutRecord = errors.New("a record ends after the list")
	// errLayout says that a kernel's records are not those that netglance knows.
	errLayout = errors.New("records of another layout than netglance knows: another release of the system")
)

// A record is a C struct in the host's byte order. Offsets lie inside it: who cuts
// a record checks its length.
type record []byte

func (r record) u16(at int) uint16 { return binary.NativeEndian.Uint16(r[at:]) }
func (r record) u32(at int) uint32 { return binary.NativeEndian.Uint32(r[at:]) }
func (r record) u64(at int) uint64 { return binary.NativeEndian.Uint64(r[at:]) }

// port is in network byte order.
func (r record) port(at int) uint16 { return binary.BigEndian.Uint16(r[at:]) }

// networkPort is a port that the kernel widened from its 16 bits in network byte
// order to 32 in the host's.
func networkPort(wide uint32) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], uint16(wide))
	return binary.BigEndian.Uint16(b[:])
}

// ipv4 is an address in network byte order.
func (r record) ipv4(at int) netip.Addr { return netip.AddrFrom4([4]byte(r[at : at+4])) }

func (r record) ipv6(at int) netip.Addr {
	return withoutKAME(netip.AddrFrom16([16]byte(r[at : at+16])))
}

// text is a string that ends at a zero byte.
func (r record) text(at, size int) string {
	field := r[at : at+size]
	for i, c := range field {
		if c == 0 {
			return string(field[:i])
		}
	}
	return string(field)
}

// The bits of inp_vflag (netinet/in_pcb.h of FreeBSD and xnu).
const (
	vflagIPv4 = 1
	vflagIPv6 = 2
)

// anonPort is INP_ANONPORT of inp_flags: the kernel chose the port (the same
// headers).
const anonPort = 0x40

// in4in6 is struct in_addr_4in6: an IPv4 address is the last four of 16 bytes.
const in4in6 = 12

// addresses sets a socket's addresses from a protocol control block. Whether IPv6 is
// restricted to itself is what inp_vflag says: binding to :: adds IPv4 unless
// IPV6_V6ONLY is set, binding to ::ffff:192.0.2.1 leaves IPv4 alone
// (netinet6/udp6_usrreq.c, udp6_bind; netinet/tcp_usrreq.c, tcp6_usr_bind).
func (s *bsdSocket) addresses(r record, vflag byte, local, remote, localPort, remotePort int) {
	address := r.ipv6
	if s.family == 4 {
		address = func(at int) netip.Addr { return r.ipv4(at + in4in6) }
	} else if vflag&vflagIPv6 == 0 && vflag&vflagIPv4 != 0 {
		address = func(at int) netip.Addr { return netip.AddrFrom16(r.ipv4(at + in4in6).As16()) }
	}
	s.local = netip.AddrPortFrom(address(local), r.port(localPort))
	if port := r.port(remotePort); port != 0 {
		s.remote = netip.AddrPortFrom(address(remote), port)
	}
	s.v6only, s.v6onlyKnown = s.family == 6 && vflag&vflagIPv4 == 0, true
}

// The states of a bsdSocket beside those of Linux, which the rows name.
const (
	tcpListening = 1 // TCPS_LISTEN (netinet/tcp_fsm.h), the same on all three systems
	// stateConnection is of TCP, not listening: no row is made of it.
	stateConnection = 0
)

// udpState is a UDP socket's state: it has no other.
func udpState(remote netip.AddrPort) uint8 {
	if remote.IsValid() {
		return stateEstablished
	}
	return stateClose
}
