package nft

import "strings"

// A datatype is one of nft's (include/datatype.h of nftables; the numbers are
// part of what it stores in the kernel).
type datatype struct {
	name string
	// length is in bytes; 0 where it depends on the expression.
	length uint32
	// hostOrder says that numbers of the type are in the machine's order.
	hostOrder bool
}

// datatypes by nft's number.
var datatypes = [...]datatype{
	1:  {"verdict", 4, true},
	2:  {"nf_proto", 1, true},
	3:  {"bitmask", 0, false},
	4:  {"integer", 0, false},
	5:  {"string", 0, true},
	6:  {"ll_addr", 0, false},
	7:  {"ipv4_addr", 4, false},
	8:  {"ipv6_addr", 16, false},
	9:  {"ether_addr", 6, false},
	10: {"ether_type", 2, false},
	11: {"arp_op", 2, false},
	12: {"inet_proto", 1, false},
	13: {"inet_service", 2, false},
	14: {"icmp_type", 1, false},
	15: {"tcp_flag", 1, false},
	16: {"dccp_pkttype", 1, false},
	17: {"mh_type", 1, false},
	18: {"time", 4, true},
	19: {"mark", 4, true},
	20: {"iface_index", 4, true},
	21: {"iface_type", 2, true},
	22: {"realm", 4, true},
	23: {"classid", 4, true},
	24: {"uid", 4, true},
	25: {"gid", 4, true},
	26: {"ct_state", 4, true},
	27: {"ct_dir", 1, false},
	28: {"ct_status", 4, true},
	29: {"icmpv6_type", 1, false},
	30: {"ct_label", 16, true},
	31: {"pkt_type", 1, false},
	32: {"icmp_code", 1, false},
	33: {"icmpv6_code", 1, false},
	34: {"icmpx_code", 1, false},
	35: {"devgroup", 4, true},
	36: {"dscp", 1, false},
	37: {"ecn", 1, false},
	38: {"fib_addrtype", 4, true},
	39: {"boolean", 1, false},
	40: {"ct_event", 4, true},
	41: {"ifname", 16, true},
	42: {"igmp_type", 1, false},
	43: {"time", 8, true},
	44: {"hour", 4, true},
	45: {"day", 1, false},
	46: {"cgroupsv2", 8, true},
}

// typeNames reads a set's type number: 6 bits a part, the first part highest.
// Empty where a part isn't known.
func typeNames(number uint32) string {
	var parts []string
	for ; number != 0; number >>= 6 {
		part := number & 63
		if int(part) >= len(datatypes) || datatypes[part].name == "" {
			return ""
		}
		parts = append([]string{datatypes[part].name}, parts...)
	}
	return strings.Join(parts, " . ")
}

// typeLength is a type's length in bytes, 0 where it isn't known or not fixed.
func typeLength(name string) uint32 {
	for _, t := range datatypes {
		if t.name == name {
			return t.length
		}
	}
	return 0
}

// Names of ICMP codes in a reject statement. icmpx codes are nf_tables' own
// (enum nft_reject_inet_code).
var (
	icmpCodes = map[uint64]string{
		0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable", 4: "frag-needed",
		9: "net-prohibited", 10: "host-prohibited", 13: "admin-prohibited",
	}
	icmpv6Codes = map[uint64]string{
		0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable",
		5: "policy-fail", 6: "reject-route",
	}
	icmpxCodes = map[uint64]string{
		0: "no-route", 1: "port-unreachable", 2: "host-unreachable", 3: "admin-prohibited",
	}
)
