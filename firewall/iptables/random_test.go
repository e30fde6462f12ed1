package iptables_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A generator writes random rulesets in iptables-save's form. Only what the
// rules settle is in them: nothing that depends on time, history or chance.
type generator struct {
	*rand.Rand
	v6 bool
}

func (g *generator) one(list ...string) string { return list[g.IntN(len(list))] }

// sometimes is text in one of n cases.
func (g *generator) sometimes(n int, text string) string {
	if g.IntN(n) == 0 {
		return text
	}
	return ""
}

func (g *generator) not() string { return g.sometimes(4, "! ") }

func (g *generator) family(v4, v6 string) string {
	if g.v6 {
		return v6
	}
	return v4
}

func (g *generator) network() string {
	if g.v6 {
		return g.one("2001:db8::/32", "2001:db8::7/128", "2001:db8:51::/48", "fd00::/8", "fd00:7::/64", "::/0", "2001:db8::/ffff:ffff::ff", "fe80::/10")
	}
	return g.one("203.0.113.0/24", "203.0.113.7/32", "198.51.100.0/25", "10.0.0.0/8", "192.168.7.0/24", "172.16.0.0/12", "0.0.0.0/0", "198.51.0.9/255.255.0.255", "128.0.0.0/1")
}

func (g *generator) port() string { return g.one("22", "53", "80", "443", "1024", "8080", "50000") }

func (g *generator) ports() string {
	return g.one(g.port(), g.port(), "0:1023", "1024:65535", "80:443", "20000:60000")
}

// header is what any rule may ask; needs is a protocol that the rest of it needs.
func (g *generator) header(needs string) string {
	protocol := needs
	if protocol == "" {
		protocol = g.one("", "", "tcp", "udp", "udplite")
	}
	var b strings.Builder
	if g.IntN(3) == 0 {
		b.WriteString(g.not() + "-s " + g.network() + " ")
	}
	if g.IntN(4) == 0 {
		b.WriteString(g.not() + "-d " + g.network() + " ")
	}
	if protocol == "" {
		b.WriteString(g.sometimes(6, g.one("! -p tcp ", "! -p udp ", "-p icmp ")))
		return b.String()
	}
	b.WriteString("-p " + protocol + " ")
	if protocol == "udplite" { // iptables has no match for its ports
		return b.String()
	}
	if g.IntN(2) == 0 {
		b.WriteString("-m " + protocol + " " + g.not() + "--dport " + g.ports() + " ")
	} else if g.IntN(3) == 0 {
		b.WriteString("-m " + protocol + " " + g.not() + "--sport " + g.ports() + " ")
	}
	if protocol == "tcp" {
		b.WriteString(g.sometimes(6, g.not()+"--tcp-flags "+g.one("FIN,SYN,RST,ACK SYN", "ALL SYN", "SYN,ACK SYN,ACK", "ALL NONE")+" "))
	}
	return b.String()
}

// interfaces asks for names that the hook can have.
func (g *generator) interfaces(chain string) string {
	name := func() string { return g.one("eth0", "eth1", "docker0", "eth+", "lo", "nothere", "d+") }
	switch chain {
	case "INPUT", "PREROUTING":
		return g.sometimes(3, g.not()+"-i "+name()+" ")
	case "FORWARD":
		return g.sometimes(3, g.not()+"-i "+name()+" ") + g.sometimes(3, g.not()+"-o "+name()+" ")
	case "OUTPUT", "POSTROUTING":
		return g.sometimes(3, g.not()+"-o "+name()+" ")
	}
	return ""
}

