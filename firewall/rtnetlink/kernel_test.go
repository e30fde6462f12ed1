//go:build linux

package rtnetlink_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

var record = flag.Bool("record", false, "record testdata/namespace.ng anew from the kernel; then run with -update")

// everything is what a namespace of these tests has: a bit of all that ip(8) can set here.
var everything = []string{
	"link add red type veth peer name blue",
	"link add br0 type bridge",
	"link set red master br0 mtu 1400",
	"link set red up",
	"link set blue group 7 up",
	"link set br0 up",
	"addr add 192.0.2.1/24 brd 192.0.2.255 dev br0",
	"addr add 192.0.2.3/24 dev br0",
	"addr add 10.0.0.1 peer 10.0.0.2/32 dev blue",
	"addr add 2001:db8::1/64 dev br0 nodad",
	"addr add fd00::1 peer fd00::2 dev blue nodad",
	"route add 198.51.100.0/24 via 192.0.2.9 src 192.0.2.3",
	"route add 198.51.100.0/24 via 192.0.2.10 metric 5",
	"route add 198.51.100.0/24 via 192.0.2.11 tos 0x10",
	"route add 198.51.101.0/24 via inet6 2001:db8::9 dev br0",
	"route add 198.51.102.0/24 nexthop via 192.0.2.9 weight 3 nexthop via 192.0.2.10",
	"route add blackhole 198.51.103.0/24 metric 7 table 1000",
	"route add throw 198.51.103.0/25 table 1000",
	"route add prohibit default table 70000 metric 9",
	"route add local 198.51.110.0/24 dev lo table local",
	"nexthop add id 1 via 203.0.113.9 dev tap0",
	"nexthop add id 2 via 203.0.113.10 dev tap0",
	"nexthop add id 3 group 1/2",
	"nexthop add id 4 blackhole",
	"route add 198.51.104.0/24 nhid 1",
	"route add 198.51.105.0/24 nhid 3",
	"route add 198.51.107.0/24 nhid 4",
	"-6 route add 2001:db8:1::/48 nexthop via 2001:db8::9 nexthop via 2001:db8::a",
	"-6 route add 2001:db8:2::/48 from 2001:db8:3::/48 via 2001:db8::9",
	"-6 route add unreachable 2001:db8:4::/48",
	"-4 rule add fwmark 7/0xff table 100 priority 100",
	"-4 rule add not from 192.0.2.0/24 to 198.51.100.0/24 iif br0 oif blue tos 0x10 ipproto tcp sport 1000-2000 dport 443" +
		" uidrange 0-99 lookup 1000 suppress_prefixlength 0 priority 101",
	"-4 rule add from 203.0.113.0/24 blackhole priority 102",
	"-4 rule add from 203.0.113.1 prohibit priority 103",
	"-4 rule add from 203.0.113.2 goto 32766 priority 104",
	"-4 rule add l3mdev priority 1000",
	"-4 rule add table main suppress_ifgroup 3 priority 1001",
	"-6 rule add from 2001:db8::/32 table 70000 priority 50",
}

// Three different values wherever three are allowed, so that a shifted index shows.
var settings = map[string]string{
	"ipv4/conf/red/rp_filter":         "2",
	"ipv4/conf/blue/route_localnet":   "1",
	"ipv4/conf/br0/accept_local":      "1",
	"ipv4/conf/br0/send_redirects":    "1",
	"ipv4/conf/red/src_valid_mark":    "1",
	"ipv4/conf/br0/forwarding":        "1",
	"ipv6/conf/red/forwarding":        "1",
	"ipv6/conf/blue/force_forwarding": "1",
	"ipv6/conf/red/disable_ipv6":      "1",
}

func newNamespace(t *testing.T) *kerneltest.Namespace {
	t.Helper()
	return kerneltest.New(t, kerneltest.Layout{
		// nexthop objects want a carrier, which a bridge has only after a while
		Interfaces: []kerneltest.Interface{{Name: "tap0", Index: 20, Addresses: []string{"203.0.113.1/24"}}},
		Setup:      everything,
		Sysctls:    settings,
	})
}

