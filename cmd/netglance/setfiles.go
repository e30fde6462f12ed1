package main

import (
	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/firewall/xt"
)

// setFiles are the ipsets of files, and behind them those of a host.
type setFiles struct {
	read      []*ipset.Sets
	otherwise iptables.Sets
}

// ByName finds a set in the first file that has it.
func (s setFiles) ByName(name string) (xt.IPSet, bool) {
	for _, sets := range s.read {
		if found, ok := sets.ByName(name); ok {
			return found, true
		}
	}
	if s.otherwise == nil {
		return xt.IPSet{}, false
	}
	return s.otherwise.ByName(name)
}

// ByIndex finds none: a text has no numbers.
func (s setFiles) ByIndex(uint16) (xt.IPSet, bool) { return xt.IPSet{}, false }
