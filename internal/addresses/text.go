package addresses

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// shown is how many prefixes a text names, and listed how many it is chosen from.
const shown, listed = 3, 4096

// Text says which addresses of a family are in a set, for people. Those in filler
// count as members where that makes the text shorter: "10.0.0.0/8", though the
// host's own address in it is none.
func (s *Space) Text(a, filler Set, family int) string {
	a = s.And(a, Family(family))
	if a.Empty() {
		return "nobody"
	}
	filled := s.Or(a, filler)
	missing, many := s.Prefixes(s.Diff(Family(family), filled), listed)
	switch {
	case len(missing) == 0:
		return "anywhere"
	case !many && len(missing) <= shown:
		return "anywhere but " + joined(missing, false)
	}
	held, more := s.Prefixes(s.And(filled, Family(family)), listed)
	held = slices.DeleteFunc(held, func(p netip.Prefix) bool { return s.And(s.Of(p), a).Empty() })
	return joined(held, more)
}

// joined names the largest prefixes.
func joined(prefixes []netip.Prefix, more bool) string {
	slices.SortStableFunc(prefixes, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	var words []string
	for _, p := range prefixes[:min(shown, len(prefixes))] {
		if p.IsSingleIP() {
			words = append(words, p.Addr().String())
			continue
		}
		words = append(words, p.String())
	}
	rest := len(prefixes) - len(words)
	switch {
	case more:
		words = append(words, "and more")
	case rest > 0:
		words = append(words, fmt.Sprintf("+%d more", rest))
	}
	return strings.Join(words, ", ")
}
