package nft

import (
	"errors"
	"fmt"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Rule attributes (enum nft_rule_attributes).
const (
	ruleHandle      = 3 // NFTA_RULE_HANDLE
	ruleExpressions = 4 // NFTA_RULE_EXPRESSIONS
	ruleUserdata    = 7 // NFTA_RULE_USERDATA
)

// A rule is a firewall.Rule with the bytes that it was decoded from; its String
// is the rule's text.
type rule struct {
	firewall.Rule
	table       *table
	expressions []byte
}

// readRules reads one chain's rules. Asking chain by chain spares the kernel
// from counting through the whole ruleset for every message.
func (r *reader) readRules(c *chain) error {
	var rules []*rule
	d := decoder{table: c.table}
	err := r.dump(request(getRule, netlink.FlagDump, c.Table.Family, names(c.Table.Name, c.Name)), newRule,
		func(_ firewall.Family, a *attributes) {
			rules = append(rules, d.rule(c, a, len(rules)+1))
		})
	c.Rules = make([]*firewall.Rule, len(rules))
	for i, rule := range rules {
		c.Rules[i] = &rule.Rule
	}
	if err != nil && !errors.Is(err, errTorn) {
		return fmt.Errorf("rules of chain %s %s %s: %w", c.Table.Family, c.Table.Name, c.Name, err)
	}
	return err
}

func (d *decoder) rule(c *chain, a *attributes, number int) *rule {
	rule := &rule{
		Rule: firewall.Rule{
			Chain:   c.Chain,
			Handle:  a.uint64(ruleHandle),
			Number:  number,
			Comment: comment(a.get(ruleUserdata)),
		},
		table:       c.table,
		expressions: a.get(ruleExpressions),
	}
	rule.Source = rule
	rule.Steps = d.decode(rule.expressions)
	if rule.Comment == "" {
		rule.Comment = d.comment
	}
	if a.malformed {
		rule.Steps = append(rule.Steps, firewall.Opaque{Name: "malformed rule", Target: true})
	}
	return rule
}

// ExpressionNames lists the names of a rule's nf_tables expressions, in their
// order; nil for a rule that this package didn't read.
func ExpressionNames(r *firewall.Rule) []string {
	source, ok := r.Source.(*rule)
	if !ok {
		return nil
	}
	var found []string
	var e expression
	each(source.expressions, listElement, func(b []byte) {
		e.parse(b)
		found = append(found, string(e.name))
	})
	return found
}
