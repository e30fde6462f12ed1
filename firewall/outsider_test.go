package firewall_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

func names(p firewall.Part) string {
	var all []string
	for _, c := range p.Conditions {
		all = append(all, c.Kind.String()+" "+c.Text)
	}
	return strings.Join(all, "; ")
}

func TestAnOutsiderMattersWhereItStands(t *testing.T) {
	rules, network := host(firewall.Drop, accept("port 53", onPort(dport, 53)))
	network.Interfaces = append(network.Interfaces,
		firewall.Interface{Index: 3, Name: "br0", Kind: "bridge", Flags: 1, Type: 1},
		firewall.Interface{Index: 4, Name: "eth1", Flags: 1, Type: 1, Master: 3},
		firewall.Interface{Index: 5, Name: "vlan7", Kind: "vlan", Flags: 1, Type: 1, Parent: 2},
	)
	drops := func(place firewall.Place, link int) firewall.Outsider {
		return firewall.Outsider{Place: place, Interface: link, Kind: firewall.External, Text: "it"}
	}
	changes := drops(firewall.AtLink, 2)
	changes.Changes = true
	six := drops(firewall.AtLink, 2)
	six.Family = firewall.FamilyIPv6
	rate := drops(firewall.AtLink, 2)
	rate.Kind = firewall.Rate
	for _, c := range []struct {
		name       string
		via        string
		port       uint16
		o          firewall.Outsider
		fate       firewall.Fate
		conditions string
	}{
		{"at the link", "eth0", 53, drops(firewall.AtLink, 2), firewall.Conditional, "external it"},
		{"at the link, of what rules drop", "eth0", 54, drops(firewall.AtLink, 2), firewall.Dropped, ""},
		{"at another link", "eth0", 53, drops(firewall.AtLink, 4), firewall.Accepted, ""},
		{"at every link", "eth0", 53, drops(firewall.AtLink, 0), firewall.Conditional, "external it"},
		{"of the other family", "eth0", 53, six, firewall.Accepted, ""},
		{"a rate", "eth0", 53, rate, firewall.Conditional, "rate it"},
		{"one that changes packets, of what rules drop", "eth0", 54, changes, firewall.Conditional, "external it"},
		{"at a bridge's port", "br0", 53, drops(firewall.AtLink, 4), firewall.Conditional, "external it"},
		{"at a port's bridge", "eth1", 53, drops(firewall.AtLink, 3), firewall.Conditional, "external it"},
		{"below a VLAN", "vlan7", 53, drops(firewall.AtLink, 2), firewall.Conditional, "external it"},
		{"above the link", "eth0", 53, drops(firewall.AtLink, 5), firewall.Accepted, ""},
		{"behind it, for a datagram", "eth0", 53, drops(firewall.OffLink, 2), firewall.Accepted, ""},
		{"choosing sockets", "eth0", 53, drops(firewall.AtLookup, 0), firewall.Conditional, "external it"},
	} {
		network.Outsiders = []firewall.Outsider{c.o}
		q := ask(c.port)
		q.Interface = c.via
		got := fateOf(t, firewall.NewEvaluator(rules, network).Reach(q), "198.51.100.9")
		if got.Fate != c.fate || names(got) != c.conditions {
			t.Errorf("%s: %s (%s), want %s (%s)", c.name, got.Fate, names(got), c.fate, c.conditions)
		}
	}
}

func TestAProgramOfACgroupSeesItsOwnSocketsPackets(t *testing.T) {
	rules, network := host(firewall.Accept)
	any := netip.IPv4Unspecified()
	network.Sockets = []firewall.LocalSocket{
		{Protocol: 17, Family: firewall.FamilyIPv4, Address: any, Port: 53, Cgroup: 7},
		{Protocol: 17, Family: firewall.FamilyIPv4, Address: any, Port: 54, Cgroup: 8},
		{Protocol: 17, Family: firewall.FamilyIPv4, Address: any, Port: 55, Cgroup: 8},
		{Protocol: 17, Family: firewall.FamilyIPv4, Address: any, Port: 55, Cgroup: 7}, // SO_REUSEPORT
	}
	network.Outsiders = []firewall.Outsider{{Place: firewall.AtSocket, Cgroup: 7, Kind: firewall.External, Text: "it"}}
	for port, want := range map[uint16]firewall.Fate{53: firewall.Conditional, 54: firewall.Accepted, 55: firewall.Conditional, 56: firewall.Accepted} {
		if got := fateOf(t, firewall.NewEvaluator(rules, network).Reach(ask(port)), "198.51.100.9").Fate; got != want {
			t.Errorf("port %d: %s, want %s", port, got, want)
		}
	}
	network.Sockets = nil // not known: it may be any
	if got := fateOf(t, firewall.NewEvaluator(rules, network).Reach(ask(54)), "198.51.100.9").Fate; got != firewall.Conditional {
		t.Errorf("sockets that are not known: %s", got)
	}
}

