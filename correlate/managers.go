package correlate

import (
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/managers"
)

// Backends are the packet filters that have tables, sorted.
func Backends(rules *firewall.Ruleset) []string {
	var out []string
	for _, t := range rules.Tables {
		out = append(out, t.Backend.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Managers are the programs that wrote rules, known by the names they give their
// tables and chains, sorted.
func Managers(rules *firewall.Ruleset) []string {
	var out []string
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			if name := managers.Of(c); name != "" {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func chainManager(c *firewall.Chain) string { return managers.Of(c) }
