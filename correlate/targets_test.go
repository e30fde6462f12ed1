package correlate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

func ways(l listeners.Listener, n *firewall.Network) string {
	var words []string
	for _, t := range targets(l, n) {
		words = append(words, fmt.Sprintf("%s>%s", t.iface, t.addr))
	}
	return strings.Join(words, " ")
}

func TestWhichWaysLeadToASocket(t *testing.T) {
	n := network()
	n.Interfaces = append(n.Interfaces,
		firewall.Interface{Index: 3, Name: "br0", Kind: "bridge", Flags: 1},
		firewall.Interface{Index: 4, Name: "port1", Master: 3, Flags: 1},
		firewall.Interface{Index: 5, Name: "down0"})
	n.Addresses = append(n.Addresses,
		firewall.Address{Interface: 3, Prefix: netip.MustParsePrefix("fe80::3/64")},
		firewall.Address{Interface: 3, Prefix: netip.MustParsePrefix("2001:db8::bad/64"), Flags: 8})
	for _, c := range []struct {
		name   string
		bind   string
		family int
		change func(*listeners.Listener)
		want   string
	}{
		{"any IPv4 address, by every interface", "0.0.0.0", 4, nil, "br0>203.0.113.7 eth0>203.0.113.7"},
		{"[::] without v6only also serves IPv4", "::", 6, nil,
			"br0>203.0.113.7 br0>2001:db8::7 br0>fe80::3 eth0>203.0.113.7 eth0>2001:db8::7"},
		{"[::] with v6only doesn't", "::", 6, func(l *listeners.Listener) { l.V6Only = true },
			"br0>2001:db8::7 br0>fe80::3 eth0>2001:db8::7"},
		{"one address", "203.0.113.7", 4, nil, "br0>203.0.113.7 eth0>203.0.113.7"},
		{"an IPv4 address in an IPv6 socket", "::ffff:203.0.113.7", 6, nil, "br0>203.0.113.7 eth0>203.0.113.7"},
		{"a link-local address, by its own interface only", "fe80::3%br0", 6, nil, "br0>fe80::3"},
		{"bound to a device", "0.0.0.0", 4, func(l *listeners.Listener) { l.Device = "eth0" }, "eth0>203.0.113.7"},
		{"bound to lo", "0.0.0.0", 4, func(l *listeners.Listener) { l.Device = "lo" }, ""},
		{"loopback is asked about, for rules may lead there", "127.0.0.1", 4, nil, "br0>127.0.0.1 eth0>127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listener(c.bind, c.family)
			if c.change != nil {
				c.change(&l)
			}
			if got := ways(l, n); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSocketOfAVRFTakesWhatComesInByItsMembers(t *testing.T) {
	n := network()
	n.Interfaces[1].Master = 9
	n.Interfaces = append(n.Interfaces, firewall.Interface{Index: 9, Name: "blue", Kind: "vrf", Flags: 1})
	l := listener("0.0.0.0", 4)
	l.Device = "blue"
	if got := ways(l, n); got != "blue>203.0.113.7 eth0>203.0.113.7" {
		t.Error(got)
	}
}

func TestV6OnlyNotKnownLeavesIPv4Undecided(t *testing.T) {
	l := listener("::", 6)
	l.V6OnlyKnown = false
	e := onlyRow(t, l, nil, accepted(by(ssh)))
	for _, r := range e.Reach {
		if want := map[int]firewall.Fate{4: firewall.Undecided, 6: firewall.Accepted}[r.Family]; r.Fate != want {
			t.Errorf("IPv%d: %s, want %s", r.Family, r.Fate, want)
		}
	}
	both := Analyze(Input{Listeners: []listeners.Listener{l, listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{accepted(by(ssh))} })})
	if len(both) != 1 || both[0].Label != Intentional {
		t.Errorf("with an IPv4 socket beside it nothing is in doubt: %+v", both)
	}
}

func TestAddressesThatRulesTreatAlikeShareAReach(t *testing.T) {
	n := network()
	n.Addresses = append(n.Addresses, firewall.Address{Interface: 2, Prefix: netip.MustParsePrefix("203.0.113.8/24")},
		firewall.Address{Interface: 2, Prefix: netip.MustParsePrefix("203.0.113.9/24")})
	e := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: n, Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part {
			part := accepted(by(ssh))
			part.DeliveredTo = &firewall.Delivery{Address: q.Destination, Port: q.Port}
			if q.Destination == netip.MustParseAddr("203.0.113.8") {
				part = dropped(by(dropRule))
			}
			return []firewall.Part{part}
		})})[0]
	if len(e.Reach) != 2 || fmt.Sprint(e.Reach[0].Destinations, e.Reach[1].Destinations) != "[203.0.113.7 203.0.113.9] [203.0.113.8]" {
		t.Errorf("%+v", e.Reach)
	}
	if e.Reach[0].DeliveredTo != nil {
		t.Error("delivery where the packet was sent to is nothing to tell")
	}
}
