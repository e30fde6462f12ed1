package ifconfig

import (
	"net/netip"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
)

// addBroadcasts gives every network's broadcast address a route, as the kernel of
// Linux has it: sockets that are bound to all addresses take what is sent there.
func addBroadcasts(n *firewall.Network) {
	for _, a := range n.Addresses {
		if a.Broadcast.Is4() && a.Broadcast != a.Prefix.Addr() {
			n.Routes = append(n.Routes, firewall.Route{
				Destination: netip.PrefixFrom(a.Broadcast, 32), Table: mainTable, Type: firewall.RouteBroadcast, Interface: a.Interface,
			})
		}
	}
}

// Groups that every link is in by itself (RFC 1112 section 4, RFC 4291 section 2.8).
var allNodes = []netip.Addr{netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("ff02::1")}

// readGroups reads the multicast groups of the links. OpenBSD has no program that
// shows them.
func readGroups(host Host, n *firewall.Network) []gaps.Gap {
	for _, link := range n.Interfaces {
		for _, group := range allNodes {
			addGroup(n, link.Name, group)
		}
	}
	command := map[string][]string{"darwin": {"netstat", "-gn"}, "freebsd": {"ifmcstat"}}[host.OS()]
	if command == nil {
		return nil
	}
	text, err := host.Output(command...)
	if err != nil {
		return []gaps.Gap{{Source: command[0], Reason: "multicast groups could not be read: ways in by them may be missing", Err: err}}
	}
	parseGroups(n, text)
	return nil
}

// parseGroups reads what ifmcstat(8) of FreeBSD prints: the link's name and a colon,
// and indented below it "group 224.0.0.251 mode exclude"; or netstat -gn of macOS:
// "224.0.0.251  1:0:5e:0:0:fb  en0".
func parseGroups(n *firewall.Network, text []byte) {
	link := ""
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && line[0] != '\t' && line[0] != ' ' && strings.HasSuffix(words[0], ":"):
			link = strings.TrimSuffix(words[0], ":")
		case len(words) >= 2 && words[0] == "group":
			addGroup(n, link, parseGroup(words[1]))
		case len(words) == 3:
			addGroup(n, words[2], parseGroup(words[0]))
		}
	}
}

// parseGroup is invalid for what is no group of IP.
func parseGroup(text string) netip.Addr {
	address, _, _ := strings.Cut(text, "%")
	group, err := netip.ParseAddr(address)
	if err != nil || !group.IsMulticast() {
		return netip.Addr{}
	}
	return group
}

func addGroup(n *firewall.Network, name string, group netip.Addr) {
	if !group.IsValid() {
		return
	}
	for _, link := range n.Interfaces {
		if link.Name != name {
			continue
		}
		for _, known := range n.Groups {
			if known.Interface == link.Index && known.Address == group {
				return
			}
		}
		n.Groups = append(n.Groups, firewall.Group{Interface: link.Index, Address: group})
	}
}
