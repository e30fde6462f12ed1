package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/scan/portmap"
)

// Routers are the gateways that map ports, and this host's own addresses.
type Routers struct {
	Gateways []portmap.Gateway
	Own      []netip.Addr
}

type routerJSON struct {
	Address   string        `json:"address"`
	Name      string        `json:"name"`
	Model     string        `json:"model"`
	External  *string       `json:"external"`
	Protocols []string      `json:"protocols"`
	Mappings  []mappingJSON `json:"mappings"`
}

type mappingJSON struct {
	Protocol     string  `json:"protocol"`
	ExternalPort uint16  `json:"external_port"`
	Address      string  `json:"address"`
	Port         uint16  `json:"port"`
	Own          bool    `json:"own"`
	Source       *string `json:"source"`
	Enabled      bool    `json:"enabled"`
	Description  string  `json:"description"`
	Seconds      int64   `json:"lease_seconds"`
}

func (r *Routers) json() []routerJSON {
	out := []routerJSON{}
	for _, g := range r.Gateways {
		x := routerJSON{Address: Clean(g.Addr.String()), Name: Clean(g.Name), Model: Clean(g.Model), External: address(g.External),
			Protocols: append([]string{}, g.Protocols...), Mappings: []mappingJSON{}}
		for _, m := range g.Mappings {
			x.Mappings = append(x.Mappings, mappingJSON{
				Protocol: m.Protocol, ExternalPort: m.External.Port(), Address: Clean(m.Internal.Addr().String()), Port: m.Internal.Port(),
				Own: slices.Contains(r.Own, m.Internal.Addr()), Source: address(m.Remote), Enabled: m.Enabled, Description: Clean(m.Description),
				Seconds: int64(m.Lease.Seconds()),
			})
		}
		out = append(out, x)
	}
	return out
}

// address is nil where it isn't known, or where there is none.
func address(a netip.Addr) *string {
	if !a.IsValid() {
		return nil
	}
	s := Clean(a.String())
	return &s
}

func (r *Routers) text(style Style) string {
	switch {
	case r == nil:
		return ""
	case len(r.Gateways) == 0:
		return "No router told of port mappings: none answered over UPnP, NAT-PMP or PCP.\n"
	}
	var b strings.Builder
	for _, g := range r.Gateways {
		fmt.Fprintf(&b, "%s\n", style.paint(cell{routerTitle(g), bold}))
		for _, m := range g.Mappings {
			b.WriteString("  " + r.mapping(m, style) + "\n")
		}
		switch {
		case len(g.Mappings) > 0:
		case slices.ContainsFunc(g.Protocols, func(p string) bool { return strings.HasPrefix(p, "IGD") }):
			b.WriteString("  It maps no ports.\n")
		default:
			b.WriteString("  It maps ports on request; these protocols have no way to list them.\n")
		}
	}
	return b.String()
}

func routerTitle(g portmap.Gateway) string {
	parts := []string{"router " + Clean(g.Addr.String())}
	for _, name := range []string{g.Name, g.Model} {
		if name != "" {
			parts = append(parts, Clean(name))
		}
	}
	if g.External.IsValid() {
		parts = append(parts, "outside "+Clean(g.External.String()))
	}
	return strings.Join(append(parts, Clean(strings.Join(g.Protocols, ", "))), " · ")
}

func (r *Routers) mapping(m portmap.Mapping, style Style) string {
	line := fmt.Sprintf("%d/%s → %s", m.External.Port(), m.Protocol, Clean(m.Internal.String()))
	if slices.Contains(r.Own, m.Internal.Addr()) {
		line += " " + style.paint(cell{"this host", yellow})
	}
	if m.Remote.IsValid() {
		line += " from " + Clean(m.Remote.String())
	}
	if !m.Enabled {
		line += ", off"
	}
	if m.Lease > 0 {
		line += fmt.Sprintf(", for %s", m.Lease)
	}
	if m.Description != "" {
		line += fmt.Sprintf(" (%s)", Clean(m.Description))
	}
	return line
}
