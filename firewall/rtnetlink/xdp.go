package rtnetlink

import (
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// xdpModes are the attributes with a program's number, by how it is attached
// (IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID, IFLA_XDP_HW_PROG_ID of
// include/uapi/linux/if_link.h, Linux 4.18).
var xdpModes = map[uint16]string{5: "driver", 6: "generic", 7: "offloaded"}

const (
	xdpAttached  = 2
	xdpProgramID = 4
)

// decodeXDP reads IFLA_XDP, which every link has, mostly saying that nothing is attached.
func (l *link) decodeXDP(data []byte) error {
	var attached, id uint32
	a := netlink.NewAttributes(data)
	for a.Next() {
		mode := xdpModes[a.Type()]
		switch {
		case a.Type() == xdpAttached:
			attached = uint32(a.Uint8())
		case a.Type() == xdpProgramID:
			id = a.Uint32()
		case mode != "":
			l.XDP = append(l.XDP, firewall.XDP{Mode: mode, ID: a.Uint32()})
		}
	}
	if attached != 0 && len(l.XDP) == 0 {
		l.XDP = []firewall.XDP{{Mode: "attached", ID: id}} // an older kernel, or one that doesn't tell
	}
	return a.Err()
}
