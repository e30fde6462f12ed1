package packets

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// IP protocol numbers.
const (
	protocolICMP    = 1
	protocolTCP     = 6
	protocolUDP     = 17
	protocolICMPv6  = 58
	protocolUDPLite = 136
)

// EtherTypes.
const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
)

const (
	ethernetHeaderLength = 14
	ipv4HeaderLength     = 20
	ipv6HeaderLength     = 40
	tcpHeaderLength      = 20
	udpHeaderLength      = 8
)

// TCP flags.
const (
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// payloadMagic opens the payload of every datagram that we send; four bytes of
// the probe's number follow.
const payloadMagic = 0x6e676c61

// A MAC is a link address of Ethernet.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// linkAddress is where a frame to an address is sent on the link: to the host's
// own address unless the destination is a group's (RFC 1112, 6.4; RFC 2464, 7) or
// the limited broadcast.
func linkAddress(to netip.Addr, host MAC) MAC {
	b := to.AsSlice()
	switch {
	case to.Is4() && to.IsMulticast():
		return MAC{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	case to.IsMulticast():
		return MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
	case to == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	return host
}

// A segment is a TCP segment without data, or a datagram that carries Seq.
type segment struct {
	protocol uint8
	from, to netip.AddrPort
	seq, ack uint32
	flags    uint8
}

// appendEthernet appends the header of an Ethernet frame that carries packets of
// the segment's family.
func appendEthernet(b []byte, to, from MAC, s segment) []byte {
	b = append(b, to[:]...)
	b = append(b, from[:]...)
	if s.from.Addr().Is4() {
		return binary.BigEndian.AppendUint16(b, etherTypeIPv4)
	}
	return binary.BigEndian.AppendUint16(b, etherTypeIPv6)
}

// appendPacket appends an IP packet with the segment in it. Both ends are of one family.
func appendPacket(b []byte, s segment) []byte {
	length := tcpHeaderLength
	if s.protocol != protocolTCP {
		length = udpHeaderLength + 8
	}
	if s.from.Addr().Is4() {
		b = appendIPv4(b, s, length)
	} else {
		b = appendIPv6(b, s, length)
	}
	return appendTransport(b, s, length)
}

func appendIPv4(b []byte, s segment, length int) []byte {
	start := len(b)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4HeaderLength+length))
	b = append(b, 0, 0, 0x40, 0, 64, s.protocol, 0, 0) // don't fragment, TTL 64
	b = append(b, s.from.Addr().AsSlice()...)
	b = append(b, s.to.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(b[start+10:], ^fold(sum(b[start:], 0)))
	return b
}

func appendIPv6(b []byte, s segment, length int) []byte {
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, s.protocol, 64)
	b = append(b, s.from.Addr().AsSlice()...)
	return append(b, s.to.Addr().AsSlice()...)
}

func appendTransport(b []byte, s segment, length int) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, s.from.Port())
	b = binary.BigEndian.AppendUint16(b, s.to.Port())
	checksum := start + 6
	if s.protocol == protocolTCP {
		b = binary.BigEndian.AppendUint32(b, s.seq)
		b = binary.BigEndian.AppendUint32(b, s.ack)
		b = append(b, 5<<4, s.flags, 0xff, 0xff, 0, 0, 0, 0)
		checksum = start + 16
	} else {
		// UDP's length, or UDP-Lite's checksum coverage: both are the whole datagram.
		b = binary.BigEndian.AppendUint16(b, uint16(length))
		b = append(b, 0, 0)
		b = binary.BigEndian.AppendUint32(b, payloadMagic)
		b = binary.BigEndian.AppendUint32(b, s.seq)
	}
	c := ^fold(sum(b[start:], pseudoHeader(s, length)))
	if c == 0 {
		c = 0xffff // zero means "no checksum" to UDP
	}
	binary.BigEndian.PutUint16(b[checksum:], c)
	return b
}

