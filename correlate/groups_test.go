package correlate

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// groupsOf is a host whose link is in a group that a program joined, and in the
// one that every link is in.
func groupsOf() *firewall.Network {
	n := network()
	for _, group := range []string{"224.0.0.1", "224.0.0.251", "ff02::1"} {
		n.Groups = append(n.Groups, firewall.Group{Interface: 2, Address: netip.MustParseAddr(group)})
	}
	n.Routes = []firewall.Route{{Type: firewall.RouteBroadcast, Interface: 2, Table: 255, Destination: netip.MustParsePrefix("203.0.113.255/32")}}
	return n
}

func datagramSocket(bind string, family int, port uint16) listeners.Listener {
	l := listener(bind, family)
	l.Protocol, l.State, l.Port = "udp", "unconnected", port
	return l
}

func TestGroupsThatLeadToASocket(t *testing.T) {
	for _, c := range []struct {
		name   string
		socket listeners.Listener
		want   string
	}{
		{"UDP at every address", datagramSocket("0.0.0.0", 4, 5353), "224.0.0.1 224.0.0.251 203.0.113.255 255.255.255.255"},
		{"an IPv6 socket gets no IPv4 group by itself", datagramSocket("::", 6, 5353), "224.0.0.251 ff02::1 203.0.113.255 255.255.255.255"},
		{"UDP at one address", datagramSocket("203.0.113.7", 4, 5353), ""},
		{"TCP", listener("0.0.0.0", 4), ""},
	} {
		var got []string
		for _, way := range groupTargets(c.socket, groupsOf()) {
			got = append(got, way.addr.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
	}
}

// TestMulticastThatARuleLetsInIsNotFiltered is mDNS behind a policy of drop: what
// its own group lets in is no filtered port.
func TestMulticastThatARuleLetsInIsNotFiltered(t *testing.T) {
	table := &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyInet, Name: "filter"}
	chain := &firewall.Chain{Table: table, Name: "input", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Drop}}
	table.Chains = []*firewall.Chain{chain}
	rules := &firewall.Ruleset{Tables: []*firewall.Table{table}}
	label := func() Exposure {
		n := groupsOf()
		rows := Analyze(Input{Listeners: []listeners.Listener{datagramSocket("0.0.0.0", 4, 5353)}, Network: n, Rules: rules,
			Firewall: firewall.NewEvaluator(rules, n)})
		if len(rows) != 1 {
			t.Fatalf("%d rows, want 1", len(rows))
		}
		return rows[0]
	}
	if got := label(); got.Label != Filtered {
		t.Errorf("behind a policy of drop: %s", got.Label)
	}
	chain.Rules = []*firewall.Rule{{Chain: chain, Number: 1, Steps: []firewall.Step{
		firewall.Compare{Value: firewall.Meta{Key: firewall.MetaNFProto}, Data: []byte{2}},
		firewall.Compare{Value: firewall.Payload{Base: firewall.NetworkHeader, Offset: 16, Length: 4}, Data: []byte{224, 0, 0, 251}},
		firewall.Compare{Value: firewall.Meta{Key: firewall.MetaL4Proto}, Data: []byte{17}},
		firewall.Compare{Value: firewall.Payload{Base: firewall.TransportHeader, Offset: 2, Length: 2}, Data: []byte{0x14, 0xe9}},
		firewall.Verdict{Code: firewall.Accept},
	}}}
	got := label()
	if got.Label == Filtered || got.Label == Unknown || got.Label == Local {
		t.Errorf("a rule lets 224.0.0.251 in, the label is %s", got.Label)
	}
	for _, r := range got.Reach {
		if r.Fate == firewall.Accepted {
			return
		}
	}
	t.Errorf("no part of the reach is accepted: %+v", got.Reach)
}
