package pf

import (
	"net/netip"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// links answers what a name of an interface or group stands for.
type links struct {
	network *firewall.Network
	dialect Dialect
	members map[string][]*firewall.Interface
}

func newLinks(n *firewall.Network, d Dialect) *links {
	l := &links{network: n, dialect: d, members: make(map[string][]*firewall.Interface)}
	if n == nil {
		return l
	}
	for i := range n.Interfaces {
		link := &n.Interfaces[i]
		l.members[link.Name] = append(l.members[link.Name], link)
		if !d.groups() {
			continue
		}
		for _, g := range link.GroupNames {
			if g != link.Name {
				l.members[g] = append(l.members[g], link)
			}
		}
	}
	return l
}

// of are the interfaces that a name stands for, itself or a group's members.
// "self" is all of them.
func (l *links) of(name string) []*firewall.Interface {
	if name == "self" && l.network != nil {
		var all []*firewall.Interface
		for i := range l.network.Interfaces {
			all = append(all, &l.network.Interfaces[i])
		}
		return all
	}
	return l.members[name]
}

// modifiers are what may stand behind an interface's name (PFI_AFLAG_*).
type modifiers struct{ network, broadcast, peer, noAlias bool }

// splitModifiers cuts ":network", ":0" and the like off a name; false where a
// modifier is not known or two exclude each other.
func splitModifiers(name string) (base string, m modifiers, ok bool) {
	parts := strings.Split(name, ":")
	for _, part := range parts[1:] {
		switch part {
		case "network":
			m.network = true
		case "broadcast":
			m.broadcast = true
		case "peer":
			m.peer = true
		case "0":
			m.noAlias = true
		default:
			return "", m, false
		}
	}
	kinds := 0
	for _, b := range []bool{m.network, m.broadcast, m.peer} {
		if b {
			kinds++
		}
	}
	return parts[0], m, kinds <= 1
}

const (
	flagBroadcast    = 2
	flagPointToPoint = 16
)

// A linkAddress is an address, or network, that an interface's name stands for.
type linkAddress struct {
	prefix netip.Prefix
	// zone is the interface, of link-local addresses.
	zone string
}

// addresses are what an interface or group with modifiers stands for, in the
// order of the interface's own addresses (ifa_lookup of pfctl_parser.c).
func (l *links) addresses(name string, m modifiers) []linkAddress {
	var out []linkAddress
	for _, link := range l.of(name) {
		got4, got6 := false, false
		for _, a := range l.network.Addresses {
			if a.Interface != link.Index {
				continue
			}
			addr := a.Prefix.Addr().WithZone("")
			local := addr.Is6() && addr.IsLinkLocalUnicast()
			if local && (m.network || m.broadcast || m.peer || m.noAlias) {
				continue
			}
			if m.noAlias && (addr.Is4() && got4 || addr.Is6() && got6) {
				continue
			}
			prefix, ok := modified(link, a, m)
			if !ok {
				continue
			}
			got4, got6 = got4 || addr.Is4(), got6 || addr.Is6()
			found := linkAddress{prefix: prefix}
			if local {
				found.zone = link.Name
			}
			out = append(out, found)
		}
	}
	return out
}

func modified(link *firewall.Interface, a firewall.Address, m modifiers) (netip.Prefix, bool) {
	addr := a.Prefix.Addr().WithZone("")
	switch {
	case m.network:
		return netip.PrefixFrom(addr, a.Prefix.Bits()).Masked(), true
	case m.broadcast:
		if link.Flags&flagBroadcast == 0 || !addr.Is4() || !a.Broadcast.Is4() {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(a.Broadcast, 32), true
	case m.peer:
		if link.Flags&flagPointToPoint == 0 || !a.Peer.IsValid() {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(a.Peer, a.Peer.BitLen()), true
	}
	return netip.PrefixFrom(addr, addr.BitLen()), true
}
