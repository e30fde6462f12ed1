package packets

import (
	"encoding/binary"
	"net/netip"
)

// A question is one for the link address of a neighbour: ARP's (RFC 826) or a
// neighbour solicitation (RFC 4861, 4.3). from and asker are who asks.
type question struct {
	from   MAC
	asker  netip.Addr
	target netip.Addr
}

const (
	etherTypeARP = 0x0806
	arpLength    = 28
	arpRequest   = 1
	arpReply     = 2

	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
	solicitationLength     = 24
)

// parseQuestion reads a frame that asks for a neighbour. Who has no address yet
// only asks whether somebody else has it: that is no question to us.
func parseQuestion(frame []byte) (q question, ok bool) {
	if len(frame) < ethernetHeaderLength {
		return q, false
	}
	q.from = MAC(frame[6:12])
	b := frame[ethernetHeaderLength:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherTypeARP:
		if len(b) < arpLength || binary.BigEndian.Uint16(b[6:]) != arpRequest {
			return q, false
		}
		q.asker, q.target = netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	case etherTypeIPv6:
		if len(b) < ipv6HeaderLength+solicitationLength || b[6] != protocolICMPv6 || b[ipv6HeaderLength] != neighbourSolicitation {
			return q, false
		}
		q.asker, q.target = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[ipv6HeaderLength+8:]))
	default:
		return q, false
	}
	return q, !q.asker.IsUnspecified()
}

// appendReply appends the frame that says: at FarEnd.
func (q question) appendReply(b []byte) []byte {
	b = append(append(b, q.from[:]...), FarEnd[:]...)
	if q.target.Is4() {
		b = binary.BigEndian.AppendUint16(b, etherTypeARP)
		b = append(b, 0, 1, 8, 0, 6, 4, 0, arpReply) // Ethernet, IPv4, their lengths
		b = append(append(b, FarEnd[:]...), q.target.AsSlice()...)
		return append(append(b, q.from[:]...), q.asker.AsSlice()...)
	}
	b = binary.BigEndian.AppendUint16(b, etherTypeIPv6)
	const length = solicitationLength + 8
	b = append(b, 0x60, 0, 0, 0, 0, length, protocolICMPv6, 255)
	b = append(append(b, q.target.AsSlice()...), q.asker.AsSlice()...)
	start := len(b)
	b = append(b, neighbourAdvertisement, 0, 0, 0, 0x60, 0, 0, 0) // solicited, override
	b = append(b, q.target.AsSlice()...)
	b = append(append(b, 2, 1), FarEnd[:]...) // target link-layer address, 8 bytes
	whole := segment{protocol: protocolICMPv6, from: netip.AddrPortFrom(q.target, 0), to: netip.AddrPortFrom(q.asker, 0)}
	binary.BigEndian.PutUint16(b[start+2:], ^fold(sum(b[start:], pseudoHeader(whole, length))))
	return b
}