func readNamespace(t *testing.T, ns *kerneltest.Namespace) *firewall.Network {
	t.Helper()
	network, gaps := rtnetlink.Read(platform.LiveIn(ns.Path()))
	if len(gaps) > 0 {
		t.Fatalf("gaps: %v", gaps)
	}
	return network
}

// With -record the namespace becomes the one that tests on every system read.
func TestNamespaceIsRecorded(t *testing.T) {
	if !*record {
		t.Skip("without -record the recording stays as it is")
	}
	ns := newNamespace(t)
	setSysctl(t, ns, "ipv4/nexthop_compat_mode", "0") // nexthop objects are asked for then
	recorder := platform.NewRecorder(platform.LiveIn(ns.Path()), "test")
	if _, gaps := rtnetlink.Read(recorder); len(gaps) > 0 {
		t.Fatalf("gaps: %v", gaps)
	}
	if err := recorder.Recording().Save(filepath.Join("testdata", "namespace.ng")); err != nil {
		t.Fatal(err)
	}
}

func names(network *firewall.Network) map[int]string {
	byIndex := map[int]string{}
	for _, i := range network.Interfaces {
		byIndex[i.Index] = i.Name
	}
	return byIndex
}

// ip runs ip -j and decodes what it printed.
func ip[T any](t *testing.T, ns *kerneltest.Namespace, arguments ...string) []T {
	t.Helper()
	output, err := ns.Run(append([]string{"ip", "-j", "-N"}, arguments...)...)
	if err != nil {
		t.Fatal(err)
	}
	var result []T
	if err := json.Unmarshal([]byte(output), &result); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
	return result
}

func equalLines(t *testing.T, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("we read, and ip(8) does not show:\n %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("ip(8) shows, and we did not read:\n %s", line)
		}
	}
	if len(got) != len(want) || len(want) < 3 {
		t.Errorf("%d read, %d shown", len(got), len(want))
	}
}

func TestInterfacesAgreeWithIP(t *testing.T) {
	ns := newNamespace(t)
	network := readNamespace(t, ns)
	var got, want []string
	for _, i := range network.Interfaces {
		mac := make([]string, 0, 6)
		for _, b := range i.HardwareAddr {
			mac = append(mac, fmt.Sprintf("%02x", b))
		}
		got = append(got, fmt.Sprintln(i.Index, i.Name, i.Kind, i.MTU, i.Group, names(network)[i.Master], i.Up(), i.Loopback(), strings.Join(mac, ":")))
	}
	for _, i := range ip[struct {
		Ifindex, MTU          int
		Ifname, Group, Master string
		Address               string
		Flags                 []string
		Linkinfo              struct{ Info_kind string }
	}](t, ns, "-d", "link") {
		if i.Group == "default" {
			i.Group = "0"
		}
		want = append(want, fmt.Sprintln(i.Ifindex, i.Ifname, i.Linkinfo.Info_kind, i.MTU, i.Group, i.Master,
			slices.Contains(i.Flags, "UP"), slices.Contains(i.Flags, "LOOPBACK"), i.Address))
	}
	equalLines(t, got, want)
}

func TestAddressesAgreeWithIP(t *testing.T) {
	ns := newNamespace(t)
	network := readNamespace(t, ns)
	var got, want []string
	for _, a := range network.Addresses {
		peer, broadcast := "", ""
		if a.Peer.IsValid() {
			peer = a.Peer.String()
		}
		if a.Broadcast.IsValid() {
			broadcast = a.Broadcast.String()
		}
		got = append(got, fmt.Sprintln(names(network)[a.Interface], a.Prefix, peer, broadcast, a.Scope, a.Flags&1 != 0))
	}
	for _, i := range ip[struct {
		Ifname    string
		Addr_info []struct {
			Local, Address, Broadcast, Scope string
			Prefixlen                        int
			Secondary                        bool
		}
	}](t, ns, "addr") {
		for _, a := range i.Addr_info {
			want = append(want, fmt.Sprintln(i.Ifname, fmt.Sprintf("%s/%d", a.Local, a.Prefixlen), a.Address, a.Broadcast, a.Scope, a.Secondary))
		}
	}
	equalLines(t, got, want)
}

