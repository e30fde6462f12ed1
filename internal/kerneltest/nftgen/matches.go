package nftgen

import (
	"fmt"
	"strings"
)

// match is one match that nft takes at the place. It may narrow the place: a
// family or a transport, once said, stays.
func (g *generator) match(at *place) string {
	if g.options.Undecided && g.chance(20) {
		return g.undecided(at)
	}
	if g.options.Sockets && !at.untracked() && g.chance(6) {
		return g.socket(at)
	}
	if at.table.Family == "bridge" && g.chance(20) {
		return g.ether(at)
	}
	switch g.weighted(12, 12, 6, 5, 4, 3, 3, 3, 2) {
	case 0:
		return g.addressField(at)
	case 1:
		return g.transportField(at)
	case 2:
		return g.link(*at)
	case 3:
		return g.meta(at)
	case 4:
		return g.conntrack(at)
	case 5:
		return g.fib(*at)
	case 6:
		return g.concatenation(at)
	case 7:
		return g.namedSet(at)
	}
	return g.raw(at)
}

// ether matches the link-layer header.
func (g *generator) ether(at *place) string {
	switch g.weighted(3, 3, 2) {
	case 0:
		if at.hook == "prerouting" || at.hook == "input" {
			return "ether daddr " + g.pick("", "!= ") + g.pick(hostMAC, "02:00:00:00:00:01", "{ "+hostMAC+", ff:ff:ff:ff:ff:ff }")
		}
		return "ether saddr " + g.pick("", "!= ") + g.pick(hostMAC, "02:00:00:00:00:01")
	case 1:
		if at.family == "bridge" {
			return "ether type " + keyword(g.version(at))
		}
	}
	return "ether type " + g.pick("!= arp", "!= vlan", "!= { arp, vlan }")
}

// hostMAC is the address of the first bridge of a kerneltest.Layout.
const hostMAC = "02:00:00:00:01:01"

// version chooses the IP version that a match looks at. Where the table has both
// families the match says it by itself.
func (g *generator) version(at *place) bool {
	switch at.family {
	case "ip":
		return true
	case "ip6":
		return false
	}
	v4 := g.chance(60)
	at.family = map[bool]string{true: "ip", false: "ip6"}[v4]
	return v4
}

func keyword(v4 bool) string {
	if v4 {
		return "ip"
	}
	return "ip6"
}

func (g *generator) addressField(at *place) string {
	v4 := g.version(at)
	side := g.pick("saddr", "saddr", "saddr", "daddr")
	if side == "daddr" && g.chance(60) {
		return keyword(v4) + " daddr " + g.pick("", "!= ") + g.address(g.options.Own4, g.options.Own6, v4)
	}
	return keyword(v4) + " " + side + " " + g.addressMatch(v4)
}

// transport is a protocol that a match may look into, as nft writes it: one that
// no earlier match of the rule excludes. It is false where there is none.
func (g *generator) transport(at *place) (string, bool) {
	switch at.transport {
	case "":
		at.transport = g.pick("tcp", "tcp", "udp")
	case "other":
		return "", false
	}
	return at.transport, true
}

// needTCP is for matches that only TCP has.
func needTCP(at *place) bool {
	if at.transport == "" {
		at.transport = "tcp"
	}
	return at.transport == "tcp"
}

func (g *generator) transportField(at *place) string {
	side := g.pick("dport", "dport", "dport", "sport")
	switch choice := g.weighted(15, 2, 2, 1); {
	case choice == 1 && at.transport == "":
		at.transport = "th"
		return "meta l4proto { tcp, udp } th " + side + " " + g.portMatch()
	case choice == 2 && needTCP(at):
		return "tcp flags " + g.pick("syn", "!= syn", "& (fin | syn | rst | ack) == syn", "& (syn | ack) == (syn | ack)",
			"& ack != 0", "! ack", "{ syn, syn | ack }", "fin,rst")
	case choice == 3 && at.transport == "":
		at.transport = "other"
		return g.pick("sctp dport 80", "udplite dport 53", "dccp dport 22", "esp spi 1")
	}
	transport, ok := g.transport(at)
	if !ok {
		return g.link(*at)
	}
	return transport + " " + side + " " + g.portMatch()
}

