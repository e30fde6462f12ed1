package firewall

import (
	"fmt"

	"github.com/netglance/netglance/internal/bdd"
)

// startTracking is conntrack's hook for a flow's first packet: it gets an entry,
// unless notrack took it out (nf_conntrack_in).
func (w *walker) startTracking(p *packet) {
	t := &p.tracking
	t.tracked = w.m.Not(t.untracked)
	t.state = stateNew
	t.source, t.destination = p.source(), p.destination()
	t.sourcePort, t.port = p.sourcePort(), p.port()
}

// loadCT is nft_ct_get_eval (net/netfilter/nft_ct.c): without an entry every key
// but the state ends the rule.
func (w *walker) loadCT(p *packet, v CT) (bits, bdd.Node) {
	t := &p.tracking
	if v.Key == CTState {
		state := w.choose(t.tracked, w.word(t.state), w.word(stateInvalid))
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
		return constantBits([]byte{p.protocol}), t.tracked
	case CTLabels:
		return t.labels, t.tracked
	case CTZone:
		return t.zone, t.tracked
	case CTSrc, CTDst, CTSrcIP, CTDstIP, CTSrcIP6, CTDstIP6, CTProtoSrc, CTProtoDst:
		return w.loadTuple(p, v)
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
	if t.reply {
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
