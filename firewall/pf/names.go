package pf

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed services.txt
var servicesText string

// services are the ports of well-known services by name (IANA's registry and
// the systems' /etc/services, as far as names are in use).
var services = sync.OnceValue(func() map[string]uint16 {
	m := make(map[string]uint16)
	for line := range strings.Lines(servicesText) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		port, err := strconv.ParseUint(fields[0], 10, 16)
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			m[name] = uint16(port)
		}
	}
	return m
})

// protocols are IP protocols by name (IANA), the name that pfctl prints first.
var protocols = []struct {
	number int
	names  []string
}{
	{0, []string{"ip", "hopopt"}}, {1, []string{"icmp"}}, {2, []string{"igmp"}}, {3, []string{"ggp"}}, {4, []string{"ipencap", "ipv4"}},
	{5, []string{"st2", "st"}}, {6, []string{"tcp"}}, {8, []string{"egp"}}, {9, []string{"igp"}}, {12, []string{"pup"}}, {17, []string{"udp"}},
	{20, []string{"hmp"}}, {22, []string{"xns-idp"}}, {27, []string{"rdp"}}, {29, []string{"iso-tp4"}}, {33, []string{"dccp"}},
	{41, []string{"ipv6"}}, {43, []string{"ipv6-route"}}, {44, []string{"ipv6-frag"}}, {46, []string{"rsvp"}}, {47, []string{"gre"}},
	{50, []string{"esp"}}, {51, []string{"ah"}}, {55, []string{"mobile"}}, {58, []string{"ipv6-icmp", "icmp6", "icmpv6"}},
	{59, []string{"ipv6-nonxt"}}, {60, []string{"ipv6-opts"}}, {88, []string{"eigrp"}}, {89, []string{"ospf", "ospfigp"}},
	{94, []string{"ipip"}}, {97, []string{"etherip"}}, {98, []string{"encap"}}, {103, []string{"pim"}}, {108, []string{"ipcomp"}},
	{112, []string{"carp", "vrrp"}}, {115, []string{"l2tp"}}, {132, []string{"sctp"}}, {136, []string{"udplite"}},
	{137, []string{"mpls-in-ip"}}, {139, []string{"hip"}}, {140, []string{"shim6"}}, {240, []string{"pfsync"}},
}

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

func protocolNumber(name string) (int, bool) {
	if n, err := strconv.ParseUint(name, 0, 8); err == nil {
		return int(n), true
	}
	for _, p := range protocols {
		for _, known := range p.names {
			if strings.EqualFold(known, name) { // /etc/protocols has both
				return p.number, true
			}
		}
	}
	return 0, false
}

func protocolName(n int) string {
	for _, p := range protocols {
		if p.number == n {
			return p.names[0]
		}
	}
	return strconv.Itoa(n)
}

// An icmpName is a name for a type, or for a type's code.
type icmpName struct {
	name       string
	kind, code int
}

