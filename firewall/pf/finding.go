package pf

import (
	"fmt"
	"slices"
)

// A Finding is what is odd about a configuration, whatever packets come.
type Finding struct {
	// Code is a word for programs.
	Code string
	File string
	Line int
	Text string
}

func (f Finding) String() string {
	if f.Line == 0 {
		return f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

// Findings are, in the order of the rules: lists of negated members, which together
// match everything; anchors with rules that nothing calls; redirections to this
// host's loopback addresses, which reach daemons that listen nowhere else.
func (rs *Ruleset) Findings() []Finding {
	var out []Finding
	add := func(code string, r *Rule, format string, args ...any) {
		f := Finding{Code: code, Text: fmt.Sprintf(format, args...)}
		if r != nil && !rs.Live {
			f.File, f.Line = r.File, r.Line
		}
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	called := map[*Anchor]bool{rs.Main: true}
	rs.Main.walk(func(a *Anchor) {
		a.eachRule(func(r *Rule) {
			for _, c := range a.called(r) {
				if r.IsAnchor {
					called[c] = true
				}
			}
			if r.negatedList != "" {
				add("negated_list", r, "{ %s } is a rule for each member: together they match everything", r.negatedList)
			}
			if to := loopbackTarget(r); to != "" {
				add("redirects_to_loopback", r, "%s leads packets from outside to a daemon that listens on loopback", to)
			}
		})
	})
	rs.Main.walk(func(a *Anchor) {
		rules := len(a.Filter) + len(a.NAT) + len(a.RDR) + len(a.Binat)
		if rules > 0 && !called[a] {
			add("anchor_not_called", nil, "no rule calls the anchor %q: its %d rules have no effect", a.Path, rules)
		}
	})
	return out
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
