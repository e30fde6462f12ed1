package firewall

import (
	"cmp"
	"slices"
)

// BaseChains are the base chains of a hook in the order in which the kernel
// calls them, dormant tables' among them. Chains of one priority run latest
// registered first (net/netfilter/core.c, nf_hook_entries_grow); handles tell
// that within a table, and mostly between tables.
func (r *Ruleset) BaseChains(hook Hook) []*Chain {
	var chains []*Chain
	for _, t := range r.Tables {
		for _, c := range t.Chains {
			if c.Base != nil && c.Base.Hook == hook {
				chains = append(chains, c)
			}
		}
	}
	slices.SortStableFunc(chains, func(a, b *Chain) int {
		return cmp.Or(cmp.Compare(a.Base.calledAt(), b.Base.calledAt()), cmp.Compare(a.Base.Priority, b.Base.Priority),
			cmp.Compare(b.Table.Handle, a.Table.Handle), cmp.Compare(b.Handle, a.Handle))
	})
	return chains
}

// calledAt is the priority at which the chain really runs: all nat chains of a
// hook run where NAT does (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC).
func (b *Base) calledAt() int32 {
	if b.Type != NATChain {
		return b.Priority
	}
	if b.Hook == Input || b.Hook == Postrouting {
		return 100
	}
	return -100
}

// JumpTargets are the chains that a rule jumps or goes to, a verdict map's too,
// each once, in the rule's order.
func (r *Rule) JumpTargets() []*Chain {
	var out []*Chain
	add := func(v *Verdict) {
		if v != nil && v.Chain != nil && !slices.Contains(out, v.Chain) {
			out = append(out, v.Chain)
		}
	}
	for _, step := range r.Steps {
		switch s := step.(type) {
		case Verdict:
			add(&s)
		case VerdictMap:
			if s.Map == nil {
				continue
			}
			for i := range s.Map.Elements {
				add(s.Map.Elements[i].Verdict)
			}
			if s.Map.CatchAll != nil {
				add(s.Map.CatchAll.Verdict)
			}
		}
	}
	return out
}
