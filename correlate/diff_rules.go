package correlate

import (
	"cmp"
	"slices"
	"strings"
)

// A RuleChange is a rule that was added, removed or moved, or a chain of which
// hook, priority or policy changed.
type RuleChange struct {
	// Kind is "added", "removed", "moved", "chain added", "chain removed" or "chain changed".
	Kind  string
	Chain string
	Text  string
	// Before and After are the rule's numbers, from 1; 0 where it doesn't stand.
	Before, After int
}

// diffRules compares chains of the same name. Rules are known by their texts.
func diffRules(before, after []ChainRules) (out []RuleChange) {
	for i, j := 0, 0; i < len(before) || j < len(after); {
		switch {
		case j == len(after) || i < len(before) && before[i].Name < after[j].Name:
			out = append(out, wholeChain("removed", before[i])...)
			i++
		case i == len(before) || after[j].Name < before[i].Name:
			out = append(out, wholeChain("added", after[j])...)
			j++
		default:
			if before[i].Base != after[j].Base {
				out = append(out, RuleChange{Kind: "chain changed", Chain: after[j].Name, Text: "from " + cmp.Or(before[i].Base, "no hook") + " to " + cmp.Or(after[j].Base, "no hook")})
			}
			out = append(out, chainChanges(after[j].Name, before[i].Rules, after[j].Rules)...)
			i, j = i+1, j+1
		}
	}
	return out
}

func wholeChain(kind string, c ChainRules) []RuleChange {
	out := []RuleChange{{Kind: "chain " + kind, Chain: c.Name, Text: c.Base}}
	for i, text := range c.Rules {
		r := RuleChange{Kind: kind, Chain: c.Name, Text: text}
		if kind == "added" {
			r.After = i + 1
		} else {
			r.Before = i + 1
		}
		out = append(out, r)
	}
	return out
}

// chainChanges: a rule that stands in both moved if it is not among the longest
// run of rules that kept their order.
func chainChanges(chain string, before, after []string) (out []RuleChange) {
	places := map[string][]int{}
	for j, text := range after {
		places[text] = append(places[text], j)
	}
	var kept [][2]int // places before and after
	stays := make([]bool, len(after))
	for i, text := range before {
		left := places[text]
		if len(left) == 0 {
			out = append(out, RuleChange{Kind: "removed", Chain: chain, Text: text, Before: i + 1})
			continue
		}
		kept = append(kept, [2]int{i, left[0]})
		stays[left[0]] = true
		places[text] = left[1:]
	}
	for j, text := range after {
		if !stays[j] {
			out = append(out, RuleChange{Kind: "added", Chain: chain, Text: text, After: j + 1})
		}
	}
	inOrder := longestAscending(kept)
	for n, at := range kept {
		if !inOrder[n] {
			out = append(out, RuleChange{Kind: "moved", Chain: chain, Text: before[at[0]], Before: at[0] + 1, After: at[1] + 1})
		}
	}
	slices.SortStableFunc(out, func(a, b RuleChange) int {
		return cmp.Or(cmp.Compare(max(a.Before, a.After), max(b.Before, b.After)), strings.Compare(a.Kind, b.Kind))
	})
	return out
}

// longestAscending marks a longest subsequence whose places after ascend
// (patience sorting, n log n).
func longestAscending(pairs [][2]int) []bool {
	var piles []int // the index of the last pair of the best subsequence of each length
	previous := make([]int, len(pairs))
	for n, p := range pairs {
		at, _ := slices.BinarySearchFunc(piles, p[1], func(top, place int) int { return pairs[top][1] - place })
		previous[n] = -1
		if at > 0 {
			previous[n] = piles[at-1]
		}
		if at == len(piles) {
			piles = append(piles, n)
		} else {
			piles[at] = n
		}
	}
	marked := make([]bool, len(pairs))
	if len(piles) > 0 {
		for n := piles[len(piles)-1]; n >= 0; n = previous[n] {
			marked[n] = true
		}
	}
	return marked
}
