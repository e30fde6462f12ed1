package correlate

import (
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// groupTargets are the multicast groups and broadcast addresses by which a UDP
// socket that is bound to all addresses gets packets: those that a link has
// joined, whoever joined them (IP_MULTICAST_ALL, ip(7)), and its broadcast
// addresses.
func groupTargets(l listeners.Listener, n *firewall.Network) []target {
	if l.Transport() == "tcp" || !l.Address.IsUnspecified() {
		return nil
	}
	var out []target
	for _, iface := range ingress(n) {
		if l.Device != "" && l.Device != iface.Name && l.Device != masterName(n, iface) {
			continue
		}
		for _, a := range groupAddresses(n, iface) {
			if a.Is4() && (l.Family == 4 || l.DualStack() && a != allHosts) || a.Is6() && l.Family == 6 {
				out = append(out, target{iface: iface.Name, addr: a, group: true})
			}
		}
	}
	return out
}

// allHosts is the group that every link is in by itself. An IPv6 socket gets IPv4
// multicasts of groups that it has joined only (net/ipv6/af_inet6.c leaves
// IP_MULTICAST_ALL off); of other groups it can't be told who has joined.
var allHosts = netip.AddrFrom4([4]byte{224, 0, 0, 1})

func groupAddresses(n *firewall.Network, iface firewall.Interface) []netip.Addr {
	var out []netip.Addr
	for _, g := range n.Groups {
		if g.Interface == iface.Index {
			out = append(out, g.Address)
		}
	}
	for _, r := range n.Routes {
		if r.Type == firewall.RouteBroadcast && r.Interface == iface.Index {
			out = append(out, r.Destination.Addr())
		}
	}
	if len(n.Addresses) > 0 {
		out = append(out, netip.AddrFrom4([4]byte{255, 255, 255, 255}))
	}
	return out
}

// opensMore says that a partition lets some source through that none of the
// others does.
func opensMore(parts []firewall.Part, others [][]firewall.Part) bool {
	for _, p := range parts {
		if reaches(p) == never {
			continue
		}
		if len(p.Sources.Prefixes) == 0 {
			return true
		}
		for _, prefix := range p.Sources.Prefixes {
			if !slices.ContainsFunc(others, func(o []firewall.Part) bool { return letsThrough(o, prefix) }) {
				return true
			}
		}
	}
	return false
}

func letsThrough(parts []firewall.Part, prefix netip.Prefix) bool {
	for _, p := range parts {
		if reaches(p) == surely && slices.ContainsFunc(p.Sources.Prefixes, func(x netip.Prefix) bool {
			return x.Bits() <= prefix.Bits() && x.Contains(prefix.Addr())
		}) {
			return true
		}
	}
	return false
}
