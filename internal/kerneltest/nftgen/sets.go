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
	add(15, Set{"set", "ports_typeof", []string{"typeof tcp dport;"}, g.distinct(g.port, disjointPorts, 1+g.IntN(4))})
	add(20, Set{"map", "port_marks", []string{"type inet_service : mark;"}, g.valued(g.distinct(g.port, disjointPorts, 1+g.IntN(6)), g.mark)})
	add(20, Set{"counter", "hits", nil, nil})
	if v4 {
		add(10, Set{"set", "all4", []string{"type ipv4_addr; flags interval;"}, append(g.distinct(element(true), disjointAddresses, 1+g.IntN(3)), "*")})
		add(10, Set{"set", "timed4", []string{"type ipv4_addr; flags interval, timeout; timeout 1h;"}, g.distinct(element(true), disjointAddresses, 1+g.IntN(4))})
		add(20, Set{"set", "seen4", []string{"type ipv4_addr; flags dynamic, timeout; timeout 1m; size 65535;"}, nil})
	}
	if v6 {
		add(20, Set{"set", "seen6", []string{"type ipv6_addr; flags dynamic, timeout; timeout 1m; size 65535;"}, nil})
	}
	if family == "ip" || family == "inet" || family == "ip6" {
		add(10, Set{"ct helper", "file_transfer", []string{"type \"ftp\" protocol tcp;"}, nil})
		add(10, Set{"ct timeout", "brief", []string{"protocol tcp; policy = { established: 10 };"}, nil})
	}
	if g.options.Undecided {
		add(20, Set{"quota", "spent", []string{"over 100 bytes"}, nil})
		add(20, Set{"limit", "rare", []string{"rate 1/minute"}, nil})
	}
	add(15, Set{"map", "verdicts", []string{"type inet_service : verdict; flags interval;"}, g.verdictElements()})
	return sets
}

func (g *generator) verdictElements() []string {
	verdict := func() string { return g.pick("accept", "drop", "return", "continue") }
	elements := g.valued(g.distinct(g.portOrSpan, disjointPorts, 1+g.IntN(6)), verdict)
	if g.chance(25) {
		elements = append(elements, "* : "+verdict())
	}
	return elements
}

// valued gives every key a value.
func (g *generator) valued(keys []string, value func() string) []string {
	for i := range keys {
		keys[i] += " : " + value()
	}
	return keys
}

// has says that a table has a set or object.
func (t *Table) has(name string) bool {
	for _, set := range t.Sets {
		if set.Name == name {
			return true
		}
	}
	return false
}

// count is a statement that counts; a map of counters ends the rule where it has
// none for the packet.
func (g *generator) count(at *place) string {
	if !at.table.has("hits") || g.chance(50) {
		return "counter"
	}
	transport, ok := g.transport(at)
	if !ok || g.chance(50) {
		return "counter name \"hits\""
	}
	return "counter name " + transport + " dport map " + anonymous(g.valued(g.distinct(g.port, disjointPorts, 1+g.IntN(4)), func() string { return "\"hits\"" }))
}

// aside is a statement that lets the packet go on.
func (g *generator) aside(at *place) string {
	switch g.weighted(4, 3, 3, 2, 2) {
	case 0:
		return g.remember(at)
	case 1:
		return g.copyOf(at)
	case 2:
		return g.mangle(at)
	case 3:
		if at.table.has("file_transfer") && at.kind == "filter" && (at.transport == "" || at.transport == "tcp") {
			at.transport = "tcp"
			return "meta l4proto tcp ct helper set \"file_transfer\""
		}
	case 4:
		if at.table.has("brief") && (at.hook == "prerouting" || at.hook == "output") && (at.transport == "" || at.transport == "tcp") {
			at.transport = "tcp"
			return "meta l4proto tcp ct timeout set \"brief\""
		}
	}
	return "log prefix \"seen\""
}

// remember puts the packet's source into a set. Whether that ends the rule is
// only certain where the set has room and no limit stands in the element.
func (g *generator) remember(at *place) string {
	version := map[string]string{"ip": "4", "ip6": "6"}[at.family]
	if version == "" {
		version = g.pick("4", "6")
	}
	if !at.table.has("seen" + version) {
		return "counter"
	}
	v4 := version == "4"
	at.family = keyword(v4)
	element := keyword(v4) + " saddr"
	operation := g.pick("add", "update")
	if g.options.Undecided {
		operation = g.pick("add", "update", "delete")
		if operation != "delete" {
			element += g.pick("", " limit rate 1/minute", " limit rate over 1/minute", " timeout 5s")
		}
	}
	return operation + " @seen" + version + " { " + element + " }"
}