func TestIPsecPoliciesInTheirOrder(t *testing.T) {
	rules, network := host(firewall.Accept)
	everybody := netip.MustParsePrefix("0.0.0.0/0")
	policy := func(priority uint32, source string) firewall.IPsecPolicy {
		return firewall.IPsecPolicy{Family: firewall.FamilyIPv4, Source: netip.MustParsePrefix(source), Destination: everybody, Priority: priority, Text: source}
	}
	blocks, passes, esp := policy(20, "0.0.0.0/0"), policy(10, "10.0.0.0/8"), policy(5, "10.1.0.0/16")
	blocks.Blocks, esp.Requires = true, true
	blocks.Port, blocks.PortMask = 53, 0xffff
	network.Policies = []firewall.IPsecPolicy{blocks, passes, esp}
	for _, c := range []struct {
		port   uint16
		source string
		fate   firewall.Fate
	}{
		{53, "198.51.100.9", firewall.Dropped}, {53, "10.2.0.1", firewall.Accepted}, {53, "10.1.0.1", firewall.Conditional},
		{54, "198.51.100.9", firewall.Accepted}, {54, "10.1.0.1", firewall.Conditional},
	} {
		if got := fateOf(t, firewall.NewEvaluator(rules, network).Reach(ask(c.port)), c.source); got.Fate != c.fate {
			t.Errorf("port %d from %s: %s (%s), want %s", c.port, c.source, got.Fate, names(got), c.fate)
		}
	}
	network.Settings = map[string]string{"ipv4/conf/eth0/disable_policy": "1"}
	if got := fateOf(t, firewall.NewEvaluator(rules, network).Reach(ask(53)), "198.51.100.9").Fate; got != firewall.Accepted {
		t.Errorf("a link that is exempt: %s", got)
	}
}

// No kernel with IPVS was at hand: what is held to here is ip_vs_core.c as read.
func TestWhatIPVSServesIsConditionalAndHasARedirection(t *testing.T) {
	rules, network := host(firewall.Drop, accept("port 53", onPort(dport, 53)))
	address := netip.MustParseAddr("192.0.2.1")
	server := netip.MustParseAddrPort("192.0.2.9:5353")
	service := firewall.VirtualService{Protocol: 17, Address: address, Port: 53, Servers: []netip.AddrPort{server}, Text: "IPVS service"}
	filtered := service
	filtered.Port = 54
	network.Services = []firewall.VirtualService{service, filtered}
	e := firewall.NewEvaluator(rules, network)
	got := fateOf(t, e.Reach(ask(53)), "198.51.100.9")
	if got.Fate != firewall.Conditional || got.DeliveredTo == nil || *got.DeliveredTo != (firewall.Delivery{Address: server.Addr(), Port: 5353, Interface: "eth0"}) {
		t.Errorf("%s, delivered to %v, %s", got.Fate, got.DeliveredTo, names(got))
	}
	if got := fateOf(t, e.Reach(ask(54)), "198.51.100.9").Fate; got != firewall.Dropped {
		t.Errorf("behind the input hook's filters: %s", got)
	}
	q := ask(0)
	if r := e.Redirections(q); len(r) != 2 || r[0] != (firewall.Redirection{First: 53, Last: 53, Address: server.Addr(), Port: 5353}) {
		t.Errorf("redirections %v", r)
	}
	network.Services = []firewall.VirtualService{{Protocol: 17, Address: address, Port: 53, Text: "IPVS service"}}
	if got := fateOf(t, firewall.NewEvaluator(rules, network).Reach(ask(53)), "198.51.100.9").Fate; got != firewall.Dropped {
		t.Errorf("without a server: %s", got)
	}
}
