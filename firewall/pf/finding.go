package pf

import (
	"fmt"

	"github.com/netglance/netglance/firewall"
)

// A Finding is what is odd about a rule, whatever packets come.
type Finding struct {
	Rule *firewall.Rule
	// Code is a word for programs.
	Code, Text string
}

// Findings are, in the order of the rules: lists of negated members, which together
// match everything, and redirections to this host's loopback addresses, which reach
// daemons that listen nowhere else.
func (e *Evaluator) Findings() []Finding {
	var out []Finding
	e.rules.Main.walk(func(a *Anchor) {
		a.eachRule(func(r *Rule) {
			if r.negatedList != "" {
				text := fmt.Sprintf("the list { %s } is a rule for each member: together they match everything", r.negatedList)
				out = append(out, Finding{e.model[r], "negated_list", text})
			}
			if to := loopbackTarget(r); to != "" {
				out = append(out, Finding{e.model[r], "redirects_to_loopback", to + " leads packets from outside to a daemon that listens on loopback"})
			}
		})
	})
	return out
}

// calledAnchors are those whose rules some packet can come to: the main ruleset,
// and what it calls.
func (rs *Ruleset) calledAnchors() map[*Anchor]bool {
	called := map[*Anchor]bool{}
	var visit func(a *Anchor)
	visit = func(a *Anchor) {
		if called[a] {
			return
		}
		called[a] = true
		for _, list := range [][]*Rule{a.Ether, a.Binat, a.RDR, a.NAT, a.Filter} {
			for _, r := range list {
				if !r.IsAnchor {
					continue
				}
				for _, c := range a.called(r) {
					visit(c)
				}
			}
		}
	}
	visit(rs.Main)
	return called
}

// eachRule calls f for every rule of the anchor that decides or translates.
func (a *Anchor) eachRule(f func(*Rule)) {
	for _, list := range [][]*Rule{a.RDR, a.NAT, a.Binat, a.Filter} {
		for _, r := range list {
			f(r)
		}
	}
}

// loopbackTarget is the part of a rule that leads to a loopback address, from
// another interface than loopback; "" if none.
func loopbackTarget(r *Rule) string {
	if r.Interface == "lo0" && !r.NotInterface || r.Direction == Out {
		return ""
	}
	if r.Divert != nil && r.Divert.Address.IsValid() && r.Divert.Address.IsLoopback() {
		return fmt.Sprintf("divert-to %s port %d", r.Divert.Address, r.Divert.Port)
	}
	if r.RDRTo == nil || r.Action == Block {
		return ""
	}
	for _, a := range r.RDRTo.Addresses {
		if a.Kind == Masked && a.Addr.IsLoopback() {
			return "the redirection to " + r.RDRTo.text()
		}
	}
	return ""
}
