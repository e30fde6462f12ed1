package iptables

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
)

// The flags of ipt_ip and ip6t_ip6 (ip_tables.h, ip6_tables.h).
const (
	flagFragment4 = 1
	flagGoto4     = 2
	flagProtocol6 = 1
	flagGoto6     = 4

	invertIn          = 0x01
	invertOut         = 0x02
	invertSource      = 0x08
	invertDestination = 0x10
	invertFragment    = 0x20
	invertProtocol    = 0x40
)

// A header is what a rule asks of every packet, before its matches: struct
// ipt_ip or ip6t_ip6. Addresses are 4 or 16 bytes.
type header struct {
	family                                           firewall.Family
	source, destination, sourceMask, destinationMask []byte
	in, out, inMask, outMask                         [16]byte
	protocol                                         uint8
	hasProtocol                                      bool
	fragment                                         bool
	jumpIsGoto                                       bool
	invert                                           uint8
}

// The sizes of the two structs, before the entry's own fields.
const (
	headerSize4 = 84
	headerSize6 = 136
)

func readHeader(family firewall.Family, b []byte) header {
	h := header{family: family}
	size := addressSize(family)
	take := func(n int) []byte {
		taken := b[:n:n]
		b = b[n:]
		return taken
	}
	h.source, h.destination = take(size), take(size)
	h.sourceMask, h.destinationMask = take(size), take(size)
	h.in, h.out = [16]byte(take(16)), [16]byte(take(16))
	h.inMask, h.outMask = [16]byte(take(16)), [16]byte(take(16))
	protocol := binary.NativeEndian.Uint16(take(2))
	h.protocol = uint8(protocol)
	if family == firewall.FamilyIPv6 {
		take(1) // the TOS, which the kernel ignores
	}
	flags := take(1)[0]
	h.invert = take(1)[0]
	if family == firewall.FamilyIPv6 {
		h.hasProtocol = flags&flagProtocol6 != 0 && protocol != 0
		h.jumpIsGoto = flags&flagGoto6 != 0
		return h
	}
	h.hasProtocol = protocol != 0
	h.fragment = flags&flagFragment4 != 0
	h.jumpIsGoto = flags&flagGoto4 != 0
	return h
}

func addressSize(family firewall.Family) int {
	if family == firewall.FamilyIPv6 {
		return 16
	}
	return 4
}

// appendSteps follows ip_packet_match and ip6_packet_match.
func (h *header) appendSteps(s []firewall.Step) []firewall.Step {
	size := uint32(addressSize(h.family))
	start := uint32(12)
	if h.family == firewall.FamilyIPv6 {
		start = 8
	}
	s = appendAddress(s, start, h.source, h.sourceMask, h.invert&invertSource != 0)
	s = appendAddress(s, start+size, h.destination, h.destinationMask, h.invert&invertDestination != 0)
	s = appendInterface(s, firewall.MetaIifName, h.in, h.inMask, h.invert&invertIn != 0)
	s = appendInterface(s, firewall.MetaOifName, h.out, h.outMask, h.invert&invertOut != 0)
	if h.hasProtocol {
		s = append(s, compare(firewall.Meta{Key: firewall.MetaL4Proto}, []byte{h.protocol}, h.invert&invertProtocol != 0))
	}
	if h.fragment {
		offset := firewall.Bitwise{
			Op: firewall.BitAnd, Length: 2,
			Left:  firewall.Payload{Base: firewall.NetworkHeader, Offset: 6, Length: 2},
			Right: firewall.Constant{Data: []byte{0x1f, 0xff}},
		}
		s = append(s, compare(offset, []byte{0, 0}, h.invert&invertFragment == 0))
	}
	return s
}

func compare(v firewall.Value, data []byte, invert bool) firewall.Step {
	op := firewall.Equal
	if invert {
		op = firewall.NotEqual
	}
	return firewall.Compare{Op: op, Value: v, Data: data}
}

// appendAddress adds the comparison of an address under a mask. An empty mask
// matches always, and inverted never.
func appendAddress(s []firewall.Step, offset uint32, address, mask []byte, invert bool) []firewall.Step {
	length, isPrefix := prefixLength(mask)
	switch {
	case length == 0 && isPrefix && !invert:
		return s
	case length == 0 && isPrefix:
		return append(s, firewall.AnyOf{})
	}
	size := uint32(len(address))
	var v firewall.Value = firewall.Payload{Base: firewall.NetworkHeader, Offset: offset, Length: size}
	if length != 8*len(mask) || !isPrefix {
		v = firewall.Bitwise{Op: firewall.BitAnd, Left: v, Right: firewall.Constant{Data: mask}, Length: size}
	}
	return append(s, compare(v, address, invert))
}

func appendInterface(s []firewall.Step, key firewall.MetaKey, name, mask [16]byte, invert bool) []firewall.Step {
	if step := xt.InterfaceStep(firewall.Meta{Key: key}, name, mask, invert); step != nil {
		return append(s, step)
	}
	return s
}

// prefixLength is a mask's length; false where its ones are not all at the front.
func prefixLength(mask []byte) (length int, ok bool) {
	for i, b := range mask {
		ones := bits.LeadingZeros8(^b)
		length += ones
		if ones == 8 {
			continue
		}
		ok = b<<ones == 0
		for _, rest := range mask[i+1:] {
			ok = ok && rest == 0
		}
		return length, ok
	}
	return length, true
}

// text is the header's options as iptables -S prints them, each after a space.
func (h *header) text(b *strings.Builder) {
	h.addressText(b, "-s", h.source, h.sourceMask, invertSource)
	h.addressText(b, "-d", h.destination, h.destinationMask, invertDestination)
	h.interfaceText(b, "-i", h.in, h.inMask, invertIn)
	h.interfaceText(b, "-o", h.out, h.outMask, invertOut)
	if h.hasProtocol {
		h.option(b, "-p", invertProtocol)
		b.WriteString(" " + xt.ProtocolName(h.protocol))
	}
	if h.fragment {
		h.option(b, "-f", invertFragment)
	}
}

func (h *header) option(b *strings.Builder, name string, inverted uint8) {
	if h.invert&inverted != 0 {
		b.WriteString(" !")
	}
	b.WriteString(" " + name)
}

func (h *header) addressText(b *strings.Builder, name string, address, mask []byte, inverted uint8) {
	length, isPrefix := prefixLength(mask)
	if length == 0 && isPrefix && h.invert&inverted == 0 {
		return
	}
	h.option(b, name, inverted)
	a, _ := netip.AddrFromSlice(address)
	if isPrefix {
		fmt.Fprintf(b, " %s/%d", a, length)
		return
	}
	m, _ := netip.AddrFromSlice(mask)
	fmt.Fprintf(b, " %s/%s", a, m)
}

func (h *header) interfaceText(b *strings.Builder, name string, value, mask [16]byte, inverted uint8) {
	if mask[0] == 0 && h.invert&inverted == 0 {
		return
	}
	h.option(b, name, inverted)
	b.WriteString(" " + xt.InterfaceText(value, mask))
}

// unconditional says that the header matches every packet.
func (h *header) unconditional() bool {
	return len(h.appendSteps(nil)) == 0
}

// anyHeader matches every packet.
func anyHeader(family firewall.Family) header {
	zero := bytes.Repeat([]byte{0}, addressSize(family))
	return header{family: family, source: zero, destination: zero, sourceMask: zero, destinationMask: zero}
}
