package correlate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// spoken has words for rules and policies by the names of their chains.
type spoken map[string]string

func (s spoken) Rule(r *firewall.Rule) (string, bool) {
	words, whole := strings.CutPrefix(s[r.Chain.Name], "=")
	return words, whole
}

func (s spoken) Default(c *firewall.Chain) string { return s["policy "+c.Name] }

func TestReasonsAreInTheWordsOfWhoKeepsTheRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		words spoken
		part  firewall.Part
		want  string
	}{
		{"all that a rule does", spoken{"input": "=ufw rule 3: allow 22/tcp"}, accepted(by(ssh)), "ufw rule 3: allow 22/tcp"},
		{"only who has it", spoken{"input": "ufw's before.rules"}, accepted(by(ssh)), "ufw's before.rules names the port: tcp dport 22 accept"},
		{"nobody in particular", spoken{}, accepted(by(ssh)), "inet filter input rule 3 names the port: tcp dport 22 accept"},
		{"a rule for everything", spoken{"input": "=ufw rule 1: allow from any"}, accepted(by(whatever)), "ufw rule 1: allow from any: accepts it, naming neither port nor sources"},
		{"whose policy", spoken{"policy input": "ufw's default"}, dropped(policyOf(inputDrop)), "ufw's default: inet filter input has policy drop"},
	} {
		rows := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{}, Words: c.words,
			Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{c.part} })})
		if got := rows[0].Reasons[0].Text; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// unrouted is packets that a rule lets in, and whose answer finds no way out.
