package twin

import (
	"slices"

	"github.com/netglance/netglance/firewall"
)

// refuseUsers counts the rules that name a set as refused: it is not the host's.
func (t *Twin) refuseUsers(family firewall.Family, table, set string) {
	for _, candidate := range t.host.Rules.Tables {
		if candidate.Family != family || candidate.Name != table {
			continue
		}
		for _, c := range candidate.Chains {
			for _, r := range c.Rules {
				if slices.ContainsFunc(r.Steps, func(s firewall.Step) bool { return uses(s, set) }) {
					t.refused[r] = true
				}
			}
		}
	}
}

func uses(step firewall.Step, set string) bool {
	switch s := step.(type) {
	case firewall.InSet:
		return s.Set != nil && s.Set.Name == set
	case firewall.VerdictMap:
		return s.Map != nil && s.Map.Name == set
	case firewall.Compare, firewall.Range, firewall.Chance, firewall.Passive, firewall.Verdict, firewall.Reject:
		return false
	}
	return true // it may hold a map's value
}

// doubting runs f while nobody knows whether the refused rules match: an answer
// that is the same then does not depend on them. The ruleset is changed meanwhile, so
// nobody else may ask about it.
func (t *Twin) doubting(f func()) {
	for r := range t.refused {
		steps := r.Steps
		defer func() { r.Steps = steps }()
		r.Steps = append([]firewall.Step{firewall.Opaque{Name: "refused by the twin's kernel"}}, steps...)
	}
	f()
}
