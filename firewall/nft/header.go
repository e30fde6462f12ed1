package nft

import "github.com/netglance/netglance/firewall"

// A field is a part of a header, offset and length in bits.
type field struct {
	name           string
	offset, length uint32
	typ            string // nft's datatype
	// dependency is the ICMP type that a message with this field has, plus 1; 0 for any.
	dependency int
}

// A header is what nft knows of a protocol: its fields in order of their
// offset, which field tells the protocol above, and what that may be.
type header struct {
	name   string
	base   firewall.HeaderBase
	length uint32 // bits
	fields []field
	// key is the field that names the next header.
	key   string
	upper map[uint64]*header
}

func ports(name string, more ...field) *header {
	h := &header{name: name, base: firewall.TransportHeader, fields: []field{
		{name: "sport", offset: 0, length: 16, typ: "inet_service"},
		{name: "dport", offset: 16, length: 16, typ: "inet_service"},
	}}
	h.fields = append(h.fields, more...)
	return h
}

// The transport headers (RFC 9293, 768, 3828, 9260, 4340, 792, 4443, 2236, 4303, 4302, 3173).
var (
	tcpHeader = ports("tcp",
		field{name: "sequence", offset: 32, length: 32, typ: "integer"},
		field{name: "ackseq", offset: 64, length: 32, typ: "integer"},
		field{name: "doff", offset: 96, length: 4, typ: "integer"},
		field{name: "reserved", offset: 100, length: 4, typ: "integer"},
		field{name: "flags", offset: 104, length: 8, typ: "tcp_flag"},
		field{name: "window", offset: 112, length: 16, typ: "integer"},
		field{name: "checksum", offset: 128, length: 16, typ: "integer"},
		field{name: "urgptr", offset: 144, length: 16, typ: "integer"})
	udpHeader = ports("udp",
		field{name: "length", offset: 32, length: 16, typ: "integer"},
		field{name: "checksum", offset: 48, length: 16, typ: "integer"})
	udpliteHeader = ports("udplite",
		field{name: "csumcov", offset: 32, length: 16, typ: "integer"},
		field{name: "checksum", offset: 48, length: 16, typ: "integer"})
	sctpHeader = ports("sctp",
		field{name: "vtag", offset: 32, length: 32, typ: "integer"},
		field{name: "checksum", offset: 64, length: 32, typ: "integer"})
	dccpHeader = ports("dccp",
		field{name: "type", offset: 67, length: 4, typ: "dccp_pkttype"})
	icmpHeader = &header{name: "icmp", base: firewall.TransportHeader, fields: []field{
		{name: "type", offset: 0, length: 8, typ: "icmp_type"},
		{name: "code", offset: 8, length: 8, typ: "icmp_code"},
		{name: "checksum", offset: 16, length: 16, typ: "integer"},
		{name: "id", offset: 32, length: 16, typ: "integer", dependency: 8 + 1},
		{name: "sequence", offset: 48, length: 16, typ: "integer", dependency: 8 + 1},
		{name: "gateway", offset: 32, length: 32, typ: "integer", dependency: 5 + 1},
		{name: "mtu", offset: 48, length: 16, typ: "integer", dependency: 3 + 1},
	}}
	icmp6Header = &header{name: "icmpv6", base: firewall.TransportHeader, fields: []field{
		{name: "type", offset: 0, length: 8, typ: "icmpv6_type"},
		{name: "code", offset: 8, length: 8, typ: "icmpv6_code"},
		{name: "checksum", offset: 16, length: 16, typ: "integer"},
		{name: "parameter-problem", offset: 32, length: 32, typ: "integer", dependency: 4 + 1},
		{name: "mtu", offset: 32, length: 32, typ: "integer", dependency: 2 + 1},
		{name: "id", offset: 32, length: 16, typ: "integer", dependency: 128 + 1},
		{name: "sequence", offset: 48, length: 16, typ: "integer", dependency: 128 + 1},
		{name: "max-delay", offset: 32, length: 16, typ: "integer", dependency: 130 + 1},
	}}
	igmpHeader = &header{name: "igmp", base: firewall.TransportHeader, fields: []field{
		{name: "type", offset: 0, length: 8, typ: "igmp_type"},
		{name: "mrt", offset: 8, length: 8, typ: "integer"},
		{name: "checksum", offset: 16, length: 16, typ: "integer"},
		{name: "group", offset: 32, length: 32, typ: "ipv4_addr"},
	}}
	espHeader = &header{name: "esp", base: firewall.TransportHeader, fields: []field{
		{name: "spi", offset: 0, length: 32, typ: "integer"},
		{name: "sequence", offset: 32, length: 32, typ: "integer"},
	}}
	ahHeader = &header{name: "ah", base: firewall.TransportHeader, fields: []field{
		{name: "nexthdr", offset: 0, length: 8, typ: "inet_proto"},
		{name: "hdrlength", offset: 8, length: 8, typ: "integer"},
		{name: "reserved", offset: 16, length: 16, typ: "integer"},
		{name: "spi", offset: 32, length: 32, typ: "integer"},
		{name: "sequence", offset: 64, length: 32, typ: "integer"},
	}}
	compHeader = &header{name: "comp", base: firewall.TransportHeader, fields: []field{
		{name: "nexthdr", offset: 0, length: 8, typ: "inet_proto"},
		{name: "flags", offset: 8, length: 8, typ: "bitmask"},
		{name: "cpi", offset: 16, length: 16, typ: "integer"},
	}}
)

