package firewall

import (
	"net/netip"

	"github.com/netglance/netglance/internal/bdd"
)

// PacketSet is a set of packets, within the space of one question.
type PacketSet = bdd.Node

// The empty set, and all packets of the question.
const (
	NoPackets  PacketSet = bdd.False
	AllPackets PacketSet = bdd.True
)

// A Field is a packet's field, such as its source address: bits that are constant
// or depend on what is free in the question.
type Field struct{ bits bits }

// A Space is the packets of one question, for evaluators of other systems' rules:
// what is free in it are the source's address and port, a destination port of 0,
// and the conditions that no reading settles. It is what the evaluator of Linux
// walks with, too, so answers mean the same. Not safe for concurrent use.
type Space struct {
	w    *walker
	kept map[any]PacketSet
}

// NewSpace is the space of a question.
func NewSpace() *Space {
	s := &Space{}
	s.Reset()
	return s
}

// Reset makes the space that of the next question.
func (s *Space) Reset() {
	if s.w == nil || s.w.m.Size() > maxNodes {
		s.w, s.kept = &walker{m: bdd.New()}, make(map[any]PacketSet)
	}
	s.w = &walker{
		m:           s.w.m,
		fields:      make(map[string]bits),
		facts:       make(map[string]bdd.Node),
		memberships: make(map[*Set]map[string]bdd.Node),
	}
}

// Kept is a set that stays the same from question to question: it depends on the
// free source alone. It is built once.
func (s *Space) Kept(key any, build func() PacketSet) PacketSet {
	set, ok := s.kept[key]
	if !ok {
		set = build()
		s.kept[key] = set
	}
	return set
}

// IsFreeSource says that a field is the source address that the question leaves open.
func (s *Space) IsFreeSource(f Field) bool {
	for i, n := range f.bits {
		if n != s.w.m.Var(sourceLevel+i) {
			return false
		}
	}
	return true
}

// Source is the query's source address, free where the query names none.
func (s *Space) Source(q Query) Field {
	if q.Source.IsValid() {
		return Field{addressBits(q.Source)}
	}
	return Field{s.w.sourceBits(q.Destination.BitLen() / 8)}
}

// SourcePort is the query's source port, free where it is 0.
func (s *Space) SourcePort(q Query) Field {
	if q.SourcePort != 0 {
		return Field{short(q.SourcePort)}
	}
	return Field{s.w.portBits(sourcePortLevel)}
}

// Port is the query's destination port, free where it is 0.
func (s *Space) Port(q Query) Field {
	if q.Port != 0 {
		return Field{short(q.Port)}
	}
	return Field{s.w.portBits(portLevel)}
}

// FixedField is a field with a known value, in network order.
func FixedField(data []byte) Field { return Field{constantBits(data)} }

// Constant is the field's value where it depends on nothing.
func (f Field) Constant() ([]byte, bool) { return f.bits.constant() }

// Bits is the field's length.
func (f Field) Bits() int { return len(f.bits) }

// Tail is the field's last bytes.
func (f Field) Tail(bytes int) Field { return Field{f.bits[len(f.bits)-8*bytes:]} }

// And, Or and Diff are intersection, union and difference.
func (s *Space) And(a, b PacketSet) PacketSet  { return s.w.m.And(a, b) }
func (s *Space) Or(a, b PacketSet) PacketSet   { return s.w.m.Or(a, b) }
func (s *Space) Diff(a, b PacketSet) PacketSet { return s.w.m.Diff(a, b) }

// Within is where a field is in a prefix of its length.
func (s *Space) Within(f Field, p netip.Prefix) PacketSet {
	if !p.IsValid() || p.Addr().BitLen() != len(f.bits) {
		return NoPackets
	}
	return s.w.prefix(f.bits, p)
}

// Between is where from <= field <= to, as bytes in network order.
func (s *Space) Between(f Field, from, to []byte) PacketSet { return s.w.between(f.bits, from, to) }

// Same is where two fields of one length are equal.
func (s *Space) Same(a, b Field) PacketSet {
	return s.w.m.Not(s.w.differs(a.bits, b.bits))
}

// Choose is a where the packets are in the set and b elsewhere.
func (s *Space) Choose(set PacketSet, a, b Field) Field {
	return Field{s.w.choose(set, a.bits, b.bits)}
}

// Add is a field plus a constant of its length, modulo its length.
func (s *Space) Add(f Field, constant []byte) Field { return Field{s.w.add(f.bits, constant)} }

// WithPrefix is a field with its first bits replaced by a prefix's.
func (s *Space) WithPrefix(f Field, p netip.Prefix) Field {
	b := make(bits, len(f.bits))
	copy(b, f.bits)
	copy(b[:p.Bits()], addressBits(p.Addr())[:p.Bits()])
	return Field{b}
}

// Unsettled is a field of which nothing is known but its name; asked for twice by
// one name it is the same.
func (s *Space) Unsettled(length int, kind ConditionKind, name string) Field {
	return Field{s.w.field(name, length, kind)}
}

// Fact is a yes or no that no reading settles; asked for twice by one name it is
// the same.
func (s *Space) Fact(kind ConditionKind, name string) PacketSet { return s.w.fact(name, kind) }

// A FieldValue is what a field is for some packets.
type FieldValue struct {
	Data []byte
	Set  PacketSet
}

// Values are what a field can be within a set; false if there are more than limit.
func (s *Space) Values(f Field, set PacketSet, limit int) ([]FieldValue, bool) {
	found, ok := s.w.values(f.bits, set, limit)
	var out []FieldValue
	for _, v := range found {
		out = append(out, FieldValue{v.data, v.set})
	}
	return out, ok
}

// Decide notes what becomes of packets. Every packet needs one fate.
func (s *Space) Decide(set PacketSet, fate Fate, d Decision, to *Delivery) {
	s.w.decide(set, fate, d, to)
}

// Parts are the fates by source address: a partition of all addresses of that many
// bits, the largest part first. A source that the query names is its only one.
func (s *Space) Parts(q Query) []Part {
	parts := s.w.partition(q.Destination.BitLen())
	if q.Source.IsValid() {
		for i := range parts {
			parts[i].Sources = oneSource(q.Source)
		}
	}
	return parts
}

// OneAnswer joins the parts of a question about one packet.
func OneAnswer(parts []Part) Part { return oneAnswer(parts) }

// PortSpans splits the ports from 1 on, free in the question, into those with the
// same fates.
func (s *Space) PortSpans() []PortSpan { return s.w.spans(s.w.merged(s.w.outcomes)) }

// Size is how much room the space's sets take: diagrams' nodes.
func (s *Space) Size() int { return s.w.m.Size() }
