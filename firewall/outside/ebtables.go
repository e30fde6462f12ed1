package outside

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// bridgeModules are the legacy tables of ebtables, by the module that has them.
var bridgeModules = map[string]string{"ebtable_filter": "filter", "ebtable_nat": "nat", "ebtable_broute": "broute"}

// readBridgeTables finds legacy tables of ebtables, for hosts with bridges. Their
// rules are not read: since Linux 5.15, asking for a table creates it in the
// namespace (find_table_lock, net/bridge/netfilter/ebtables.c), and nothing lists
// those that are there.
func readBridgeTables(source Source, n *firewall.Network) (f finding) {
	var bridges []firewall.Interface
	for _, link := range links(n) {
		if link.Kind == "bridge" {
			bridges = append(bridges, link)
		}
	}
	if len(bridges) == 0 {
		return f
	}
	modules, err := source.ReadFile("/proc/modules")
	if errors.Is(err, fs.ErrNotExist) {
		return f // a kernel without modules
	}
	if err != nil {
		return unreadable("tables of ebtables", err)
	}
	for line := range strings.Lines(string(modules)) {
		name, _, _ := strings.Cut(line, " ")
		table, ok := bridgeModules[name]
		if !ok {
			continue
		}
		for _, bridge := range bridges {
			f.outsiders = append(f.outsiders, firewall.Outsider{Place: firewall.AtLink, Interface: bridge.Index, Changes: table != "filter", Kind: firewall.Unread,
				Text: fmt.Sprintf("ebtables's table %s on %s, which is not read (ebtables-legacy -t %s -L shows it)", table, bridge.Name, table)})
		}
	}
	return f
}