// ipRoute is a route as ip -j -N prints it.
type ipRoute struct {
	Type, Dst, From, Gateway, Dev, Table, Prefsrc, Scope, Tos string
	Via                                                       struct{ Host string }
	Metric                                                    uint32
	Nexthops                                                  []struct {
		Gateway, Dev string
		Via          struct{ Host string }
	}
}

func (r ipRoute) line() string {
	var hops []string
	for _, h := range r.Nexthops {
		hops = append(hops, h.Gateway+h.Via.Host+" "+h.Dev)
	}
	orElse := func(s, missing string) string {
		if s == "" {
			return missing
		}
		return s
	}
	return fmt.Sprintf("%s %s from %s via %s dev %s table %s src %s scope %s tos %s metric %d %q",
		orElse(r.Type, "1"), strings.TrimSuffix(strings.TrimSuffix(r.Dst, "/32"), "/128"), r.From, r.Gateway+r.Via.Host, r.Dev,
		orElse(r.Table, "254"), r.Prefsrc, orElse(r.Scope, "0"), orElse(r.Tos, "0"), r.Metric, hops)
}

func routeLine(r firewall.Route, names map[int]string) string {
	text := func(a netip.Addr) string {
		if a.IsValid() {
			return a.String()
		}
		return ""
	}
	dst := r.Destination.String()
	switch {
	case r.Destination.Bits() == 0:
		dst = "default"
	case r.Destination.IsSingleIP():
		dst = r.Destination.Addr().String()
	}
	from := ""
	if r.Source.IsValid() {
		from = r.Source.String()
	}
	var hops []string
	for _, h := range r.Hops {
		hops = append(hops, text(h.Gateway)+" "+names[h.Interface])
	}
	tos := strconv.Itoa(int(r.TOS))
	if r.TOS != 0 {
		tos = fmt.Sprintf("%#x", r.TOS)
	}
	return fmt.Sprintf("%d %s from %s via %s dev %s table %d src %s scope %d tos %s metric %d %q",
		r.Type, dst, from, text(r.Gateway), names[r.Interface], r.Table, text(r.PreferredSource), r.Scope, tos, r.Metric, hops)
}

func TestRoutesAgreeWithIP(t *testing.T) {
	ns := newNamespace(t)
	for _, compat := range []string{"1", "0"} {
		t.Run("nexthop_compat_mode "+compat, func(t *testing.T) {
			// what ip(8) shows with the mode on is the truth for both
			want := routesShown(t, ns)
			setSysctl(t, ns, "ipv4/nexthop_compat_mode", compat)
			defer setSysctl(t, ns, "ipv4/nexthop_compat_mode", "1")
			network := readNamespace(t, ns)
			var got []string
			for _, r := range network.Routes {
				if r.Opaque != "" {
					t.Errorf("%v: opaque %q", r.Destination, r.Opaque)
				}
				if r.Type == firewall.RouteBlackhole {
					r.Interface = 0 // the kernel says lo or none
				}
				got = append(got, routeLine(r, names(network)))
			}
			equalLines(t, got, want)
		})
	}
}

func routesShown(t *testing.T, ns *kerneltest.Namespace) []string {
	t.Helper()
	var lines []string
	for _, family := range []string{"-4", "-6"} {
		for _, r := range ip[ipRoute](t, ns, family, "route", "show", "table", "all") {
			if r.Type == "6" {
				r.Dev = ""
			}
			lines = append(lines, r.line())
		}
	}
	return lines
}

