// Package bdd keeps Boolean functions as reduced ordered binary decision
// diagrams: equal functions are the same Node, so equality costs nothing and
// union, intersection and difference cost the size of their operands
// (R. Bryant, Graph-Based Algorithms for Boolean Function Manipulation, 1986).
package bdd

// A Node is a Boolean function. It belongs to the Manager that made it.
type Node uint32

// The constant functions.
const (
	False Node = 0
	True  Node = 1
)

// noLevel is the level of the constants: below every variable.
const noLevel = 1 << 30

type node struct {
	level  uint32
	lo, hi Node
	// deepest is the last level that the function depends on.
	deepest uint32
}

// A Manager makes nodes. It is not safe for concurrent use.
type Manager struct {
	nodes  []node
	unique []Node // open addressing, 0 is free
	mask   uint32
	cache  []cached
	// memo is for operations that depend on a predicate over levels.
	memo map[Node]Node
	// maxNodes and maxSteps are how much may be computed, 0 for any; full says that
	// it was.
	maxNodes, maxSteps, steps int
	full                      bool
}

type cached struct {
	op      operation
	a, b, c Node
	result  Node
}

type operation uint32

const (
	opNone operation = iota
	opAnd
	opOr
	opDiff
	opIte
)

const (
	initialUnique = 1 << 12
	cacheSize     = 1 << 14
)

// New makes a Manager.
func New() *Manager {
	return &Manager{
		nodes:  []node{{level: noLevel}, {level: noLevel}},
		unique: make([]Node, initialUnique),
		mask:   initialUnique - 1,
		cache:  make([]cached, cacheSize),
	}
}

// Bound lets the manager make no more nodes, and take no more steps, than given.
func (m *Manager) Bound(nodes, steps int) { m.maxNodes, m.maxSteps, m.steps = nodes, steps, 0 }

// Full says that a bound was met: functions computed since mean nothing.
func (m *Manager) Full() bool { return m.full }

func (m *Manager) spent() bool {
	m.steps++
	m.full = m.full || m.maxSteps > 0 && m.steps > m.maxSteps
	return m.full
}

// Size is the number of nodes that were made.
func (m *Manager) Size() int { return len(m.nodes) }

// Var is the function that is true where the variable at level is. A lower
// level is tested earlier.
func (m *Manager) Var(level int) Node { return m.make(uint32(level), False, True) }

// Branch is high where the variable at level is true and low elsewhere. The level
// must be before all levels of both.
func (m *Manager) Branch(level int, low, high Node) Node {
	if m.spent() {
		return False
	}
	return m.make(uint32(level), low, high)
}

// Level is the level of the variable that n tests first; false for a constant.
func (m *Manager) Level(n Node) (int, bool) {
	if n <= True {
		return 0, false
	}
	return int(m.nodes[n].level), true
}

// Deepest is the last level that n depends on; 0 for a constant.
func (m *Manager) Deepest(n Node) int { return int(m.nodes[n].deepest) }

// Low is n where its first variable is false, High where it is true.
func (m *Manager) Low(n Node) Node  { return m.nodes[n].lo }
func (m *Manager) High(n Node) Node { return m.nodes[n].hi }

func hash3(a, b, c uint32) uint32 {
	h := a*0x9e3779b1 ^ b*0x85ebca6b ^ c*0xc2b2ae35
	h ^= h >> 15
	h *= 0x27d4eb2f
	return h ^ h>>13
}

func (m *Manager) make(level uint32, lo, hi Node) Node {
	if lo == hi {
		return lo
	}
	for i := hash3(level, uint32(lo), uint32(hi)) & m.mask; ; i = (i + 1) & m.mask {
		n := m.unique[i]
		if n == 0 {
			return m.insert(i, node{level, lo, hi, max(level, m.nodes[lo].deepest, m.nodes[hi].deepest)})
		}
		if v := &m.nodes[n]; v.level == level && v.lo == lo && v.hi == hi {
			return n
		}
	}
}

func (m *Manager) insert(slot uint32, v node) Node {
	n := Node(len(m.nodes))
	m.nodes = append(m.nodes, v)
	m.unique[slot] = n
	if len(m.nodes)*2 > len(m.unique) {
		m.grow()
	}
	m.full = m.full || m.maxNodes > 0 && len(m.nodes) >= m.maxNodes
	return n
}

