package listeners

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/netglance/netglance/internal/netlink"
)

// Netlink protocols (include/uapi/linux/netlink.h) and the one message of
// sock_diag (include/uapi/linux/sock_diag.h).
const (
	netlinkRoute     = 0
	netlinkSockDiag  = 4
	sockDiagByFamily = 20
)

// Address families and IP protocols as Linux numbers them, whatever system this
// runs on.
const (
	afInet       = 2
	afInet6      = 10
	protoTCP     = 6
	protoUDP     = 17
	protoUDPLite = 136
	protoRaw     = 255
	protoMPTCP   = 262
)

// Socket states (include/net/tcp_states.h); UDP and raw sockets use two of them.
const (
	stateEstablished = 1
	stateClose       = 7
	stateListen      = 10
	allStates        = 0xfff
)

// Sizes of struct inet_diag_req_v2 and struct inet_diag_msg
// (include/uapi/linux/inet_diag.h).
const (
	diagRequestLength = 56
	diagMessageLength = 72
)

// Attributes of requests and of answers (include/uapi/linux/inet_diag.h).
const (
	requestBytecode = 1
	requestProtocol = 3 // u32, since 5.9; sdiag_protocol has only 8 bits
	attrProtocol    = 10
	attrSKV6Only    = 11
	attrMark        = 15
	attrCgroupID    = 21
	attrSockOpt     = 22 // since 5.10
)

// A portBinding says how a socket got its port: SOCK_BINDPORT_LOCK is set by a
// bind(2) with a number, not by bind(2) with 0 nor by sending without a bind.
type portBinding uint8

const (
	portUnknown portBinding = iota
	portAsked
	portChosen
)

// A socket is one socket as the kernel reports it.
type socket struct {
	protocol    string
	family      uint8 // 4 or 6
	state       uint8
	v6only      bool
	v6onlyKnown bool
	binding     portBinding
	local       netip.AddrPort
	remote      netip.AddrPort // invalid if there is no peer
	device      uint32         // interface index, 0 for all
	uid         uint32
	mark        uint32
	markKnown   bool
	transparent bool
	optsKnown   bool
	inode       uint64
	cookie      uint64 // 0 from /proc
	cgroup      uint64
}

// diagRequest asks for all sockets of a family and protocol in the states of the
// mask. With onlyChosen, the kernel keeps those whose port it chose itself.
func diagRequest(family uint8, protocol uint32, states uint32, onlyChosen bool) []byte {
	data := make([]byte, diagRequestLength, diagRequestLength+24)
	data[0] = family
	binary.NativeEndian.PutUint32(data[4:], states)
	if protocol < 256 {
		data[1] = byte(protocol)
	} else {
		// With 0 beside the attribute a kernel that doesn't know the attribute answers
		// "no such protocol"; with the low byte of 262 it would answer with TCP.
		var number [4]byte
		binary.NativeEndian.PutUint32(number[:], protocol)
		data = netlink.AppendAttribute(data, requestProtocol, number[:])
	}
	if onlyChosen {
		data = netlink.AppendAttribute(data, requestBytecode, autoboundFilter())
	}
	return netlink.Request(sockDiagByFamily, netlink.FlagDump, data)
}

// autoboundFilter is a program of one struct inet_diag_bc_op: INET_DIAG_BC_AUTO
// goes on by 4 bytes, to the program's end, which accepts; otherwise beyond it.
func autoboundFilter() []byte {
	const autobound = 6
	op := []byte{autobound, 4, 0, 0}
	binary.NativeEndian.PutUint16(op[2:], 8)
	return op
}

// errTorn says that what was dumped changed meanwhile; the dump is to be repeated.
var errTorn = errors.New("listeners: the sockets changed during the dump")

