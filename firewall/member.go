package firewall

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// membership is where a set has an element for the key, element by element.
// found is the union; the elements with steps of their own, data or verdicts are
// listed in cases, merged where they mean the same.
type memberCase struct {
	element *Element
	set     bdd.Node
}

// lookup finds where the key is in the set. within bounds the question: only
// packets in it matter.
func (w *walker) lookup(s *Set, key bits, within bdd.Node) []memberCase {
	key = key.padded(int(s.KeyLength))
	if !s.Loaded {
		return w.lookupUnloaded(s, key)
	}
	groups := w.grouped(s)
	cases := make([]memberCase, 0, len(groups)+1)
	found := bdd.False
	for _, g := range groups {
		n := w.anyElement(s, key, g.elements)
		if n == bdd.False {
			continue
		}
		found = w.m.Or(found, n)
		cases = append(cases, memberCase{g.first, n})
	}
	if s.CatchAll != nil {
		if rest := w.m.Not(found); rest != bdd.False {
			cases = append(cases, memberCase{s.CatchAll, rest})
		}
	}
	if updated := w.e.updated[s]; updated != "" {
		cases = w.mayChange(s, cases, updated)
	}
	return cases
}

// lookupUnloaded asks the kernel for one element where the key is known, and
// otherwise keeps the membership as a variable of its own.
func (w *walker) lookupUnloaded(s *Set, key bits) []memberCase {
	if data, ok := key.constant(); ok && s.Find != nil {
		element, ok, err := s.Find(data)
		if err == nil && !ok {
			return w.catchAll(s, bdd.True)
		}
		if err == nil {
			return []memberCase{{&element, bdd.True}}
		}
	}
	in := w.membershipVariable(s, key)
	unread := &Element{}
	if s.Map || s.VerdictMap || s.ObjectMap {
		unread = nil
	}
	return append([]memberCase{{unread, in}}, w.catchAll(s, w.m.Not(in))...)
}

func (w *walker) catchAll(s *Set, where bdd.Node) []memberCase {
	if s.CatchAll == nil {
		return nil
	}
	return []memberCase{{s.CatchAll, where}}
}

// membershipVariable is the same variable for the same question about the same set.
func (w *walker) membershipVariable(s *Set, key bits) bdd.Node {
	id := make([]byte, 0, 4*len(key))
	ofSource := true
	for _, n := range key {
		id = binary.LittleEndian.AppendUint32(id, uint32(n))
		if level, ok := w.m.Level(n); ok && level >= sourcePortLevel {
			ofSource = false
		}
	}
	if w.memberships[s] == nil {
		w.memberships[s] = make(map[string]bdd.Node)
	}
	if n, ok := w.memberships[s][string(id)]; ok {
		return n
	}
	v := variable{condition: Condition{Kind: Unread, Text: "whether the packet is in @" + s.Name + ", which is too large to list"}}
	if ofSource {
		v.membership = s
	}
	n := w.newVariable(v)
	w.memberships[s][string(id)] = n
	return n
}

// mayChange allows for elements that rules add and take away as packets pass.
func (w *walker) mayChange(s *Set, cases []memberCase, updated string) []memberCase {
	now := w.unsettled(History, "what rules put into @"+s.Name+" ("+updated+")")
	found := bdd.False
	for _, c := range cases {
		found = w.m.Or(found, c.set)
	}
	kept := make([]memberCase, 0, len(cases)+1)
	for _, c := range cases {
		kept = append(kept, memberCase{c.element, w.m.And(c.set, now)})
	}
	element := &Element{}
	if s.Map || s.VerdictMap || s.ObjectMap {
		element = nil
	}
	return append(kept, memberCase{element, w.m.Diff(now, found)})
}

// A group is the elements of a set that mean the same: same data, verdict,
// object and no steps of their own.
type elementGroup struct {
	first    *Element
	elements []Element
}

// grouped splits a set's elements by what they mean, once per set.
func (w *walker) grouped(s *Set) []elementGroup { return w.e.groups[s] }

func groupElements(s *Set) []elementGroup {
	if len(s.Elements) > 0 && !slices.ContainsFunc(s.Elements, meansMore) {
		return []elementGroup{{first: &s.Elements[0], elements: s.Elements}}
	}
	index := make(map[string]int)
	var groups []elementGroup
	for i := range s.Elements {
		e := &s.Elements[i]
		key, shared := elementMeaning(e)
		if at, ok := index[key]; ok && shared {
			groups[at].elements = append(groups[at].elements, *e)
			continue
		}
		index[key] = len(groups)
		groups = append(groups, elementGroup{first: e, elements: []Element{*e}})
	}
	return groups
}

// meansMore says that an element is more than a member of its set.
func meansMore(e Element) bool {
	return len(e.Steps) > 0 || len(e.Data) > 0 || e.Object != "" || e.Verdict != nil
}

