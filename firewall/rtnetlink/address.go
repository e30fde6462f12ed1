package rtnetlink

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Attributes of an address (include/uapi/linux/if_addr.h).
const (
	addrAddress   = 1
	addrLocal     = 2
	addrBroadcast = 4
	addrFlags     = 8

	ifaddrmsgLength = 8
)

// addresses of both families, by interface.
func (r *reader) addresses() []firewall.Address {
	var addresses []firewall.Address
	r.dump("addresses", netlink.Request(getAddr, netlink.FlagDump, make([]byte, ifaddrmsgLength)), newAddr,
		func() { addresses = nil },
		func(data []byte) error {
			if len(data) > 0 && !unspecified(data[0]).IsValid() {
				return nil // another protocol's, for instance Phonet
			}
			a, err := decodeAddress(data)
			if err == nil {
				addresses = append(addresses, a)
			}
			return err
		})
	// Within an interface the kernel's order stays: it takes the first that fits.
	slices.SortStableFunc(addresses, func(a, b firewall.Address) int { return a.Interface - b.Interface })
	return addresses
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits())
}

// decodeAddress decodes struct ifaddrmsg: family 1, prefix length 1, flags 1, scope 1, index 4.
// IFA_ADDRESS is the other end where there is one, IFA_LOCAL then the own address.
func decodeAddress(data []byte) (firewall.Address, error) {
	var result firewall.Address
	if len(data) < ifaddrmsgLength {
		return result, fmt.Errorf("address: %w: %d bytes", netlink.ErrTruncated, len(data))
	}
	family, bits := data[0], data[1]
	result.Flags = uint32(data[2])
	result.Scope = data[3]
	result.Interface = int(int32(binary.NativeEndian.Uint32(data[4:])))
	var own, local netip.Addr
	a := netlink.NewAttributes(data[ifaddrmsgLength:])
	for a.Next() {
		var err error
		switch a.Type() {
		case addrAddress:
			own, err = addressOf(family, a.Data())
		case addrLocal:
			local, err = addressOf(family, a.Data())
		case addrBroadcast:
			result.Broadcast, err = addressOf(family, a.Data())
		case addrFlags: // all 32 bits; the header has room for 8
			result.Flags = a.Uint32()
		}
		a.Fail(err)
	}
	if err := a.Err(); err != nil {
		return result, fmt.Errorf("address of interface %d: %w", result.Interface, err)
	}
	if local.IsValid() && local != own {
		result.Peer, own = own, local
	}
	if !own.IsValid() || int(bits) > own.BitLen() {
		return result, fmt.Errorf("address %v of interface %d with prefix length %d", own, result.Interface, bits)
	}
	result.Prefix = netip.PrefixFrom(own, int(bits))
	return result, nil
}
