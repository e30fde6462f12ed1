package nftgen

// sets are the named sets of a table. Their names say what they hold: namedSet
// chooses by them.
func (g *generator) sets(family string) []Set {
	var sets []Set
	add := func(percent int, s Set) {
		if g.chance(percent) {
			sets = append(sets, s)
		}
	}
	v4, v6 := family != "ip6", family != "ip"
	element := func(v4 bool) func() string { return func() string { return g.prefixOrRange(v4) } }
	if v4 {
		add(40, Set{"set", "nets4", []string{"type ipv4_addr; flags interval;"}, g.distinct(element(true), disjointAddresses, 1+g.IntN(8))})
		add(20, Set{"set", "hosts4", []string{"type ipv4_addr;"}, g.distinct(func() string { return g.single(true) }, different, g.IntN(6))})
		add(20, Set{"set", "pairs4", []string{"type ipv4_addr . inet_service; flags interval;"}, g.pairs(true, g.portOrSpan, true, 1+g.IntN(4))})
		add(10, Set{"set", "exact_pairs4", []string{"type ipv4_addr . inet_service;"}, g.pairs(true, g.port, false, 1+g.IntN(4))})
	}
	if v6 {
		add(40, Set{"set", "nets6", []string{"type ipv6_addr; flags interval;"}, g.distinct(element(false), disjointAddresses, 1+g.IntN(8))})
		add(20, Set{"set", "hosts6", []string{"type ipv6_addr;"}, g.distinct(func() string { return g.single(false) }, different, g.IntN(6))})
		add(20, Set{"set", "pairs6", []string{"type ipv6_addr . inet_service; flags interval;"}, g.pairs(false, g.portOrSpan, true, 1+g.IntN(4))})
	}
	add(30, Set{"set", "ports", []string{"type inet_service; flags interval;"}, g.distinct(g.portOrSpan, disjointPorts, 1+g.IntN(6))})
	add(15, Set{"set", "marks", []string{"type mark;"}, g.distinct(g.mark, different, 1+g.IntN(4))})
	add(15, Set{"set", "links", []string{"type ifname; flags interval;"}, []string{`"eth*"`, `"lo"`}[g.IntN(2):]})
	add(15, Set{"map", "verdicts", []string{"type inet_service : verdict; flags interval;"}, g.verdictElements()})
	return sets
}

func (g *generator) verdictElements() []string {
	elements := g.distinct(g.portOrSpan, disjointPorts, 1+g.IntN(6))
	for i := range elements {
		elements[i] += " : " + g.pick("accept", "drop", "return", "continue")
	}
	return elements
}
