package report

import (
	"slices"

	"github.com/netglance/netglance/firewall"
)

// pfOrder are pf's main rulesets in the order in which a packet that comes in meets
// them; nat is met on the way out.
var pfOrder = []string{"ether", "binat", "rdr", "filter", "nat"}

// pf writes the main rulesets of pf, and below the rules that call them the anchors.
// Its chains have no hooks: pf stands where packets come in and go out by a link.
func (p *rulePrinter) pf(rules *firewall.Ruleset) {
	titled := false
	for _, name := range pfOrder {
		for _, t := range rules.Tables {
			at := slices.IndexFunc(t.Chains, func(c *firewall.Chain) bool { return c.Name == name })
			if t.Backend != firewall.PF || at < 0 {
				continue
			}
			if !titled {
				titled = true
				p.line(0, p.style.paint(cell{"in and out by a link: the last rule that matches decides, or the first that is quick; of a translation the first", bold}))
			}
			p.chain(t.Chains[at], 1)
		}
	}
}
