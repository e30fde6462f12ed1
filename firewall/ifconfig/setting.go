package ifconfig

import (
	"encoding/binary"
	"strconv"

	"github.com/netglance/netglance/firewall"
)

// forwarding are the sysctls that make a host a router (ip(4), ip6(4)).
var forwarding = []string{"net.inet.ip.forwarding", "net.inet6.ip6.forwarding"}

// readSettings reads what decides where packets go. A node that can't be read is left
// out: the evaluator knows what that means.
func readSettings(host Host, n *firewall.Network) {
	n.Settings = make(map[string]string)
	for _, name := range forwarding {
		value, err := host.Sysctl(name)
		if err == nil && len(value) == 4 { // an int
			n.Settings[name] = strconv.Itoa(int(int32(binary.NativeEndian.Uint32(value))))
		}
	}
}