// match is one match that the rules settle.
func (g *generator) match(chain string) string {
	address := g.family("203.0.113.", "2001:db8::")
	choices := []string{
		"-m conntrack " + g.not() + "--ctstate " + g.one("NEW", "ESTABLISHED,RELATED", "INVALID", "NEW,UNTRACKED", "DNAT", "NEW,DNAT", "UNTRACKED", "SNAT,ESTABLISHED"),
		"-m conntrack " + g.not() + "--ctorigdst " + g.network(),
		"-m conntrack " + g.not() + "--ctorigdstport " + g.ports() + " " + g.not() + "--ctproto 6",
		"-m conntrack --ctdir " + g.one("ORIGINAL", "REPLY"),
		"-m conntrack --ctstate " + g.one("NEW", "UNTRACKED,NEW") + " " + g.not() + "--ctorigsrc " + g.network(),
		"-m conntrack " + g.not() + "--ctstatus " + g.one("CONFIRMED", "SEEN_REPLY", "EXPECTED,ASSURED"),
		"-m state --state " + g.one("NEW", "RELATED,ESTABLISHED", "INVALID", "UNTRACKED"),
		"-m iprange " + g.not() + "--src-range " + g.family("198.51.100.5-203.0.113.100", "2001:db8::1-2001:db8:51::ff"),
		"-m iprange " + g.not() + "--dst-range " + address + "1-" + address + "9",
		"-m addrtype " + g.not() + "--src-type " + g.family(g.one("UNICAST", "LOCAL", "UNICAST,LOCAL", "BROADCAST", "BLACKHOLE", "UNREACHABLE"), g.one("UNICAST", "LOCAL", "MULTICAST", "UNSPEC", "UNREACHABLE")),
		"-m addrtype " + g.not() + "--dst-type " + g.family(g.one("LOCAL", "UNICAST", "BROADCAST,MULTICAST", "LOCAL,BROADCAST"), g.one("LOCAL", "UNICAST", "MULTICAST", "LOCAL,UNICAST")),
		"-m mark " + g.not() + "--mark " + g.one("0x0", "0x1", "0x1/0x1", "0x2/0x3", "0x0/0x4"),
		"-m connmark " + g.not() + "--mark " + g.one("0x0", "0x1/0x1", "0x10/0xf0"),
		"-m pkttype " + g.not() + "--pkt-type " + g.one("unicast", "broadcast", "multicast"),
		"-m comment --comment \"" + g.one("a", "b \\\"c\\\"") + "\"",
		"-m u32 " + g.not() + "--u32 \"" + g.family("0x6&0xff=0x"+g.one("6", "11"), "0x4&0xff00=0x"+g.one("600", "1100")) + "\"",
		"-m devgroup " + g.not() + "--src-group 0",
		"-m physdev " + g.not() + "--physdev-is-in",
	}
	choices = append(choices, g.set(chain), g.set(chain))
	if !g.v6 {
		// Every IPv4 packet has such a length; of IPv6 ones the sender may choose a longer.
		choices = append(choices, "-m length --length 1:65535")
		choices = append(choices, "-m u32 --u32 \"0x0>>0x16&0x3c@0x0&0xffff="+g.one("0x16", "0x50", "0x0:0x3ff", "0x1000:0xffff")+"\"")
	} else {
		choices = append(choices, "-m ipv6header "+g.not()+"--header "+g.one("hop-by-hop", "ipv6-frag", "protocol")+" --soft")
	}
	if chain == "PREROUTING" {
		choices = append(choices, "-m rpfilter"+g.one("", " --loose", " --invert", " --loose --invert", " --validmark"))
	}
	if chain == "OUTPUT" {
		choices = slices.DeleteFunc(choices, func(s string) bool { return strings.Contains(s, "devgroup") })
	}
	return g.one(choices...)
}

// randomSets are the ipsets that rules name.
const randomSets = `create nets hash:net
add nets 198.51.100.0/24
add nets 198.51.100.128/25 nomatch
add nets 10.0.0.0/8
add nets 203.0.113.0/28
create hosts hash:ip
add hosts 203.0.113.7
add hosts 198.51.100.9
add hosts 192.168.7.77
create pairs hash:ip,port
add pairs 198.51.100.9,tcp:22
add pairs 203.0.113.7,tcp:80
add pairs 203.0.113.7,udp:53
create netports hash:net,port
add netports 198.51.0.0/16,tcp:443
add netports 203.0.113.0/24,tcp:1000-1024
create triples hash:ip,port,net
add triples 198.51.100.9,tcp:80,203.0.113.0/24
add triples 198.51.100.9,tcp:80,203.0.113.8/32 nomatch
create links hash:net,iface
add links 198.51.100.0/24,eth0
add links 10.0.0.0/8,eth1
create range bitmap:ip range 203.0.113.0/24
add range 203.0.113.7-203.0.113.9
create ports bitmap:port range 0-65535
add ports 22
add ports 8080-9090
create nets6 hash:net family inet6
add nets6 2001:db8::/32
add nets6 2001:db8:51::/48 nomatch
add nets6 fd00:7::/64
create pairs6 hash:ip,port family inet6
add pairs6 2001:db8::7,tcp:22
add pairs6 2001:db8:51::9,udp:53
create empty hash:net
create all list:set
add all hosts
add all nets
add all nets6
`

// set asks for one of randomSets.
func (g *generator) set(chain string) string {
	one := g.one("src", "dst")
	two := g.one("src,src", "src,dst", "dst,dst", "dst,src")
	choices := []string{"nets " + one, "hosts " + one, "pairs " + two, "pairs " + one, "netports " + two, "triples " + two + "," + one,
		"range " + one, "ports " + one, "empty " + one, "all " + one, "all " + two}
	if g.v6 {
		choices = []string{"ports " + one, "nets6 " + one, "pairs6 " + two, "all " + one}
	} else if chain == "INPUT" || chain == "PREROUTING" {
		choices = append(choices, "links "+g.one("src,src", "dst,src"))
	}
	return "-m set " + g.not() + "--match-set " + g.one(choices...)
}

