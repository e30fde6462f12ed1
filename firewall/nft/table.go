package nft

import (
	"github.com/netglance/netglance/firewall"
)

// Table attributes (enum nft_table_attributes).
const (
	tableName     = 1 // NFTA_TABLE_NAME
	tableFlags    = 2 // NFTA_TABLE_FLAGS
	tableHandle   = 4 // NFTA_TABLE_HANDLE
	tableUserdata = 6 // NFTA_TABLE_USERDATA
	tableOwner    = 7 // NFTA_TABLE_OWNER: a netlink port
)

const tableDormant = 1 // NFT_TABLE_F_DORMANT

func (r *reader) addTable(family firewall.Family, a *attributes) {
	t := &firewall.Table{
		Backend: firewall.NFTables,
		Family:  family,
		Name:    a.text(tableName),
		Handle:  a.uint64(tableHandle),
		Dormant: a.uint32(tableFlags)&tableDormant != 0,
		Owner:   a.uint32(tableOwner),
		Comment: comment(a.get(tableUserdata)),
	}
	key := tableKey{family, t.Name}
	if r.tables[key] != nil {
		return
	}
	r.ruleset.Tables = append(r.ruleset.Tables, t)
	r.tables[key] = &table{
		Table:   t,
		chains:  map[string]*firewall.Chain{},
		sets:    map[string]*firewall.Set{},
		objects: map[objectKey]*firewall.Object{},
		sizes:   map[string]uint32{},

		interfaces: r.interfaces,
		ipsets:     r.ipsets,
	}
}

// iptablesTables are the base chains that iptables-nft makes in its tables, by
// table and chain name (iptables/nft.c).
var iptablesTables = map[string]map[string]firewall.Base{
	"raw": {
		"PREROUTING": {Hook: firewall.Prerouting, Priority: -300},
		"OUTPUT":     {Hook: firewall.Output, Priority: -300},
	},
	"mangle": {
		"PREROUTING":  {Hook: firewall.Prerouting, Priority: -150},
		"INPUT":       {Hook: firewall.Input, Priority: -150},
		"FORWARD":     {Hook: firewall.Forward, Priority: -150},
		"OUTPUT":      {Hook: firewall.Output, Priority: -150, Type: firewall.RouteChain},
		"POSTROUTING": {Hook: firewall.Postrouting, Priority: -150},
	},
	"nat": {
		"PREROUTING":  {Hook: firewall.Prerouting, Priority: -100, Type: firewall.NATChain},
		"INPUT":       {Hook: firewall.Input, Priority: 100, Type: firewall.NATChain},
		"OUTPUT":      {Hook: firewall.Output, Priority: -100, Type: firewall.NATChain},
		"POSTROUTING": {Hook: firewall.Postrouting, Priority: 100, Type: firewall.NATChain},
	},
	"filter": {
		"INPUT":   {Hook: firewall.Input},
		"FORWARD": {Hook: firewall.Forward},
		"OUTPUT":  {Hook: firewall.Output},
	},
	"security": {
		"INPUT":   {Hook: firewall.Input, Priority: 150},
		"FORWARD": {Hook: firewall.Forward, Priority: 150},
		"OUTPUT":  {Hook: firewall.Output, Priority: 150},
	},
}

// recognizeBackends marks the tables that iptables-nft wrote.
func (r *reader) recognizeBackends() {
	for _, t := range r.ruleset.Tables {
		if writtenByIptables(t) {
			t.Backend = firewall.IptablesNFT
		}
	}
}

// writtenByIptables goes by what iptables-nft always does: its table names, no
// base chains but its own, no sets with names, a counter in every rule.
func writtenByIptables(t *firewall.Table) bool {
	layout := iptablesTables[t.Name]
	if layout == nil || t.Family != firewall.FamilyIPv4 && t.Family != firewall.FamilyIPv6 || len(t.Chains) == 0 {
		return false
	}
	for _, s := range t.Sets {
		if !s.Anonymous {
			return false
		}
	}
	for _, c := range t.Chains {
		if !iptablesChain(c, layout) {
			return false
		}
	}
	return true
}

func iptablesChain(c *firewall.Chain, layout map[string]firewall.Base) bool {
	if c.Base != nil {
		want, ok := layout[c.Name]
		if !ok || c.Base.Hook != want.Hook || c.Base.Priority != want.Priority || c.Base.Type != want.Type {
			return false
		}
	}
	for _, rule := range c.Rules {
		counted := false
		for _, name := range ExpressionNames(rule) {
			counted = counted || name == "counter"
		}
		if !counted {
			return false
		}
	}
	return true
}
