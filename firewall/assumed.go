package firewall

import "net/netip"

// Flags of links (IFF_*, include/uapi/linux/if.h) and what they are made of
// (ARPHRD_*, include/uapi/linux/if_arp.h).
const (
	linkUp           = 1
	linkLoopback     = 8
	linkPointToPoint = 0x10
	ethernetLink     = 1
	loopbackLink     = 772
	linkWithoutType  = 65534
	// RT_SCOPE_* (include/uapi/linux/rtnetlink.h)
	scopeLink = 253
	scopeHost = 254
)

// An AssumedLink is a link of a host that doesn't run: its name and addresses.
type AssumedLink struct {
	Name                   string
	Loopback, PointToPoint bool
	// Addresses are local ones; Prefix, Peer and Broadcast count, the rest is filled in.
	Addresses []Address
}

// Assume is the network that a kernel makes of links and their addresses alone
// (fib_add_ifaddr, net/ipv4/fib_frontend.c; addrconf_add_ifaddr, net/ipv6/addrconf.c),
// with what lets most packets in where it isn't given: default routes by the first
// link that has an address of the family and is not loopback, forwarding, no
// rp_filter. A loopback device is there in any case.
func Assume(links []AssumedLink) *Network {
	n := &Network{Settings: map[string]string{"ipv4/ip_forward": "1", "ipv4/tcp_syncookies": "1", "ipv6/conf/all/forwarding": "1"}}
	loopback := AssumedLink{Name: "lo", Loopback: true, Addresses: []Address{{Prefix: netip.MustParsePrefix("127.0.0.1/8")}, {Prefix: netip.MustParsePrefix("::1/128")}}}
	for _, l := range links {
		if l.Loopback {
			loopback = l
		}
	}
	n.assumeLink(1, loopback)
	for _, l := range links {
		if !l.Loopback {
			n.assumeLink(len(n.Interfaces)+1, l)
		}
	}
	n.assumeDefaultRoutes()
	return n
}

func (n *Network) assumeLink(index int, l AssumedLink) {
	i := Interface{Index: index, Name: l.Name, Type: ethernetLink, Flags: linkUp, MTU: 1500}
	switch {
	case l.Loopback:
		i.Type, i.Flags, i.MTU = loopbackLink, linkUp|linkLoopback, 65536
	case l.PointToPoint:
		i.Type, i.Flags = linkWithoutType, linkUp|linkPointToPoint
	}
	if i.Type != linkWithoutType {
		i.HardwareAddr = []byte{0, 0, 0, 0, 0, 0}
	}
	if i.Type == ethernetLink {
		i.HardwareAddr = []byte{2, 0, 0, 0, byte(index >> 8), byte(index)}
	}
	n.Interfaces = append(n.Interfaces, i)
	for setting, value := range map[string]string{"forwarding": "1", "rp_filter": "0"} {
		n.Settings["ipv4/conf/"+l.Name+"/"+setting] = value
	}
	for _, a := range l.Addresses {
		a.Interface = index
		if l.Loopback {
			a.Scope = scopeHost
		}
		n.Addresses = append(n.Addresses, a)
		if a.Prefix.Addr().Is4() {
			n.connect4(i, a)
		} else {
			n.connect6(i, a)
		}
	}
	if !l.Loopback {
		n.Routes = append(n.Routes, Route{Destination: netip.MustParsePrefix("ff00::/8"), Table: tableLocal, Type: RouteMulticast, Metric: 256, Interface: index})
	}
}

// connect4 adds the routes that come with an IPv4 address.
func (n *Network) connect4(i Interface, a Address) {
	own := a.Prefix.Addr()
	add := func(kind RouteType, table uint32, scope uint8, to netip.Prefix) {
		n.Routes = append(n.Routes, Route{Destination: to, Table: table, Type: kind, Scope: scope, Interface: i.Index, PreferredSource: own})
	}
	add(RouteLocal, tableLocal, scopeHost, host(own))
	network := a.Prefix.Masked()
	if a.Peer.IsValid() {
		network = host(a.Peer)
	}
	if i.Loopback() {
		add(RouteLocal, tableLocal, scopeHost, network)
	} else if network != host(own) {
		add(RouteUnicast, tableMain, scopeLink, network)
	}
	if network.Bits() < 31 {
		add(RouteBroadcast, tableLocal, scopeLink, host(lastAddress(network)))
	}
	if a.Broadcast.IsValid() && a.Broadcast != lastAddress(network) {
		add(RouteBroadcast, tableLocal, scopeLink, host(a.Broadcast))
	}
}

// connect6 adds the routes that come with an IPv6 address.
func (n *Network) connect6(i Interface, a Address) {
	own := a.Prefix.Addr()
	n.Routes = append(n.Routes, Route{Destination: host(own), Table: tableLocal, Type: RouteLocal, Interface: i.Index})
	network := a.Prefix.Masked()
	if a.Peer.IsValid() {
		network = host(a.Peer)
	}
	if i.Loopback() && network == host(own) {
		return
	}
	n.Routes = append(n.Routes, Route{Destination: network, Table: tableMain, Type: RouteUnicast, Metric: 256, Interface: i.Index})
	if network.Bits() < 127 && !i.Loopback() { // the routers' anycast address, which forwarding brings along
		n.Routes = append(n.Routes, Route{Destination: host(network.Addr()), Table: tableLocal, Type: RouteAnycast, Interface: i.Index})
	}
}

func (n *Network) assumeDefaultRoutes() {
	for _, everything := range []string{"0.0.0.0/0", "::/0"} {
		to := netip.MustParsePrefix(everything)
		for _, a := range n.Addresses {
			if a.Prefix.Addr().Is4() != to.Addr().Is4() || n.Interfaces[a.Interface-1].Loopback() {
				continue
			}
			r := Route{Destination: to, Table: tableMain, Type: RouteUnicast, Interface: a.Interface, Metric: 1024}
			if to.Addr().Is4() {
				r.Scope = scopeLink
			}
			n.Routes = append(n.Routes, r)
			break
		}
	}
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// lastAddress is the one with all bits behind the prefix set.
func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