func setSysctl(t *testing.T, ns *kerneltest.Namespace, name, value string) {
	t.Helper()
	err := ns.Do(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestRulesAgreeWithIP(t *testing.T) {
	ns := newNamespace(t)
	network := readNamespace(t, ns)
	rule := func(family firewall.Family, priority uint32) firewall.RoutingRule {
		i := slices.IndexFunc(network.Rules, func(r firewall.RoutingRule) bool { return r.Family == family && r.Priority == priority })
		if i < 0 {
			t.Fatalf("no rule %d", priority)
		}
		return network.Rules[i]
	}
	const v4, v6 = firewall.FamilyIPv4, firewall.FamilyIPv6
	plain := firewall.RoutingRule{Family: v4, Action: 1, SuppressPrefixLength: -1, SuppressInterfaceGroup: -1}
	with := func(priority uint32, change func(*firewall.RoutingRule)) firewall.RoutingRule {
		r := plain
		r.Priority = priority
		change(&r)
		return r
	}
	for _, want := range []firewall.RoutingRule{
		with(0, func(r *firewall.RoutingRule) { r.Table = 255 }),
		with(100, func(r *firewall.RoutingRule) { r.Mark, r.MarkMask, r.Table = 7, 0xff, 100 }),
		with(101, func(r *firewall.RoutingRule) {
			r.Invert, r.TOS, r.Protocol, r.Table = true, 0x10, 6, 1000
			r.Source, r.Destination = netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")
			r.InName, r.OutName = "br0", "blue"
			r.SourcePort, r.DestPort = [2]uint16{1000, 2000}, [2]uint16{443, 443}
			r.HasUIDRange, r.UIDRange, r.SuppressPrefixLength = true, [2]uint32{0, 99}, 0
		}),
		with(102, func(r *firewall.RoutingRule) { r.Action, r.Source = 6, netip.MustParsePrefix("203.0.113.0/24") }),
		with(103, func(r *firewall.RoutingRule) { r.Action, r.Source = 8, netip.MustParsePrefix("203.0.113.1/32") }),
		with(104, func(r *firewall.RoutingRule) {
			r.Action, r.Goto, r.Source = 2, 32766, netip.MustParsePrefix("203.0.113.2/32")
		}),
		with(1000, func(r *firewall.RoutingRule) { r.Opaque = "l3mdev" }),
		with(1001, func(r *firewall.RoutingRule) { r.Table, r.SuppressInterfaceGroup = 254, 3 }),
		with(50, func(r *firewall.RoutingRule) {
			r.Family, r.Table, r.Source = v6, 70000, netip.MustParsePrefix("2001:db8::/32")
		}),
	} {
		if got := rule(want.Family, want.Priority); got != want {
			t.Errorf("rule %d\n got %+v\nwant %+v", want.Priority, got, want)
		}
	}
	shown := len(ip[struct{}](t, ns, "-4", "rule")) + len(ip[struct{}](t, ns, "-6", "rule"))
	if len(network.Rules) != shown {
		t.Errorf("%d rules read, ip(8) shows %d", len(network.Rules), shown)
	}
}

// The settings of an interface come with the link: each must be the one in the file.
func TestSettingsAgreeWithTheirFiles(t *testing.T) {
	ns := newNamespace(t)
	network := readNamespace(t, ns)
	for name, value := range settings {
		if got := strings.Join(strings.Fields(network.Settings[name]), " "); got != value {
			t.Errorf("%s: %q, set to %q", name, got, value)
		}
	}
	host := platform.LiveIn(ns.Path())
	interfaces := 0
	for name, value := range network.Settings {
		content, err := host.ReadFile("/proc/sys/net/" + name)
		if err != nil || strings.TrimSpace(string(content)) != value {
			t.Errorf("%s: %q, the file has %q, error %v", name, value, content, err)
		}
		if strings.Contains(name, "/conf/blue/") {
			interfaces++
		}
	}
	if interfaces < 8 {
		t.Errorf("%d settings of an interface, want 6 of IPv4 and at least 2 of IPv6", interfaces)
	}
}

func TestEncapsulatedRouteIsOpaque(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{Setup: []string{
		"link add red type veth peer name blue", "link set red up", "link set blue up", "addr add 192.0.2.1/24 dev red",
		"route add 198.51.106.0/24 encap ip id 5 dst 192.0.2.77 via 192.0.2.9",
	}})
	network, _ := rtnetlink.Read(platform.LiveIn(ns.Path()))
	for _, r := range network.Routes {
		if r.Destination.String() == "198.51.106.0/24" {
			if r.Opaque == "" {
				t.Error("not opaque")
			}
			return
		}
	}
	t.Error("the route is missing")
}