func (g *generator) multiport() string {
	return "-m multiport " + g.not() + g.one("--dports", "--sports", "--ports") + " " +
		strings.Join([]string{g.port(), g.one("9090", "1000:2000", "40000:65535"), "7"}[:1+g.IntN(3)], ",") + " "
}

func (g *generator) verdict(chain string, lower []string) string {
	if len(lower) > 0 && g.IntN(5) == 0 {
		return g.one("-j ", "-j ", "-g ") + g.one(lower...)
	}
	reject := "-j REJECT --reject-with " + g.family(g.one("icmp-port-unreachable", "icmp-host-prohibited", "icmp-admin-prohibited"), g.one("icmp6-port-unreachable", "icmp6-adm-prohibited"))
	return g.one("-j ACCEPT", "-j ACCEPT", "-j ACCEPT", "-j DROP", "-j DROP", "-j RETURN", reject, "-j LOG", "")
}

// rule is one rule of a chain.
func (g *generator) rule(table, chain string, lower []string) string {
	needs := ""
	multiport := g.IntN(6) == 0
	if multiport {
		needs = g.one("tcp", "udp")
	}
	text := "-A " + chain + " " + g.interfaces(chain) + g.header(needs)
	if multiport {
		text += g.multiport()
	}
	if !g.v6 {
		text += g.sometimes(12, g.not()+"-f ")
	}
	for range g.IntN(3) {
		text += g.match(chain) + " "
	}
	target := g.verdict(chain, lower)
	switch table {
	case "raw":
		target = g.one(g.one("-j ACCEPT", "-j RETURN", "-j DROP"), "-j NOTRACK", "-j CT --notrack")
	case "mangle":
		target = g.one(g.one("-j ACCEPT", "-j RETURN", "-j DROP"), "-j MARK --set-xmark "+g.one("0x1/0xffffffff", "0x2/0x3", "0x0/0x1", "0x4/0x0"),
			"-j CONNMARK --set-xmark "+g.one("0x1/0xffffffff", "0x10/0xf0"), "-j CONNMARK --save-mark", "-j CONNMARK --restore-mark --mask 0xff")
	}
	return text + target
}

// nat is a translation, always for one protocol.
func (g *generator) nat() string {
	protocol := g.one("tcp", "udp")
	target := g.one("-j REDIRECT --to-ports "+g.port(), "-j DNAT --to-destination "+g.family(g.one("172.17.0.2:80", "172.17.0.3", "203.0.113.8:22", "127.0.0.1:80"), g.one("[fd00:17::2]:80", "fd00:17::2", "[2001:db8::8]:22")), "-j ACCEPT", "-j RETURN")
	return "-A PREROUTING " + g.interfaces("PREROUTING") + g.header(protocol) + g.sometimes(2, "-m addrtype --dst-type LOCAL ") + target
}

// ruleset is raw, mangle, nat and filter.
func (g *generator) ruleset() string {
	var b strings.Builder
	add := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	if g.IntN(3) == 0 {
		add("*raw")
		for range 1 + g.IntN(2) {
			add("%s", g.rule("raw", "PREROUTING", nil))
		}
		add("COMMIT")
	}
	if g.IntN(2) == 0 {
		add("*mangle")
		for range 1 + g.IntN(3) {
			add("%s", g.rule("mangle", g.one("PREROUTING", "PREROUTING", "INPUT", "FORWARD"), nil))
		}
		add("COMMIT")
	}
	if g.IntN(2) == 0 {
		add("*nat")
		for range 1 + g.IntN(3) {
			add("%s", g.nat())
		}
		add("COMMIT")
	}
	add("*filter")
	for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT"} {
		add(":%s %s [0:0]", chain, g.one("ACCEPT", "ACCEPT", "DROP"))
	}
	add(":mine - [0:0]")
	add(":other - [0:0]")
	for _, c := range []struct {
		name  string
		rules int
		lower []string
	}{{"INPUT", 8, []string{"mine", "other"}}, {"FORWARD", 4, []string{"mine"}}, {"OUTPUT", 1, nil}, {"mine", 3, []string{"other"}}, {"other", 3, nil}} {
		for range g.IntN(c.rules + 1) {
			add("%s", g.rule("filter", c.name, c.lower))
		}
	}
	add("COMMIT")
	return b.String()
}
