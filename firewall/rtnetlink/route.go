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

// Attributes of a route (include/uapi/linux/rtnetlink.h).
const (
	routeDestination = 1
	routeSource      = 2
	routeOutput      = 4
	routeGateway     = 5
	routePriority    = 6
	routePrefSource  = 7
	routeMetrics     = 8
	routeMultipath   = 9
	routeFlow        = 11
	routeCacheInfo   = 12
	routeTable       = 15
	routeVia         = 18
	routePref        = 20
	routeEncapType   = 21
	routeEncap       = 22
	routeExpires     = 23
	routePad         = 24
	routeNexthopID   = 30

	rtmsgLength     = 12
	rtnexthopLength = 8

	// RTM_F_CLONED: a cached result of a lookup, no route
	flagCloned = 0x200
)

// routes of both families and all tables.
func (r *reader) routes() []firewall.Route {
	routes := append(r.routesOf(familyIPv4, "IPv4 routes"), r.routesOf(familyIPv6, "IPv6 routes")...)
	slices.SortStableFunc(routes, compareRoutes)
	return routes
}

func (r *reader) routesOf(family uint8, what string) []firewall.Route {
	var routes []route
	header := make([]byte, rtmsgLength)
	header[0] = family
	r.dump(what, netlink.Request(getRoute, netlink.FlagDump, header), newRoute,
		func() { routes = nil },
		func(data []byte) error {
			decoded, err := decodeRoute(data)
			if err == nil && !decoded.cloned {
				routes = append(routes, decoded)
			}
			return err
		})
	result := make([]firewall.Route, 0, len(routes))
	for i := range routes {
		r.resolve(&routes[i])
		result = append(result, routes[i].Route)
	}
	return result
}

// compareRoutes orders by table and destination; the kernel's own order stays
// among routes to the same destination (it is the order in which they count).
func compareRoutes(a, b firewall.Route) int {
	return cmp.Or(
		a.Destination.Addr().BitLen()-b.Destination.Addr().BitLen(),
		cmp.Compare(a.Table, b.Table),
		comparePrefixes(a.Destination, b.Destination))
}

// A route may name a nexthop object instead of its way out.
type route struct {
	firewall.Route
	nexthopID uint32
	cloned    bool
}

// decodeRoute decodes struct rtmsg: family 1, destination length 1, source
// length 1, TOS 1, table 1, protocol 1, scope 1, type 1, flags 4.
func decodeRoute(data []byte) (route, error) {
	var result route
	if len(data) < rtmsgLength {
		return result, fmt.Errorf("route: %w: %d bytes", netlink.ErrTruncated, len(data))
	}
	family := data[0]
	result.TOS = data[3]
	result.Table = uint32(data[4])
	result.Scope = data[6]
	result.Type = firewall.RouteType(data[7])
	result.Flags = binary.NativeEndian.Uint32(data[8:])
	result.cloned = result.Flags&flagCloned != 0
	var destination, source netip.Addr
	a := netlink.NewAttributes(data[rtmsgLength:])
	for a.Next() {
		var err error
		switch a.Type() {
		case routeDestination:
			destination, err = addressOf(family, a.Data())
		case routeSource:
			source, err = addressOf(family, a.Data())
		case routePrefSource:
			result.PreferredSource, err = addressOf(family, a.Data())
		default:
			err = result.attribute(a, family)
		}
		a.Fail(err)
	}
	if err := a.Err(); err != nil {
		return result, fmt.Errorf("route to %v: %w", destination, err)
	}
	var err error
	if result.Destination, err = prefixOf(family, destination, data[1]); err != nil {
		return result, fmt.Errorf("route: destination: %w", err)
	}
	if data[2] == 0 {
		return result, nil
	}
	if result.Source, err = prefixOf(family, source, data[2]); err != nil {
		return result, fmt.Errorf("route to %v: source: %w", result.Destination, err)
	}
	return result, nil
}

// attribute decodes what says where the route leads.
func (r *route) attribute(a *netlink.Attributes, family uint8) (err error) {
	switch a.Type() {
	case routeTable:
		r.Table = a.Uint32()
	case routePriority:
		r.Metric = a.Uint32()
	case routeOutput:
		r.Interface = int(int32(a.Uint32()))
	case routeGateway:
		r.Gateway, err = addressOf(family, a.Data())
	case routeVia:
		r.Gateway, err = via(a.Data())
	case routeMultipath:
		err = r.hops(a.Data(), family)
	case routeNexthopID:
		r.nexthopID = a.Uint32()
	case routeEncapType:
		r.Opaque = appendOpaque(r.Opaque, fmt.Sprintf("encapsulation %d", a.Uint16()))
	case routeMetrics, routeFlow, routeCacheInfo, routePref, routeEncap, routeExpires, routePad:
		// none of them changes where a packet goes, but routePref, which only orders
		// routers that advertised the same destination with the same metric
	default:
		r.Opaque = appendOpaque(r.Opaque, fmt.Sprintf("route attribute %d", a.Type()))
	}
	return err
}

// hops decodes one struct rtnexthop after the other: length 2, flags 1, weight 1,
// index 4, attributes.
func (r *route) hops(data []byte, family uint8) error {
	for len(data) > 0 {
		if len(data) < rtnexthopLength {
			return fmt.Errorf("%w: %d bytes where a nexthop needs 8", netlink.ErrTruncated, len(data))
		}
		length := int(binary.NativeEndian.Uint16(data))
		if length < rtnexthopLength || length > len(data) {
			return fmt.Errorf("%w: nexthop of %d bytes in %d", netlink.ErrTruncated, length, len(data))
		}
		hop := firewall.Hop{
			Flags:     uint32(data[2]),
			Interface: int(int32(binary.NativeEndian.Uint32(data[4:]))),
		}
		a := netlink.NewAttributes(data[rtnexthopLength:length])
		for a.Next() {
			var err error
			switch a.Type() {
			case routeGateway:
				hop.Gateway, err = addressOf(family, a.Data())
			case routeVia:
				hop.Gateway, err = via(a.Data())
			case routeEncapType:
				r.Opaque = appendOpaque(r.Opaque, fmt.Sprintf("encapsulation %d", a.Uint16()))
			}
			a.Fail(err)
		}
		if err := a.Err(); err != nil {
			return err
		}
		r.Hops = append(r.Hops, hop)
		data = data[min((length+3)&^3, len(data)):]
	}
	return nil
}

// appendOpaque adds to a list of things that were not understood.
func appendOpaque(list, what string) string {
	switch {
	case list == "":
		return what
	case what == "":
		return list
	}
	return list + ", " + what
}
