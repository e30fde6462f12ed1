package platform

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// fromSockaddr is the zero value for what is no Internet address.
func fromSockaddr(s unix.Sockaddr) netip.AddrPort {
	switch s := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port))
	case *unix.SockaddrInet6:
		a := netip.AddrFrom16(s.Addr)
		if s.ZoneId != 0 && a.IsLinkLocalUnicast() {
			if i, err := net.InterfaceByIndex(int(s.ZoneId)); err == nil {
				a = a.WithZone(i.Name)
			}
		}
		return netip.AddrPortFrom(a, uint16(s.Port))
	}
	return netip.AddrPort{}
}

func toSockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	s := &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	if zone := a.Addr().Zone(); zone != "" {
		s.ZoneId = zoneIndex(zone)
	}
	return s
}

// zoneIndex is 0 for an interface that there isn't.
func zoneIndex(zone string) uint32 {
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

func addressFamily(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// SourceTowards is the own address from which packets to another one would come: a
// connected datagram socket has it, and sends nothing (ip(7)).
func SourceTowards(to netip.Addr) (netip.Addr, error) {
	fd, err := unix.Socket(addressFamily(to), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, toSockaddr(netip.AddrPortFrom(to, 9))); err != nil {
		return netip.Addr{}, fmt.Errorf("no route to %s: %w", to, err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("getsockname: %w", err)
	}
	return fromSockaddr(name).Addr().WithZone(""), nil
}