// copyOf sends a copy, or in a device's own chains the packet itself, elsewhere.
func (g *generator) copyOf(at *place) string {
	sink := quoted(g.options.Sink)
	switch {
	case !g.copies:
		return "counter"
	case at.hook == "ingress" && at.table.Family == "netdev":
		return "dup to " + sink
	case at.table.Family == "ip" && at.hook != "egress":
		return "dup to 198.18.0.1 device " + sink
	case at.table.Family == "ip6" && at.hook != "egress":
		return "dup to 2001:db8:ff::1 device " + sink
	}
	return "counter"
}

// mangle writes to a header field.
func (g *generator) mangle(at *place) string {
	if at.untracked() || at.family == "inet" {
		return "meta priority set 1:2"
	}
	if at.family == "ip" {
		if at.hook == "prerouting" && g.chance(30) {
			return "ip daddr set " + g.pick(g.options.Own4...)
		}
		return g.pick("ip ttl set 7", "ip dscp set cs1", "ip ecn set ect0", "ct label set 7")
	}
	return g.pick("ip6 hoplimit set 7", "ip6 dscp set cs1", "ct label set 7")
}

// mappedTranslation looks up where to translate to.
func (g *generator) mappedTranslation(family string, v4 bool, transport string) string {
	target := func() string {
		if g.chance(50) {
			return g.address(g.options.Own4, g.options.Own6, v4)
		}
		return g.address(g.options.Behind4, g.options.Behind6, v4)
	}
	switch g.weighted(2, 2, 2, 2) {
	case 3:
		keys := g.pairs(v4, g.portOrSpan, true, 1+g.IntN(3))
		return join("dnat", keyword(v4), "addr . port to", keyword(v4), "saddr .", transport, "dport map", anonymous(g.valued(keys, func() string { return target() + " . " + g.port() })))
	case 0:
		return join("dnat", family, "to", transport, "dport map", anonymous(g.valued(g.distinct(g.portOrSpan, disjointPorts, 1+g.IntN(4)), target)))
	case 1:
		keys := g.distinct(func() string { return g.prefixOrRange(v4) }, disjointAddresses, 1+g.IntN(4))
		return join("dnat", family, "to", keyword(v4), "saddr map", anonymous(g.valued(keys, target)))
	}
	keys := g.distinct(g.port, disjointPorts, 1+g.IntN(4))
	return join("dnat", keyword(v4), "addr . port to", transport, "dport map", anonymous(g.valued(keys, func() string { return target() + " . " + g.port() })))
}

// undecided is a match that no reading settles.
func (g *generator) undecided(at *place) string {
	if g.chance(25) {
		return g.undecidedObject(at)
	}
	if g.chance(25) && needTCP(at) {
		return "meta l4proto tcp " + g.pick("tcp option maxseg exists", "tcp option sack-perm missing", "tcp window 65535", "tcp sequence > 5", "tcp doff 5")
	}
	any := []string{
		"limit rate 1/minute", "limit rate over 100/second", "numgen random mod 3 == 0", "numgen inc mod 2 1", "meta cpu 0",
		"meta hour \"08:00\"-\"18:00\"", "meta day \"Sunday\"", "meta length > 50", "quota 10 mbytes", "quota over 1 bytes", "meta random <= 5",
	}
	switch {
	case at.untracked():
	case at.family == "ip":
		any = append(any, "ip ttl > 60", "ip dscp cs1", "ip id 0", "ip frag-off & 0x1fff == 0", "ip option ra exists", "ct expiration > 30s")
	case at.family == "ip6":
		any = append(any, "ip6 hoplimit > 60", "ip6 flowlabel 0", "exthdr frag exists", "exthdr hbh missing")
	}
	if !at.untracked() {
		any = append(any, "ct count over 5", "ct count 5", "ct bytes > 0", "ct packets 0")
	}
	return g.pick(any...)
}

// undecidedObject is a named object or a set that rules fill.
func (g *generator) undecidedObject(at *place) string {
	object := func(kind, name string) string {
		if transport := at.transport; (transport == "tcp" || transport == "udp") && g.chance(40) {
			return kind + " name " + transport + " dport map " + anonymous(g.valued(g.distinct(g.port, disjointPorts, 1+g.IntN(4)), func() string { return quoted(name) }))
		}
		return kind + " name " + quoted(name)
	}
	switch {
	case g.chance(40) && at.table.has("spent"):
		return object("quota", "spent")
	case g.chance(60) && at.table.has("rare"):
		return object("limit", "rare")
	case at.table.has("seen4") && at.family != "ip6":
		at.family = "ip"
		return "ip saddr " + g.pick("", "!= ") + "@seen4"
	case at.table.has("seen6") && at.family != "ip":
		at.family = "ip6"
		return "ip6 saddr " + g.pick("", "!= ") + "@seen6"
	}
	return "numgen random mod 2 == 0"
}
