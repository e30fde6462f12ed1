package firewall

import "net/netip"

// Addresses that the kernel treats by themselves (RFC 6890, RFC 4291).
var (
	nowhere4        = netip.MustParsePrefix("0.0.0.0/32") // the rest of 0/8 is ordinary since Linux 5.3
	loopback4       = netip.MustParsePrefix("127.0.0.0/8")
	multicast4      = netip.MustParsePrefix("224.0.0.0/4")
	localMulticast4 = netip.MustParsePrefix("224.0.0.0/24")
	broadcast4      = netip.MustParsePrefix("255.255.255.255/32")

	nowhere6   = netip.MustParsePrefix("::/128")
	loopback6  = netip.MustParsePrefix("::1/128")
	mapped4    = netip.PrefixFrom(netip.MustParseAddr("::ffff:0.0.0.0"), 96)
	linkLocal6 = netip.MustParsePrefix("fe80::/10")
	multicast6 = netip.MustParsePrefix("ff00::/8")
)
