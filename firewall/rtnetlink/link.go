package rtnetlink

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Attributes of a link (include/uapi/linux/if_link.h).
const (
	linkAddress = 1
	linkName    = 3
	linkMTU     = 4
	linkLink    = 5
	linkMaster  = 10
	linkInfo    = 18
	linkAFSpec  = 26
	linkGroup   = 27
	linkExtMask = 29
	linkNetnsID = 37
	linkXDP     = 43

	linkInfoKind = 1

	// in linkAFSpec: an attribute an address family, and the one within that
	// holds the interface's sysctls
	inetConf  = 1
	inet6Conf = 2

	// RTEXT_FILTER_SKIP_STATS: counters would be half of the reply
	skipStatistics = 1 << 3

	ifinfomsgLength = 16
	// IFNAMSIZ without its zero
	maxName = 15
)

// A link is an interface with those of its sysctls that the kernel sends along.
type link struct {
	firewall.Interface
	// conf4 and conf6 are all sysctls by their number; nil if the family is off on the interface.
	conf4, conf6 []int32
	// hasConf says that the kernel sent sysctls; else they must be read from files.
	hasConf bool
}

func (r *reader) links() []link {
	var links []link
	mask := netlink.AppendAttribute(make([]byte, ifinfomsgLength), linkExtMask,
		binary.NativeEndian.AppendUint32(nil, skipStatistics))
	r.dump("links", netlink.Request(getLink, netlink.FlagDump, mask), newLink,
		func() { links = nil },
		func(data []byte) error {
			l, err := decodeLink(data)
			links = append(links, l)
			return err
		})
	slices.SortStableFunc(links, func(a, b link) int { return a.Index - b.Index })
	return links
}

// stacked are the kinds of link whose packets come in by the link that IFLA_LINK
// names; for others, such as veth, it names something else.
var stacked = []string{"ipvlan", "ipvtap", "macsec", "macvlan", "macvtap", "vlan"}

// decodeLink decodes struct ifinfomsg: family 1, pad 1, type 2, index 4, flags 4, change mask 4.
func decodeLink(data []byte) (link, error) {
	var l link
	if len(data) < ifinfomsgLength {
		return l, fmt.Errorf("link: %w: %d bytes", netlink.ErrTruncated, len(data))
	}
	l.Type = binary.NativeEndian.Uint16(data[2:])
	l.Index = int(int32(binary.NativeEndian.Uint32(data[4:])))
	l.Flags = binary.NativeEndian.Uint32(data[8:])
	parent, elsewhere := 0, false
	l.PeerSpace = -1
	a := netlink.NewAttributes(data[ifinfomsgLength:])
	for a.Next() {
		switch a.Type() {
		case linkName:
			l.Name = shortName(a.String())
		case linkAddress:
			l.HardwareAddr = slices.Clone(a.Data())
		case linkMTU:
			l.MTU = a.Uint32()
		case linkLink:
			parent = int(int32(a.Uint32()))
		case linkNetnsID:
			elsewhere = true
			l.PeerSpace = int32(a.Uint32())
		case linkMaster:
			l.Master = int(int32(a.Uint32()))
		case linkGroup:
			l.Group = a.Uint32()
		case linkXDP:
			a.Fail(l.decodeXDP(a.Data()))
		case linkInfo:
			kind, err := find(a.Data(), linkInfoKind)
			l.Kind = text(kind)
			a.Fail(err)
		case linkAFSpec:
			l.hasConf = true
			a.Fail(l.decodeAFSpec(a.Data()))
		}
	}
	if err := a.Err(); err != nil {
		return l, fmt.Errorf("link %d %q: %w", l.Index, l.Name, err)
	}
	switch {
	case l.Kind == "veth":
		l.Peer = parent
	case !elsewhere && slices.Contains(stacked, l.Kind):
		l.Parent = parent
	}
	return l, nil
}

func (l *link) decodeAFSpec(data []byte) error {
	a := netlink.NewAttributes(data)
	for a.Next() {
		switch a.Type() {
		case familyIPv4:
			conf, err := find(a.Data(), inetConf)
			l.conf4 = words(conf)
			a.Fail(err)
		case familyIPv6:
			conf, err := find(a.Data(), inet6Conf)
			l.conf6 = words(conf)
			a.Fail(err)
		}
	}
	return a.Err()
}