func (g *generator) link(at place) string {
	list := g.options.Interfaces
	if len(g.options.Ports) > 0 && (at.table.Family == "bridge" || g.chance(20)) {
		list = g.options.Ports
	}
	names := func() string { return quoted(g.pick(list...)) }
	way := "iif"
	switch at.hook {
	case "output", "postrouting", "egress":
		way = "oif"
	case "forward":
		way = g.pick("iif", "oif")
	}
	switch g.weighted(4, 4, 3, 3, 2) {
	case 0:
		return way + "name " + g.pick("", "!= ") + names()
	case 1:
		return way + " " + g.pick("", "!= ") + names()
	case 2:
		return way + "name " + g.pick("", "!= ") + g.pick(`"eth*"`, `"e*"`, `"docker*"`, `"eth0*"`, `"nosuch0"`)
	case 3:
		return way + g.pick("", "name") + " " + g.pick("", "!= ") + anonymous(g.distinct(names, different, 2))
	}
	return g.pick(way+"name { \"eth*\", \"lo\" }", way+"group 0", way+"group != 0", way+"type ether", "iifname \"lo\"",
		"meta "+way+"kind \"tun\"", "meta "+way+"kind \"veth\"")
}

func different(a, b string) bool { return a != b }

func quoted(s string) string { return fmt.Sprintf("%q", s) }

func (g *generator) meta(at *place) string {
	switch g.weighted(4, 3, 2, 6, 2) {
	case 0:
		if at.transport == "" {
			return g.protocol(at)
		}
	case 1:
		if at.family == "inet" {
			if g.chance(25) {
				return "meta nfproto != " + g.pick("ipv4", "ipv6")
			}
			return "meta nfproto " + map[bool]string{true: "ipv4", false: "ipv6"}[g.version(at)]
		}
	case 2:
		if g.chance(50) {
			return "meta protocol != " + g.pick("ip", "ip6", "arp", "{ arp, ip }")
		}
		return "meta protocol " + keyword(g.version(at))
	case 3:
		return "meta mark " + g.markMatch()
	}
	return "meta pkttype " + g.pick("host", "!= host", "broadcast", "{ host, multicast }")
}

// protocol matches the transport protocol itself.
func (g *generator) protocol(at *place) string {
	field := "meta l4proto"
	switch {
	case at.family == "ip" && g.chance(30):
		field = "ip protocol"
	case at.family == "ip6" && g.chance(30):
		field = "ip6 nexthdr"
	}
	switch g.weighted(3, 2, 2, 1) {
	case 0:
		at.transport = g.pick("tcp", "udp")
		return field + " " + at.transport
	case 1:
		return field + " != " + g.pick("tcp", "udp", "icmp", "{ tcp, icmp }")
	case 2:
		at.transport = "th"
		return field + " { tcp, udp }"
	}
	at.transport = "other"
	return field + " " + g.pick("sctp", "{ icmp, udp }", "47")
}

func (g *generator) markMatch() string {
	switch g.weighted(4, 2, 2, 2, 1) {
	case 0:
		return g.pick("", "!= ") + g.mark()
	case 1:
		return "& " + g.pick("1", "0x30", "0xff", "0x80000000") + g.pick(" == ", " != ") + g.pick("0", "1", "0x10", "0x20")
	case 2:
		return g.pick("", "!= ") + g.pick("1-5", "0x10-0x2f", "2-0xffff", "0x80000000-0xffffffff")
	case 3:
		return g.pick("", "!= ") + anonymous(g.distinct(g.mark, different, 1+g.IntN(3)))
	}
	return g.pick("> 1", "< 0x20", "{ 1-5, 0x20-0x100 }")
}

func (g *generator) conntrack(at *place) string {
	if at.untracked() {
		return g.meta(at)
	}
	switch g.weighted(8, 2, 3, 3, 2, 2, 2) {
	case 6:
		v4 := g.version(at)
		return g.pick("ct zone 0", "ct zone != 0", "ct original zone 0", "ct helper \"ftp\"", "ct label 7",
			"ct reply "+keyword(v4)+" "+g.pick("saddr", "daddr")+" "+g.prefix(v4))
	case 0:
		return "ct state " + g.pick("new", "established,related", "invalid", "untracked", "!= new", "{ new, untracked }", "new,invalid", "established")
	case 1:
		return "ct direction " + g.pick("original", "reply", "!= original")
	case 2:
		return "ct mark " + g.markMatch()
	case 3:
		return g.conntrackPort(at)
	case 4:
		if v4 := at.family == "ip"; v4 || at.family == "ip6" {
			return "ct original " + keyword(v4) + " " + g.pick("saddr", "daddr") + " " + g.pick("", "!= ") + g.prefixOrRange(v4)
		}
		return "ct original ip saddr " + g.prefix(true)
	}
	return "ct status " + g.pick("dnat", "snat", "dnat,snat", "assured", "confirmed", "seen-reply")
}