// transports by protocol number.
var transports = map[uint64]*header{
	1: icmpHeader, 2: igmpHeader, 6: tcpHeader, 17: udpHeader, 33: dccpHeader, 50: espHeader, 51: ahHeader,
	58: icmp6Header, 108: compHeader, 132: sctpHeader, 136: udpliteHeader,
}

// The network headers (RFC 791, 8200, 826).
var (
	ipHeader = &header{name: "ip", base: firewall.NetworkHeader, key: "protocol", upper: transports, fields: []field{
		{name: "version", offset: 0, length: 4, typ: "integer"},
		{name: "hdrlength", offset: 4, length: 4, typ: "integer"},
		{name: "dscp", offset: 8, length: 6, typ: "dscp"},
		{name: "ecn", offset: 14, length: 2, typ: "ecn"},
		{name: "length", offset: 16, length: 16, typ: "integer"},
		{name: "id", offset: 32, length: 16, typ: "integer"},
		{name: "frag-off", offset: 48, length: 16, typ: "integer"},
		{name: "ttl", offset: 64, length: 8, typ: "integer"},
		{name: "protocol", offset: 72, length: 8, typ: "inet_proto"},
		{name: "checksum", offset: 80, length: 16, typ: "integer"},
		{name: "saddr", offset: 96, length: 32, typ: "ipv4_addr"},
		{name: "daddr", offset: 128, length: 32, typ: "ipv4_addr"},
	}}
	ip6Header = &header{name: "ip6", base: firewall.NetworkHeader, key: "nexthdr", upper: transports, fields: []field{
		{name: "version", offset: 0, length: 4, typ: "integer"},
		{name: "dscp", offset: 4, length: 6, typ: "dscp"},
		{name: "ecn", offset: 10, length: 2, typ: "ecn"},
		{name: "flowlabel", offset: 12, length: 20, typ: "integer"},
		{name: "length", offset: 32, length: 16, typ: "integer"},
		{name: "nexthdr", offset: 48, length: 8, typ: "inet_proto"},
		{name: "hoplimit", offset: 56, length: 8, typ: "integer"},
		{name: "saddr", offset: 64, length: 128, typ: "ipv6_addr"},
		{name: "daddr", offset: 192, length: 128, typ: "ipv6_addr"},
	}}
	arpHeader = &header{name: "arp", base: firewall.NetworkHeader, fields: []field{
		{name: "htype", offset: 0, length: 16, typ: "integer"},
		{name: "ptype", offset: 16, length: 16, typ: "ether_type"},
		{name: "hlen", offset: 32, length: 8, typ: "integer"},
		{name: "plen", offset: 40, length: 8, typ: "integer"},
		{name: "operation", offset: 48, length: 16, typ: "arp_op"},
		{name: "saddr ether", offset: 64, length: 48, typ: "ether_addr"},
		{name: "saddr ip", offset: 112, length: 32, typ: "ipv4_addr"},
		{name: "daddr ether", offset: 144, length: 48, typ: "ether_addr"},
		{name: "daddr ip", offset: 192, length: 32, typ: "ipv4_addr"},
	}}
)

