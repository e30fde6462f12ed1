package correlate

import (
	"net/netip"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

func TestPortsThatNobodyServes(t *testing.T) {
	sockets := []listeners.Listener{
		{Protocol: "tcp", Family: 4, Role: listeners.Server, Address: netip.MustParseAddr("0.0.0.0"), Port: 22},
		{Protocol: "tcp", Family: 6, Role: listeners.Server, Address: netip.MustParseAddr("::"), Port: 80, V6OnlyKnown: true},
		{Protocol: "udp", Family: 4, Role: listeners.ConnectedClient, Address: netip.MustParseAddr("0.0.0.0"), Port: 123},
	}
	opens := func(f firewall.Family, ranges ...firewall.PortRange) firewall.Opening {
		return firewall.Opening{Family: f, Ports: ranges}
	}
	for name, c := range map[string]struct {
		openings []firewall.Opening
		want     string
	}{
		"a served port":                          {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 6, First: 22, Last: 22})}, ""},
		"served for the other family only":       {[]firewall.Opening{opens(firewall.FamilyIPv6, firewall.PortRange{Protocol: 6, First: 22, Last: 22})}, "22/tcp"},
		"served for one of both families":        {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 6, First: 22, Last: 22}), opens(firewall.FamilyIPv6, firewall.PortRange{Protocol: 6, First: 22, Last: 22})}, ""},
		"a socket for both families":             {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 6, First: 80, Last: 80})}, ""},
		"the other protocol":                     {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 17, First: 80, Last: 80})}, "80/udp"},
		"one port of two":                        {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 6, First: 80, Last: 80}, firewall.PortRange{Protocol: 6, First: 443, Last: 443})}, "443/tcp"},
		"a connected client serves nobody":       {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 17, First: 123, Last: 123})}, "123/udp"},
		"a range with one socket":                {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 6, First: 20, Last: 25})}, ""},
		"a range with none":                      {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 6, First: 6000, Last: 6010})}, "6000-6010/tcp"},
		"all that is left over names no port":    {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 6, First: 1024, Last: 65535})}, ""},
		"every port names none":                  {[]firewall.Opening{{Family: firewall.FamilyIPv4, AllPorts: true}}, ""},
		"forwarded packets are for other hosts":  {[]firewall.Opening{{Family: firewall.FamilyIPv4, Forwarded: true, Ports: []firewall.PortRange{{Protocol: 6, First: 443, Last: 443}}}}, ""},
		"protocols of which no sockets are read": {[]firewall.Opening{opens(firewall.FamilyIPv4, firewall.PortRange{Protocol: 132, First: 7, Last: 7})}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unserved(c.openings, sockets); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPortsOpenInOneFamilyOnly(t *testing.T) {
	table := &firewall.Table{Family: firewall.FamilyIPv4, Name: "filter"}
	input := &firewall.Chain{Table: table, Name: "input"}
	part := func(iface string, family int, fate firewall.Fate, chain *firewall.Chain) Reach {
		return Reach{Interface: iface, Family: family, Part: firewall.Part{Fate: fate, DecidedBy: firewall.Decision{Chain: chain, Text: "it"}}}
	}
	for name, c := range map[string]struct {
		reach []Reach
		want  []string
	}{
		"IPv6 beside filtered IPv4": {
			[]Reach{part("eth0", 4, firewall.Dropped, input), part("eth0", 6, firewall.Accepted, nil)},
			[]string{"80/tcp is open for IPv6, by it, and filtered for IPv4, by ip filter input (it), coming in by eth0"},
		},
		"two links that are alike are told once": {
			[]Reach{part("eth0", 4, firewall.Dropped, input), part("eth0", 6, firewall.Accepted, nil), part("eth1", 4, firewall.Rejected, input), part("eth1", 6, firewall.Accepted, nil)},
			[]string{"80/tcp is open for IPv6, by it, and filtered for IPv4, by ip filter input (it), coming in by eth0, eth1"},
		},
		"some IPv4 sources get in": {
			[]Reach{part("eth0", 4, firewall.Dropped, input), part("eth0", 4, firewall.Accepted, input), part("eth0", 6, firewall.Accepted, nil)}, nil,
		},
		"the kernel alone drops IPv4": {
			[]Reach{part("eth0", 4, firewall.Dropped, nil), part("eth0", 6, firewall.Accepted, nil)}, nil,
		},
		"a socket of one family only": {
			[]Reach{part("eth0", 6, firewall.Accepted, nil)}, nil,
		},
		"IPv4 is unknown": {
			[]Reach{part("eth0", 4, firewall.Undecided, nil), part("eth0", 6, firewall.Accepted, nil)}, nil,
		},
		"open by one link, filtered by another": {
			[]Reach{part("eth0", 4, firewall.Dropped, input), part("eth1", 6, firewall.Accepted, nil)}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range oneSidedPort(Exposure{Protocol: "tcp", Port: 80, Reach: c.reach}) {
				got = append(got, r.Text)
			}
			if len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
