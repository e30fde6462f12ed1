package correlate

import (
	"net/netip"
	"slices"
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
	legacy := &firewall.Table{Backend: firewall.IptablesLegacy, Family: firewall.FamilyIPv4, Name: "filter"}
	docker := &firewall.Chain{Table: legacy, Name: "DOCKER"}
	legacy.Chains = []*firewall.Chain{docker, {Table: legacy, Name: "DOCKER-USER"}}
	published := accepted(by(rule(docker, 2, "-A DOCKER -j ACCEPT", accept)))
	published.DeliveredTo = translated.DeliveredTo
	behindUFW := &firewall.Table{Backend: firewall.IptablesLegacy, Family: firewall.FamilyIPv4, Name: "filter"}
	ufwInput := &firewall.Chain{Table: behindUFW, Name: "ufw-user-input"}
	ufwFirst := &firewall.Chain{Table: behindUFW, Name: "ufw-before-input"}
	ufwTrack := &firewall.Chain{Table: behindUFW, Name: "ufw-track-input"}
	behindUFW.Chains = []*firewall.Chain{ufwInput, ufwFirst}
	for _, c := range []struct {
		name string
		part firewall.Part
		want string
	}{
		{"Docker's own chains are Docker's", published, "iptables -t filter -I DOCKER-USER -p tcp -m conntrack --ctorigdstport 22 -j DROP"},
		{"in ufw's words", accepted(by(rule(ufwInput, 1, "-A ufw-user-input -j ACCEPT", accept))), "ufw prepend deny to any port 22 proto tcp"},
		{"ufw's default, where it lets in", accepted(by(rule(ufwTrack, 1, "-A ufw-track-input -j ACCEPT", accept))), "ufw prepend deny to any port 22 proto tcp"},
		{"what ufw accepts before it asks for its users' rules", accepted(by(rule(ufwFirst, 1, "-A ufw-before-input -j ACCEPT", accept))), "iptables -t filter -I ufw-before-input 1 -p tcp --dport 22 -j DROP"},
		{"behind a policy: at the end", accepted(policyOf(input6)), "nft add rule ip6 filter input tcp dport 22 drop"},
		{"before the rule that accepts", accepted(by(whatever)), "nft insert rule inet filter input handle 15 tcp dport 22 drop"},
		{"after a translation the filter sees another port", translated, "nft insert rule inet filter input handle 15 meta l4proto tcp ct original proto-dst 22 drop"},
		{"in iptables' words", accepted(policyOf(input)), "iptables -t filter -A INPUT -p tcp --dport 22 -j DROP"},
		{"no firewall: a chain of its own", accepted(firewall.Decision{Text: "no rule drops it"}), "nft add table inet netglance"},
		{"a name that a shell would run", accepted(policyOf(hostile)), "drop it by a rule before the end of inet filter x; reboot"},
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

func TestRemedyOnAHostOfIptablesIsIptables(t *testing.T) {
	nat := &firewall.Table{Backend: firewall.IptablesLegacy, Family: firewall.FamilyIPv4, Name: "nat"}
	e := Analyze(Input{Listeners: []listeners.Listener{listener("::", 6)}, Network: network(), Rules: &firewall.Ruleset{Tables: []*firewall.Table{nat}},
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part {
			return []firewall.Part{accepted(firewall.Decision{Text: "no rule filters it"})}
		})})[0]
	want := []string{"iptables -t filter -I INPUT -p tcp --dport 22 -j DROP", "ip6tables -t filter -I INPUT -p tcp --dport 22 -j DROP"}
	if !slices.Equal(e.Remedy[:2], want) {
		t.Errorf("got  %q\nwant %q", e.Remedy, want)
	}
}

func TestRemedyOfIptablesIsForEachOpenInterface(t *testing.T) {
	n := network()
	n.Interfaces = append(n.Interfaces, firewall.Interface{Index: 3, Name: "wg0", Flags: 1}, firewall.Interface{Index: 4, Name: "wg1", Flags: 1})
	input := &firewall.Chain{Name: "INPUT", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Accept},
		Table: &firewall.Table{Backend: firewall.IptablesLegacy, Family: firewall.FamilyIPv4, Name: "filter"}}
	e := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: n, Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part {
			if q.Interface != "eth0" {
				return []firewall.Part{accepted(policyOf(input))}
			}
			return []firewall.Part{accepted(by(ssh))}
		})})[0]
	want := []string{"iptables -t filter -A INPUT -i wg0 -p tcp --dport 22 -j DROP", "iptables -t filter -A INPUT -i wg1 -p tcp --dport 22 -j DROP"}
	if !slices.Equal(e.Remedy[:2], want) {
		t.Errorf("got  %q\nwant %q", e.Remedy, want)
	}
}

func TestWhatDockerProxyListensOnIsDockersToSay(t *testing.T) {
	l := listener("0.0.0.0", 4)
	l.Owners[0].Name = "docker-proxy"
	part := accepted(by(byDocker))
	part.DeliveredTo = &firewall.Delivery{Address: netip.MustParseAddr("172.17.0.2"), Port: 80, Interface: "docker0"}
	e := onlyRow(t, l, nil, part)
	if want := "or, if only this host needs it, publish it there: docker run -p 127.0.0.1:22:80"; !slices.Contains(e.Remedy, want) {
		t.Errorf("got %q, want %q among it", e.Remedy, want)
	}
}
