package rtnetlink_test

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

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

// equalToWitness compares what was read between two equal answers of the witness:
// a carrier, and with it flags and link-local addresses, come a while after a link.
func equalToWitness(t *testing.T, read, witness func() []string) {
	t.Helper()
	want := slices.Sorted(slices.Values(witness()))
	for range 20 {
		got := slices.Sorted(slices.Values(read()))
		before := want
		want = slices.Sorted(slices.Values(witness()))
		if !slices.Equal(before, want) {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("%d read\n%v\nthe witness has %d\n%v", len(got), got, len(want), want)
			}
		}
		if len(want) < 3 {
			t.Errorf("only %d compared", len(want))
		}
		return
	}
	t.Fatal("the namespace does not come to rest")
}

func TestLinksAreTheSecondWitnesses(t *testing.T) {
	ns := newNamespace(t)
	equalToWitness(t, func() []string { return linksRead(readNamespace(t, ns)) }, func() []string { return linksSeen(t, ns) })
}

func linksRead(n *firewall.Network) (got []string) {
	for _, i := range n.Interfaces {
		kind := cmp.Or(i.Kind, "device")
		got = append(got, fmt.Sprintln(i.Index, i.Name, kind, i.MTU, i.Flags, i.Group, i.Master, i.Parent, net.HardwareAddr(i.HardwareAddr)))
	}
	return got
}

func linksSeen(t *testing.T, ns *kerneltest.Namespace) (want []string) {
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
	return want
}

func TestAddressesAreTheSecondWitnesses(t *testing.T) {
	ns := newNamespace(t)
	equalToWitness(t, func() []string { return addressesRead(readNamespace(t, ns)) }, func() []string { return addressesSeen(t, ns) })
}

func addressesRead(n *firewall.Network) (got []string) {
	for _, a := range n.Addresses {
		got = append(got, fmt.Sprintln(a.Interface, a.Prefix, valid(a.Peer), valid(a.Broadcast), a.Scope, a.Flags))
	}
	return got
}

func addressesSeen(t *testing.T, ns *kerneltest.Namespace) (want []string) {
	for _, a := range seen(t, func() ([]netlink.Addr, error) { return witness(t, ns).AddrList(nil, netlink.FAMILY_ALL) }) {
		peer := ""
		if a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
			peer = a.Peer.IP.String()
		}
		want = append(want, fmt.Sprintln(a.LinkIndex, a.IPNet, peer, address(a.Broadcast), a.Scope, a.Flags))
	}
	return want
}

func TestRoutesAreTheSecondWitnesses(t *testing.T) {
	ns := newNamespace(t)
	equalToWitness(t, func() []string { return routesRead(readNamespace(t, ns)) }, func() []string { return routesSeen(t, ns) })
}

func routesRead(n *firewall.Network) (got []string) {
	for _, r := range n.Routes {
		var hops []string
		for _, h := range r.Hops {
			hops = append(hops, fmt.Sprint(valid(h.Gateway), " ", h.Interface, " ", h.Flags))
		}
		got = append(got, fmt.Sprintln(r.Destination, r.Table, uint8(r.Type), r.Scope, r.TOS, r.Metric, valid(r.Gateway), r.Interface,
			valid(r.PreferredSource), r.Flags, hops))
	}
	return got
}

func routesSeen(t *testing.T, ns *kerneltest.Namespace) (want []string) {
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
	return want
}

func TestRoutingRulesAreTheSecondWitnesses(t *testing.T) {
	ns := newNamespace(t)
	equalToWitness(t, func() []string { return rulesRead(readNamespace(t, ns)) }, func() []string { return rulesSeen(t, ns) })
}

func rulesRead(n *firewall.Network) (got []string) {
	for _, r := range n.Rules {
		family := map[firewall.Family]int{firewall.FamilyIPv4: netlink.FAMILY_V4, firewall.FamilyIPv6: netlink.FAMILY_V6}[r.Family]
		got = append(got, fmt.Sprintln(family, r.Priority, r.Table, r.Goto, r.Invert, prefix(r.Source), prefix(r.Destination), r.InName, r.OutName, uint(r.TOS),
			r.Mark, r.MarkMask, r.Protocol, r.SourcePort, r.DestPort, r.HasUIDRange, r.UIDRange, r.SuppressPrefixLength, r.SuppressInterfaceGroup))
	}
	return got
}

func rulesSeen(t *testing.T, ns *kerneltest.Namespace) (want []string) {
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
		want = append(want, fmt.Sprintln(r.Family, r.Priority, r.Table, max(r.Goto, 0), r.Invert, network(r.Src), network(r.Dst), r.IifName, r.OifName, r.Tos,
			r.Mark, mask, r.IPProto, ports(r.Sport), ports(r.Dport), r.UIDRange != nil, users, r.SuppressPrefixlen, r.SuppressIfgroup))
	}
	return want
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
