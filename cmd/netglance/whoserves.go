package main

import (
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
)

// whoServes notes whose address packets are forwarded to, and who listens there.
// What that namespace's own rules say is asked with --netns.
func (e *explainer) whoServes(protocol string, d *firewall.Delivery) []string {
	if e.machine == nil || d == nil || d.Interface == "" {
		return nil
	}
	place := e.beyond([]firewall.Delivery{*d})[*d]
	if place == nil {
		return nil
	}
	text := fmt.Sprintf("%s is in %s", d.Address, place.Title)
	switch s := place.Serving(protocol, netip.AddrPortFrom(d.Address, d.Port)); {
	case s.Nobody():
		text += fmt.Sprintf(", where nobody listens on %d/%s", d.Port, protocol)
	case len(s.Owners) > 0:
		text += fmt.Sprintf(", where %s listens on %d/%s", ownersOf(s), d.Port, protocol)
	}
	return []string{text + fmt.Sprintf("; what its own rules do: --netns %s", place.Namespace)}
}

// ownersOf names the first, and how many more there are.
func ownersOf(s correlate.Served) string {
	text := fmt.Sprintf("%s %d", s.Owners[0].Name, s.Owners[0].PID)
	if more := len(s.Owners) - 1; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}
