package pf

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// Interface flags that the table of interfaces names: IFF_UP, IFF_BROADCAST,
// IFF_LOOPBACK, IFF_POINTOPOINT, the same numbers on all systems.
const flagUp, flagLoopback = 1, 8

// ReadInterfaces reads a table of interfaces as the corpora have it; the command has
// its own reader.
func ReadInterfaces(name string, text []byte) (*firewall.Network, error) {
	n := &firewall.Network{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if err := interfaceLine(n, fields); err != nil {
			return nil, &Error{File: name, Line: number, Reason: err.Error()}
		}
	}
	return n, nil
}

func interfaceLine(n *firewall.Network, fields []string) error {
	switch {
	case fields[0] == "if" && len(fields) >= 2 && len(fields) <= 4:
		flags, groups := "", ""
		for _, field := range fields[2:] {
			if strings.Trim(field, "LBP-") == "" && flags == "" {
				flags = field
			} else {
				groups = field
			}
		}
		return addInterface(n, fields[1], flags, groups)
	case fields[0] == "addr" && len(fields) >= 2 && len(fields) <= 3 && len(n.Interfaces) > 0:
		other := ""
		if len(fields) == 3 {
			other = fields[2]
		}
		return addAddress(n, fields[1], other)
	case fields[0] == "addr" && len(n.Interfaces) == 0:
		return fmt.Errorf("an address before the first interface")
	}
	return fmt.Errorf(`"if NAME FLAGS GROUP,…" or "addr PREFIX [BROADCAST|PEER]" expected, not %.80q`, strings.Join(fields, " "))
}

func addInterface(n *firewall.Network, name, flags, groups string) error {
	link := firewall.Interface{Index: len(n.Interfaces) + 1, Name: name, Flags: flagUp, Type: 1}
	for _, letter := range flags {
		switch letter {
		case 'L':
			link.Flags |= flagLoopback
		case 'B':
			link.Flags |= flagBroadcast
		case 'P':
			link.Flags |= flagPointToPoint
		}
	}
	for group := range strings.SplitSeq(groups, ",") {
		if group != "" && group != "-" {
			link.GroupNames = append(link.GroupNames, group)
		}
	}
	for _, known := range n.Interfaces {
		if known.Name == name {
			return fmt.Errorf("interface %q stands here twice", name)
		}
	}
	n.Interfaces = append(n.Interfaces, link)
	return nil
}

func addAddress(n *firewall.Network, text, other string) error {
	link := n.Interfaces[len(n.Interfaces)-1]
	prefix, err := parsePrefix(text)
	if err != nil {
		return err
	}
	a := firewall.Address{Interface: link.Index, Prefix: prefix}
	if other != "" {
		end, err := netip.ParseAddr(other)
		if err != nil {
			return fmt.Errorf("%q is no address", other)
		}
		if link.Flags&flagPointToPoint != 0 {
			a.Peer = end
		} else {
			a.Broadcast = end
		}
	}
	n.Addresses = append(n.Addresses, a)
	return nil
}

// parsePrefix reads an address with or without a mask, and a zone.
func parsePrefix(text string) (netip.Prefix, error) {
	host, mask, masked := strings.Cut(text, "/")
	host, _, _ = strings.Cut(host, "%")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no address", text)
	}
	if !masked {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(host + "/" + mask)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no address with a mask", text)
	}
	return prefix, nil
}
