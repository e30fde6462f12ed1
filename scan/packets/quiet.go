package packets

// Quiet are settings (by their path below /proc/sys/net) that make a namespace
// answer every probe, and forget nothing for the sake of a rate. They must be
// there before the links, whose settings come from "default".
var Quiet = map[string]string{
	"ipv4/tcp_syncookies":                    "2", // a SYN leaves no state behind
	"ipv4/icmp_ratelimit":                    "0",
	"ipv4/icmp_msgs_per_sec":                 "1000000000",
	"ipv4/icmp_msgs_burst":                   "1000000000",
	"ipv6/icmp/ratelimit":                    "0",
	"ipv4/conf/all/rp_filter":                "0",
	"ipv4/conf/default/rp_filter":            "0",
	"ipv4/conf/all/send_redirects":           "0",
	"ipv4/conf/default/send_redirects":       "0",
	"ipv6/conf/default/accept_dad":           "0",
	"ipv6/conf/default/accept_ra":            "0",
	"ipv6/conf/default/router_solicitations": "0",
}