// The EtherTypes of the protocols that nft follows (IEEE 802).
const (
	etherTypeIPv4 = 0x0800
	etherTypeARP  = 0x0806
	etherTypeVLAN = 0x8100
	etherTypeQinQ = 0x88a8
	etherTypeIPv6 = 0x86dd
)

// The link layer headers. vlan stands behind ether, and behind itself.
var (
	etherHeader = &header{name: "ether", base: firewall.LinkLayerHeader, length: 112, key: "type", fields: []field{
		{name: "daddr", offset: 0, length: 48, typ: "ether_addr"},
		{name: "saddr", offset: 48, length: 48, typ: "ether_addr"},
		{name: "type", offset: 96, length: 16, typ: "ether_type"},
	}, upper: map[uint64]*header{etherTypeIPv4: ipHeader, etherTypeARP: arpHeader, etherTypeIPv6: ip6Header}}
	vlanHeader = &header{name: "vlan", base: firewall.LinkLayerHeader, length: 32, key: "type", fields: []field{
		{name: "pcp", offset: 0, length: 3, typ: "integer"},
		{name: "dei", offset: 3, length: 1, typ: "integer"},
		{name: "id", offset: 4, length: 12, typ: "integer"},
		{name: "type", offset: 16, length: 16, typ: "ether_type"},
	}, upper: map[uint64]*header{etherTypeIPv4: ipHeader, etherTypeARP: arpHeader, etherTypeIPv6: ip6Header}}
)

// baseNames are nft's words for the bases of raw payload matches.
var baseNames = [...]string{"ll", "nh", "th", "ih", "tunnel"}

// An extension is an IPv6 extension header or a TCP or IPv4 option.
type extension struct {
	name   string
	fields []field
}

// ip6Extensions by protocol number (RFC 8200, 6275).
var ip6Extensions = map[uint8]extension{
	0: {"hbh", []field{{name: "nexthdr", offset: 0, length: 8, typ: "inet_proto"}, {name: "hdrlength", offset: 8, length: 8, typ: "integer"}}},
	43: {"rt", []field{
		{name: "nexthdr", offset: 0, length: 8, typ: "inet_proto"}, {name: "hdrlength", offset: 8, length: 8, typ: "integer"},
		{name: "type", offset: 16, length: 8, typ: "integer"}, {name: "seg-left", offset: 24, length: 8, typ: "integer"},
	}},
	44: {"frag", []field{
		{name: "nexthdr", offset: 0, length: 8, typ: "inet_proto"}, {name: "reserved", offset: 8, length: 8, typ: "integer"},
		{name: "frag-off", offset: 16, length: 13, typ: "integer"}, {name: "reserved2", offset: 29, length: 2, typ: "integer"},
		{name: "more-fragments", offset: 31, length: 1, typ: "integer"}, {name: "id", offset: 32, length: 32, typ: "integer"},
	}},
	60: {"dst", []field{{name: "nexthdr", offset: 0, length: 8, typ: "inet_proto"}, {name: "hdrlength", offset: 8, length: 8, typ: "integer"}}},
	135: {"mh", []field{
		{name: "nexthdr", offset: 0, length: 8, typ: "inet_proto"}, {name: "hdrlength", offset: 8, length: 8, typ: "integer"},
		{name: "type", offset: 16, length: 8, typ: "mh_type"}, {name: "reserved", offset: 24, length: 8, typ: "integer"},
		{name: "checksum", offset: 32, length: 16, typ: "integer"},
	}},
}

