package rtnetlink_test

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/kerneltest"
)

// A second witness beside ip(8): vishvananda/netlink, which shares no line with us
// or with iproute2. What it leaves out of a message (a rule's action, the source
// that an IPv6 route is for) stays out of the comparison.
func witness(t *testing.T, ns *kerneltest.Namespace) *netlink.Handle {
	t.Helper()
	at, err := netns.GetFromPath(ns.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	handle, err := netlink.NewHandleAt(at, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handle.Close)
	return handle
}

// seen is a list that the witness gave. A torn one is taken again: it says so.
func seen[T any](t *testing.T, list func() ([]T, error)) []T {
	t.Helper()
	for attempt := 1; ; attempt++ {
		out, err := list()
		if err == nil {
			return out
		}
		if err != netlink.ErrDumpInterrupted || attempt == 5 {
			t.Fatal(err)
		}
	}
}

func equalToWitness(t *testing.T, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("we read, and the witness does not:\n %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("the witness reads, and we do not:\n %s", line)
		}
	}
	if len(got) != len(want) || len(want) < 3 {
		t.Errorf("%d read, the witness has %d", len(got), len(want))
	}
}

func TestLinksAreTheWitnesss(t *testing.T) {
	ns := newNamespace(t)
	var got, want []string
	for _, i := range readNamespace(t, ns).Interfaces {
		kind := cmp.Or(i.Kind, "device")
		got = append(got, fmt.Sprintln(i.Index, i.Name, kind, i.MTU, i.Flags, i.Group, i.Master, i.Parent, net.HardwareAddr(i.HardwareAddr)))
	}
	for _, l := range seen(t, witness(t, ns).LinkList) {
		a := l.Attrs()
		mac := a.HardwareAddr
		if a.Flags&net.FlagLoopback != 0 {
			mac = make([]byte, 6) // which the witness leaves out
		}
		parent := a.ParentIndex
		if l.Type() == "veth" {
			parent = 0 // its peer, which the packets don't come in by
		}
		kind := l.Type()
		if kind == "tuntap" { // its own word; the kernel's is "tun"
			kind = "tun"
		}
		want = append(want, fmt.Sprintln(a.Index, a.Name, kind, a.MTU, a.RawFlags, a.Group, a.MasterIndex, parent, mac))
	}
	equalToWitness(t, got, want)
}

func TestAddressesAreTheWitnesss(t *testing.T) {
	ns := newNamespace(t)
	var got, want []string
	for _, a := range readNamespace(t, ns).Addresses {
		got = append(got, fmt.Sprintln(a.Interface, a.Prefix, valid(a.Peer), valid(a.Broadcast), a.Scope, a.Flags))
	}
	for _, a := range seen(t, func() ([]netlink.Addr, error) { return witness(t, ns).AddrList(nil, netlink.FAMILY_ALL) }) {
		peer := ""
		if a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
			peer = a.Peer.IP.String()
		}
		want = append(want, fmt.Sprintln(a.LinkIndex, a.IPNet, peer, address(a.Broadcast), a.Scope, a.Flags))
	}
	equalToWitness(t, got, want)
}

func TestRoutesAreTheWitnesss(t *testing.T) {
	ns := newNamespace(t)
	var got, want []string
	for _, r := range readNamespace(t, ns).Routes {
		var hops []string
		for _, h := range r.Hops {
			hops = append(hops, fmt.Sprint(valid(h.Gateway), " ", h.Interface, " ", h.Flags))
		}
		got = append(got, fmt.Sprintln(r.Destination, r.Table, uint8(r.Type), r.Scope, r.TOS, r.Metric, valid(r.Gateway), r.Interface,
			valid(r.PreferredSource), r.Flags, hops))
	}
	everyTable := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		for _, r := range seen(t, func() ([]netlink.Route, error) {
			return witness(t, ns).RouteListFiltered(family, everyTable, netlink.RT_FILTER_TABLE)
		}) {
			var hops []string
			for _, h := range r.MultiPath {
				hops = append(hops, fmt.Sprint(gateway(h.Gw, h.Via), " ", h.LinkIndex, " ", h.Flags))
			}
			want = append(want, fmt.Sprintln(destination(r, family), r.Table, r.Type, uint8(r.Scope), r.Tos, r.Priority, gateway(r.Gw, r.Via), r.LinkIndex,
				address(r.Src), r.Flags, hops))
		}
	}
	equalToWitness(t, got, want)
}

func TestRoutingRulesAreTheWitnesss(t *testing.T) {
	ns := newNamespace(t)
	line := func(family, priority, table, action any, invert bool, source, destination, in, out string, tos uint, more ...any) string {
		return fmt.Sprintln(family, priority, table, action, invert, source, destination, in, out, tos, more)
	}
	var got, want []string
	for _, r := range readNamespace(t, ns).Rules {
		family := map[firewall.Family]int{firewall.FamilyIPv4: netlink.FAMILY_V4, firewall.FamilyIPv6: netlink.FAMILY_V6}[r.Family]
		got = append(got, line(family, r.Priority, r.Table, r.Goto, r.Invert, prefix(r.Source), prefix(r.Destination), r.InName, r.OutName, uint(r.TOS),
			r.Mark, r.MarkMask, r.Protocol, r.SourcePort, r.DestPort, r.HasUIDRange, r.UIDRange, r.SuppressPrefixLength, r.SuppressInterfaceGroup))
	}
	var rules []netlink.Rule
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} { // FAMILY_ALL has multicast routing's too
		rules = append(rules, seen(t, func() ([]netlink.Rule, error) { return witness(t, ns).RuleList(family) })...)
	}
	for _, r := range rules {
		mask, users := uint32(0), [2]uint32{}
		if r.Mask != nil {
			mask = *r.Mask
		}
		if r.UIDRange != nil {
			users = [2]uint32{r.UIDRange.Start, r.UIDRange.End}
		}
		want = append(want, line(r.Family, r.Priority, r.Table, max(r.Goto, 0), r.Invert, network(r.Src), network(r.Dst), r.IifName, r.OifName, r.Tos,
			r.Mark, mask, r.IPProto, ports(r.Sport), ports(r.Dport), r.UIDRange != nil, users, r.SuppressPrefixlen, r.SuppressIfgroup))
	}
	equalToWitness(t, got, want)
}

func valid(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func prefix(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func address(ip net.IP) string {
	if ip == nil {
		return ""
	}
	return ip.String()
}

func network(n *net.IPNet) string {
	if n == nil {
		return ""
	}
	return n.String()
}

func gateway(ip net.IP, via netlink.Destination) string {
	if v, ok := via.(*netlink.Via); ok {
		return v.Addr.String()
	}
	return address(ip)
}

// destination: of a default route the witness may have none.
func destination(r netlink.Route, family int) string {
	switch {
	case r.Dst != nil:
		return strings.TrimSpace(r.Dst.String())
	case family == netlink.FAMILY_V4:
		return "0.0.0.0/0"
	}
	return "::/0"
}

func ports(r *netlink.RulePortRange) [2]uint16 {
	if r == nil {
		return [2]uint16{}
	}
	return [2]uint16{r.Start, r.End}
}