// conntrackPort matches a port of the flow, before translation or as the answer
// has it.
func (g *generator) conntrackPort(at *place) string {
	key := g.pick("ct original proto-dst", "ct original proto-dst", "ct original proto-src", "ct reply proto-src")
	value := g.pick("", "!= ") + g.portOrSpan()
	switch at.transport {
	case "other", "th": // nft can't tell the port's type
		return "ct state new"
	case "":
		if g.chance(25) {
			at.transport = "other" // nft takes no other match of the transport after it
			return "ct original protocol " + g.pick("tcp", "udp")
		}
		at.transport = g.pick("tcp", "udp")
		return "meta l4proto " + at.transport + " " + key + " " + value
	}
	return key + " " + value
}

func (g *generator) fib(at place) string {
	if at.family == "netdev" || at.untracked() {
		return g.link(at)
	}
	// Where a lookup may ask for a link: nft_fib.c, nft_fib_validate.
	in := at.hook == "prerouting" || at.hook == "input" || at.hook == "forward"
	switch {
	case in && g.chance(35):
		return "fib saddr . iif oif " + g.pick("missing", "exists", "missing")
	case in && g.chance(20):
		return "fib saddr . mark . iif oif " + g.pick("missing", "exists")
	case at.hook == "prerouting" && g.chance(25):
		return "fib saddr oif " + quoted(g.pick(g.options.Interfaces...))
	case in && g.chance(15):
		return "fib saddr . iif oifname " + g.pick("", "!= ") + quoted(g.pick(g.options.Interfaces...))
	case (at.hook == "output" || at.hook == "postrouting" || at.hook == "forward") && g.chance(40):
		return g.pick("fib daddr . oif type ", "fib saddr . oif type ") + g.pick("", "!= ") + g.addressType()
	case g.chance(10):
		return "fib daddr . mark type " + g.addressType()
	case in && g.chance(25):
		return "fib daddr . iif type " + g.pick("", "!= ") + g.addressType()
	}
	return "fib " + g.pick("daddr", "daddr", "saddr") + " type " + g.pick(g.addressType(), "!= "+g.addressType(), "{ local, broadcast, multicast }")
}

func (g *generator) addressType() string {
	return g.pick("local", "local", "unicast", "broadcast", "multicast", "blackhole", "unreachable")
}

// concatenation compares several fields at once.
func (g *generator) concatenation(at *place) string {
	v4 := g.version(at)
	ip := keyword(v4)
	out := at.hook == "output" || at.hook == "postrouting" || at.hook == "egress"
	switch choice := g.weighted(4, 2, 2, 2); {
	case choice == 0 && needTCP(at):
		return ip + " saddr . tcp dport " + g.pick("", "!= ") + anonymous(g.pairs(v4, g.port, false, 1+g.IntN(4)))
	case choice == 1 && needTCP(at):
		return ip + " saddr . tcp dport " + g.pick("", "!= ") + anonymous(g.pairs(v4, g.portOrSpan, true, 1+g.IntN(3)))
	case choice == 2 && at.transport == "":
		at.transport = "th"
		own := g.address(g.options.Own4, g.options.Own6, v4)
		return ip + " daddr . meta l4proto . th dport { " + own + " . " + g.pick("tcp", "udp") + " . " + g.portOrSpan() + " }"
	case choice == 3 && out && needTCP(at):
		return "oifname . tcp sport { " + quoted(g.pick(g.options.Interfaces...)) + " . " + g.port() + " }"
	case out:
		return g.link(*at)
	}
	return "iifname . " + ip + " saddr { " + quoted(g.pick(g.options.Interfaces...)) + " . " + g.prefixOrRange(v4) + " }"
}

// pairs are addresses with ports. In ranges they don't overlap by their ports alone.
func (g *generator) pairs(v4 bool, port func() string, ranges bool, count int) []string {
	var list []string
	for _, p := range g.distinct(port, disjointPorts, count) {
		address := g.single(v4)
		if ranges {
			address = g.prefixOrRange(v4)
		}
		list = append(list, address+" . "+p)
	}
	return list
}

// single is one address.
func (g *generator) single(v4 bool) string {
	first, _ := addressEnds(g.prefix(v4))
	return first.String()
}

