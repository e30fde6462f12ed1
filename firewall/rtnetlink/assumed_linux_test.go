package rtnetlink_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

// TestAssumedRoutesAreThoseThatTheKernelMakes compares the network made of names
// and addresses with what a kernel makes of the same.
func TestAssumedRoutesAreThoseThatTheKernelMakes(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{
		Interfaces: []kerneltest.Interface{
			{Name: "eth0", Addresses: []string{"192.0.2.1/24", "2001:db8::1/64"}},
			{Name: "eth1", Addresses: []string{"10.0.0.1/31", "10.1.0.1/32", "2001:db8:1::1/127", "2001:db8:2::1/128"}},
		},
		Setup:   []string{"addr add 10.2.0.1 peer 10.2.0.2/32 dev eth1"},
		Routes:  []string{"default dev eth0"},
		Sysctls: map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"},
	})
	if _, err := ns.Run("ip", "-6", "route", "add", "default", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	kernel, missing := rtnetlink.Read(platform.LiveIn(ns.Path()))
	if len(missing) > 0 {
		t.Fatal(missing)
	}
	address := func(prefix string) firewall.Address { return firewall.Address{Prefix: netip.MustParsePrefix(prefix)} }
	peer := address("10.2.0.1/32")
	peer.Peer = netip.MustParseAddr("10.2.0.2")
	assumed := firewall.Assume([]firewall.AssumedLink{
		{Name: "eth0", Addresses: []firewall.Address{address("192.0.2.1/24"), address("2001:db8::1/64")}},
		{Name: "eth1", Addresses: []firewall.Address{address("10.0.0.1/31"), address("10.1.0.1/32"), address("2001:db8:1::1/127"), address("2001:db8:2::1/128"), peer}},
	})
	want, got := routeLines(kernel), routeLines(assumed)
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("only the kernel has: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("only assumed: %s", line)
		}
	}
}

// routeLines are the routes in words, without those of link-local addresses,
// which come from hardware addresses.
func routeLines(n *firewall.Network) []string {
	names := map[int]string{}
	for _, i := range n.Interfaces {
		names[i.Index] = i.Name
	}
	var lines []string
	for _, r := range n.Routes {
		if strings.HasPrefix(r.Destination.String(), "fe80:") {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s type %d table %d dev %s scope %d src %v", r.Destination, r.Type, r.Table, names[r.Interface], r.Scope, r.PreferredSource))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}