// icmp4Types and the rest are icmp_type, icmp6_type, icmp_code and icmp6_code of
// pfctl_parser.c.
var (
	icmp4Types = []icmpName{{"echoreq", 8, 0}, {"echorep", 0, 0}, {"unreach", 3, 0}, {"squench", 4, 0}, {"redir", 5, 0}, {"althost", 6, 0},
		{"routeradv", 9, 0}, {"routersol", 10, 0}, {"timex", 11, 0}, {"paramprob", 12, 0}, {"timereq", 13, 0}, {"timerep", 14, 0},
		{"inforeq", 15, 0}, {"inforep", 16, 0}, {"maskreq", 17, 0}, {"maskrep", 18, 0}, {"trace", 30, 0}, {"dataconv", 31, 0},
		{"mobredir", 32, 0}, {"ipv6-where", 33, 0}, {"ipv6-here", 34, 0}, {"mobregreq", 35, 0}, {"mobregrep", 36, 0}, {"skip", 39, 0}, {"photuris", 40, 0}}
	icmp6Types = []icmpName{{"unreach", 1, 0}, {"toobig", 2, 0}, {"timex", 3, 0}, {"paramprob", 4, 0}, {"echoreq", 128, 0}, {"echorep", 129, 0},
		{"groupqry", 130, 0}, {"listqry", 130, 0}, {"grouprep", 131, 0}, {"listenrep", 131, 0}, {"groupterm", 132, 0}, {"listendone", 132, 0},
		{"routersol", 133, 0}, {"routeradv", 134, 0}, {"neighbrsol", 135, 0}, {"neighbradv", 136, 0}, {"redir", 137, 0}, {"routrrenum", 138, 0},
		{"wrureq", 139, 0}, {"wrurep", 140, 0}, {"fqdnreq", 139, 0}, {"fqdnrep", 140, 0}, {"niqry", 139, 0}, {"nirep", 140, 0},
		{"mtraceresp", 200, 0}, {"mtrace", 201, 0}, {"listenrepv2", 143, 0}}
	icmp4Codes = []icmpName{{"net-unr", 3, 0}, {"host-unr", 3, 1}, {"proto-unr", 3, 2}, {"port-unr", 3, 3}, {"needfrag", 3, 4}, {"srcfail", 3, 5},
		{"net-unk", 3, 6}, {"host-unk", 3, 7}, {"isolate", 3, 8}, {"net-prohib", 3, 9}, {"host-prohib", 3, 10}, {"net-tos", 3, 11},
		{"host-tos", 3, 12}, {"filter-prohib", 3, 13}, {"host-preced", 3, 14}, {"cutoff-preced", 3, 15}, {"redir-net", 5, 0},
		{"redir-host", 5, 1}, {"redir-tos-net", 5, 2}, {"redir-tos-host", 5, 3}, {"normal-adv", 9, 0}, {"common-adv", 9, 16},
		{"transit", 11, 0}, {"reassemb", 11, 1}, {"badhead", 12, 0}, {"optmiss", 12, 1}, {"badlen", 12, 2}, {"unknown-ind", 40, 1},
		{"auth-fail", 40, 2}, {"decrypt", 40, 3}}
	icmp6Codes = []icmpName{{"admin-unr", 1, 1}, {"noroute-unr", 1, 0}, {"beyond-unr", 1, 2}, {"notnbr-unr", 1, 2}, {"addr-unr", 1, 3},
		{"port-unr", 1, 4}, {"transit", 3, 0}, {"reassemb", 3, 1}, {"badhead", 4, 0}, {"nxthdr", 4, 1}, {"redironlink", 137, 0}, {"redirrouter", 137, 1}}
)

func icmpTables(family uint8) (types, codes []icmpName) {
	if family == 6 {
		return icmp6Types, icmp6Codes
	}
	return icmp4Types, icmp4Codes
}

// icmpTypeNumber reads a type's name or number; numbers end at 255.
func icmpTypeNumber(name string, family uint8) (int, bool) {
	types, _ := icmpTables(family)
	return lookICMP(name, types, func(icmpName) bool { return true }, func(n icmpName) int { return n.kind })
}

func icmpCodeNumber(name string, family uint8, kind int) (int, bool) {
	_, codes := icmpTables(family)
	return lookICMP(name, codes, func(n icmpName) bool { return n.kind == kind }, func(n icmpName) int { return n.code })
}

func lookICMP(name string, table []icmpName, fits func(icmpName) bool, value func(icmpName) int) (int, bool) {
	if n, err := strconv.ParseUint(name, 0, 8); err == nil {
		return int(n), true
	}
	for _, n := range table {
		if n.name == name && fits(n) {
			return value(n), true
		}
	}
	return 0, false
}

func icmpTypeName(kind int, family uint8) string {
	types, _ := icmpTables(family)
	for _, n := range types {
		if n.kind == kind {
			return n.name
		}
	}
	return strconv.Itoa(kind)
}

func icmpCodeName(kind, code int, family uint8) (string, bool) {
	_, codes := icmpTables(family)
	for _, n := range codes {
		if n.kind == kind && n.code == code {
			return n.name, true
		}
	}
	return strconv.Itoa(code), false
}

// Accounts that come with the systems. Others are known by name only.
var (
	baseUsers  = map[Dialect]map[string]uint32{OpenBSD: {"root": 0, "daemon": 1, "operator": 2, "bin": 3, "nobody": 32767, "sshd": 27, "_pbuild": 55, "www": 67}, FreeBSD: {"root": 0, "toor": 0, "daemon": 1, "operator": 2, "bin": 3, "nobody": 65534, "sshd": 22, "www": 80, "unbound": 59}, MacOS: {"root": 0, "daemon": 1, "_mdnsresponder": 65}}
	baseGroups = map[Dialect]map[string]uint32{OpenBSD: {"wheel": 0, "daemon": 1, "operator": 5, "bin": 7, "nobody": 32767, "sshd": 27}, FreeBSD: {"wheel": 0, "daemon": 1, "operator": 5, "bin": 7, "nobody": 65534, "sshd": 22, "www": 80}, MacOS: {"wheel": 0, "daemon": 1}}
)
