package xt

import (
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// ipt_icmp and ip6t_icmp (ip_tables.h, ip6_tables.h): a type and a range of
// codes. Type 255 is every type, for IPv4 only.
type icmp struct {
	v6                bool
	kind              uint8
	codeLow, codeHigh uint8
	invert            bool
}

func decodeICMP(_ uint8, f *fields) extension  { return readICMP(f, false) }
func decodeICMP6(_ uint8, f *fields) extension { return readICMP(f, true) }

func readICMP(f *fields, v6 bool) extension {
	return icmp{v6: v6, kind: f.u8(), codeLow: f.u8(), codeHigh: f.u8(), invert: f.u8()&1 != 0}
}

func (i icmp) steps(Decoder) []firewall.Step {
	if i.kind == 0xff && !i.v6 {
		if i.invert {
			return one(never())
		}
		return nil
	}
	kind := transport(0, 1)
	code := transport(1, 1)
	anyCode := i.codeLow == 0 && i.codeHigh == 0xff
	switch {
	case anyCode:
		return one(equal(kind, []byte{i.kind}, i.invert))
	case i.invert:
		return one(anyOf(
			one(equal(kind, []byte{i.kind}, true)),
			one(between(code, []byte{i.codeLow}, []byte{i.codeHigh}, true))))
	}
	return []firewall.Step{equal(kind, []byte{i.kind}, false), between(code, []byte{i.codeLow}, []byte{i.codeHigh}, false)}
}

func (i icmp) String() string {
	var l line
	text := number(i.kind)
	if i.kind == 0xff && !i.v6 {
		text = "any"
	} else if i.codeLow != 0 || i.codeHigh != 0xff {
		text += "/" + span(i.codeLow, i.codeHigh, "-")
	}
	option := "--icmp-type"
	if i.v6 {
		option = "--icmpv6-type"
	}
	l.add(i.invert, option, text)
	return l.String()
}

func parseICMP(g *given) extension  { return g.icmp(icmp{kind: 0xff, codeHigh: 0xff}, icmpNames) }
func parseICMP6(g *given) extension { return g.icmp(icmp{v6: true, codeHigh: 0xff}, icmp6Names) }

func (g *given) icmp(i icmp, names map[string][2]int) extension {
	for _, o := range g.list {
		i.invert = o.Invert
		kind, code, hasCode := strings.Cut(o.first(), "/")
		if named, ok := names[o.first()]; ok {
			i.kind, i.codeLow, i.codeHigh = uint8(named[0]), uint8(max(named[1], 0)), uint8(named[1])
			continue
		}
		i.kind = uint8(g.number(o, kind, 8))
		if hasCode {
			low, high := g.span(o, code, "-", 8)
			i.codeLow, i.codeHigh = uint8(low), uint8(high)
		}
	}
	return i
}

// ICMPType is a type and code as ipsets keep them in a port's place, the type in
// the upper byte, from "8/0" or a name.
func ICMPType(s string, v6 bool) (uint16, bool) {
	names := icmpNames
	if v6 {
		names = icmp6Names
	}
	if n, ok := names[s]; ok {
		return uint16(n[0]<<8 | max(n[1], 0)), true
	}
	kind, code, _ := strings.Cut(s, "/")
	k, err1 := strconv.ParseUint(kind, 0, 8)
	c, err2 := strconv.ParseUint(code, 0, 8)
	return uint16(k<<8 | c), err1 == nil && err2 == nil
}

// The names of types and codes (IANA, as iptables spells them); code -1 is every code.
var icmpNames = map[string][2]int{
	"any": {255, -1}, "echo-reply": {0, -1}, "pong": {0, -1}, "destination-unreachable": {3, -1},
	"network-unreachable": {3, 0}, "host-unreachable": {3, 1}, "protocol-unreachable": {3, 2}, "port-unreachable": {3, 3},
	"fragmentation-needed": {3, 4}, "source-route-failed": {3, 5}, "network-unknown": {3, 6}, "host-unknown": {3, 7},
	"network-prohibited": {3, 9}, "host-prohibited": {3, 10}, "TOS-network-unreachable": {3, 11}, "TOS-host-unreachable": {3, 12},
	"communication-prohibited": {3, 13}, "host-precedence-violation": {3, 14}, "precedence-cutoff": {3, 15},
	"source-quench": {4, -1}, "redirect": {5, -1}, "network-redirect": {5, 0}, "host-redirect": {5, 1},
	"TOS-network-redirect": {5, 2}, "TOS-host-redirect": {5, 3}, "echo-request": {8, -1}, "ping": {8, -1},
	"router-advertisement": {9, -1}, "router-solicitation": {10, -1}, "time-exceeded": {11, -1}, "ttl-exceeded": {11, -1},
	"ttl-zero-during-transit": {11, 0}, "ttl-zero-during-reassembly": {11, 1}, "parameter-problem": {12, -1},
	"ip-header-bad": {12, 0}, "required-option-missing": {12, 1}, "timestamp-request": {13, -1}, "timestamp-reply": {14, -1},
	"address-mask-request": {17, -1}, "address-mask-reply": {18, -1},
}

var icmp6Names = map[string][2]int{
	"destination-unreachable": {1, -1}, "no-route": {1, 0}, "communication-prohibited": {1, 1}, "beyond-scope": {1, 2},
	"address-unreachable": {1, 3}, "port-unreachable": {1, 4}, "failed-policy": {1, 5}, "reject-route": {1, 6},
	"packet-too-big": {2, -1}, "time-exceeded": {3, -1}, "ttl-exceeded": {3, -1}, "ttl-zero-during-transit": {3, 0},
	"ttl-zero-during-reassembly": {3, 1}, "parameter-problem": {4, -1}, "bad-header": {4, 0}, "unknown-header-type": {4, 1},
	"unknown-option": {4, 2}, "echo-request": {128, -1}, "ping": {128, -1}, "echo-reply": {129, -1}, "pong": {129, -1},
	"mld-listener-query": {130, -1}, "mld-listener-report": {131, -1}, "mld-listener-done": {132, -1}, "mld-listener-reduction": {132, -1},
	"router-solicitation": {133, -1}, "router-advertisement": {134, -1}, "neighbour-solicitation": {135, -1}, "neighbor-solicitation": {135, -1},
	"neighbour-advertisement": {136, -1}, "neighbor-advertisement": {136, -1}, "redirect": {137, -1},
}