func (g *generator) namedSet(at *place) string {
	var usable []Set
	for _, set := range at.table.Sets {
		if set.Keyword == "set" && fits(set, at.family) && !strings.HasPrefix(set.Name, "seen") {
			usable = append(usable, set)
		}
	}
	if len(usable) == 0 {
		return g.addressField(at)
	}
	set := usable[g.IntN(len(usable))]
	not := g.pick("", "", "!= ") + "@" + set.Name
	switch {
	case strings.HasPrefix(set.Name, "ports"):
		transport, ok := g.transport(at)
		if !ok {
			return g.link(*at)
		}
		return transport + g.pick(" dport ", " dport ", " sport ") + not
	case strings.HasPrefix(set.Name, "marks"):
		return "meta mark " + not
	case strings.HasPrefix(set.Name, "links"):
		if at.hook == "output" || at.hook == "postrouting" || at.hook == "egress" {
			return "oifname " + not
		}
		return "iifname " + not
	}
	v4 := strings.Contains(set.Name, "4")
	if strings.Contains(set.Name, "pairs") && !needTCP(at) {
		return g.link(*at)
	}
	at.family = keyword(v4)
	if strings.Contains(set.Name, "pairs") {
		return keyword(v4) + " saddr . tcp dport " + not
	}
	return keyword(v4) + " " + g.pick("saddr", "saddr", "daddr") + " " + not
}

// fits says that a rule of the family can look a set's key up.
func fits(set Set, family string) bool {
	switch {
	case strings.Contains(set.Name, "4"):
		return family != "ip6"
	case strings.Contains(set.Name, "6"):
		return family != "ip"
	}
	return true
}

// raw compares bytes by their place.
func (g *generator) raw(at *place) string {
	switch {
	case at.family == "ip" && g.chance(50):
		return g.pick("@nh,96,8 "+g.pick("10", "203", "198"), "@nh,72,8 6", "@nh,128,32 & 0xff == 7", "@nh,96,32 != 0x0a000007")
	case at.transport == "":
		at.transport = g.pick("tcp", "udp")
		return "meta l4proto " + at.transport + " " + g.rawPort()
	case at.transport == "other":
		return g.link(*at)
	}
	return g.rawPort()
}

func (g *generator) rawPort() string {
	return "@th," + g.pick("16,16 "+g.port(), "16,16 "+g.span(), "18,6 "+g.pick("1", "2", "31"), "0,16 & 1 == 0", "16,8 0x1f", "0,32 != 0x00500050")
}

// verdictMap chooses the verdict by a value.
func (g *generator) verdictMap(at *place) string {
	verdict := func() string {
		if len(at.jumps) > 0 && g.chance(40) {
			return g.pick("jump ", "goto ") + g.pick(at.jumps...)
		}
		if g.chance(25) {
			return g.pick("return", "continue")
		}
		return g.pick("accept", "drop")
	}
	key, values := g.mapKey(at)
	if key == "tcp dport" && g.chance(50) {
		for _, set := range at.table.Sets {
			if set.Name == "verdicts" {
				return "tcp dport vmap @verdicts"
			}
		}
	}
	for i := range values {
		values[i] += " : " + verdict()
	}
	if g.chance(20) && !strings.Contains(key, "state") {
		values = append(values, "* : "+verdict())
	}
	return key + " vmap " + anonymous(values)
}

// mapKey is what a verdict map looks at, and values of it.
func (g *generator) mapKey(at *place) (key string, values []string) {
	out := at.hook == "output" || at.hook == "postrouting" || at.hook == "egress"
	links := func() string { return quoted(g.pick(g.options.Interfaces...)) }
	switch choice := g.weighted(5, 3, 2, 2, 2); {
	case choice == 0 && at.transport != "other":
		transport, _ := g.transport(at)
		return transport + " dport", g.distinct(g.portOrSpan, disjointPorts, 1+g.IntN(5))
	case choice == 1:
		v4 := g.version(at)
		return keyword(v4) + " saddr", g.distinct(func() string { return g.prefixOrRange(v4) }, disjointAddresses, 1+g.IntN(5))
	case choice == 2 && at.transport == "":
		return "meta l4proto", []string{"tcp", "udp"}[:1+g.IntN(2)]
	case choice == 3 && !at.untracked():
		return "ct state", []string{"new", "established", "untracked"}[:1+g.IntN(3)]
	case out:
		return "oifname", g.distinct(links, different, 2)
	}
	return "iifname", g.distinct(links, different, 2)
}
