package firewall

import "slices"

// WithoutNAT is the ruleset without its chains of type nat: what the other rules
// say of a packet that is not led elsewhere. It shares everything else.
func (r *Ruleset) WithoutNAT() *Ruleset {
	without := *r
	without.Tables = make([]*Table, len(r.Tables))
	for i, t := range r.Tables {
		kept := *t
		kept.Chains = slices.DeleteFunc(slices.Clone(t.Chains), func(c *Chain) bool { return c.Base != nil && c.Base.Type == NATChain })
		without.Tables[i] = &kept
	}
	return &without
}
