package firewall

import (
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// boundToLink is the packets whose listener is bound to the link that they come in
// by: it is preferred to one that isn't (compute_score, net/ipv4/inet_hashtables.c),
// and answers by that link alone (inet_request_bound_dev_if).
func (w *walker) boundToLink(p *packet, sockets []owned, live bdd.Node) bdd.Node {
	set := bdd.False
	for _, o := range sockets {
		if slices.ContainsFunc(o.sockets, func(s *LocalSocket) bool { return s.Device != 0 && s.Device == p.in.Index }) {
			set = w.m.Or(set, o.set)
		}
	}
	return w.m.And(set, live)
}

// lookupAnswer routes an answer. Where no route leads out of the link that a
// socket of IPv4 is bound to, the kernel takes the destination to be on that link
// (ip_route_output_key_hash_rcu, net/ipv4/route.c), but not in a VRF.
func (w *walker) lookupAnswer(a *packet, live bdd.Node, link *Interface) []routed {
	found := w.lookupScoped(a.outgoing(), live, link)
	if a.boundTo == nil || a.family != FamilyIPv4 || a.boundTo.Master != 0 || a.boundTo.Kind == "vrf" {
		return found
	}
	for i, r := range found {
		switch {
		case r.route == nil || r.out == nil || r.kind == RouteUnreachable || r.kind == RouteBlackhole || r.kind == RouteProhibit:
			found[i] = routed{r.set, &Route{Type: RouteUnicast, Interface: a.boundTo.Index}, RouteUnicast, a.boundTo}
		}
	}
	return found
}
