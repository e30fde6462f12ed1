package nft

// symbols are nft's words for the values of its datatypes.
var symbols = map[string]map[uint64]string{
	"nf_proto":     {2: "ipv4", 10: "ipv6"},
	"ether_type":   {etherTypeIPv4: "ip", etherTypeARP: "arp", etherTypeIPv6: "ip6", etherTypeVLAN: "8021q", etherTypeQinQ: "8021ad"},
	"arp_op":       {1: "request", 2: "reply", 3: "rrequest", 4: "rreply", 8: "inrequest", 9: "inreply", 10: "nak"},
	"iface_type":   {1: "ether", 512: "ppp", 768: "ipip", 769: "ipip6", 772: "loopback", 776: "sit", 778: "ipgre"},
	"ct_dir":       {0: "original", 1: "reply"},
	"pkt_type":     {0: "host", 1: "broadcast", 2: "multicast", 3: "other"},
	"fib_addrtype": {0: "unspec", 1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable", 8: "prohibit"},
	"boolean":      {0: "missing", 1: "exists"},
	"icmp_code":    icmpCodes,
	"icmpv6_code":  icmpv6Codes,
	"icmpx_code":   icmpxCodes,
	"igmp_type":    {17: "membership-query", 18: "membership-report-v1", 22: "membership-report-v2", 34: "membership-report-v3", 23: "leave-group"},
	"icmp_type": {
		0: "echo-reply", 3: "destination-unreachable", 4: "source-quench", 5: "redirect", 8: "echo-request",
		9: "router-advertisement", 10: "router-solicitation", 11: "time-exceeded", 12: "parameter-problem",
		13: "timestamp-request", 14: "timestamp-reply", 15: "info-request", 16: "info-reply",
		17: "address-mask-request", 18: "address-mask-reply",
	},
	"icmpv6_type": {
		1: "destination-unreachable", 2: "packet-too-big", 3: "time-exceeded", 4: "parameter-problem",
		128: "echo-request", 129: "echo-reply", 130: "mld-listener-query", 131: "mld-listener-report",
		132: "mld-listener-done", 133: "nd-router-solicit", 134: "nd-router-advert", 135: "nd-neighbor-solicit",
		136: "nd-neighbor-advert", 137: "nd-redirect", 138: "router-renumbering", 141: "ind-neighbor-solicit",
		142: "ind-neighbor-advert", 143: "mld2-listener-report",
	},
	"dccp_pkttype": {0: "request", 1: "response", 2: "data", 3: "ack", 4: "dataack", 5: "closereq", 6: "close", 7: "reset", 8: "sync", 9: "syncack"},
	"mh_type": {
		0: "binding-refresh-request", 1: "home-test-init", 2: "careof-test-init", 3: "home-test", 4: "careof-test",
		5: "binding-update", 6: "binding-acknowledgement", 7: "binding-error", 8: "fast-binding-update",
		9: "fast-binding-acknowledgement", 10: "fast-binding-advertisement", 11: "experimental-mobility-header", 12: "home-agent-switch-message",
	},
	"dscp": {
		0x00: "cs0", 0x08: "cs1", 0x10: "cs2", 0x18: "cs3", 0x20: "cs4", 0x28: "cs5", 0x30: "cs6", 0x38: "cs7",
		0x0a: "af11", 0x0c: "af12", 0x0e: "af13", 0x12: "af21", 0x14: "af22", 0x16: "af23",
		0x1a: "af31", 0x1c: "af32", 0x1e: "af33", 0x22: "af41", 0x24: "af42", 0x26: "af43", 0x2e: "ef",
	},
	"ecn": {0: "not-ect", 1: "ect1", 2: "ect0", 3: "ce"},
	"day": {0: "Sunday", 1: "Monday", 2: "Tuesday", 3: "Wednesday", 4: "Thursday", 5: "Friday", 6: "Saturday"},
	// Protocol names as /etc/protocols has them.
	"inet_proto": {
		0: "ip", 1: "icmp", 2: "igmp", 3: "ggp", 4: "ipencap", 5: "st", 6: "tcp", 8: "egp", 9: "igp", 12: "pup", 17: "udp",
		20: "hmp", 22: "xns-idp", 27: "rdp", 29: "iso-tp4", 33: "dccp", 36: "xtp", 37: "ddp", 38: "idpr-cmtp", 41: "ipv6",
		43: "ipv6-route", 44: "ipv6-frag", 45: "idrp", 46: "rsvp", 47: "gre", 50: "esp", 51: "ah", 57: "skip",
		58: "ipv6-icmp", 59: "ipv6-nonxt", 60: "ipv6-opts", 73: "rspf", 81: "vmtp", 88: "eigrp", 89: "ospf", 93: "ax.25",
		94: "ipip", 97: "etherip", 98: "encap", 103: "pim", 108: "ipcomp", 112: "vrrp", 115: "l2tp", 124: "isis",
		132: "sctp", 133: "fc", 135: "mobility-header", 136: "udplite", 137: "mpls-in-ip", 138: "manet", 139: "hip",
		140: "shim6", 141: "wesp", 142: "rohc", 143: "ethernet",
	},
}

// A flag is one bit of a bitmask type.
type flag struct {
	bit  uint64
	name string
}

// flagSymbols are the bits of the types that nft prints as lists of flags,
// lowest bit first.
var flagSymbols = map[string][]flag{
	"tcp_flag":  {{1, "fin"}, {2, "syn"}, {4, "rst"}, {8, "psh"}, {16, "ack"}, {32, "urg"}, {64, "ecn"}, {128, "cwr"}},
	"ct_state":  {{1, "invalid"}, {2, "established"}, {4, "related"}, {8, "new"}, {64, "untracked"}},
	"ct_status": {{1, "expected"}, {2, "seen-reply"}, {4, "assured"}, {8, "confirmed"}, {16, "snat"}, {32, "dnat"}, {512, "dying"}},
	"ct_event": {
		{1, "new"}, {2, "related"}, {4, "destroy"}, {8, "reply"}, {16, "assured"}, {32, "protoinfo"},
		{64, "helper"}, {128, "mark"}, {256, "seqadj"}, {512, "secmark"}, {1024, "label"},
	},
}

// metaNames by key; those in bareMeta print without "meta".
var metaNames = [...]struct{ name, typ string }{
	0: {"length", "integer"}, 1: {"protocol", "ether_type"}, 2: {"priority", "tc_handle"}, 3: {"mark", "mark"},
	4: {"iif", "iface_index"}, 5: {"oif", "iface_index"}, 6: {"iifname", "ifname"}, 7: {"oifname", "ifname"},
	8: {"iiftype", "iface_type"}, 9: {"oiftype", "iface_type"}, 10: {"skuid", "uid"}, 11: {"skgid", "gid"},
	12: {"nftrace", "integer"}, 13: {"rtclassid", "realm"}, 14: {"secmark", "integer"}, 15: {"nfproto", "nf_proto"},
	16: {"l4proto", "inet_proto"}, 17: {"ibrname", "ifname"}, 18: {"obrname", "ifname"}, 19: {"pkttype", "pkt_type"},
	20: {"cpu", "integer"}, 21: {"iifgroup", "devgroup"}, 22: {"oifgroup", "devgroup"}, 23: {"cgroup", "integer"},
	24: {"random", "integer"}, 25: {"ipsec", "boolean"}, 26: {"iifkind", "ifname"}, 27: {"oifkind", "ifname"},
	28: {"ibrpvid", "integer"}, 29: {"ibrvproto", "ether_type"}, 30: {"time", "time"}, 31: {"day", "day"},
	32: {"hour", "hour"}, 33: {"sdif", "iface_index"}, 34: {"sdifname", "ifname"}, 35: {"broute", "integer"}, 36: {"ibrhwaddr", "ether_addr"},
}

var bareMeta = map[uint32]bool{4: true, 5: true, 6: true, 7: true, 21: true, 22: true}

// ctNames by key.
var ctNames = [...]struct{ name, typ string }{
	0: {"state", "ct_state"}, 1: {"direction", "ct_dir"}, 2: {"status", "ct_status"}, 3: {"mark", "mark"},
	4: {"secmark", "integer"}, 5: {"expiration", "time"}, 6: {"helper", "string"}, 7: {"l3proto", "nf_proto"},
	8: {"saddr", ""}, 9: {"daddr", ""}, 10: {"protocol", "inet_proto"}, 11: {"proto-src", "inet_service"},
	12: {"proto-dst", "inet_service"}, 13: {"label", "ct_label"}, 14: {"packets", "integer"}, 15: {"bytes", "integer"},
	16: {"avgpkt", "integer"}, 17: {"zone", "integer"}, 18: {"event", "ct_event"}, 19: {"ip saddr", "ipv4_addr"},
	20: {"ip daddr", "ipv4_addr"}, 21: {"ip6 saddr", "ipv6_addr"}, 22: {"ip6 daddr", "ipv6_addr"}, 23: {"id", "integer"},
}
