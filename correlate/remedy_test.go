package correlate

import (
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

func TestRemedies(t *testing.T) {
	iptables := &firewall.Table{Backend: firewall.IptablesNFT, Family: firewall.FamilyIPv4, Name: "filter"}
	input := &firewall.Chain{Table: iptables, Name: "INPUT", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Accept}}
	hostile := &firewall.Chain{Table: filterTable, Name: "x; reboot", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Accept}}
	translated := accepted(by(whatever))
	translated.DeliveredTo = &firewall.Delivery{Address: network().Addresses[2].Prefix.Addr(), Port: 8080, Interface: "docker0"}
	for _, c := range []struct {
		name string
		part firewall.Part
		want string
	}{
		{"behind a policy: at the end", accepted(policy(input6)), "nft add rule ip6 filter input tcp dport 22 drop"},
		{"before the rule that accepts", accepted(by(whatever)), "nft insert rule inet filter input handle 15 tcp dport 22 drop"},
		{"after a translation the filter sees another port", translated, "nft insert rule inet filter input handle 15 meta l4proto tcp ct original proto-dst 22 drop"},
		{"in iptables' words", accepted(policy(input)), "iptables -t filter -A INPUT -p tcp --dport 22 -j DROP"},
		{"no firewall: a chain of its own", accepted(firewall.Decision{Text: "no rule drops it"}), "nft add table inet netglance"},
		{"a name that a shell would run", accepted(policy(hostile)), "drop it by a rule before the end of inet filter x; reboot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := onlyRow(t, listener("0.0.0.0", 4), nil, c.part)
			if e.Remedy[0] != c.want {
				t.Errorf("got  %q\nwant %q", e.Remedy[0], c.want)
			}
		})
	}
}

func TestRemedyIsForTheOpenInterfaceOnly(t *testing.T) {
	n := network()
	n.Interfaces = append(n.Interfaces, firewall.Interface{Index: 3, Name: "wg0", Flags: 1})
	e := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: n, Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part {
			if q.Interface == "wg0" {
				return []firewall.Part{accepted(by(whatever))}
			}
			return []firewall.Part{accepted(by(ssh))}
		})})[0]
	if want := "nft insert rule inet filter input handle 15 iifname wg0 tcp dport 22 drop"; e.Remedy[0] != want {
		t.Errorf("got  %q\nwant %q", e.Remedy[0], want)
	}
}

func TestRemedyWithoutDecidingChainGoesToTheFilterChainThatIsThere(t *testing.T) {
	rules := &firewall.Ruleset{Tables: []*firewall.Table{{Backend: firewall.NFTables, Family: firewall.FamilyInet, Name: "main"}}}
	chain := &firewall.Chain{Table: rules.Tables[0], Name: "in", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Accept}}
	rules.Tables[0].Chains = []*firewall.Chain{chain}
	e := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: rules,
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{accepted(by(redirect))} })})[0]
	if want := "nft insert rule inet main in tcp dport 22 drop"; !strings.HasPrefix(e.Remedy[0], want) {
		t.Errorf("got  %q\nwant %q", e.Remedy[0], want)
	}
}