// elementMeaning is equal for elements that mean the same; false where the
// element stands for itself.
func elementMeaning(e *Element) (string, bool) {
	for _, step := range e.Steps {
		if _, ok := step.(Passive); !ok {
			return "", false
		}
	}
	key := string(e.Data) + "\x00" + e.Object
	if e.Verdict == nil {
		return key, true
	}
	if e.Verdict.Chain != nil {
		key += "\x00" + e.Verdict.Chain.Name
	}
	return key + "\x00" + e.Verdict.Code.String() + string(rune(e.Verdict.Number)), true
}

// anyElement is where one of the elements, keys ascending, holds the key.
func (w *walker) anyElement(s *Set, key bits, elements []Element) bdd.Node {
	if len(s.Fields) > 1 {
		return w.anyBox(s, key, elements)
	}
	return w.anyInterval(key, elements, 0)
}

// anyBox is for concatenations: each field has its own range.
func (w *walker) anyBox(s *Set, key bits, elements []Element) bdd.Node {
	result := bdd.False
	for i := range elements {
		box := bdd.True
		offset := uint32(0)
		for _, length := range s.Fields {
			padded := (length + 3) &^ 3
			if int(offset+length) > len(elements[i].Key) || int(offset+length)*8 > len(key) {
				break
			}
			field := key[8*offset : 8*(offset+length)]
			from := elements[i].Key[offset : offset+length]
			to := from
			if end := elements[i].KeyEnd; int(offset+length) <= len(end) {
				to = end[offset : offset+length]
			}
			box = w.m.And(w.within(field, from, to), box)
			if box == bdd.False {
				break
			}
			offset += padded
		}
		result = w.m.Or(result, box)
	}
	return result
}

func (w *walker) within(b bits, from, to []byte) bdd.Node {
	if bytes.Equal(from, to) {
		return w.equal(b, from)
	}
	return w.between(b, from, to)
}

// anyInterval is where the key lies in one of the sorted, disjoint intervals:
// a walk down the key's bits that splits the intervals, so that a fixed key
// costs a binary search and a free one a trie's size.
func (w *walker) anyInterval(key bits, elements []Element, bit int) bdd.Node {
	switch {
	case len(elements) == 0:
		return bdd.False
	case len(elements) == 1:
		return w.intervalFrom(key, elements[0], bit)
	case bit >= len(key):
		return bdd.True
	}
	// first is the first interval that reaches into the upper half at this bit.
	first, straddles := splitAt(elements, bit)
	low := elements[:first]
	high := elements[first:]
	if key[bit] == bdd.True {
		if straddles {
			return w.anyInterval(key, withLowEnd(high, bit), bit+1)
		}
		return w.anyInterval(key, high, bit+1)
	}
	if straddles {
		low = append(append([]Element(nil), low...), highEnd(high[0], bit))
		high = withLowEnd(high, bit)
	}
	zero := w.anyInterval(key, low, bit+1)
	if key[bit] == bdd.False {
		return zero
	}
	return w.m.Ite(key[bit], w.anyInterval(key, high, bit+1), zero)
}

// intervalFrom is one interval whose bits before bit are settled.
func (w *walker) intervalFrom(key bits, e Element, bit int) bdd.Node {
	return w.m.And(w.atLeast(key, e.Key, bit), w.atMost(key, endOf(&e), bit))
}

// splitAt finds the first element whose end has the bit set, and whether that
// element begins below.
func splitAt(elements []Element, bit int) (int, bool) {
	lo, hi := 0, len(elements)
	for lo < hi {
		mid := (lo + hi) / 2
		if bitOf(endOf(&elements[mid]), bit) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo, lo < len(elements) && !bitOf(elements[lo].Key, bit)
}

func endOf(e *Element) []byte {
	if e.KeyEnd == nil {
		return e.Key
	}
	return e.KeyEnd
}

// highEnd cuts an element to the half where the bit is 0.
func highEnd(e Element, bit int) Element {
	end := bytes.Clone(e.Key)
	clearFrom(end, bit)
	for i := bit + 1; i < 8*len(end); i++ {
		end[i/8] |= 1 << (7 - i%8)
	}
	return Element{Key: e.Key, KeyEnd: end}
}

// withLowEnd cuts the first element to the half where the bit is 1.
func withLowEnd(elements []Element, bit int) []Element {
	start := bytes.Clone(endOf(&elements[0]))
	clearFrom(start, bit)
	start[bit/8] |= 1 << (7 - bit%8)
	cut := append([]Element(nil), elements...)
	cut[0] = Element{Key: start, KeyEnd: endOf(&elements[0])}
	return cut
}

// clearFrom zeroes the bits from bit on.
func clearFrom(data []byte, bit int) {
	for i := bit; i < 8*len(data); i++ {
		data[i/8] &^= 1 << (7 - i%8)
	}
}
