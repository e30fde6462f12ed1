package correlate

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

var (
	table4 = &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyIPv4, Name: "guard"}
	input4 = &firewall.Chain{Table: table4, Name: "input", Base: &firewall.Base{Hook: firewall.Input, Policy: firewall.Drop}}
	only4  = firewall.Compare{Value: firewall.Meta{Key: firewall.MetaNFProto}, Data: []byte{2}}
	only6  = firewall.Compare{Value: firewall.Meta{Key: firewall.MetaNFProto}, Data: []byte{10}}
	drop   = firewall.Verdict{Code: firewall.Drop}
)

func TestIPv6ForgottenWhereARuleForBothIsTakenBackForIPv4(t *testing.T) {
	guard := rule(input4, 1, "tcp dport 22 drop", equals(dport, number(22)), drop)
	notLAN := rule(inputDrop, 2, "ip saddr != 10.0.0.0/8 tcp dport 22 drop", only4, equals(dport, number(22)), drop)
	forSix := rule(inputDrop, 8, "meta nfproto ipv6 tcp dport 22 accept", only6, equals(dport, number(22)), accept)
	inTable6 := rule(input6, 1, "tcp dport 22 accept", equals(dport, number(22)), accept)
	jumpSix := rule(inputDrop, 9, "meta nfproto vmap { ipv6 : jump web }", firewall.VerdictMap{Key: firewall.Meta{Key: firewall.MetaNFProto}, Map: &firewall.Set{}})
	inWebSSH := rule(webChain, 2, "tcp dport 22 accept", equals(dport, number(22)), accept)

	all, few := prefixes("0.0.0.0/0"), prefixes("198.51.100.0/24")
	for _, c := range []struct {
		name    string
		by      firewall.Decision // lets IPv6 in
		blocked firewall.Decision // keeps IPv4 out
		sources firewall.Sources  // which of them
		label   Label
	}{
		{"a table for IPv4 drops", by(ssh), by(guard), all, Exposed},
		{"a table for IPv4 has policy drop", by(ssh), policyOf(input4), all, Exposed},
		{"the same chain drops all IPv4 but the LAN", by(ssh), by(notLAN), prefixes("0.0.0.0/5", "11.0.0.0/8", "128.0.0.0/1"), Exposed},
		{"a blocklist for IPv4", by(ssh), by(guard), few, Intentional},
		{"a drop for both families", by(ssh), by(dropRule), all, Intentional},
		{"policy drop for both families: the accept is for IPv6 in some other way", by(ssh), policyOf(inputDrop), all, Intentional},
		{"the accept asks for IPv6", by(forSix), by(guard), all, Intentional},
		{"the accept is in a table for IPv6", by(inTable6), by(guard), all, Intentional},
		{"the jump there asks for IPv6", by(inWebSSH, jumpSix), by(guard), all, Intentional},
	} {
		t.Run(c.name, func(t *testing.T) {
			blocked := dropped(c.blocked)
			blocked.Sources = c.sources
			rows := Analyze(Input{Network: network(), Rules: &firewall.Ruleset{}, Listeners: []listeners.Listener{listener("::", 6)},
				Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part {
					if q.Destination.Is4() {
						return []firewall.Part{blocked}
					}
					return []firewall.Part{accepted(c.by)}
				})})
			if len(rows) != 1 || rows[0].Label != c.label {
				t.Fatalf("rows %+v, want one that is %s", rows, c.label)
			}
			why := rows[0].Reasons[0]
			if told := why.Code == "ipv4_only_closed" && strings.Contains(why.Text, c.blocked.Text); told != (c.label == Exposed) {
				t.Errorf("reasons %+v", rows[0].Reasons)
			}
		})
	}
}

func prefixes(all ...string) (s firewall.Sources) {
	for _, p := range all {
		s.Prefixes = append(s.Prefixes, netip.MustParsePrefix(p))
	}
	return s
}
