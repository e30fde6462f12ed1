package bdd

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// formula is a random function, kept both as a diagram and as its truth table
// over eight variables.
type formula struct {
	node  Node
	table [256]bool
}

func TestDiagramsAgreeWithTruthTables(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m := New()
	pool := []formula{constant(False), constant(True)}
	for level := range 8 {
		pool = append(pool, variable(m, level))
	}
	for range 4000 {
		a, b, c := pool[r.IntN(len(pool))], pool[r.IntN(len(pool))], pool[r.IntN(len(pool))]
		f := combine(m, r.IntN(7), r.IntN(8), a, b, c)
		for i := range f.table {
			if got := evaluate(m, f.node, i); got != f.table[i] {
				t.Fatalf("assignment %08b: diagram says %v, table says %v", i, got, f.table[i])
			}
		}
		if len(pool) < 200 {
			pool = append(pool, f)
		} else {
			pool[10+r.IntN(190)] = f
		}
	}
}

func TestEqualFunctionsAreOneNode(t *testing.T) {
	m := New()
	a, b := m.Var(3), m.Var(1)
	if m.Not(m.And(a, b)) != m.Or(m.Not(a), m.Not(b)) {
		t.Error("De Morgan's law gives two nodes")
	}
	if m.Xor(a, b) != m.Or(m.Diff(a, b), m.Diff(b, a)) {
		t.Error("two ways to write exclusive or give two nodes")
	}
}

func TestSupportNamesTheVariablesThatMatter(t *testing.T) {
	m := New()
	f := m.Ite(m.Var(0), m.Var(2), m.And(m.Var(2), m.Or(m.Var(5), m.Not(m.Var(5)))))
	if got := m.Support(f); !slices.Equal(got, []int{2}) {
		t.Errorf("support is %v, want only 2", got)
	}
}

func TestMeetingsAndCutsAgreeWithWhatTheyStandFor(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	m := New()
	pool := []formula{constant(False), constant(True)}
	for level := range 8 {
		pool = append(pool, variable(m, level))
	}
	for range 1000 {
		a, b, c := pool[r.IntN(len(pool))], pool[r.IntN(len(pool))], pool[r.IntN(len(pool))]
		f := combine(m, r.IntN(7), r.IntN(8), a, b, c)
		pool = append(pool, f)
		if m.Intersects(f.node, a.node) != (m.And(f.node, a.node) != False) {
			t.Fatal("Intersects and And don't agree")
		}
		level := r.IntN(9)
		if m.Truncate(f.node, level) != m.Exists(f.node, 0, func(l int) bool { return l >= level }) {
			t.Fatal("Truncate and Exists don't agree")
		}
		union := False
		for _, n := range m.From(f.node, level, 256) {
			union = m.Or(union, n)
		}
		if union != m.Exists(f.node, 0, func(l int) bool { return l < level }) {
			t.Fatal("From and Exists don't agree")
		}
	}
	two := m.Ite(m.Var(0), m.Var(1), m.Var(2))
	if m.From(two, 1, 1) != nil || len(m.From(two, 1, 2)) != 2 {
		t.Error("From doesn't keep to its limit")
	}
}

func TestAFullManagerComesToAnEnd(t *testing.T) {
	grow := func(m *Manager) {
		f := False
		for i := range 24 { // pairs far apart: 2^24 nodes
			f = m.Or(f, m.And(m.Var(i), m.Var(24+i)))
		}
	}
	for name, bound := range map[string][2]int{"nodes": {1000, 0}, "steps": {0, 1000}} {
		m := New()
		m.Bound(bound[0], bound[1])
		grow(m)
		if !m.Full() || m.Size() > 3000 {
			t.Errorf("%s: full is %v at %d nodes", name, m.Full(), m.Size())
		}
	}
}

func constant(n Node) formula {
	f := formula{node: n}
	for i := range f.table {
		f.table[i] = n == True
	}
	return f
}

func variable(m *Manager, level int) formula {
	f := formula{node: m.Var(level)}
	for i := range f.table {
		f.table[i] = i>>level&1 == 1
	}
	return f
}

func combine(m *Manager, op, level int, a, b, c formula) formula {
	var f formula
	switch op {
	case 0:
		f.node = m.And(a.node, b.node)
	case 1:
		f.node = m.Or(a.node, b.node)
	case 2:
		f.node = m.Diff(a.node, b.node)
	case 3:
		f.node = m.Xor(a.node, b.node)
	case 4:
		f.node = m.Ite(c.node, a.node, b.node)
	case 5:
		f.node = m.Exists(a.node, level, func(l int) bool { return l == level })
	case 6:
		f.node = m.Restrict(a.node, level, true)
	}
	for i := range f.table {
		f.table[i] = [...]bool{
			a.table[i] && b.table[i],
			a.table[i] || b.table[i],
			a.table[i] && !b.table[i],
			a.table[i] != b.table[i],
			c.table[i] && a.table[i] || !c.table[i] && b.table[i],
			a.table[i] || a.table[i^1<<level],
			a.table[i|1<<level],
		}[op]
	}
	return f
}

func evaluate(m *Manager, n Node, assignment int) bool {
	for n > True {
		level, _ := m.Level(n)
		if assignment>>level&1 == 1 {
			n = m.High(n)
		} else {
			n = m.Low(n)
		}
	}
	return n == True
}
