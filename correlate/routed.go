package correlate

import (
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/scan"
	"github.com/netglance/netglance/scan/portmap"
)

// Routed notes at each row which ports of a router lead to it. That says where from
// packets can come, not what this host's rules do to them: labels stay.
func Routed(rows []Exposure, gateways []portmap.Gateway, own []netip.Addr) []Exposure {
	for _, g := range gateways {
		for _, m := range g.To(own) {
			at := Seen{Host: scan.Host{Address: m.Internal.Addr()}}
			for i := range rows {
				e := &rows[i]
				if e.Protocol != m.Protocol || !e.has(m.Internal.Port()) || at.serves(*e) == servesNever {
					continue
				}
				e.Reasons = append(e.Reasons, Reason{"router_leads_here", routedText(g, m)})
				if e.Label == Exposed || e.Label == Intentional {
					e.Remedy = append(e.Remedy, fmt.Sprintf("if that isn't meant, remove the mapping of %d/%s on the router %s", m.External.Port(), m.Protocol, g.Addr))
				}
			}
		}
	}
	return rows
}

func routedText(g portmap.Gateway, m portmap.Mapping) string {
	outside := "its outside address"
	if m.External.Addr().IsValid() {
		outside = m.External.Addr().String()
	}
	text := fmt.Sprintf("the router %s leads port %d/%s of %s to %s", g.Addr, m.External.Port(), m.Protocol, outside, m.Internal)
	if m.Remote.IsValid() {
		text += fmt.Sprintf(", for %s alone", m.Remote)
	}
	return text
}
