package report

import (
	"strings"
	"testing"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
)

func TestRulesetsOfPfStandInPfsOrderAndAreCalled(t *testing.T) {
	table := &firewall.Table{Backend: firewall.PF, Family: firewall.FamilyInet, Name: "pf"}
	chain := func(name string, rules ...words) *firewall.Chain {
		c := &firewall.Chain{Table: table, Name: name}
		for i, text := range rules {
			c.Rules = append(c.Rules, &firewall.Rule{Chain: c, Number: i, Source: text})
		}
		table.Chains = append(table.Chains, c)
		return c
	}
	filter := chain("filter", "block drop in all", `anchor "bans" all`)
	chain("rdr", "rdr pass on em0 …")
	bans := chain("anchor bans filter", "block drop quick from <bans> to any")
	chain("anchor forgotten filter", "pass all")
	filter.Rules[1].Steps = []firewall.Step{firewall.Verdict{Code: firewall.Jump, Chain: bans}}
	var out strings.Builder
	if err := RulesText(&out, &firewall.Ruleset{Tables: []*firewall.Table{table}}, correlate.RulesReview{}, Style{}); err != nil {
		t.Fatal(err)
	}
	want := `in and out by a link: the last rule that matches decides, or the first that is quick; of a translation the first
  pf rdr
    0  rdr pass on em0 …
  pf
    0  block drop in all
    1  anchor "bans" all
        pf anchor bans
          0  block drop quick from <bans> to any
called by nothing
  pf anchor forgotten
    0  pass all
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