// parseSockDiag decodes the answer to a diagRequest, all its messages. One message
// that can't be read is an error beside the sockets of the others.
func parseSockDiag(protocol string, buffer []byte) ([]socket, error) {
	sockets := make([]socket, 0, len(buffer)/112)
	var bad, torn error
	done := false
	err := netlink.Each(buffer, func(m netlink.Message) error {
		if m.Interrupted() {
			torn = errTorn
		}
		switch m.Type {
		case netlink.TypeDone:
			done = true
			return dumpError(m.Data)
		case netlink.TypeError:
			return dumpError(m.Data)
		case sockDiagByFamily:
			sockets = append(sockets, socket{protocol: protocol})
			if err := parseDiagMessage(m.Data, &sockets[len(sockets)-1]); err != nil {
				sockets = sockets[:len(sockets)-1]
				bad = err
			}
		}
		return nil
	})
	if err == nil && !done {
		err = fmt.Errorf("%w: the dump has no end", netlink.ErrTruncated)
	}
	return sockets, errors.Join(err, torn, bad)
}

// dumpError is the negative errno that an error, or a dump's end, carries. The
// numbers are Linux's, whatever system reads the recording.
func dumpError(data []byte) error {
	if len(data) < 4 {
		return nil
	}
	switch code := int32(binary.NativeEndian.Uint32(data)); {
	case code >= 0:
		return nil
	case code == -1 || code == -13:
		return fmt.Errorf("sock_diag: %w", fs.ErrPermission)
	case code == -2:
		return fmt.Errorf("sock_diag: protocol: %w", fs.ErrNotExist)
	default:
		return fmt.Errorf("sock_diag: error %d", -code)
	}
}

// parseDiagMessage decodes a struct inet_diag_msg and the attributes after it.
// Ports and addresses are in network order, the rest in the host's.
func parseDiagMessage(data []byte, s *socket) error {
	if len(data) < diagMessageLength {
		return fmt.Errorf("%w: socket of %d bytes", netlink.ErrTruncated, len(data))
	}
	s.state = data[1]
	sourcePort := binary.BigEndian.Uint16(data[4:])
	peerPort := binary.BigEndian.Uint16(data[6:])
	var source, peer netip.Addr
	switch data[0] {
	case afInet:
		s.family = 4
		source = netip.AddrFrom4([4]byte(data[8:12]))
		peer = netip.AddrFrom4([4]byte(data[24:28]))
	case afInet6:
		s.family = 6
		source = netip.AddrFrom16([16]byte(data[8:24]))
		peer = netip.AddrFrom16([16]byte(data[24:40]))
	default:
		return fmt.Errorf("listeners: socket of address family %d", data[0])
	}
	s.local = netip.AddrPortFrom(source, sourcePort)
	if s.state == stateEstablished {
		s.remote = netip.AddrPortFrom(peer, peerPort)
	}
	s.device = binary.NativeEndian.Uint32(data[40:])
	s.cookie = uint64(binary.NativeEndian.Uint32(data[44:])) | uint64(binary.NativeEndian.Uint32(data[48:]))<<32
	s.uid = binary.NativeEndian.Uint32(data[64:])
	s.inode = uint64(binary.NativeEndian.Uint32(data[68:]))
	return parseDiagAttributes(data[diagMessageLength:], s)
}

func parseDiagAttributes(data []byte, s *socket) error {
	a := netlink.NewAttributes(data)
	for a.Next() {
		switch a.Type() {
		case attrProtocol:
			// Only raw sockets have it; it is their "port", which the message has already.
			if number := a.Uint8(); s.local.Port() == 0 {
				s.local = netip.AddrPortFrom(s.local.Addr(), uint16(number))
			}
		case attrSKV6Only:
			s.v6only, s.v6onlyKnown = a.Uint8() != 0, true
		case attrMark:
			s.mark, s.markKnown = a.Uint32(), true
		case attrSockOpt:
			if d := a.Data(); len(d) > 0 {
				s.transparent, s.optsKnown = d[0]&transparentBit() != 0, true
			}
		case attrCgroupID:
			if d := a.Data(); len(d) == 8 {
				s.cgroup = binary.NativeEndian.Uint64(d)
			}
		}
	}
	return a.Err()
}

// transparentBit is the sixth bit-field of struct inet_diag_sockopt, which starts
// at the least significant bit on a little-endian machine, else at the other end.
func transparentBit() byte {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return 1 << 5
	}
	return 1 << 2
}

// stateName is the state in the words of ss(8), lower case.
func stateName(state uint8) string {
	switch state {
	case stateEstablished:
		return "established"
	case stateClose:
		return "unconnected"
	case stateListen:
		return "listen"
	}
	return fmt.Sprintf("state(%d)", state)
}
