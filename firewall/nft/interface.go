package nft

import (
	"encoding/binary"
	"strconv"
	"sync"

	"github.com/netglance/netglance/internal/netlink"
)

// interfaceNames are the names of the host's interfaces, which rules keep as
// numbers. They are asked for when the first rule that has one prints.
type interfaceNames struct {
	source Source
	once   sync.Once
	names  map[uint32]string
}

const (
	routeProtocol = 0  // NETLINK_ROUTE
	getLink       = 18 // RTM_GETLINK
	newLink       = 16 // RTM_NEWLINK
	ifinfoLength  = 16 // struct ifinfomsg: the index is at 4
	linkName      = 3  // IFLA_IFNAME
	linkExtMask   = 29 // IFLA_EXT_MASK
	skipStats     = 8  // RTEXT_FILTER_SKIP_STATS
)

// linkRequest is byte for byte firewall/rtnetlink's, so that a recording has its answer.
func linkRequest() []byte {
	return netlink.Request(getLink, netlink.FlagDump,
		netlink.AppendAttribute(make([]byte, ifinfoLength), linkExtMask, binary.NativeEndian.AppendUint32(nil, skipStats)))
}

// name is an interface as nft prints it: its name in quotation marks, or its
// number where there is none of that number.
func (n *interfaceNames) name(index uint32) string {
	n.once.Do(n.read)
	if name, ok := n.names[index]; ok {
		return quote(name)
	}
	return strconv.FormatUint(uint64(index), 10)
}

func (n *interfaceNames) read() {
	n.names = map[uint32]string{}
	reply, err := n.source.Netlink(routeProtocol, linkRequest())
	if err != nil {
		return // the numbers are right, too
	}
	_ = netlink.Each(reply, func(m netlink.Message) error {
		if m.Type != newLink || len(m.Data) < ifinfoLength {
			return nil
		}
		index := binary.NativeEndian.Uint32(m.Data[4:])
		each(m.Data[ifinfoLength:], linkName, func(name []byte) { n.names[index] = string(cString(name)) })
		return nil
	})
}
