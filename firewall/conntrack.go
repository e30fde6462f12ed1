package firewall

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netglance/netglance/internal/bdd"
)

// startTracking is conntrack's hook for a flow's first packet: it gets an entry,
// unless notrack took it out (nf_conntrack_in).
func (w *walker) startTracking(p *packet) {
	t := &p.tracking
	t.tracked = w.m.Diff(w.trackingOn(p.family), t.untracked)
	t.state, t.protocol = stateNew, p.protocol
	t.source, t.destination = p.source(), p.destination()
	t.sourcePort, t.port = p.sourcePort(), p.port()
}

// ofFlow is where an answer belongs to the entry of the packet that it answers:
// where its addresses and ports are those that the entry expects. A rule that
// rewrote a header behind conntrack's back made them others.
func (w *walker) ofFlow(a *packet) bdd.Node {
	t := &a.tracking
	if t.tracked == bdd.False || t.source == nil {
		return t.tracked
	}
	other := w.differs(a.source(), w.choose(t.dnat, orElse(t.newDestination, t.destination), t.destination))
	other = w.m.Or(other, w.differs(a.destination(), w.choose(t.snat, orElse(t.newSource, t.source), t.source)))
	if a.hasPorts() {
		other = w.m.Or(other, w.differs(a.sourcePort(), w.choose(t.dnat, orElse(t.newPort, t.port), t.port)))
		other = w.m.Or(other, w.differs(a.port(), w.choose(t.snat, orElse(t.newSourcePort, t.sourcePort), t.sourcePort)))
	}
	return w.m.Diff(t.tracked, other)
}

// trackingOn is whether the kernel tracks the family's flows at all: it does so
// only while some rule needs it (nf_ct_netns_get). A nat chain alone doesn't.
func (w *walker) trackingOn(family Family) bdd.Node {
	if w.e.tracks[family] {
		return bdd.True
	}
	if w.e.opaque {
		return w.fact("whether an unmodelled rule turns connection tracking on", Unmodelled)
	}
	return bdd.False
}

// trackedFamilies are those whose flows are tracked for the sake of a rule. A
// translation to addresses of one family needs that family's only (nft_nat_init).
func trackedFamilies(r *Rule) []Family {
	var families []Family
	for _, step := range r.Steps {
		nat, ok := step.(NAT)
		switch {
		case ok && (nat.Family == FamilyIPv4 || nat.Family == FamilyIPv6):
			families = append(families, nat.Family)
		case stepNeedsTracking(step):
			return hookFamilies(r.Chain.Table.Family, Input)
		}
	}
	return families
}

// needsTracking says that a rule with such steps turns connection tracking on.
func needsTracking(steps []Step) bool {
	return slices.ContainsFunc(steps, stepNeedsTracking)
}

func stepNeedsTracking(step Step) bool {
	switch s := step.(type) {
	case NAT, FlowOffload, SynProxy:
		return true
	case Chance:
		return s.Name == "connlimit"
	case ObjectRef:
		return strings.HasPrefix(s.Kind, "ct ") || s.Kind == "synproxy" || usesCT(s.Key)
	case Compare:
		return usesCT(s.Value)
	case Range:
		return usesCT(s.Value)
	case InSet:
		return usesCT(s.Value)
	case VerdictMap:
		return usesCT(s.Key)
	case Assign:
		return usesCT(s.Target) || usesCT(s.Value)
	case DynSet:
		return usesCT(s.Key) || usesCT(s.Data) || needsTracking(s.Steps)
	case Not:
		return needsTracking(s.Steps)
	case AnyOf:
		return slices.ContainsFunc(s.Alternatives, needsTracking)
	}
	return false
}

// usesCT says that a value looks at the conntrack entry.
func usesCT(v Value) bool {
	switch v := v.(type) {
	case CT:
		return true
	case Bitwise:
		return usesCT(v.Left) || usesCT(v.Right)
	case ByteOrder:
		return usesCT(v.Value)
	case Slice:
		return usesCT(v.Value)
	case MapLookup:
		return usesCT(v.Key)
	case Concat:
		return slices.ContainsFunc(v.Parts, usesCT)
	}
	return false
}

