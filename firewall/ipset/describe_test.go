package ipset_test

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/firewall/xt"
)

var names = strings.Fields("single cut nets nets6 pairs triples netports links range ports macs all")

// describe writes sets for review.
func describe(sets *ipset.Sets) []byte {
	var b strings.Builder
	for _, name := range names {
		s, ok := sets.ByName(name)
		fmt.Fprintf(&b, "%s: %s %v found %v\n", name, s.Type, s.Family, ok)
		describeMembers(&b, s)
	}
	return []byte(b.String())
}

func describeMembers(b *strings.Builder, s xt.IPSet) {
	for _, list := range s.Lists {
		fmt.Fprintf(b, "\tset %s\n", list.Name)
	}
	if s.Members == nil {
		return
	}
	fmt.Fprintf(b, "\tkey of %d bytes, fields %v, timeout %v\n", s.Members.KeyLength, s.Members.Fields, s.Members.Timeout)
	for _, e := range s.Members.Elements {
		fmt.Fprintf(b, "\t%x-%x %s\n", e.Key, e.KeyEnd, e.Comment)
	}
}
