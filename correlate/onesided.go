package correlate

import (
	"math"
	"slices"

	"github.com/netglance/netglance/firewall"
)

// forgetIPv6 takes back what a rule for both families declares for IPv6 where
// something for IPv4 alone keeps most IPv4 sources out again: "tcp dport 6379
// accept" in an inet table beside "tcp dport 6379 drop" in an ip table, or behind
// "ip saddr != 10.0.0.0/8 drop". Nobody meant the IPv6 side. A blocklist for IPv4
// takes back little, and changes nothing.
func forgetIPv6(reach []Reach) {
	for i := range reach {
		r := &reach[i]
		if r.Family != 6 || r.Declared == Undeclared || reaches(r.Part) == never || forOneFamily(r.By) {
			continue
		}
		back := slices.IndexFunc(reach, func(o Reach) bool {
			return o.Family == 4 && o.Interface == r.Interface && reaches(o.Part) == never && forOneFamily(o.DecidedBy) && most(o.Sources)
		})
		if back >= 0 {
			r.Declared, r.DeclaredBy, r.IPv4Only = Undeclared, nil, &reach[back].DecidedBy
		}
	}
}

// forOneFamily says that the decision holds for packets of one family: its table
// is for one, or a rule on the way there asks for it. (nft writes the question
// before every match on an address in a table for both.)
func forOneFamily(d firewall.Decision) bool {
	if d.Chain == nil || d.Chain.Table == nil {
		return false
	}
	if f := d.Chain.Table.Family; f == firewall.FamilyIPv4 || f == firewall.FamilyIPv6 {
		return true
	}
	return slices.ContainsFunc(d.Via, asksFamily) || d.Rule != nil && asksFamily(d.Rule)
}

func asksFamily(rule *firewall.Rule) bool {
	return slices.ContainsFunc(rule.Steps, func(step firewall.Step) bool {
		switch s := step.(type) {
		case firewall.Compare:
			return isFamily(s.Value)
		case firewall.InSet:
			return isFamily(s.Value)
		case firewall.VerdictMap:
			return isFamily(s.Key)
		}
		return false
	})
}

func isFamily(v firewall.Value) bool {
	m, ok := v.(firewall.Meta)
	return ok && (m.Key == firewall.MetaNFProto || m.Key == firewall.MetaProtocol)
}

// most says that at least half of all addresses are among the sources.
func most(s firewall.Sources) bool {
	if len(s.Sets) > 0 {
		return false
	}
	share := 0.0
	for _, p := range s.Prefixes {
		share += math.Ldexp(1, -p.Bits())
	}
	return share >= 0.5
}