// loadCT is nft_ct_get_eval (net/netfilter/nft_ct.c): without an entry every key
// but the state ends the rule.
func (w *walker) loadCT(p *packet, v CT) (bits, bdd.Node) {
	t := &p.tracking
	if p.nfproto == FamilyBridge {
		return w.perhaps(Unmodelled, "the bridge's own connection tracking")
	}
	if v.Key == CTState {
		state := w.choose(t.tracked, orElse(t.states, w.word(t.state)), w.word(stateInvalid))
		return w.choose(t.untracked, w.word(stateUntracked), state), bdd.True
	}
	if t.tracked == bdd.False {
		return nil, bdd.False
	}
	switch v.Key {
	case CTDirection:
		return constantBits([]byte{boolByte(t.reply)}), t.tracked
	case CTStatus:
		return w.status(t), t.tracked
	case CTMark:
		return t.mark, t.tracked
	case CTL3Protocol:
		return constantBits([]byte{byte(p.family)}), t.tracked
	case CTProtocol:
		return constantBits([]byte{t.protocol}), t.tracked
	case CTLabels:
		return t.labels, t.tracked
	case CTZone:
		return t.zone, t.tracked
	case CTSrc, CTDst, CTSrcIP, CTDstIP, CTSrcIP6, CTDstIP6, CTProtoSrc, CTProtoDst:
		return w.loadTuple(p, v)
	}
	if v.Key == CTHelper && !w.e.helpers {
		return nil, bdd.False // nobody assigns one
	}
	kind := Unmodelled
	if v.Key == CTPkts || v.Key == CTBytes || v.Key == CTAvgPkt || v.Key == CTExpiration {
		kind = History
	}
	_, ok := w.perhaps(kind, fmt.Sprintf("ct key %d", v.Key))
	return nil, w.m.And(ok, t.tracked)
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (w *walker) status(t *tracking) bits {
	always := uint32(0)
	if t.reply && t.state == stateEstablished {
		always |= statusSeenReply
	}
	if t.confirmed {
		always |= statusConfirmed
	}
	if t.destinationDone {
		always |= statusDestDone
	}
	if t.sourceDone {
		always |= statusSourceDone
	}
	b := w.word(always)
	b = w.combine(BitOr, b, w.choose(t.dnat, w.word(statusDestNAT), w.word(0)))
	return w.combine(BitOr, b, w.choose(t.snat, w.word(statusSourceNAT), w.word(0)))
}

// loadTuple is an address or port of one direction of the entry. The reply's
// tuple is the original's turned round, as NAT changed it.
func (w *walker) loadTuple(p *packet, v CT) (bits, bdd.Node) {
	t := &p.tracking
	ok := t.tracked
	if v4, v6 := v.Key == CTSrcIP || v.Key == CTDstIP, v.Key == CTSrcIP6 || v.Key == CTDstIP6; v4 && p.family != FamilyIPv4 || v6 && p.family != FamilyIPv6 {
		return nil, bdd.False
	}
	reply := v.Dir == CTReply
	switch v.Key {
	case CTSrc, CTSrcIP, CTSrcIP6:
		if reply {
			return w.choose(t.dnat, orElse(t.newDestination, t.destination), t.destination), ok
		}
		return t.source, ok
	case CTDst, CTDstIP, CTDstIP6:
		if reply {
			return w.choose(t.snat, orElse(t.newSource, t.source), t.source), ok
		}
		return t.destination, ok
	case CTProtoSrc:
		if reply {
			return w.choose(t.dnat, orElse(t.newPort, t.port), t.port), ok
		}
		return t.sourcePort, ok
	}
	if reply {
		return w.choose(t.snat, orElse(t.newSourcePort, t.sourcePort), t.sourcePort), ok
	}
	return t.port, ok
}

func orElse(b, other bits) bits {
	if b == nil {
		return other
	}
	return b
}

// setCT is nft_ct_set_eval: without an entry nothing happens.
func (w *walker) setCT(p *packet, key CTKey, value bits, set bdd.Node) {
	t := &p.tracking
	switch key {
	case CTMark:
		t.mark = w.choose(w.m.And(set, t.tracked), value.padded(4), t.mark)
	case CTLabels:
		t.labels = w.choose(w.m.And(set, t.tracked), w.combine(BitOr, t.labels, value.padded(16)), t.labels)
	case CTZone:
		// A template before conntrack's hook (nft_ct_set_zone_eval).
		if t.tracked == bdd.False {
			t.zone = w.choose(set, value.padded(2), t.zone)
		}
	}
}
