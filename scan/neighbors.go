package scan

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Link is platform.Link.
type Link interface {
	Send(to [6]byte, packet []byte) (bool, error)
	Receive(wait time.Duration, heard func(from [6]byte, packet []byte)) error
	Close() error
}

// etherType is that of ARP, or of IPv6, which NDP is part of.
func etherType(six bool) uint16 {
	if six {
		return 0x86dd
	}
	return 0x0806
}

// neighborLook asks who has an address, by ARP or NDP.
func neighborLook(link Link, i Interface) look {
	return look{
		send: func(to netip.Addr) (bool, error) {
			from, ok := i.towards(to)
			if !ok {
				return false, fmt.Errorf("%s has no address in the network of %s", i.Name, to)
			}
			if to.Is4() {
				return link.Send([6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, arpRequest(i.Hardware, from, to))
			}
			group := solicitedNode(to)
			last := group.As16()
			return link.Send([6]byte{0x33, 0x33, last[12], last[13], last[14], last[15]}, neighborSolicitation(i.Hardware, from, group, to))
		},
		receive: func(wait time.Duration, heard func(netip.Addr, string)) error {
			return link.Receive(wait, func(from [6]byte, packet []byte) {
				if a, hardware, ok := parseNeighbor(from, packet); ok {
					heard(a, hardwareText(hardware))
				}
			})
		},
	}
}

// towards is the interface's own address in the network of another one.
func (i Interface) towards(to netip.Addr) (netip.Addr, bool) {
	for _, p := range i.Prefixes {
		if p.Masked().Contains(to.WithZone("")) {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// neighborHeard passes on those who were asked for.
func neighborHeard(asked []netip.Addr, heard func(netip.Addr, string)) func(netip.Addr, string) bool {
	wanted := map[netip.Addr]netip.Addr{}
	for _, a := range asked {
		wanted[a.WithZone("")] = a
	}
	return func(from netip.Addr, hardware string) bool {
		a, ok := wanted[from]
		if ok {
			heard(a, hardware)
		}
		return ok
	}
}

// arpRequest is RFC 826's, for Ethernet and IPv4.
func arpRequest(hardware [6]byte, from, to netip.Addr) []byte {
	b := make([]byte, 28)
	copy(b, []byte{0, 1, 8, 0, 6, 4, 0, 1})
	copy(b[8:], hardware[:])
	copy(b[14:], from.AsSlice())
	copy(b[24:], to.AsSlice())
	return b
}

// solicitedNode is the group that a host with an address listens to (RFC 4291, 2.7.1).
func solicitedNode(a netip.Addr) netip.Addr {
	b := [16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff}
	of := a.As16()
	copy(b[13:], of[13:])
	return netip.AddrFrom16(b)
}

const (
	neighborSolicit   = 135
	neighborAdvertise = 136
)

// neighborSolicitation is RFC 4861's (4.3), with the asker's link address.
func neighborSolicitation(hardware [6]byte, from, group, to netip.Addr) []byte {
	b := make([]byte, ipv6Header+32)
	putIPv6(b, from, group, protocolICMPv6, 255, 32)
	m := b[ipv6Header:]
	m[0] = neighborSolicit
	copy(m[8:], to.AsSlice())
	m[24], m[25] = 1, 1 // source link-layer address, 8 bytes
	copy(m[26:], hardware[:])
	binary.BigEndian.PutUint16(m[2:], checksum(m, pseudoSum(from, group, protocolICMPv6, len(m))))
	return b
}

// parseNeighbor reads an ARP reply or a neighbour advertisement (RFC 4861, 4.4): who
// has which link address.
func parseNeighbor(from [6]byte, b []byte) (a netip.Addr, hardware [6]byte, ok bool) {
	if len(b) >= 28 && binary.BigEndian.Uint64(b) == 0x0001_0800_0604_0002 {
		return netip.AddrFrom4([4]byte(b[14:18])), [6]byte(b[8:14]), true
	}
	if len(b) < ipv6Header+24 || b[0]>>4 != 6 || b[6] != protocolICMPv6 || b[7] != 255 || b[ipv6Header] != neighborAdvertise {
		return netip.Addr{}, hardware, false
	}
	m := b[ipv6Header:]
	if len(m) >= 32 && m[24] == 2 && m[25] == 1 {
		from = [6]byte(m[26:32])
	}
	return netip.AddrFrom16([16]byte(m[8:24])), from, true
}

func hardwareText(b [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}
