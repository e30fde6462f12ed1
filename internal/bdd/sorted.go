package bdd

import "slices"

func sortedKeys(levels map[int]bool) []int {
	keys := make([]int, 0, len(levels))
	for level := range levels {
		keys = append(keys, level)
	}
	slices.Sort(keys)
	return keys
}
