package correlate

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

var (
	pfTable  = &firewall.Table{Backend: firewall.PF, Family: firewall.FamilyInet, Name: "pf"}
	pfFilter = &firewall.Chain{Table: pfTable, Name: "filter"}
	pfRDR    = &firewall.Chain{Table: pfTable, Name: "rdr"}
	pfAnchor = &firewall.Chain{Table: pfTable, Name: "anchor f2b/sshd filter"}
)

func TestRulesetsOfPfAreCalledAsPfctlDoes(t *testing.T) {
	for want, c := range map[string]*firewall.Chain{"pf": pfFilter, "pf rdr": pfRDR, "pf anchor f2b/sshd": pfAnchor, "inet filter input": inputDrop} {
		if got := chainName(c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// nft's commands are no help where pf filters.
func TestWhatToDoIsSaidInTheLanguageOfPf(t *testing.T) {
	passAll := rule(pfFilter, 0, "pass in all", accept)
	noMatch := firewall.Decision{Chain: pfFilter, Text: "no rule matches: the default is to pass"}
	led := accepted(by(rule(pfRDR, 1, "rdr pass on eth0 inet proto tcp from any to any port = 22 -> 127.0.0.1 port 2222", accept)))
	led.DeliveredTo = &firewall.Delivery{Address: netip.MustParseAddr("127.0.0.1"), Port: 2222}
	for _, c := range []struct {
		what   string
		four   firewall.Part
		reason string
		remedy []string
	}{
		{"a rule that is too broad", accepted(by(passAll)), "pf rule 0 accepts it, naming neither port nor sources: pass in all", []string{
			"in /etc/pf.conf, before all pass and block rules: block in quick proto tcp to any port 22",
			"in /etc/pf.conf, as the last rule: pass in proto tcp to any port 22",
		}},
		{"no rule at all", accepted(noMatch), "pf: no rule matches: the default is to pass", []string{"block in quick proto tcp to any port 22"}},
		{"pf is off", accepted(firewall.Decision{Text: "pf is disabled"}), "pf is disabled", []string{"turn pf on, with a rule in /etc/pf.conf: block in quick proto tcp to any port 22"}},
		{"an interface that pf leaves alone", accepted(firewall.Decision{Chain: pfFilter, Text: "set skip on eth0: pf leaves eth0 alone"}), "",
			[]string{"take eth0 out of set skip"}},
		{"a translation", led, "", []string{"in /etc/pf.conf, take out or narrow what leads it there: rdr pass on eth0"}},
	} {
		e := Analyze(Input{
			Listeners: []listeners.Listener{listener("0.0.0.0", 4), {Protocol: "tcp", Family: 4, Address: netip.MustParseAddr("127.0.0.1"), Port: 2222}},
			Network:   network(), Rules: &firewall.Ruleset{Tables: []*firewall.Table{pfTable}},
			Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{c.four} }),
		})[0]
		all := strings.Join(e.Remedy, "\n")
		if strings.Contains(all, "nft ") || strings.Contains(all, "iptables") {
			t.Errorf("%s: %q", c.what, e.Remedy)
		}
		for _, want := range c.remedy {
			if e.Label == Exposed && !strings.Contains(all, want) {
				t.Errorf("%s: remedy %q, want %q", c.what, e.Remedy, want)
			}
		}
		if c.reason != "" && !slices.ContainsFunc(e.Reasons, func(r Reason) bool { return r.Text == c.reason }) {
			t.Errorf("%s: reasons %+v, want %q", c.what, e.Reasons, c.reason)
		}
		if e.Label != Exposed {
			t.Errorf("%s: label %s", c.what, e.Label)
		}
	}
}

func TestOnlyTheOpenFamilyIsClosedInPf(t *testing.T) {
	e := Analyze(Input{
		Listeners: []listeners.Listener{listener("::", 6)}, Network: network(), Rules: &firewall.Ruleset{Tables: []*firewall.Table{pfTable}},
		Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part {
			if q.Destination.Is4() {
				return []firewall.Part{dropped(by(rule(pfFilter, 0, "block drop in inet all", firewall.Verdict{Code: firewall.Drop})))}
			}
			return []firewall.Part{accepted(firewall.Decision{Chain: pfFilter, Text: "no rule matches: the default is to pass"})}
		}),
	})[0]
	if e.Label != Exposed || e.Remedy[0] != "in /etc/pf.conf, before all pass and block rules: block in quick inet6 proto tcp to any port 22" {
		t.Errorf("%s, %q", e.Label, e.Remedy)
	}
}
