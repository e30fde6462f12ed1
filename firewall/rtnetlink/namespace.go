package rtnetlink

import (
	"encoding/binary"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/netlink"
)

// Attributes of RTM_GETNSID (include/uapi/linux/net_namespace.h).
const (
	nsidNumber = 1
	nsidPID    = 2

	rtgenmsgLength = 4 // one byte, padded
)

// ReadAddresses reads the links and their addresses, and nothing else.
func ReadAddresses(source Source) (*firewall.Network, []gaps.Gap) {
	r := &reader{source: source}
	network := &firewall.Network{}
	for _, l := range r.links() {
		network.Interfaces = append(network.Interfaces, l.Interface)
	}
	network.Addresses = r.addresses()
	return network, r.gaps
}

// SpaceOf is the id by which the source's network namespace knows that of a
// process (ip-netns(8), list-id); false if it has none there, or it can't be told.
func SpaceOf(source Source, pid int) (id int32, ok bool) {
	request := netlink.AppendAttribute(make([]byte, rtgenmsgLength), nsidPID, binary.NativeEndian.AppendUint32(nil, uint32(pid)))
	reply, err := source.Netlink(protocol, netlink.Request(getNSID, 0, request))
	if err != nil {
		return 0, false
	}
	err = netlink.Each(reply, func(m netlink.Message) error {
		if m.Type != newNSID || len(m.Data) < rtgenmsgLength {
			return nil
		}
		a := netlink.NewAttributes(m.Data[rtgenmsgLength:])
		for a.Next() {
			if a.Type() == nsidNumber {
				id, ok = int32(a.Uint32()), true
			}
		}
		return a.Err()
	})
	return id, err == nil && ok && id >= 0
}
