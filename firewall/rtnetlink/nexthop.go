package rtnetlink

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Attributes of a nexthop object (include/uapi/linux/nexthop.h, Linux 5.3).
const (
	nexthopID        = 1
	nexthopGroup     = 2
	nexthopBlackhole = 4
	nexthopOutput    = 5
	nexthopGateway   = 6
	nexthopEncapType = 7

	nhmsgLength = 8
	// struct nexthop_grp: id 4, weight 1, weight's high byte 1, reserved 2
	groupEntryLength = 8
)

// A nexthop is a way out that routes share (ip nexthop).
type nexthop struct {
	hop       firewall.Hop
	group     []uint32
	blackhole bool
	opaque    string
}

// resolve fills in the way out of a route that names a nexthop object. Mostly
// the kernel sends it beside the name (sysctl net.ipv4.nexthop_compat_mode 1).
func (r *reader) resolve(route *route) {
	if route.nexthopID == 0 || route.Interface != 0 || route.Gateway.IsValid() || len(route.Hops) > 0 ||
		route.Type == firewall.RouteBlackhole {
		return
	}
	if r.nexthops == nil {
		r.readNexthops()
	}
	object, known := r.nexthops[route.nexthopID]
	if !known {
		route.Opaque = appendOpaque(route.Opaque, fmt.Sprintf("nexthop object %d", route.nexthopID))
		return
	}
	route.use(object)
	for _, id := range object.group {
		member, known := r.nexthops[id]
		if !known || len(member.group) > 0 {
			route.Opaque = appendOpaque(route.Opaque, fmt.Sprintf("nexthop object %d", id))
			continue
		}
		if member.blackhole { // it is then the only member
			route.use(member)
			continue
		}
		route.Opaque = appendOpaque(route.Opaque, member.opaque)
		route.Hops = append(route.Hops, member.hop)
	}
}

func (r *route) use(n nexthop) {
	r.Opaque = appendOpaque(r.Opaque, n.opaque)
	if n.blackhole {
		r.Type = firewall.RouteBlackhole
		return
	}
	r.Gateway, r.Interface = n.hop.Gateway, n.hop.Interface
}

func (r *reader) readNexthops() {
	r.dump("nexthop objects", netlink.Request(getNexthop, netlink.FlagDump, make([]byte, nhmsgLength)), newNexthop,
		func() { r.nexthops = map[uint32]nexthop{} },
		func(data []byte) error {
			id, object, err := decodeNexthop(data)
			if err == nil {
				r.nexthops[id] = object
			}
			return err
		})
}

// decodeNexthop decodes struct nhmsg: family 1, scope 1, protocol 1, reserved 1, flags 4.
func decodeNexthop(data []byte) (id uint32, result nexthop, err error) {
	if len(data) < nhmsgLength {
		return 0, result, fmt.Errorf("nexthop object: %w: %d bytes", netlink.ErrTruncated, len(data))
	}
	result.hop.Flags = binary.NativeEndian.Uint32(data[4:])
	a := netlink.NewAttributes(data[nhmsgLength:])
	for a.Next() {
		switch a.Type() {
		case nexthopID:
			id = a.Uint32()
		case nexthopGroup:
			result.group = groupMembers(a.Data())
		case nexthopBlackhole:
			result.blackhole = true
		case nexthopOutput:
			result.hop.Interface = int(int32(a.Uint32()))
		case nexthopGateway:
			var gateway netip.Addr
			gateway, err = address(a.Data())
			result.hop.Gateway = gateway
			a.Fail(err)
		case nexthopEncapType:
			result.opaque = fmt.Sprintf("encapsulation %d", a.Uint16())
		}
	}
	if err := a.Err(); err != nil {
		return 0, result, fmt.Errorf("nexthop object %d: %w", id, err)
	}
	return id, result, nil
}

func groupMembers(data []byte) []uint32 {
	var members []uint32
	for ; len(data) >= groupEntryLength; data = data[groupEntryLength:] {
		members = append(members, binary.NativeEndian.Uint32(data))
	}
	return members
}
