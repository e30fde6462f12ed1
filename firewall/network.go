package firewall

import "net/netip"

// A Network is what a host's kernel knows of its links, addresses and routes:
// what decides where a packet goes between two hooks.
type Network struct {
	Interfaces []Interface
	Addresses  []Address
	Routes     []Route
	Rules      []RoutingRule
	// Groups are the multicast groups that the links have joined.
	Groups []Group
	// Outsiders decide about packets outside of netfilter.
	Outsiders []Outsider
	// Policies are IPsec's.
	Policies []IPsecPolicy
	// Services are IPVS's.
	Services []VirtualService
	// Sockets are those that take TCP and UDP packets; nil if they are not known.
	Sockets []LocalSocket
	// Settings are sysctls by their path below /proc/sys/net, for instance
	// "ipv4/conf/eth0/rp_filter": "2". A missing one could not be read.
	Settings map[string]string
}

// An Interface is a link.
type Interface struct {
	Index int
	Name  string
	// Kind is rtnetlink's IFLA_INFO_KIND ("veth", "bridge", "tun"); empty for hardware and loopback.
	Kind string
	// Type is ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none.
	Type uint16
	// Flags are IFF_*: 1 up, 8 loopback, 16 point to point.
	Flags uint32
	MTU   uint32
	Group uint32
	// GroupNames are the interface groups of BSD's ifconfig that the link is in.
	GroupNames []string
	Master     int
	// Parent is the index of the link that this one's packets come in by first: a
	// VLAN's or macvlan's lower link. 0 if none, or if it is in another namespace.
	Parent       int
	HardwareAddr []byte
	// Peer is the index of a veth's other end; 0 if it is no veth, or that is gone.
	Peer int
	// PeerSpace is the id by which this namespace knows that of the other end
	// (RTM_GETNSID); -1 if both are in this one, or it has no id.
	PeerSpace int32
	// XDP are the programs that see the link's packets before all else.
	XDP []XDP
}

// An XDP is a program attached to a link.
type XDP struct {
	// Mode is "driver", "generic" or "offloaded"; ID the kernel's number of the program.
	Mode string
	ID   uint32
}

// Up says that the interface takes packets.
func (i Interface) Up() bool { return i.Flags&1 != 0 }

// Loopback says that the interface is a loopback device.
func (i Interface) Loopback() bool { return i.Flags&8 != 0 }

// An Address is an interface's own address.
type Address struct {
	Interface int // index
	// Prefix is the local address with the length of its network.
	Prefix netip.Prefix
	// Peer is the other end of a point-to-point link.
	Peer      netip.Addr
	Broadcast netip.Addr
	// Flags are IFA_F_*: 1 secondary, 0x40 tentative, 8 dadfailed.
	Flags uint32
	Scope uint8
}

// A Group is a multicast group that a link takes packets for. Every unconnected
// UDP socket bound to all addresses gets them, whether it joined the group or not
// (IP_MULTICAST_ALL, ip(7)).
type Group struct {
	Interface int // index
	Address   netip.Addr
}

// RouteType is a route's kind, numbered like RTN_* (include/uapi/linux/rtnetlink.h).
type RouteType uint8

// The route types.
const (
	RouteUnspec      RouteType = 0
	RouteUnicast     RouteType = 1
	RouteLocal       RouteType = 2
	RouteBroadcast   RouteType = 3
	RouteAnycast     RouteType = 4
	RouteMulticast   RouteType = 5
	RouteBlackhole   RouteType = 6
	RouteUnreachable RouteType = 7
	RouteProhibit    RouteType = 8
	RouteThrow       RouteType = 9
	RouteNAT         RouteType = 10
)

// A Route is one entry of a routing table.
type Route struct {
	Destination netip.Prefix
	// Source restricts the route to packets from there (IPv6 subtrees); invalid if any.
	Source  netip.Prefix
	Table   uint32
	Type    RouteType
	Scope   uint8
	TOS     uint8
	Metric  uint32
	Gateway netip.Addr
	// Interface is the index of the way out; 0 if none.
	Interface int
	// PreferredSource is the source address that a packet without one gets.
	PreferredSource netip.Addr
	// Hops are a multipath route's ways out; the flow's hash chooses.
	Hops []Hop
	// Flags are RTNH_F_*: 1 dead, 16 link down.
	Flags uint32
	// Opaque names what was not understood (a nexthop object, an encapsulation).
	Opaque string
}

// A Hop is one way of a multipath route.
type Hop struct {
	Gateway   netip.Addr
	Interface int
	Flags     uint32
}

// A RoutingRule chooses a routing table (ip rule).
type RoutingRule struct {
	Family   Family
	Priority uint32
	Invert   bool
	// Source and Destination are invalid where they don't restrict.
	Source, Destination netip.Prefix
	// InName and OutName are interface names.
	InName, OutName        string
	Mark, MarkMask         uint32
	TOS                    uint8
	Protocol               uint8
	SourcePort, DestPort   [2]uint16 // 0,0: any
	UIDRange               [2]uint32
	HasUIDRange            bool
	Action                 uint8 // FR_ACT_*: 1 to table, 6 blackhole, 7 unreachable, 8 prohibit
	Table                  uint32
	Goto                   uint32
	SuppressPrefixLength   int32 // -1: none
	SuppressInterfaceGroup int32 // -1: none
	// Opaque names what was not understood.
	Opaque string
}