func (m *Manager) grow() {
	m.unique = make([]Node, 2*len(m.unique))
	m.mask = uint32(len(m.unique) - 1)
	for n := 2; n < len(m.nodes); n++ {
		v := m.nodes[n]
		i := hash3(v.level, uint32(v.lo), uint32(v.hi)) & m.mask
		for m.unique[i] != 0 {
			i = (i + 1) & m.mask
		}
		m.unique[i] = Node(n)
	}
	if len(m.cache) < len(m.unique) && len(m.cache) < 1<<22 {
		m.cache = make([]cached, 2*len(m.cache))
	}
}

// And is true where both are.
func (m *Manager) And(a, b Node) Node {
	switch {
	case a == False || b == False:
		return False
	case a == True || a == b:
		return b
	case b == True:
		return a
	}
	if a > b {
		a, b = b, a
	}
	if v := &m.nodes[a]; v.lo == False && v.hi == True && v.level < m.nodes[b].level {
		return m.Branch(int(v.level), False, b) // a cube grows by a variable
	}
	return m.apply(opAnd, a, b)
}

// Or is true where either is.
func (m *Manager) Or(a, b Node) Node {
	switch {
	case a == True || b == True:
		return True
	case a == False || a == b:
		return b
	case b == False:
		return a
	}
	if a > b {
		a, b = b, a
	}
	return m.apply(opOr, a, b)
}

// Diff is true where a is and b is not.
func (m *Manager) Diff(a, b Node) Node {
	switch {
	case a == False || b == True || a == b:
		return False
	case b == False:
		return a
	}
	if v := &m.nodes[b]; v.lo == False && v.hi == True && v.level < m.nodes[a].level {
		return m.Branch(int(v.level), a, False)
	}
	return m.apply(opDiff, a, b)
}

// Not is true where a is false.
func (m *Manager) Not(a Node) Node { return m.Diff(True, a) }

func (m *Manager) binary(op operation, a, b Node) Node {
	switch op {
	case opAnd:
		return m.And(a, b)
	case opOr:
		return m.Or(a, b)
	}
	return m.Diff(a, b)
}

func (m *Manager) apply(op operation, a, b Node) Node {
	key := hash3(uint32(op), uint32(a), uint32(b))
	slot := &m.cache[key&uint32(len(m.cache)-1)]
	if slot.op == op && slot.a == a && slot.b == b {
		return slot.result
	}
	if m.spent() {
		return False
	}
	level := min(m.nodes[a].level, m.nodes[b].level)
	a0, a1 := m.cofactors(a, level)
	b0, b1 := m.cofactors(b, level)
	lo := m.binary(op, a0, b0)
	hi := m.binary(op, a1, b1)
	result := m.make(level, lo, hi)
	// The cache may have grown meanwhile.
	m.cache[key&uint32(len(m.cache)-1)] = cached{op: op, a: a, b: b, result: result}
	return result
}

func (m *Manager) cofactors(n Node, level uint32) (lo, hi Node) {
	if v := &m.nodes[n]; v.level == level {
		return v.lo, v.hi
	}
	return n, n
}

// Ite is a where c is true and b elsewhere.
func (m *Manager) Ite(c, a, b Node) Node {
	switch {
	case c == True || a == b:
		return a
	case c == False:
		return b
	case a == True && b == False:
		return c
	case b == False:
		return m.And(c, a)
	case a == True:
		return m.Or(c, b)
	case a == False:
		return m.Diff(b, c)
	}
	key := hash3(uint32(c), uint32(a), uint32(b)) ^ uint32(opIte)
	slot := &m.cache[key&uint32(len(m.cache)-1)]
	if *slot == (cached{opIte, c, a, b, slot.result}) {
		return slot.result
	}
	if m.spent() {
		return False
	}
	level := min(m.nodes[c].level, m.nodes[a].level, m.nodes[b].level)
	c0, c1 := m.cofactors(c, level)
	a0, a1 := m.cofactors(a, level)
	b0, b1 := m.cofactors(b, level)
	lo := m.Ite(c0, a0, b0)
	hi := m.Ite(c1, a1, b1)
	result := m.make(level, lo, hi)
	m.cache[key&uint32(len(m.cache)-1)] = cached{opIte, c, a, b, result}
	return result
}

