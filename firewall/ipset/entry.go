package ipset

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
)

// entry reads a member as ipset(8) writes it, its parts with commas between
// them. A range of addresses in a set of networks is several members.
func (found *set) entry(text string) ([]member, error) {
	if found.Type == "list:set" {
		return []member{{name: text}}, nil
	}
	parts := found.parts()
	words := strings.Split(text, ",")
	optional := found.Type == "bitmap:ip,mac" && len(words) == 1
	if len(words) != len(parts) && !optional {
		return nil, fmt.Errorf("%s has %d parts", found.Type, len(parts))
	}
	var m member
	var networks []netip.Prefix
	second := false
	for i, word := range words {
		var err error
		switch parts[i] {
		case "ip", "net":
			if second {
				err = found.secondAddress(&m, word)
			} else {
				networks, err = found.firstAddress(&m, word, parts[i] == "net")
			}
			second = true
		case "port":
			err = m.ports(word, found.Type == "bitmap:port")
		case "mac":
			m.ether, err = net.ParseMAC(word)
		case "mark":
			var n uint64
			n, err = strconv.ParseUint(word, 0, 32)
			m.mark = uint32(n)
		case "iface":
			m.device(word)
		}
		if err != nil {
			return nil, err
		}
	}
	if networks == nil {
		return []member{m}, nil
	}
	list := make([]member, len(networks))
	for i, n := range networks {
		list[i] = m
		list[i].ip, list[i].cidr, list[i].hasCIDR = n.Addr().AsSlice(), uint8(n.Bits()), true
	}
	return list, nil
}

// firstAddress reads an address, a network or a range.
func (found *set) firstAddress(m *member, word string, net bool) ([]netip.Prefix, error) {
	low, high, ranged := strings.Cut(strings.Trim(word, "[]"), "-")
	if !ranged {
		return nil, found.network(word, &m.ip, &m.cidr, &m.hasCIDR)
	}
	from, err := found.address(low)
	if err != nil {
		return nil, err
	}
	to, err := found.address(high)
	if err != nil {
		return nil, err
	}
	if to.Less(from) {
		return nil, errors.New("the range ends before it starts")
	}
	if !net {
		m.ip, m.ipTo = from.AsSlice(), to.AsSlice()
		return nil, nil
	}
	if from.Is6() {
		return nil, errors.New("ipset has no ranges of IPv6 networks")
	}
	return cover(from, to), nil
}

func (found *set) secondAddress(m *member, word string) error {
	return found.network(word, &m.ip2, &m.cidr2, &m.hasCIDR2)
}

func (found *set) network(word string, ip *[]byte, length *uint8, hasLength *bool) error {
	host, suffix, hasSuffix := strings.Cut(word, "/")
	a, err := found.address(strings.Trim(host, "[]"))
	if err != nil {
		return err
	}
	*ip = a.AsSlice()
	if !hasSuffix {
		return nil
	}
	n, err := strconv.ParseUint(suffix, 10, 8)
	if err != nil || int(n) > a.BitLen() {
		return fmt.Errorf("%q is no length of a network", suffix)
	}
	*length, *hasLength = uint8(n), true
	return nil
}

func (found *set) address(word string) (netip.Addr, error) {
	a, err := netip.ParseAddr(word)
	if err != nil {
		return a, fmt.Errorf("%q is no address", word)
	}
	if a.Is6() != (found.Family == firewall.FamilyIPv6) {
		return a, fmt.Errorf("%s is of the other family than the set", a)
	}
	return a, nil
}

// cover is the fewest networks that a range of IPv4 addresses comes to.
func cover(from, to netip.Addr) []netip.Prefix {
	var list []netip.Prefix
	for low, high := uint64(word(from)), uint64(word(to)); low <= high; {
		size := bits.TrailingZeros64(low | 1<<32)
		for low+1<<size-1 > high {
			size--
		}
		a := netip.AddrFrom4([4]byte{byte(low >> 24), byte(low >> 16), byte(low >> 8), byte(low)})
		list = append(list, netip.PrefixFrom(a, 32-size))
		low += 1 << size
	}
	return list
}

func word(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// ports reads "80", "tcp:80-90", "udp:domain" or "icmp:8/0": of ICMP, type and
// code stand in the port's place. Without a protocol it is TCP.
func (m *member) ports(word string, bare bool) error {
	m.protocol = 6
	if protocol, rest, found := strings.Cut(word, ":"); found {
		number, ok := xt.Protocol(protocol)
		if !ok {
			return fmt.Errorf("%q is no protocol", protocol)
		}
		m.protocol, word = number, rest
	}
	if bare {
		m.protocol = 0
	}
	if m.protocol == 1 || m.protocol == 58 {
		kind, ok := xt.ICMPType(word, m.protocol == 58)
		if !ok {
			return fmt.Errorf("%q is no ICMP type", word)
		}
		m.port, m.portTo = kind, kind
		return nil
	}
	low, high, ranged := strings.Cut(word, "-")
	from, ok1 := xt.Port(low)
	to, ok2 := from, true
	if ranged {
		to, ok2 = xt.Port(high)
	}
	if !ok1 || !ok2 || from > to {
		return fmt.Errorf("%q is no port and no range of ports", word)
	}
	m.port, m.portTo = from, to
	return nil
}

// device reads "eth0" or "physdev:eth0".
func (m *member) device(word string) {
	if rest, found := strings.CutPrefix(word, "physdev:"); found {
		m.flags |= flagPhysdev
		word = rest
	}
	m.iface = word
}
