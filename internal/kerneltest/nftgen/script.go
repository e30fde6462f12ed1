// Package nftgen writes random nftables rulesets, and packets that come close to
// the edges of everything that a ruleset names. One seed gives one ruleset.
package nftgen

import (
	"fmt"
	"strings"
)

// A Script is an nft script in parts that can be taken out one by one.
type Script struct {
	Tables []Table
}

// A Table is one table of a Script.
type Table struct {
	Family, Name string
	Dormant      bool
	Sets         []Set
	Chains       []Chain
}

// A Set is a named set or map of a Table, or a named object.
type Set struct {
	// Keyword is "set", "map" or "counter".
	Keyword, Name string
	// Lines declare its type and flags.
	Lines    []string
	Elements []string
}

// A Chain is one chain of a Table.
type Chain struct {
	Name string
	// Base is the line that hooks a base chain; empty for others.
	Base  string
	Rules []Rule
}

// A Rule is its matches and statements in order.
type Rule []string

func (s Script) String() string {
	var b strings.Builder
	for _, table := range s.Tables {
		table.write(&b)
	}
	return b.String()
}

func (t Table) write(b *strings.Builder) {
	fmt.Fprintf(b, "table %s %s {\n", t.Family, t.Name)
	if t.Dormant {
		b.WriteString("\tflags dormant\n")
	}
	for _, set := range t.Sets {
		fmt.Fprintf(b, "\t%s %s {\n", set.Keyword, set.Name)
		for _, line := range set.Lines {
			fmt.Fprintf(b, "\t\t%s\n", line)
		}
		if len(set.Elements) > 0 {
			fmt.Fprintf(b, "\t\telements = { %s }\n", strings.Join(set.Elements, ", "))
		}
		b.WriteString("\t}\n")
	}
	// A chain is declared before a rule or an element jumps there.
	for _, chain := range t.Chains {
		fmt.Fprintf(b, "\tchain %s {\n", chain.Name)
		if chain.Base != "" {
			fmt.Fprintf(b, "\t\t%s\n", chain.Base)
		}
		for _, rule := range chain.Rules {
			fmt.Fprintf(b, "\t\t%s\n", strings.Join(rule, " "))
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
}