// tcpOptionFields by option kind; every option has kind and length.
var tcpOptionFields = map[uint8][]field{
	2: {{name: "size", offset: 16, length: 16, typ: "integer"}},
	3: {{name: "count", offset: 16, length: 8, typ: "integer"}},
	5: {{name: "left", offset: 16, length: 32, typ: "integer"}, {name: "right", offset: 48, length: 32, typ: "integer"}},
	8: {{name: "tsval", offset: 16, length: 32, typ: "integer"}, {name: "tsecr", offset: 48, length: 32, typ: "integer"}},
}

var commonOptionFields = []field{
	{name: "kind", offset: 0, length: 8, typ: "integer"},
	{name: "length", offset: 8, length: 8, typ: "integer"},
}

// sctpChunkFields start every chunk (RFC 9260).
var sctpChunkFields = []field{
	{name: "type", offset: 0, length: 8}, {name: "flags", offset: 8, length: 8}, {name: "length", offset: 16, length: 16},
}

var (
	sctpInit = []field{
		{name: "init-tag", offset: 32, length: 32}, {name: "a-rwnd", offset: 64, length: 32},
		{name: "num-outbound-streams", offset: 96, length: 16}, {name: "num-inbound-streams", offset: 112, length: 16},
		{name: "initial-tsn", offset: 128, length: 32},
	}
	sctpLowestTSN = []field{{name: "lowest-tsn", offset: 32, length: 32}}
	sctpSequence  = []field{{name: "seqno", offset: 32, length: 32}}
)

// sctpChunks by type (RFC 9260, 3758, 5061).
var sctpChunks = map[uint8]extension{
	0: {"data", []field{
		{name: "tsn", offset: 32, length: 32}, {name: "stream", offset: 64, length: 16},
		{name: "ssn", offset: 80, length: 16}, {name: "ppid", offset: 96, length: 32},
	}},
	1: {"init", sctpInit}, 2: {"init-ack", sctpInit},
	3: {"sack", []field{
		{name: "cum-tsn-ack", offset: 32, length: 32}, {name: "a-rwnd", offset: 64, length: 32},
		{name: "num-gap-ack-blocks", offset: 96, length: 16}, {name: "num-dup-tsns", offset: 112, length: 16},
	}},
	4: {"heartbeat", nil}, 5: {"heartbeat-ack", nil}, 6: {"abort", nil},
	7: {"shutdown", []field{{name: "cum-tsn-ack", offset: 32, length: 32}}},
	8: {"shutdown-ack", nil}, 9: {"error", nil}, 10: {"cookie-echo", nil}, 11: {"cookie-ack", nil},
	12: {"ecne", sctpLowestTSN}, 13: {"cwr", sctpLowestTSN}, 14: {"shutdown-complete", nil},
	0x80: {"asconf-ack", sctpSequence}, 0xc0: {"forward-tsn", []field{{name: "new-cum-tsn", offset: 32, length: 32}}}, 0xc1: {"asconf", sctpSequence},
}

// ipOptions by type (RFC 791, 2113).
var ipOptions = map[uint8]extension{
	7:   {"rr", []field{{name: "type", offset: 0, length: 8}, {name: "length", offset: 8, length: 8}, {name: "ptr", offset: 16, length: 8}, {name: "addr", offset: 24, length: 32, typ: "ipv4_addr"}}},
	131: {"lsrr", []field{{name: "type", offset: 0, length: 8}, {name: "length", offset: 8, length: 8}, {name: "ptr", offset: 16, length: 8}, {name: "addr", offset: 24, length: 32, typ: "ipv4_addr"}}},
	137: {"ssrr", []field{{name: "type", offset: 0, length: 8}, {name: "length", offset: 8, length: 8}, {name: "ptr", offset: 16, length: 8}, {name: "addr", offset: 24, length: 32, typ: "ipv4_addr"}}},
	148: {"ra", []field{{name: "type", offset: 0, length: 8}, {name: "length", offset: 8, length: 8}, {name: "value", offset: 16, length: 16}}},
}