func unroutedPart(d firewall.Decision, why string) firewall.Part {
	return firewall.Part{Sources: firewall.Sources{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, Fate: firewall.Dropped,
		DecidedBy: firewall.Decision{Text: firewall.AnswerLost + ": " + why}, Acceptances: []firewall.Decision{d}}
}

// Routes come and go as links do; what a rule says stands.
func TestAPortWhoseSourcesNoRouteLeadsBackToIsMeantIfARuleSaysSo(t *testing.T) {
	none := firewall.NoRouteBack + " to the source"
	for _, c := range []struct {
		name  string
		part  firewall.Part
		label Label
		code  string
	}{
		{"declared", unroutedPart(by(ssh), none), Intentional, "no_route_back"},
		{"not declared", unroutedPart(by(whatever), none), Filtered, "unanswered"},
		{"a rule drops the answer", unroutedPart(by(ssh), "policy drop"), Filtered, "unanswered"},
	} {
		rest := dropped(policyOf(inputDrop))
		rest.Sources = firewall.Sources{Prefixes: []netip.Prefix{netip.MustParsePrefix("11.0.0.0/8")}}
		e := onlyRow(t, listener("0.0.0.0", 4), nil, c.part, rest)
		if e.Label != c.label || !strings.Contains(fmt.Sprint(e.Reasons), c.code) {
			t.Errorf("%s: %s, %v", c.name, e.Label, e.Reasons)
		}
	}
}

func TestAProgramThatChoosesSocketsMayReachALoopbackPort(t *testing.T) {
	n := network()
	for _, c := range []struct {
		o     firewall.Outsider
		label Label
	}{
		{firewall.Outsider{Place: firewall.AtLookup, Kind: firewall.External, Text: "sk_lookup program 7"}, Unknown},
		{firewall.Outsider{Place: firewall.AtLookup, Kind: firewall.Unread, Text: "could not be read"}, Local},
		{firewall.Outsider{Place: firewall.AtLink, Kind: firewall.External, Text: "XDP program 7"}, Local},
	} {
		n.Outsiders = []firewall.Outsider{c.o}
		rows := Analyze(Input{Listeners: []listeners.Listener{listener("127.0.0.1", 4)}, Network: n, Rules: &firewall.Ruleset{},
			Firewall: fakeFirewall(func(firewall.Query) []firewall.Part {
				return []firewall.Part{dropped(firewall.Decision{Text: "martian"})}
			})})
		if rows[0].Label != c.label {
			t.Errorf("%s: %s, want %s", c.o.Text, rows[0].Label, c.label)
		}
	}
}

func TestUnreadRulesMayLeadPacketsToATransparentSocketOnLoopback(t *testing.T) {
	for _, c := range []struct {
		transparent bool
		unread      []string
		label       Label
	}{
		{true, []string{"nf_tables"}, Unknown},
		{true, nil, Local},
		{false, []string{"nf_tables"}, Local},
	} {
		l := listener("127.0.0.1", 4)
		l.Transparent, l.OptionsKnown = c.transparent, true
		rows := Analyze(Input{Listeners: []listeners.Listener{l}, Network: network(), Rules: &firewall.Ruleset{}, Unread: c.unread,
			Firewall: fakeFirewall(func(firewall.Query) []firewall.Part {
				return []firewall.Part{dropped(firewall.Decision{Text: "martian"})}
			})})
		if rows[0].Label != c.label {
			t.Errorf("transparent %v, unread %v: %s, want %s", c.transparent, c.unread, rows[0].Label, c.label)
		}
	}
}

// managed is a chain of packets for this host, kept by whoever makes such names.
func managed(table, chain string, base bool) *firewall.Chain {
	t := &firewall.Table{Backend: firewall.NFTables, Family: firewall.FamilyInet, Name: table}
	c := &firewall.Chain{Table: t, Name: chain}
	if base {
		c.Base = &firewall.Base{Hook: firewall.Input, Policy: firewall.Accept}
	}
	t.Chains = []*firewall.Chain{c}
	return c
}

func TestRemediesAreInTheLanguageOfWhoKeepsTheRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		chain *firewall.Chain
		want  string
	}{
		{"firewalld", managed("firewalld", "filter_IN_trusted", false), `firewall-cmd --zone=trusted --add-rich-rule='rule port port="22" protocol="tcp" drop' && firewall-cmd --runtime-to-permanent`},
		{"firewalld, no zone's chain", managed("firewalld", "filter_INPUT", true), `firewall-cmd --add-rich-rule='rule port port="22" protocol="tcp" drop' && firewall-cmd --runtime-to-permanent`},
		{"fail2ban's chain is no place for a rule", managed("f2b-table", "f2b-chain", true), "nft add table inet netglance"},
		{"Tailscale", managed("filter", "ts-input", false), "say in the tailnet's access controls (ACLs) who may reach it: Tailscale writes its rules anew"},
		{"Kubernetes", managed("filter", "KUBE-FIREWALL", false), "limit it by the service's loadBalancerSourceRanges or a NetworkPolicy: Kubernetes writes its rules anew"},
		{"nobody in particular", managed("filter", "input", true), "nft insert rule inet filter input handle 9 tcp dport 22 drop"},
	} {
		rule := &firewall.Rule{Chain: c.chain, Number: 1, Handle: 9, Steps: []firewall.Step{firewall.Verdict{Code: firewall.Accept}}}
		rows := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{Tables: []*firewall.Table{c.chain.Table}},
			Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{accepted(by(rule))} })})
		if len(rows[0].Remedy) == 0 || rows[0].Remedy[0] != c.want {
			t.Errorf("%s: %q, want %q first", c.name, rows[0].Remedy, c.want)
		}
	}
	chain := managed("filter", "net-fw", false)
	chain.Table.Chains = append(chain.Table.Chains, &firewall.Chain{Table: chain.Table, Name: "shorewall"})
	rule := &firewall.Rule{Chain: chain, Number: 1, Steps: []firewall.Step{firewall.Verdict{Code: firewall.Accept}}}
	rows := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{Tables: []*firewall.Table{chain.Table}},
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{accepted(by(rule))} })})
	if want := "put into /etc/shorewall/rules, first: DROP net $FW tcp 22  (then: shorewall reload)"; rows[0].Remedy[0] != want {
		t.Errorf("Shorewall: %q, want %q first", rows[0].Remedy, want)
	}
}