// Xor is true where exactly one is.
func (m *Manager) Xor(a, b Node) Node { return m.Ite(a, m.Not(b), b) }

// Exists is true where n can be true for some value of the variables at levels
// from first on that drop names.
func (m *Manager) Exists(n Node, first int, drop func(level int) bool) Node {
	m.memo = make(map[Node]Node)
	return m.exists(n, uint32(first), drop)
}

func (m *Manager) exists(n Node, first uint32, drop func(int) bool) Node {
	if n <= True || m.nodes[n].deepest < first {
		return n
	}
	if r, ok := m.memo[n]; ok {
		return r
	}
	v := m.nodes[n]
	lo := m.exists(v.lo, first, drop)
	hi := m.exists(v.hi, first, drop)
	var r Node
	if v.level >= first && drop(int(v.level)) {
		r = m.Or(lo, hi)
	} else {
		r = m.make(v.level, lo, hi)
	}
	m.memo[n] = r
	return r
}

// Support is the levels of the variables that n depends on, ascending.
func (m *Manager) Support(n Node) []int {
	seen := make(map[Node]bool)
	levels := make(map[int]bool)
	m.support(n, seen, levels)
	return sortedKeys(levels)
}

func (m *Manager) support(n Node, seen map[Node]bool, levels map[int]bool) {
	if n <= True || seen[n] {
		return
	}
	seen[n] = true
	v := m.nodes[n]
	levels[int(v.level)] = true
	m.support(v.lo, seen, levels)
	m.support(v.hi, seen, levels)
}

// Restrict is n with the variable at level fixed.
func (m *Manager) Restrict(n Node, level int, value bool) Node {
	m.memo = make(map[Node]Node)
	return m.restrict(n, uint32(level), value)
}

func (m *Manager) restrict(n Node, level uint32, value bool) Node {
	v := m.nodes[n]
	if v.level > level || v.deepest < level {
		return n
	}
	if v.level == level {
		if value {
			return v.hi
		}
		return v.lo
	}
	if r, ok := m.memo[n]; ok {
		return r
	}
	lo := m.restrict(v.lo, level, value)
	hi := m.restrict(v.hi, level, value)
	r := m.make(v.level, lo, hi)
	m.memo[n] = r
	return r
}

// Intersects says that both can be true at once.
func (m *Manager) Intersects(a, b Node) bool {
	return m.intersects(a, b, make(map[[2]Node]bool))
}

// intersects remembers the pairs that do not.
func (m *Manager) intersects(a, b Node, not map[[2]Node]bool) bool {
	if a <= True || b <= True || a == b {
		return a != False && b != False
	}
	if not[[2]Node{a, b}] {
		return false
	}
	level := min(m.nodes[a].level, m.nodes[b].level)
	a0, a1 := m.cofactors(a, level)
	b0, b1 := m.cofactors(b, level)
	if m.intersects(a0, b0, not) || m.intersects(a1, b1, not) {
		return true
	}
	not[[2]Node{a, b}] = true
	return false
}

// Truncate is where n can be true for some value of the variables from a level
// on.
func (m *Manager) Truncate(n Node, level int) Node {
	m.memo = make(map[Node]Node)
	return m.truncate(n, uint32(level))
}

func (m *Manager) truncate(n Node, level uint32) Node {
	if n <= True || m.nodes[n].deepest < level {
		return n
	}
	v := m.nodes[n]
	if v.level >= level {
		return True
	}
	if r, ok := m.memo[n]; ok {
		return r
	}
	r := m.make(v.level, m.truncate(v.lo, level), m.truncate(v.hi, level))
	m.memo[n] = r
	return r
}

// From is what n can be, other than False, when all variables before a level are
// given; nil where that is more than limit functions.
func (m *Manager) From(n Node, level, limit int) []Node {
	var list []Node
	seen := map[Node]bool{False: true}
	var visit func(n Node) bool
	visit = func(n Node) bool {
		if seen[n] {
			return true
		}
		seen[n] = true
		if v := m.nodes[n]; v.level < uint32(level) {
			return visit(v.lo) && visit(v.hi)
		}
		list = append(list, n)
		return len(list) <= limit
	}
	if !visit(n) {
		return nil
	}
	return list
}
