package correlate

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// A target is one way to a socket: an interface that packets come in by and the
// address that they are sent to.
type target struct {
	iface string
	addr  netip.Addr
	// unsure says that the kernel didn't tell whether the socket takes packets of
	// this family (an IPv6 socket whose IPV6_V6ONLY is not known).
	unsure bool
	// group says that the address is a multicast group or broadcast address: it
	// counts only for what it opens beyond the host's own addresses.
	group bool
}

func (t target) family() int {
	if t.addr.Is4() {
		return 4
	}
	return 6
}

// targets are the ways to a socket from outside the host, sorted.
func targets(l listeners.Listener, n *firewall.Network) []target {
	var out []target
	addrs, zone := destinations(l, n)
	for _, iface := range ingress(n) {
		if l.Device != "" && l.Device != iface.Name && l.Device != masterName(n, iface) {
			continue
		}
		for _, a := range addrs {
			if zone != "" && zone != iface.Name || a.IsLinkLocalUnicast() && a.Is6() && !hasAddress(n, iface.Index, a) {
				continue
			}
			unsure := l.Family == 6 && a.Is4() && l.Address.IsUnspecified() && !l.V6OnlyKnown
			out = append(out, target{iface: iface.Name, addr: a, unsure: unsure})
		}
	}
	slices.SortFunc(out, compareTargets)
	return slices.Compact(out)
}

// destinations are the addresses that reach a socket, and the zone that a scoped address has.
func destinations(l listeners.Listener, n *firewall.Network) ([]netip.Addr, string) {
	a := l.Address.Unmap()
	if !a.IsValid() {
		return nil, ""
	}
	if !a.IsUnspecified() {
		return []netip.Addr{a.WithZone("")}, a.Zone()
	}
	var out []netip.Addr
	for _, own := range n.Addresses {
		address := own.Prefix.Addr().WithZone("").Unmap()
		if address.IsLoopback() || own.Flags&dadFailed != 0 {
			continue
		}
		if address.Is4() && (l.Family == 4 || l.DualStack()) || address.Is6() && l.Family == 6 {
			out = append(out, address)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out), ""
}

// dadFailed is IFA_F_DADFAILED (include/uapi/linux/if_addr.h): somebody else has the address.
const dadFailed = 8

// ingress are the interfaces that packets come in by from outside, by name. A
// port of a bridge, bond or switch hands its packets to its master.
func ingress(n *firewall.Network) []firewall.Interface {
	var out []firewall.Interface
	for _, i := range n.Interfaces {
		if i.Up() && !i.Loopback() && !handsOver(n, i) {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b firewall.Interface) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Ingress are the names of the interfaces that packets come in by from outside.
func Ingress(n *firewall.Network) []string {
	var out []string
	for _, i := range ingress(n) {
		out = append(out, i.Name)
	}
	return out
}

func handsOver(n *firewall.Network, i firewall.Interface) bool {
	switch master(n, i).Kind {
	case "bridge", "bond", "team", "openvswitch":
		return true
	}
	return false
}

func master(n *firewall.Network, i firewall.Interface) firewall.Interface {
	if i.Master == 0 {
		return firewall.Interface{}
	}
	for _, m := range n.Interfaces {
		if m.Index == i.Master {
			return m
		}
	}
	return firewall.Interface{}
}

// masterName is the name of the VRF that an interface belongs to: a socket bound
// to a VRF device takes what comes in by its members.
func masterName(n *firewall.Network, i firewall.Interface) string {
	if m := master(n, i); m.Kind == "vrf" {
		return m.Name
	}
	return ""
}

func hasAddress(n *firewall.Network, index int, a netip.Addr) bool {
	return slices.ContainsFunc(n.Addresses, func(own firewall.Address) bool {
		return own.Interface == index && own.Prefix.Addr().WithZone("") == a
	})
}

func compareTargets(a, b target) int {
	if c := strings.Compare(a.iface, b.iface); c != 0 {
		return c
	}
	if a.family() != b.family() {
		return a.family() - b.family()
	}
	if c := a.addr.Compare(b.addr); c != 0 {
		return c
	}
	switch {
	case a.unsure == b.unsure:
		return 0
	case b.unsure:
		return -1
	}
	return 1
}
