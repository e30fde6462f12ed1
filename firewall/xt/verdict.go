package xt

import (
	"github.com/netglance/netglance/firewall"
)

// standard is xt_standard_target without its header: a verdict as -verdict-1,
// or the offset of the chain to jump to, which only the table's reader can resolve.
type standard struct{ verdict int32 }

var standardVerdicts = map[int32]struct {
	code firewall.VerdictCode
	name string
}{
	-1: {firewall.Drop, "DROP"}, -2: {firewall.Accept, "ACCEPT"}, -4: {firewall.Queue, "QUEUE"}, -5: {firewall.Return, "RETURN"},
}

func decodeStandard(_ uint8, f *fields) extension {
	s := standard{int32(f.u32())}
	if _, ok := standardVerdicts[s.verdict]; !ok {
		return nil
	}
	return s
}

// JumpOffset is where a standard target jumps to, from the start of its table;
// false for a verdict.
func (d Decoder) JumpOffset(data []byte) (uint32, bool) {
	if len(data) < 4 {
		return 0, false
	}
	v := d.order().Uint32(data)
	return v, int32(v) >= 0
}

func (s standard) steps(Decoder) []firewall.Step { return verdict(standardVerdicts[s.verdict].code) }
func (s standard) name() string                  { return standardVerdicts[s.verdict].name }
func (s standard) String() string                { return "" }

// plain is a target without options that stands for one step.
type plain struct{ step firewall.Step }

func (p plain) steps(Decoder) []firewall.Step { return one(p.step) }
func (p plain) String() string                { return "" }

// plainKind is the kind of such a target.
func plainKind(s firewall.Step) *kind {
	return &kind{
		decode: func(uint8, *fields) extension { return plain{s} },
		parse:  func(*given) extension { return plain{s} },
	}
}

// queue is xt_NFQ_info and its revisions 1 to 3 (xt_NFQUEUE.h).
type queue struct {
	number, total  uint16
	bypass, fanout bool
}

func decodeQueue(revision uint8, f *fields) extension {
	q := queue{number: f.u16(), total: 1}
	if revision >= 1 {
		q.total = f.u16()
	}
	switch revision {
	case 0, 1:
	case 2:
		q.bypass = f.u16()&1 != 0
	case 3:
		flags := f.u16()
		q.bypass, q.fanout = flags&1 != 0, flags&2 != 0
	default:
		return nil
	}
	return q
}

func (q queue) steps(Decoder) []firewall.Step {
	return one(firewall.Verdict{Code: firewall.Queue, Number: q.number, Bypass: q.bypass})
}

func (q queue) String() string {
	var l line
	if q.total > 1 {
		l.add(false, "--queue-balance", number(q.number)+":"+number(q.number+q.total-1))
	} else {
		l.add(false, "--queue-num", number(q.number))
	}
	if q.bypass {
		l.add(false, "--queue-bypass")
	}
	if q.fanout {
		l.add(false, "--queue-cpu-fanout")
	}
	return l.String()
}

const queueOptions = "queue-num=1 queue-balance=1 queue-bypass=0 queue-cpu-fanout=0"

func parseQueue(g *given) extension {
	q := queue{total: 1}
	for _, o := range g.list {
		switch o.Name {
		case "queue-num":
			q.number = g.u16(o)
		case "queue-balance":
			low, high := g.span(o, o.first(), ":", 16)
			if high < low {
				g.fail(o, "ends before it starts")
			}
			q.number, q.total = uint16(low), uint16(high-low+1)
		case "queue-bypass":
			q.bypass = true
		case "queue-cpu-fanout":
			q.fanout = true
		}
	}
	return q
}

// conntrackTarget is the CT target, revisions 0 to 2 (xt_CT.h), and NOTRACK.
type conntrackTarget struct {
	flags, zone       uint16
	events, expEvents uint32
	helper, timeout   string
}

const (
	ctNoTrack      = 1
	ctNoTrackAlias = 2
	ctZoneOriginal = 4
	ctZoneReply    = 8
	ctZoneMark     = 16
)

