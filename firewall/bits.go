package firewall

import (
	"encoding/binary"

	"github.com/netglance/netglance/internal/bdd"
)

// bits is a value whose every bit is a Boolean function of what is free in a
// question: source address, source port, conditions. Byte by byte as the kernel
// keeps it in a register, each byte's most significant bit first.
type bits []bdd.Node

func bitOf(data []byte, i int) bool { return data[i/8]>>(7-i%8)&1 == 1 }

func constantBits(data []byte) bits {
	b := make(bits, 8*len(data))
	for i := range b {
		if bitOf(data, i) {
			b[i] = bdd.True
		}
	}
	return b
}

// constant gives the value where no bit depends on anything.
func (b bits) constant() ([]byte, bool) {
	data := make([]byte, len(b)/8)
	for i, n := range b {
		switch n {
		case bdd.True:
			data[i/8] |= 1 << (7 - i%8)
		case bdd.False:
		default:
			return nil, false
		}
	}
	return data, true
}

// padded is b with zero bytes up to n bytes, or cut to n bytes.
func (b bits) padded(n int) bits {
	if len(b) >= 8*n {
		return b[:8*n]
	}
	p := make(bits, 8*n)
	copy(p, b)
	return p
}

// reversed swaps the bytes of every size-byte word.
func (b bits) reversed(size int) bits {
	r := make(bits, len(b))
	copy(r, b)
	for w := 0; w+8*size <= len(b); w += 8 * size {
		for i := range size {
			copy(r[w+8*i:w+8*i+8], b[w+8*(size-1-i):w+8*(size-i)])
		}
	}
	return r
}

// equal is where b's first bytes are data.
func (w *walker) equal(b bits, data []byte) bdd.Node {
	n := min(len(b), 8*len(data))
	result := bdd.True
	for i := n - 1; i >= 0 && result != bdd.False; i-- {
		if bitOf(data, i) {
			result = w.m.And(b[i], result)
		} else {
			result = w.m.Diff(result, b[i])
		}
	}
	return result
}

// atMost is where b <= data, compared as memcmp compares, in the bits from first
// on: those before are known to be equal.
func (w *walker) atMost(b bits, data []byte, first int) bdd.Node {
	result := bdd.True
	for i := min(len(b), 8*len(data)) - 1; i >= first; i-- {
		if bitOf(data, i) {
			result = w.m.Ite(b[i], result, bdd.True)
		} else {
			result = w.m.Diff(result, b[i])
		}
	}
	return result
}

// atLeast is where b >= data, in the bits from first on.
func (w *walker) atLeast(b bits, data []byte, first int) bdd.Node {
	result := bdd.True
	for i := min(len(b), 8*len(data)) - 1; i >= first; i-- {
		if bitOf(data, i) {
			result = w.m.And(b[i], result)
		} else {
			result = w.m.Ite(b[i], bdd.True, result)
		}
	}
	return result
}

func (w *walker) between(b bits, from, to []byte) bdd.Node {
	return w.m.And(w.atLeast(b, from, 0), w.atMost(b, to, 0))
}

// choose is a where the condition holds and b elsewhere.
func (w *walker) choose(condition bdd.Node, a, b bits) bits {
	if condition == bdd.True {
		return a
	}
	n := max(len(a), len(b)) / 8
	a, b = a.padded(n), b.padded(n)
	r := make(bits, len(a))
	for i := range r {
		r[i] = w.m.Ite(condition, a[i], b[i])
	}
	return r
}

// combine applies a bitwise operation.
func (w *walker) combine(op BitOp, a, b bits) bits {
	r := make(bits, len(a))
	b = b.padded(len(a) / 8)
	for i := range r {
		switch op {
		case BitAnd:
			r[i] = w.m.And(a[i], b[i])
		case BitOr:
			r[i] = w.m.Or(a[i], b[i])
		default:
			r[i] = w.m.Xor(a[i], b[i])
		}
	}
	return r
}

// shifted moves the bits of a as nft_bitwise_eval_lshift and _rshift do: the
// value is an array of 32-bit words in host order, the first most significant.
func (w *walker) shifted(a bits, left bool, n uint32) bits {
	words := a.padded((len(a)/8 + 3) &^ 3)
	if !w.e.rules.BigEndian {
		words = words.reversed(4)
	}
	r := make(bits, len(words))
	for i := range r {
		from := i + int(n)
		if !left {
			from = i - int(n)
		}
		if from >= 0 && from < len(words) {
			r[i] = words[from]
		}
	}
	if !w.e.rules.BigEndian {
		r = r.reversed(4)
	}
	return r[:len(a)]
}

// add is a plus a constant, both most significant byte first, modulo the length.
func (w *walker) add(a bits, constant []byte) bits {
	c := constantBits(constant).padded(len(a) / 8)
	r := make(bits, len(a))
	carry := bdd.False
	for i := len(a) - 1; i >= 0; i-- {
		half := w.m.Xor(a[i], c[i])
		r[i] = w.m.Xor(half, carry)
		carry = w.m.Or(w.m.And(a[i], c[i]), w.m.And(half, carry))
	}
	return r
}

// word is a 32-bit word in host order, as a register keeps it.
func (w *walker) word(v uint32) bits {
	var data [4]byte
	if w.e.rules.BigEndian {
		binary.BigEndian.PutUint32(data[:], v)
	} else {
		binary.LittleEndian.PutUint32(data[:], v)
	}
	return constantBits(data[:])
}

func short(v uint16) bits { return constantBits([]byte{byte(v >> 8), byte(v)}) }

// hostShort is a 16-bit word in host order.
func (w *walker) hostShort(v uint16) bits {
	if w.e.rules.BigEndian {
		return short(v)
	}
	return constantBits([]byte{byte(v), byte(v >> 8)})
}

// name is an interface name as a register keeps it: 16 bytes, zeros behind.
func name16(s string) bits {
	data := make([]byte, 16)
	copy(data[:15], s)
	return constantBits(data)
}

// A case of a value: what it is where.
type valued struct {
	data []byte
	set  bdd.Node
}

// values lists what b can be within set, each with where; false when there are
// more than limit.
func (w *walker) values(b bits, set bdd.Node, limit int) ([]valued, bool) {
	if set == bdd.False {
		return nil, true
	}
	for i, n := range b {
		if n <= bdd.True {
			continue
		}
		yes, no := w.m.And(set, n), w.m.Diff(set, n)
		if yes == bdd.False || no == bdd.False {
			continue
		}
		ones, ok := w.values(fixed(b, i, bdd.True), yes, limit)
		if !ok {
			return nil, false
		}
		zeros, ok := w.values(fixed(b, i, bdd.False), no, limit)
		if !ok || len(ones)+len(zeros) > limit {
			return nil, false
		}
		return append(zeros, ones...), true
	}
	data := make([]byte, len(b)/8)
	for i, n := range b {
		if n == bdd.True || n != bdd.False && w.m.And(set, n) != bdd.False {
			data[i/8] |= 1 << (7 - i%8)
		}
	}
	return []valued{{data, set}}, limit > 0
}

func fixed(b bits, i int, n bdd.Node) bits {
	c := make(bits, len(b))
	copy(c, b)
	c[i] = n
	return c
}
