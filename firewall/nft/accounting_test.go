package nft_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/internal/netlink"
)

// valueOnly are the expressions that only put a value into a register.
var valueOnly = []string{"bitwise", "byteorder", "fib", "hash", "inner", "numgen", "osf", "rt", "socket", "tunnel", "xfrm"}

// A rawExpression is an expression's name and attributes as the message has them.
type rawExpression struct {
	name string
	data []byte
}

// rawRules reads the rules of messages by handle, with a reading of its own.
func rawRules(heap []byte) map[string][][]rawExpression {
	rules := map[string][][]rawExpression{}
	_ = netlink.Each(heap, func(m netlink.Message) error {
		if m.Type != 10<<8|6 { // NFT_MSG_NEWRULE
			return nil
		}
		list := attribute(m.Data[4:], 4)
		var expressions []rawExpression
		for a := netlink.NewAttributes(list); a.Next(); {
			expressions = append(expressions, rawExpression{cut(attribute(a.Data(), 1)), attribute(a.Data(), 2)})
		}
		chain := firewall.Family(m.Data[0]).String() + " " + cut(attribute(m.Data[4:], 1)) + " " + cut(attribute(m.Data[4:], 2))
		rules[chain] = append(rules[chain], expressions)
		return nil
	})
	return rules
}

func cut(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// makesStep says that an expression must be seen among a rule's steps: it
// doesn't just load a register.
func makesStep(e rawExpression) bool {
	switch {
	case slices.Contains(valueOnly, e.name):
		return false
	case e.name == "payload":
		return attribute(e.data, 5) != nil // NFTA_PAYLOAD_SREG
	case e.name == "meta":
		return attribute(e.data, 3) != nil // NFTA_META_SREG
	case e.name == "ct":
		return attribute(e.data, 4) != nil // NFTA_CT_SREG
	case e.name == "exthdr":
		return attribute(e.data, 1) == nil // NFTA_EXTHDR_DREG
	case e.name == "lookup":
		dreg := attribute(e.data, 3) // NFTA_LOOKUP_DREG
		return dreg == nil || string(dreg) == "\x00\x00\x00\x00"
	case e.name == "immediate":
		return string(attribute(e.data, 1)) == "\x00\x00\x00\x00" // NFTA_IMMEDIATE_DREG
	}
	return true
}

// checkExpressions compares rules with their messages: every expression has its
// name in the rule, and every one that isn't a load has a step. It returns how
// many there were.
func checkExpressions(t *testing.T, file string, ruleset *firewall.Ruleset, heap []byte) (checked int) {
	t.Helper()
	raw := rawRules(heap)
	for _, table := range ruleset.Tables {
		for _, chain := range table.Chains {
			rules := raw[table.Family.String()+" "+table.Name+" "+chain.Name]
			if len(rules) != len(chain.Rules) {
				t.Errorf("%s: chain %s has %d rules, %d were decoded", file, chain.Name, len(rules), len(chain.Rules))
				continue
			}
			for i, rule := range chain.Rules {
				checked += len(rules[i])
				checkRule(t, file, rule, rules[i])
			}
		}
	}
	return checked
}

func checkRule(t *testing.T, file string, rule *firewall.Rule, raw []rawExpression) {
	t.Helper()
	var names []string
	steps, extensions := 0, false
	for _, e := range raw {
		names = append(names, e.name)
		extensions = extensions || e.name == "match" || e.name == "target"
		if makesStep(e) {
			steps++
		}
	}
	if got := nft.ExpressionNames(rule); !slices.Equal(got, names) {
		t.Errorf("%s: %q has the expressions %v, decoded %v", file, rule.Text(), names, got)
	}
	// An x_tables match may stand for several steps, or for none (a comment).
	if len(rule.Steps) != steps && !extensions {
		t.Errorf("%s: %q has %d steps for %d of %v", file, rule.Text(), len(rule.Steps), steps, names)
	}
}

func TestNoExpressionIsLost(t *testing.T) {
	for _, name := range recordings {
		heap := recorded(t, name)
		ruleset, _ := nft.Read(heap, nil)
		if checkExpressions(t, name, ruleset, heap) == 0 {
			t.Errorf("%s: nothing was checked", name)
		}
	}
}
