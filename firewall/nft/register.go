package nft

import (
	"reflect"

	"github.com/netglance/netglance/firewall"
)

// registerWords is the size of struct nft_regs in 32-bit words: 4 for the
// verdict, then the 16 data words.
const registerWords = 20

// A word is where a register's word comes from: the bytes from offset on of a
// value of some length, padded with zeros to whole words. No value: never written.
type word struct {
	value          firewall.Value
	offset, length uint32
	// write tells one write from another.
	write uint32
}

// registers are the values that a rule has loaded so far.
type registers struct {
	word [registerWords]word
	// distrusted names the expression after which any register may hold anything.
	distrusted string
	// writes counts them; 0 says that all words are as new.
	writes uint32
}

func (r *registers) reset() {
	if r.writes != 0 {
		*r = registers{}
	}
}

// register gives the word that a register number stands for (nft_parse_register
// in nf_tables_api.c): 1 to 4 are 16 bytes each, 8 to 23 are 4 bytes each.
func register(number uint32) (first int, ok bool) {
	switch {
	case number >= 1 && number <= 4:
		return int(number) * 4, true
	case number >= 8 && number <= 23:
		return int(number) - 8 + 4, true
	}
	return 0, false
}

// set writes a value of some length.
func (r *registers) set(number uint32, v firewall.Value, length uint32) bool {
	first, ok := register(number)
	words := int(length+3) / 4
	if !ok || length == 0 || length > 64 || first+words > registerWords {
		return false
	}
	if weigh(v, maxWeight) < 0 {
		v = firewall.OpaqueValue{Name: "value of too many parts", Length: length}
	}
	r.writes++
	for i := range words {
		r.word[first+i] = word{v, uint32(i) * 4, length, r.writes}
	}
	return true
}

// maxWeight bounds the parts of a value: one that a rule joins with itself over
// and over would grow without end.
const maxWeight = 256

// weigh takes a value's parts from a budget; what is left is negative when it was not enough.
func weigh(v firewall.Value, budget int) int {
	budget--
	if budget < 0 {
		return budget
	}
	switch v := v.(type) {
	case firewall.Bitwise:
		budget = weigh(v.Left, budget)
		if v.Right != nil && budget >= 0 {
			budget = weigh(v.Right, budget)
		}
	case firewall.ByteOrder:
		budget = weigh(v.Value, budget)
	case firewall.Slice:
		budget = weigh(v.Value, budget)
	case firewall.MapLookup:
		budget = weigh(v.Key, budget)
	case firewall.Concat:
		for _, part := range v.Parts {
			if budget >= 0 {
				budget = weigh(part, budget)
			}
		}
	}
	return budget
}

// get reads length bytes from a register on.
func (r *registers) get(number, length uint32) (firewall.Value, bool) {
	first, ok := register(number)
	words := int(length+3) / 4
	if !ok || length == 0 || length > 64 || first+words > registerWords {
		return nil, false
	}
	if w := r.word[first]; w.offset == 0 && w.length == length && r.unbroken(first) >= length {
		return w.value, true
	}
	return r.join(first, length), true
}

// prefix is get for comparisons, of which only the first length bytes count: a
// longer value stands for itself.
func (r *registers) prefix(number, length uint32) (firewall.Value, bool) {
	if first, ok := register(number); ok {
		if w := r.word[first]; w.offset == 0 && w.length >= length && length > 0 && r.unbroken(first) >= length {
			return w.value, true
		}
	}
	return r.get(number, length)
}

// unbroken is how many bytes from a word on are still those of the value that
// was written there; 0 where nothing was.
func (r *registers) unbroken(first int) uint32 {
	w := r.word[first]
	if w.value == nil {
		return 0
	}
	n := uint32(4)
	for i := first + 1; i < registerWords && r.word[i].write == w.write; i++ {
		n += 4
	}
	return min(n, w.length-w.offset)
}

// join puts a read together from the values that the words come from.
func (r *registers) join(first int, length uint32) firewall.Value {
	var parts []firewall.Value
	for taken := uint32(0); taken < length; {
		w := r.word[first+int(taken)/4]
		n := r.unbroken(first + int(taken)/4)
		if w.value == nil {
			w, n = word{value: firewall.OpaqueValue{Name: r.unwritten(), Length: 4}, length: 4}, 4
		}
		n = min(n, length-taken)
		part := w.value
		if w.offset != 0 || n != w.length {
			part = firewall.Slice{Value: w.value, Offset: w.offset, Length: n}
		}
		parts = append(parts, part)
		taken += (n + 3) &^ 3
	}
	if len(parts) == 1 && covers(parts[0], length) {
		return parts[0]
	}
	joined := firewall.Concat{Parts: parts}
	if length%4 == 0 {
		return joined
	}
	return firewall.Slice{Value: joined, Length: length}
}

func covers(v firewall.Value, length uint32) bool {
	s, ok := v.(firewall.Slice)
	return ok && s.Length == length
}

func (r *registers) unwritten() string {
	if r.distrusted != "" {
		return r.distrusted
	}
	return "register that was not written"
}

// distrust forgets every register: an expression that isn't known may have written any.
func (r *registers) distrust(name string) {
	*r = registers{distrusted: name, writes: 1}
}

// assigned follows a write to the packet or its meta data: what was read from
// there before the write is not what a later look finds. A register that holds
// just what was written holds the target's new value.
func (r *registers) assigned(target, value firewall.Value, length uint32) {
	for i := range r.word {
		w := &r.word[i]
		if w.value == nil || !mentions(w.value, target) {
			continue
		}
		if w.length == length && reflect.DeepEqual(w.value, value) && isMeta(target) {
			w.value = target
			continue
		}
		w.value = firewall.OpaqueValue{Name: "value from before a change", Length: w.length}
	}
}

func isMeta(v firewall.Value) bool {
	_, ok := v.(firewall.Meta)
	return ok
}

// mentions says that a value is computed from what the target is part of.
func mentions(v, target firewall.Value) bool {
	switch v := v.(type) {
	case firewall.Bitwise:
		return mentions(v.Left, target) || v.Right != nil && mentions(v.Right, target)
	case firewall.ByteOrder:
		return mentions(v.Value, target)
	case firewall.Slice:
		return mentions(v.Value, target)
	case firewall.MapLookup:
		return mentions(v.Key, target)
	case firewall.Inner:
		return mentions(v.Value, target)
	case firewall.Concat:
		for _, part := range v.Parts {
			if mentions(part, target) {
				return true
			}
		}
		return false
	}
	return samePlace(v, target)
}

func samePlace(v, target firewall.Value) bool {
	switch t := target.(type) {
	case firewall.Meta:
		return v == target
	case firewall.CT:
		c, ok := v.(firewall.CT)
		return ok && c.Key == t.Key
	case firewall.Payload:
		switch v.(type) {
		case firewall.Payload, firewall.ExtHdr:
			return true
		}
	case firewall.ExtHdr:
		_, ok := v.(firewall.ExtHdr)
		return ok
	}
	return false
}
