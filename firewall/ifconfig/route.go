package ifconfig

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// mainTable is the number that the model gives the routing table that all packets
// are looked up in.
const mainTable = 254

// parseRoutes reads "netstat -rn". Columns between the flags and the interface differ
// from system to system; the header names them. bad counts lines that are not
// understood.
func parseRoutes(n *firewall.Network, text []byte) (bad int) {
	four, column := true, -1
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "Routing":
		case words[0] == "Internet:" || words[0] == "Internet6:":
			four, column = words[0] == "Internet:", -1
		case words[0] == "Destination":
			column = slices.IndexFunc(words, func(word string) bool { return word == "Netif" || word == "Iface" })
		case column < 3:
			// another family's table, or none at all
			if len(words) == 1 {
				column = -1
			}
		case len(words) <= column:
			bad++
		default:
			r, ok := parseRoute(words, four)
			if !ok {
				bad++
				continue
			}
			for _, link := range n.Interfaces {
				if link.Name == words[column] {
					r.Interface = link.Index
				}
			}
			n.Routes = append(n.Routes, r)
		}
	}
	return bad
}

// parseRoute reads "Destination Gateway Flags …".
func parseRoute(words []string, four bool) (r firewall.Route, ok bool) {
	flags := words[2]
	r = firewall.Route{Table: mainTable, Type: firewall.RouteUnicast}
	if r.Destination, ok = destination(words[0], four, strings.Contains(flags, "H")); !ok {
		return r, false
	}
	switch {
	case strings.Contains(flags, "B"):
		r.Type = firewall.RouteBlackhole
	case strings.Contains(flags, "R"):
		r.Type = firewall.RouteUnreachable
	}
	if strings.Contains(flags, "G") {
		gateway, _, _ := strings.Cut(words[1], "%")
		r.Gateway, _ = netip.ParseAddr(gateway) // else another link's number
	}
	return r, true
}

// destination reads "default", 192.0.2.0/24, 2001:db8::/32, fe80::%em0/64, and
// IPv4 networks whose last octets are left out: 10/8, and 192.168.1 for its class's
// mask (netstat's netname).
func destination(text string, four, host bool) (netip.Prefix, bool) {
	if text == "default" {
		if four {
			return netip.PrefixFrom(netip.IPv4Unspecified(), 0), true
		}
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0), true
	}
	address, mask, masked := strings.Cut(text, "/")
	address, _, _ = strings.Cut(address, "%")
	length := -1
	if masked {
		var err error
		if length, err = strconv.Atoi(mask); err != nil {
			return netip.Prefix{}, false
		}
	}
	if four {
		octets := strings.Count(address, ".") + 1
		if octets > 4 {
			return netip.Prefix{}, false
		}
		address += strings.Repeat(".0", 4-octets)
		if !masked && !host && octets < 4 {
			length = 8 * octets
		}
	}
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() != four {
		return netip.Prefix{}, false
	}
	if length < 0 {
		length = a.BitLen()
	}
	p := netip.PrefixFrom(a, length)
	return p.Masked(), p.IsValid()
}