// pseudoHeader is the part of a transport checksum that covers the addresses
// (RFC 9293, 3.1; RFC 8200, 8.1).
func pseudoHeader(s segment, length int) uint32 {
	c := uint32(s.protocol) + uint32(length)
	c = sum(s.from.Addr().AsSlice(), c)
	return sum(s.to.Addr().AsSlice(), c)
}

func sum(b []byte, c uint32) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		c += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		c += uint32(b[0]) << 8
	}
	return c
}

func fold(c uint32) uint16 {
	for c>>16 != 0 {
		c = c>>16 + c&0xffff
	}
	return uint16(c)
}

// A sighting is a packet that the namespace sent out.
type sighting struct {
	segment
	// icmp says that the segment is the one that an ICMP error complains about.
	icmp               bool
	icmpType, icmpCode uint8
}

// parseFrame reads an Ethernet frame. It is false for everything that is neither
// one of our segments, nor an answer to one, nor an error about one.
func parseFrame(b []byte) (sighting, bool) {
	if len(b) < ethernetHeaderLength {
		return sighting{}, false
	}
	return parsePacket(b[ethernetHeaderLength:])
}

// parsePacket is that for an IP packet.
func parsePacket(b []byte) (sighting, bool) { return parseIP(b, true) }

func parseIP(b []byte, outer bool) (sighting, bool) {
	if len(b) == 0 {
		return sighting{}, false
	}
	var protocol uint8
	var from, to netip.Addr
	switch b[0] >> 4 {
	case 4:
		header := int(b[0]&15) * 4
		if header < ipv4HeaderLength || len(b) < header {
			return sighting{}, false
		}
		protocol = b[9]
		from = netip.AddrFrom4([4]byte(b[12:16]))
		to = netip.AddrFrom4([4]byte(b[16:20]))
		b = b[header:]
	case 6:
		if len(b) < ipv6HeaderLength {
			return sighting{}, false
		}
		protocol = b[6]
		from = netip.AddrFrom16([16]byte(b[8:24]))
		to = netip.AddrFrom16([16]byte(b[24:40]))
		b = b[ipv6HeaderLength:]
	default:
		return sighting{}, false
	}
	if outer && (protocol == protocolICMP || protocol == protocolICMPv6) {
		return parseICMPError(protocol, b)
	}
	s, ok := parseTransport(protocol, from, to, b)
	return sighting{segment: s}, ok
}

// parseICMPError reads a "destination unreachable" and the packet quoted in it.
func parseICMPError(protocol uint8, b []byte) (sighting, bool) {
	if len(b) < 8 {
		return sighting{}, false
	}
	unreachable := uint8(3) // RFC 792
	if protocol == protocolICMPv6 {
		unreachable = 1 // RFC 4443, 3.1
	}
	if b[0] != unreachable {
		return sighting{}, false
	}
	s, ok := parseIP(b[8:], false)
	s.icmp, s.icmpType, s.icmpCode = true, b[0], b[1]
	return s, ok
}

func parseTransport(protocol uint8, from, to netip.Addr, b []byte) (segment, bool) {
	if len(b) < 8 {
		return segment{}, false
	}
	s := segment{
		protocol: protocol,
		from:     netip.AddrPortFrom(from, binary.BigEndian.Uint16(b)),
		to:       netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:])),
	}
	switch protocol {
	case protocolTCP:
		s.seq = binary.BigEndian.Uint32(b[4:])
		if len(b) >= 14 { // an ICMP error need not quote the rest
			s.ack, s.flags = binary.BigEndian.Uint32(b[8:]), b[13]
		}
		return s, true
	case protocolUDP, protocolUDPLite:
		if len(b) < udpHeaderLength+8 || binary.BigEndian.Uint32(b[8:]) != payloadMagic {
			return segment{}, false
		}
		s.seq = binary.BigEndian.Uint32(b[12:])
		return s, true
	}
	return segment{}, false
}

// Payload is that of a datagram which bears a probe's number.
func Payload(number uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, payloadMagic), number)
}
