package iptables

import (
	"github.com/netglance/netglance/firewall"
)

// The hooks that a table is called at, numbered like NF_INET_* (netfilter.h).
const (
	hookPrerouting = iota
	hookInput
	hookForward
	hookOutput
	hookPostrouting
	hookCount
)

// builtIn are the names of the built-in chains by hook.
var builtIn = [hookCount]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}

var hooks = [hookCount]firewall.Hook{firewall.Prerouting, firewall.Input, firewall.Forward, firewall.Output, firewall.Postrouting}

// TableNames are the tables in the order in which a packet meets them.
var TableNames = []string{"raw", "mangle", "nat", "filter", "security"}

// base is a built-in chain's place (enum nf_ip_hook_priorities,
// netfilter_ipv4.h; netfilter_ipv6.h has the same numbers).
func base(table string, hook int, policy firewall.VerdictCode) *firewall.Base {
	b := &firewall.Base{Hook: hooks[hook], Policy: policy}
	switch table {
	case "raw":
		b.Priority = -300
	case "mangle":
		b.Priority = -150
		if hook == hookOutput {
			b.Type = firewall.RouteChain // iptable_mangle.c routes again what it changed
		}
	case "nat":
		b.Type = firewall.NATChain
		b.Priority = -100
		if hook == hookInput || hook == hookPostrouting {
			b.Priority = 100
		}
	case "security":
		b.Priority = 50
	}
	return b
}

// tableHooks are the hooks that each table is called at.
var tableHooks = map[string][]int{
	"raw":      {hookPrerouting, hookOutput},
	"mangle":   {hookPrerouting, hookInput, hookForward, hookOutput, hookPostrouting},
	"nat":      {hookPrerouting, hookInput, hookOutput, hookPostrouting},
	"filter":   {hookInput, hookForward, hookOutput},
	"security": {hookInput, hookForward, hookOutput},
}