func decodeConntrackTarget(revision uint8, f *fields) extension {
	if revision > 2 {
		return nil
	}
	t := conntrackTarget{flags: f.u16(), zone: f.u16(), events: f.u32(), expEvents: f.u32(), helper: f.name(16)}
	if revision > 0 {
		t.timeout = f.name(32)
	}
	return t
}

// steps. A packet that is tracked or untracked already stays so (xt_ct_target).
func (t conntrackTarget) steps(d Decoder) []firewall.Step {
	if t.flags&ctNoTrack != 0 {
		return one(firewall.NoTrack{})
	}
	s := passive("CT", t.String())
	if t.flags&ctZoneMark != 0 {
		return append(s, firewall.Assign{Target: t.zoneValue(), Value: firewall.Slice{Value: meta(firewall.MetaMark), Offset: d.lowHalf(), Length: 2}})
	}
	if t.zone != 0 {
		return append(s, firewall.Assign{Target: t.zoneValue(), Value: firewall.Constant{Data: d.word16(t.zone)}})
	}
	return s
}

// lowHalf is where the lower 16 bits of a word in host order stand.
func (d Decoder) lowHalf() uint32 {
	if d.BigEndian {
		return 2
	}
	return 0
}

func (t conntrackTarget) zoneValue() firewall.Value {
	switch t.flags & (ctZoneOriginal | ctZoneReply) {
	case ctZoneOriginal:
		return firewall.CT{Key: firewall.CTZone, Dir: firewall.CTOriginal}
	case ctZoneReply:
		return firewall.CT{Key: firewall.CTZone, Dir: firewall.CTReply}
	}
	return ct(firewall.CTZone)
}

func (t conntrackTarget) name() string {
	if t.flags&ctNoTrackAlias != 0 {
		return "NOTRACK"
	}
	return "CT"
}

var ctEvents = []string{"new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "natseqinfo", "secmark"}

func (t conntrackTarget) String() string {
	var l line
	if t.flags&ctNoTrackAlias != 0 {
		return ""
	}
	if t.flags&ctNoTrack != 0 {
		l.add(false, "--notrack")
	}
	if t.helper != "" {
		l.add(false, "--helper", t.helper)
	}
	if t.timeout != "" {
		l.add(false, "--timeout", t.timeout)
	}
	if t.events != 0 {
		l.add(false, "--ctevents", bitNames(t.events, ctEvents))
	}
	if t.expEvents != 0 {
		l.add(false, "--expevents", bitNames(t.expEvents, []string{"new"}))
	}
	zone := number(t.zone)
	if t.flags&ctZoneMark != 0 {
		zone = "mark"
	}
	if t.zone != 0 || t.flags&ctZoneMark != 0 {
		name := "--zone"
		switch t.flags & (ctZoneOriginal | ctZoneReply) {
		case ctZoneOriginal:
			name = "--zone-orig"
		case ctZoneReply:
			name = "--zone-reply"
		}
		l.add(false, name, zone)
	}
	return l.String()
}

const conntrackTargetOptions = "notrack=0 helper=1 timeout=1 ctevents=1 expevents=1 zone=1 zone-orig=1 zone-reply=1"

func parseConntrackTarget(g *given) extension {
	var t conntrackTarget
	for _, o := range g.list {
		switch o.Name {
		case "notrack":
			t.flags |= ctNoTrack
		case "helper":
			t.helper = o.first()
		case "timeout":
			t.timeout = o.first()
		case "ctevents":
			t.events = g.bits(o, o.first(), upperBits(ctEvents))
		case "expevents":
			t.expEvents = g.bits(o, o.first(), upperBits([]string{"new"}))
		default:
			t.flags |= map[string]uint16{"zone-orig": ctZoneOriginal, "zone-reply": ctZoneReply}[o.Name]
			if o.first() == "mark" {
				t.flags |= ctZoneMark
			} else {
				t.zone = g.u16(o)
			}
		}
	}
	return t
}

func parseNotrack(*given) extension { return conntrackTarget{flags: ctNoTrack | ctNoTrackAlias} }

// upperBits numbers names for given.bits, the first bit 1.
func upperBits(names []string) map[string]uint32 {
	m := make(map[string]uint32)
	for i, n := range names {
		m[upper(n)] = 1 << i
	}
	return m
}
