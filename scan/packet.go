package scan

import (
	"encoding/binary"
	"net/netip"
)

const (
	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58

	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10

	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 24 // with the maximum segment size as its one option
	// synLength is the longest SYN.
	synLength = ipv6Header + tcpHeader
)

// putSYN writes a SYN with its IP header and returns its length (RFC 791, 8200, 9293).
func putSYN(b []byte, from netip.AddrPort, to netip.AddrPort, sequence uint32) int {
	length := ipv4Header
	if to.Addr().Is4() {
		putIPv4(b, from.Addr(), to.Addr(), protocolTCP, tcpHeader)
	} else {
		length = ipv6Header
		putIPv6(b, from.Addr(), to.Addr(), protocolTCP, 64, tcpHeader)
	}
	t := b[length : length+tcpHeader]
	clear(t)
	binary.BigEndian.PutUint16(t[0:], from.Port())
	binary.BigEndian.PutUint16(t[2:], to.Port())
	binary.BigEndian.PutUint32(t[4:], sequence)
	t[12] = tcpHeader / 4 << 4
	t[13] = flagSYN
	binary.BigEndian.PutUint16(t[14:], 1024)        // window
	binary.BigEndian.PutUint32(t[20:], 0x0204_05b4) // maximum segment size 1460
	binary.BigEndian.PutUint16(t[16:], checksum(t, pseudoSum(from.Addr(), to.Addr(), protocolTCP, tcpHeader)))
	return length + tcpHeader
}

func putIPv4(b []byte, from, to netip.Addr, protocol byte, payload int) {
	h := b[:ipv4Header]
	clear(h)
	h[0] = 0x45
	binary.BigEndian.PutUint16(h[2:], uint16(ipv4Header+payload))
	binary.BigEndian.PutUint16(h[6:], 0x4000) // don't fragment
	h[8], h[9] = 64, protocol
	f, t := from.As4(), to.As4()
	copy(h[12:], f[:])
	copy(h[16:], t[:])
	binary.BigEndian.PutUint16(h[10:], checksum(h, 0))
}

func putIPv6(b []byte, from, to netip.Addr, next, hops byte, payload int) {
	h := b[:ipv6Header]
	clear(h)
	h[0] = 0x60
	binary.BigEndian.PutUint16(h[4:], uint16(payload))
	h[6], h[7] = next, hops
	f, t := from.As16(), to.As16()
	copy(h[8:], f[:])
	copy(h[24:], t[:])
}

// sum adds 16-bit words in network order (RFC 1071).
func sum(b []byte, start uint32) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		start += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		start += uint32(b[0]) << 8
	}
	return start
}

func checksum(b []byte, start uint32) uint16 {
	s := sum(b, start)
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

func pseudoSum(from, to netip.Addr, protocol byte, length int) uint32 {
	return sum(to.AsSlice(), sum(from.AsSlice(), uint32(protocol)+uint32(length)))
}

// A reply is what an answering packet says of a probe.
type reply struct {
	// peer is the port that was asked.
	peer   netip.AddrPort
	reason Reason
	// sequence is the probe's own.
	sequence uint32
}

// parseReply reads a packet that may answer a SYN from a port: a SYN-ACK, a reset,
// or an ICMP error that quotes the SYN. ok is false for everything else.
func parseReply(packet []byte, port uint16) (r reply, ok bool) {
	source, _, protocol, payload, ok := parseIP(packet)
	if !ok {
		return reply{}, false
	}
	switch protocol {
	case protocolTCP:
		return parseSegment(source, payload, port)
	case protocolICMP, protocolICMPv6:
		return parseError(protocol == protocolICMPv6, payload, port)
	}
	return reply{}, false
}

func parseIP(b []byte) (source, destination netip.Addr, protocol byte, payload []byte, ok bool) {
	if len(b) < ipv4Header {
		return
	}
	switch b[0] >> 4 {
	case 4:
		length := int(b[0]&15) * 4
		if length < ipv4Header || len(b) < length || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return
		}
		return netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9], b[length:], true
	case 6:
		if len(b) < ipv6Header {
			return
		}
		return netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[6], b[ipv6Header:], true
	}
	return
}

func parseSegment(source netip.Addr, t []byte, port uint16) (reply, bool) {
	if len(t) < 20 || binary.BigEndian.Uint16(t[2:]) != port || t[13]&flagACK == 0 {
		return reply{}, false
	}
	r := reply{
		peer:     netip.AddrPortFrom(source, binary.BigEndian.Uint16(t)),
		sequence: binary.BigEndian.Uint32(t[8:]) - 1, // it acknowledges the SYN
	}
	switch {
	case t[13]&flagRST != 0:
		r.reason = Reset
	case t[13]&flagSYN != 0:
		r.reason = SynAck
	default:
		return reply{}, false
	}
	return r, true
}

// parseError: behind 8 bytes the error quotes the packet that it is about, with at
// least 8 bytes of its TCP header.
func parseError(six bool, b []byte, port uint16) (reply, bool) {
	if len(b) < 8 {
		return reply{}, false
	}
	_, destination, protocol, t, ok := parseIP(b[8:])
	if !ok || protocol != protocolTCP || len(t) < 8 || binary.BigEndian.Uint16(t) != port {
		return reply{}, false
	}
	if !six && b[0] != 3 && b[0] != 11 || six && (b[0] < 1 || b[0] > 4) {
		return reply{}, false
	}
	return reply{
		peer:     netip.AddrPortFrom(destination, binary.BigEndian.Uint16(t[2:])),
		reason:   icmpReason(six, b[0], b[1]),
		sequence: binary.BigEndian.Uint32(t[4:]),
	}, true
}
