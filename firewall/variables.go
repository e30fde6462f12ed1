package firewall

import "github.com/netglance/netglance/internal/bdd"

// The levels of what is free in a question. Source addresses come first, so that
// a diagram's upper part is a trie of source prefixes.
const (
	sourceLevel     = 0   // up to 128 bits
	sourcePortLevel = 128 // 16 bits
	portLevel       = 144 // 16 bits, free only when every destination port is asked about
	dynamicLevel    = 160 // conditions, in the order in which they are met
)

// A variable is what one level above dynamicLevel stands for.
type variable struct {
	condition Condition
	// membership is set where the variable is a source's membership in a set too
	// large to list: part of the partition, not a condition.
	membership *Set
}

func (w *walker) sourceBits(length int) bits {
	b := make(bits, 8*length)
	for i := range b {
		b[i] = w.m.Var(sourceLevel + i)
	}
	return b
}

func (w *walker) portBits(level int) bits {
	b := make(bits, 16)
	for i := range b {
		b[i] = w.m.Var(level + i)
	}
	return b
}

func (w *walker) newVariable(v variable) bdd.Node {
	w.variables = append(w.variables, v)
	return w.m.Var(dynamicLevel + len(w.variables) - 1)
}

// unsettled is a fresh condition: nothing is known of it but its name.
func (w *walker) unsettled(kind ConditionKind, text string) bdd.Node {
	return w.newVariable(variable{condition: Condition{Kind: kind, Text: text}})
}

// unsettledBits is a value of which nothing is known but its name.
func (w *walker) unsettledBits(length int, kind ConditionKind, text string) bits {
	b := make(bits, 8*length)
	for i := range b {
		b[i] = w.unsettled(kind, text)
	}
	return b
}

// field is a value that belongs to the packet: asked for twice it is the same.
func (w *walker) field(key string, length int, kind ConditionKind) bits {
	if b, ok := w.fields[key]; ok && len(b) >= 8*length {
		return b[:8*length]
	}
	b := w.unsettledBits(length, kind, key)
	w.fields[key] = b
	return b
}

// fact is a yes or no that belongs to the packet: asked for twice it is the same.
func (w *walker) fact(key string, kind ConditionKind) bdd.Node {
	if n, ok := w.facts[key]; ok {
		return n
	}
	n := w.unsettled(kind, key)
	w.facts[key] = n
	return n
}

// condition describes a level that isn't part of the source address.
func (w *walker) condition(level int) Condition {
	switch {
	case level < dynamicLevel && level >= portLevel:
		return Condition{Kind: Sender, Text: "destination port"}
	case level < dynamicLevel:
		return Condition{Kind: Sender, Text: "source port"}
	}
	return w.variables[level-dynamicLevel].condition
}

// isSource says that a level is part of the partition of sources.
func (w *walker) isSource(level int) bool {
	if level < sourcePortLevel {
		return true
	}
	return level >= dynamicLevel && w.variables[level-dynamicLevel].membership != nil
}
