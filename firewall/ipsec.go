package firewall

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// Direction is the packets that an IPsec policy is about, numbered like
// XFRM_POLICY_* (include/uapi/linux/xfrm.h).
type Direction uint8

// The directions: packets for this host, its own, and those that it forwards.
const (
	DirectionIn Direction = iota
	DirectionOut
	DirectionForward
)

// An IPsecPolicy says what must come, or goes, inside IPsec. The matching one of
// the lowest Priority decides (net/xfrm/xfrm_policy.c).
type IPsecPolicy struct {
	Direction           Direction
	Family              Family
	Source, Destination netip.Prefix
	// Protocol is 0 for any.
	Protocol uint8
	// Ports are matched where the bits of their masks are set.
	SourcePort, SourcePortMask uint16
	Port, PortMask             uint16
	Mark, MarkMask             uint32
	// OwnInterface says that the policy is for one link or XFRM interface: it may
	// not be about a packet.
	OwnInterface bool
	Priority     uint32
	// Blocks drops what matches; Requires wants it inside IPsec, so that a plain
	// packet is dropped. Else it may pass as it is.
	Blocks, Requires bool
	// Text names it.
	Text string
}

// indexPolicies lists the policies of each direction in the order of the look-up.
func indexPolicies(n *Network) map[Direction][]IPsecPolicy {
	if len(n.Policies) == 0 {
		return nil
	}
	by := make(map[Direction][]IPsecPolicy)
	for _, p := range n.Policies {
		by[p.Direction] = append(by[p.Direction], p)
	}
	for _, list := range by {
		slices.SortStableFunc(list, func(a, b IPsecPolicy) int { return cmp.Compare(a.Priority, b.Priority) })
	}
	return by
}

// throughPolicies takes packets through the IPsec policies of a direction. A
// plain packet that should have come inside IPsec is dropped; the same one inside
// it passes, which depends on the sender.
func (w *walker) throughPolicies(p *packet, to Direction, live bdd.Node) bdd.Node {
	policies := w.e.policies[to]
	if len(policies) == 0 || w.exemptFromPolicies(p, to) {
		return live
	}
	passed := bdd.False
	for _, policy := range policies {
		set := w.m.And(live, w.selectedBy(p, policy))
		if set == bdd.False {
			continue
		}
		live = w.m.Diff(live, set)
		switch {
		case policy.Blocks:
			w.kernelDrops(set, policy.Text)
		case policy.Requires:
			w.note(p, nil, nil, "meets "+policy.Text)
			inside := w.m.And(set, w.fact("inside IPsec ("+policy.Text+")", External))
			w.decide(w.m.Diff(set, inside), Dropped, Decision{Text: "outside of IPsec: " + policy.Text}, nil)
			passed = w.m.Or(passed, inside)
		default:
			passed = w.m.Or(passed, set)
		}
	}
	return w.m.Or(passed, live)
}

// exemptFromPolicies is disable_policy of the way in (DST_NOPOLICY), and
// disable_xfrm of the way out (DST_NOXFRM), which only IPv4 has.
func (w *walker) exemptFromPolicies(p *packet, to Direction) bool {
	if to != DirectionOut {
		tree := map[Family]string{FamilyIPv4: "ipv4/conf", FamilyIPv6: "ipv6/conf"}[p.family]
		return p.in != nil && (w.e.setting(tree, p.in.Name, "disable_policy") == 1 || w.e.setting(tree, "all", "disable_policy") == 1)
	}
	return p.family == FamilyIPv4 && p.out != nil && w.e.switchedOn(p.out, "disable_xfrm")
}

// selectedBy is xfrm_selector_match, and the policy's mark.
func (w *walker) selectedBy(p *packet, policy IPsecPolicy) bdd.Node {
	if policy.Family != FamilyUnspecified && policy.Family != p.family || policy.Protocol != 0 && policy.Protocol != p.protocol {
		return bdd.False
	}
	n := w.m.And(w.inPrefix(p.source(), policy.Source), w.inPrefix(p.destination(), policy.Destination))
	if policy.SourcePortMask|policy.PortMask != 0 && !p.hasPorts() {
		return w.m.And(n, w.fact("ports for "+policy.Text, Unmodelled))
	}
	if policy.SourcePortMask != 0 {
		n = w.m.And(n, w.portFits(p.sourcePort(), policy.SourcePort, policy.SourcePortMask))
	}
	if policy.PortMask != 0 {
		n = w.m.And(n, w.portFits(p.port(), policy.Port, policy.PortMask))
	}
	if policy.MarkMask != 0 {
		n = w.m.And(n, w.equalWord(w.combine(BitAnd, p.mark, w.word(policy.MarkMask)), policy.Mark))
	}
	if policy.OwnInterface {
		n = w.m.And(n, w.fact("the interface of "+policy.Text, Unmodelled))
	}
	return n
}

func (w *walker) inPrefix(address bits, prefix netip.Prefix) bdd.Node {
	if !prefix.IsValid() {
		return bdd.True
	}
	return w.prefix(address, prefix)
}

func (w *walker) portFits(port bits, number, mask uint16) bdd.Node {
	m := binary.BigEndian.AppendUint16(nil, mask)
	return w.equal(w.combine(BitAnd, port, constantBits(m)), binary.BigEndian.AppendUint16(nil, number&mask))
}
