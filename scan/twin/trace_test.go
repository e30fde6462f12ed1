package twin

import (
	"testing"

	"github.com/netglance/netglance/firewall"
)

func TestACopyOfARuleIsTheRuleThatDecided(t *testing.T) {
	c := &firewall.Chain{Table: &firewall.Table{Family: firewall.FamilyInet, Name: "m"}, Name: "t"}
	rule, other := &firewall.Rule{Handle: 2}, &firewall.Rule{Handle: 3}
	steps := []Step{{Family: firewall.FamilyInet, Table: "m", Chain: "t", Rule: &firewall.Rule{Handle: 2}}}
	for decided, want := range map[*firewall.Rule]bool{rule: true, other: false, {}: false, nil: false} {
		part := firewall.Part{Fate: firewall.Accepted, DecidedBy: firewall.Decision{Chain: c, Rule: decided}}
		if got := decidedAlike(part, steps); got != want {
			t.Errorf("%v: %v, want %v", decided, got, want)
		}
	}
}
