package listeners_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/platform"
)

// A second witness: vishvananda/netlink, which shares no line with us. It asks for
// all states, and doesn't tell v6only, the mark or the cgroup, which is why
// sockets are not read with it.
func witnessed(t *testing.T, ns *kerneltest.Namespace) []*netlink.Socket {
	t.Helper()
	at, err := netns.GetFromPath(ns.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	handle, err := netlink.NewHandleAt(at, unix.NETLINK_INET_DIAG)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	var all []*netlink.Socket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for _, list := range []func(uint8) ([]*netlink.Socket, error){handle.SocketDiagTCP, handle.SocketDiagUDP} {
			sockets, err := list(family)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, sockets...)
		}
	}
	return all
}

func TestSocketsAreTheSecondWitnesses(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	const in4, in6, tcp, udp = unix.AF_INET, unix.AF_INET6, unix.SOCK_STREAM, unix.SOCK_DGRAM
	reuse := [][3]int{{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1}}
	for _, b := range []bound{
		{family: in4, kind: tcp, at: "0.0.0.0:22", listen: true},
		{family: in4, kind: tcp, at: "203.0.113.7:80", device: "eth0", listen: true},
		{family: in4, kind: tcp, at: "0.0.0.0:8080", options: reuse, listen: true},
		{family: in4, kind: tcp, at: "0.0.0.0:8080", options: reuse, listen: true},
		{family: in6, kind: tcp, at: "[::]:443", listen: true},
		{family: in6, kind: tcp, at: "[2001:db8::7]:444", listen: true},
		{family: in6, kind: tcp, at: "[::ffff:203.0.113.7]:445", listen: true},
		{family: in4, kind: tcp, connect: "203.0.113.7:22"}, // no listener
		{family: in4, kind: udp, at: "0.0.0.0:53"},
		{family: in6, kind: udp, at: "[::]:5353"},
		{family: in4, kind: udp, connect: "203.0.113.7:53"},
		{family: in6, kind: udp, connect: "[2001:db8::7]:5353"},
	} {
		open(t, ns, b)
	}
	line := func(protocol string, family int, state uint8, local, remote netip.AddrPort, device, uid uint32, inode uint64) string {
		return fmt.Sprintln(protocol, family, state, local, remote, device, uid, inode)
	}
	states := map[string]uint8{"established": 1, "unconnected": 7, "listen": 10}
	var got, want []string
	rows, _ := listeners.Read(platform.LiveIn(ns.Path()))
	for _, l := range rows {
		for _, inode := range l.Inodes {
			got = append(got, line(l.Protocol, l.Family, states[l.State], netip.AddrPortFrom(l.Address, l.Port), l.Remote, l.DeviceIndex, l.UID, inode))
		}
	}
	udpPorts := []uint16{53, 5353}
	for _, s := range witnessed(t, ns) {
		local, remote := netip.AddrPortFrom(inFamily(s.Family, s.ID.Source), s.ID.SourcePort), netip.AddrPort{}
		protocol := "udp"
		switch {
		case s.State == 10:
			protocol = "tcp"
		case s.State == 1 && slices.Contains(udpPorts, s.ID.DestinationPort):
			remote = netip.AddrPortFrom(inFamily(s.Family, s.ID.Destination), s.ID.DestinationPort)
		case s.State != 7:
			continue // a connection of TCP
		}
		want = append(want, line(protocol, map[uint8]int{in4: 4, in6: 6}[s.Family], s.State, local, remote, s.ID.Interface, s.UID, uint64(s.INode)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(got) != 11 {
		t.Errorf("%d sockets\n%v\nthe witness has %d\n%v", len(got), got, len(want), want)
	}
}

// inFamily is an address as the socket's family has it: net.IP doesn't tell
// ::ffff:192.0.2.1 from 192.0.2.1.
func inFamily(family uint8, ip net.IP) netip.Addr {
	address, _ := netip.AddrFromSlice(ip)
	if family == unix.AF_INET6 {
		return netip.AddrFrom16(address.As16())
	}
	return address.Unmap()
}
