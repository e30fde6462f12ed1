// Package addresses keeps sets of source addresses exactly, as decision diagrams
// over the address bits: whether one set holds another is decided for every
// address, not for samples.
package addresses

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"github.com/netglance/netglance/internal/bdd"
)

// namedLevel is the first level that stands for membership in a named set: behind
// the bits of the longest address.
const namedLevel = 128

// A Space makes sets that can be combined with each other. It is not safe for
// concurrent use.
type Space struct {
	m     *bdd.Manager
	named map[string]int
	// made are the sets of long lists: a host's ports have few that differ.
	made map[listKey][]madeSet
}

// A listKey tells most lists of prefixes apart.
type listKey struct {
	length              int
	first, middle, last netip.Prefix
}

type madeSet struct {
	of  []netip.Prefix
	set Set
}

// longList is from how many prefixes on a list is worth remembering.
const longList = 8

// New makes a Space without bounds.
func New() *Space {
	return &Space{m: bdd.New(), named: make(map[string]int), made: make(map[listKey][]madeSet)}
}

// NewBounded makes a Space for sets that somebody else wrote: see Full.
func NewBounded(nodes, steps int) *Space {
	s := New()
	s.m.Bound(nodes, steps)
	return s
}

// Full says that a bound was met: sets made since mean nothing.
func (s *Space) Full() bool { return s.m.Full() }

// A Set is addresses of both families. The zero Set is empty. Sets are comparable:
// equal sets of one Space are ==.
type Set struct{ four, six bdd.Node }

// Everything is all addresses of both families.
var Everything = Set{bdd.True, bdd.True}

// Family is all addresses of a family, 4 or 6.
func Family(family int) Set {
	if family == 4 {
		return Set{four: bdd.True}
	}
	return Set{six: bdd.True}
}

// Of is the addresses in any of the prefixes. The list is kept, and not to be changed.
func (s *Space) Of(prefixes ...netip.Prefix) Set {
	if len(prefixes) < longList {
		return s.of(prefixes)
	}
	key := listKey{len(prefixes), prefixes[0], prefixes[len(prefixes)/2], prefixes[len(prefixes)-1]}
	for _, known := range s.made[key] {
		if slices.Equal(known.of, prefixes) {
			return known.set
		}
	}
	set := s.of(prefixes)
	s.made[key] = append(s.made[key], madeSet{prefixes, set})
	return set
}

func (s *Space) of(prefixes []netip.Prefix) Set {
	var out Set
	sorted := slices.Clone(prefixes)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int { return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits()) })
	split := slices.IndexFunc(sorted, func(p netip.Prefix) bool { return p.Addr().Is6() })
	if split < 0 {
		split = len(sorted)
	}
	out.four, out.six = s.union(sorted[:split], 0), s.union(sorted[split:], 0)
	return out
}

// union is the prefixes, sorted and alike in the bits before level.
func (s *Space) union(sorted []netip.Prefix, level int) bdd.Node {
	switch {
	case len(sorted) == 0:
		return bdd.False
	case sorted[0].Bits() <= level:
		return bdd.True
	}
	half := sort.Search(len(sorted), func(i int) bool { return sorted[i].Addr().AsSlice()[level/8]&(0x80>>(level%8)) != 0 })
	return s.m.Branch(level, s.union(sorted[:half], level+1), s.union(sorted[half:], level+1))
}

// cube is the addresses that equal one in its first bits, or in those that a mask has.
func (s *Space) cube(address []byte, bits int, mask []byte) bdd.Node {
	n := bdd.True
	for level := bits - 1; level >= 0; level-- {
		bit := byte(1) << (7 - level%8)
		if mask != nil && mask[level/8]&bit == 0 {
			continue
		}
		if address[level/8]&bit != 0 {
			n = s.m.Branch(level, bdd.False, n)
		} else {
			n = s.m.Branch(level, n, bdd.False)
		}
	}
	return n
}

// Masked is every address that equals address in the bits that mask has set.
func (s *Space) Masked(address, mask netip.Addr) Set {
	n := s.cube(address.AsSlice(), address.BitLen(), mask.AsSlice())
	if address.Is4() {
		return Set{four: n}
	}
	return Set{six: n}
}

// Named is the addresses in a set of which only the name is known.
func (s *Space) Named(name string) Set {
	level, ok := s.named[name]
	if !ok {
		level = namedLevel + len(s.named)
		s.named[name] = level
	}
	v := s.m.Var(level)
	return Set{v, v}
}

// Or is the addresses in either set.
func (s *Space) Or(a, b Set) Set { return Set{s.m.Or(a.four, b.four), s.m.Or(a.six, b.six)} }

// And is the addresses in both.
func (s *Space) And(a, b Set) Set { return Set{s.m.And(a.four, b.four), s.m.And(a.six, b.six)} }

// Diff is the addresses of a that are not in b.
func (s *Space) Diff(a, b Set) Set { return Set{s.m.Diff(a.four, b.four), s.m.Diff(a.six, b.six)} }

// Empty says that no address is in the set.
func (a Set) Empty() bool { return a == Set{} }

// Holds says that every address of b is in a.
func (s *Space) Holds(a, b Set) bool { return s.Diff(b, a).Empty() }

// Prefixes are the fewest that hold the set, ascending, IPv4 first, and no more
// than limit of them; more says that there are others. An address that is in the
// set only as a member of a named one is listed.
func (s *Space) Prefixes(a Set, limit int) (list []netip.Prefix, more bool) {
	four, six := s.m.Truncate(a.four, namedLevel), s.m.Truncate(a.six, namedLevel)
	w := lister{m: s.m, limit: limit}
	if !w.list(four, make([]byte, 4), 0) || !w.list(six, make([]byte, 16), 0) {
		return w.found, true
	}
	return w.found, false
}

type lister struct {
	m     *bdd.Manager
	limit int
	found []netip.Prefix
}

func (w *lister) list(n bdd.Node, address []byte, depth int) bool {
	switch n {
	case bdd.False:
		return true
	case bdd.True:
		if len(w.found) == w.limit {
			return false
		}
		a, _ := netip.AddrFromSlice(address)
		w.found = append(w.found, netip.PrefixFrom(a, depth))
		return true
	}
	low, high := n, n
	if level, _ := w.m.Level(n); level == depth {
		low, high = w.m.Low(n), w.m.High(n)
	}
	if !w.list(low, address, depth+1) {
		return false
	}
	address[depth/8] |= 1 << (7 - depth%8)
	ok := w.list(high, address, depth+1)
	address[depth/8] &^= 1 << (7 - depth%8)
	return ok
}

// OffWire are the blocks that are never a source on a wire (RFC 6890, RFC 4291).
var OffWire = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("224.0.0.0/3"),
	netip.MustParsePrefix("::/127"), netip.MustParsePrefix("ff00::/8"), netip.MustParsePrefix("::ffff:0:0/96"),
}
