package rtnetlink

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/internal/netlink"
)

// find is the payload of the first attribute of a type among nested ones; nil if there is none.
func find(data []byte, attributeType uint16) ([]byte, error) {
	a := netlink.NewAttributes(data)
	for a.Next() {
		if a.Type() == attributeType {
			return a.Data(), nil
		}
	}
	return nil, a.Err()
}

// text is a payload up to its first zero.
func text(data []byte) string {
	before, _, _ := bytes.Cut(data, []byte{0})
	return string(before)
}

// shortName is an interface name, which has at most 15 bytes.
func shortName(name string) string { return name[:min(len(name), maxName)] }

// words are 32-bit numbers in host order; a rest shorter than one is ignored.
func words(data []byte) []int32 {
	var all []int32
	for ; len(data) >= 4; data = data[4:] {
		all = append(all, int32(binary.NativeEndian.Uint32(data)))
	}
	return all
}

func address(data []byte) (netip.Addr, error) {
	a, ok := netip.AddrFromSlice(data)
	if !ok {
		return netip.Addr{}, fmt.Errorf("address of %d bytes", len(data))
	}
	return a, nil
}

// addressOf is an address of the message's own family.
func addressOf(family uint8, data []byte) (netip.Addr, error) {
	if unspecified(family).BitLen() != 8*len(data) {
		return netip.Addr{}, fmt.Errorf("address of %d bytes in family %d", len(data), family)
	}
	return address(data)
}

// prefixOf is the network of an address; the kernel sends no address with length 0.
func prefixOf(family uint8, a netip.Addr, bits uint8) (netip.Prefix, error) {
	if !a.IsValid() {
		a = unspecified(family)
	}
	p, err := a.Prefix(int(bits))
	if err != nil || !p.IsValid() { // invalid: a family without addresses
		return netip.Prefix{}, fmt.Errorf("prefix length %d of %v in family %d", bits, a, family)
	}
	return p, nil
}

// unspecified is 0.0.0.0 or ::, invalid for other families.
func unspecified(family uint8) netip.Addr {
	switch family {
	case familyIPv4:
		return netip.IPv4Unspecified()
	case familyIPv6:
		return netip.IPv6Unspecified()
	}
	return netip.Addr{}
}

// via decodes struct rtvia, a gateway of another family: family 2 in host order, address.
func via(data []byte) (netip.Addr, error) {
	if len(data) < 2 {
		return netip.Addr{}, fmt.Errorf("RTA_VIA of %d bytes", len(data))
	}
	return address(data[2:])
}
