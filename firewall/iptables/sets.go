package iptables

import "github.com/netglance/netglance/firewall/xt"

// Sets finds the ipsets that rules name.
type Sets interface {
	// ByIndex finds a set by its number in the kernel.
	ByIndex(index uint16) (xt.IPSet, bool)
	ByName(name string) (xt.IPSet, bool)
}
