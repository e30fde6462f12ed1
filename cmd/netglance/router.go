package main

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/report"
	"github.com/netglance/netglance/scan"
	"github.com/netglance/netglance/scan/portmap"
)

// routers asks the gateways which ports they lead to hosts behind them.
func (a *app) routers(ctx context.Context, own []netip.Addr) (*report.Routers, []gaps.Gap) {
	host, err := a.open("")
	if err != nil {
		return nil, []gaps.Gap{{Source: "routes", Reason: "the gateway is not known", Err: err}}
	}
	n := portmap.Network{Dial: platform.Dial, Listen: platform.Listen}
	var unread []gaps.Gap
	if host.OS() == "linux" {
		network, missing := rtnetlink.Read(host)
		n.Gateway, n.Local = gateway(network)
		if !n.Gateway.IsValid() {
			unread = missing
		}
	}
	found, missing := portmap.Read(ctx, n)
	return &report.Routers{Gateways: found, Own: own}, append(unread, missing...)
}

// gateway is the next hop of the best IPv4 default route, and the address that
// packets to it have; zero addresses where there is none.
func gateway(network *firewall.Network) (hop, local netip.Addr) {
	const mainTable = 254 // RT_TABLE_MAIN
	if network == nil {
		return
	}
	var routes []firewall.Route
	for _, r := range network.Routes {
		if r.Destination.Addr().Is4() && r.Destination.Bits() == 0 && r.Table == mainTable && (r.Gateway.Is4() || len(r.Hops) > 0) {
			routes = append(routes, r)
		}
	}
	if len(routes) == 0 {
		return
	}
	best := slices.MinFunc(routes, func(a, b firewall.Route) int { return cmp.Compare(a.Metric, b.Metric) })
	if hop, local = best.Gateway, best.PreferredSource; !hop.IsValid() {
		hop = best.Hops[0].Gateway
	}
	return hop, local
}

func ownAddresses(interfaces []scan.Interface) (out []netip.Addr) {
	for _, i := range interfaces {
		for _, p := range i.Prefixes {
			out = append(out, p.Addr())
		}
	}
	return out
}

// led notes at each row which ports of the router lead to it.
func (a *app) led(ctx context.Context, s *survey, ports []correlate.Exposure) ([]correlate.Exposure, error) {
	if len(a.ruleNames) > 0 || a.host != "" || a.root != "" || a.allNamespaces || a.netns != "" {
		return nil, usage("run it on the host itself", "--router asks the router of this host: a recording, rules that run nowhere and other namespaces have none")
	}
	scanner, err := a.scanner()
	if err != nil {
		return nil, internal(err)
	}
	found, missing := a.routers(ctx, ownAddresses(scanner.Interfaces))
	s.about.Gaps = append(s.about.Gaps, missing...)
	if found == nil {
		return ports, nil
	}
	return correlate.Routed(ports, found.Gateways, found.Own), nil
}
