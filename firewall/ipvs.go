package firewall

import (
	"net/netip"
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// A VirtualService is an address and port, or a mark, whose packets IPVS hands to
// one of its servers when they have passed the input hook's filters
// (net/netfilter/ipvs/ip_vs_core.c, ip_vs_ops4).
type VirtualService struct {
	// Protocol is 6, 17 or 132; 0 for a service by Mark.
	Protocol uint8
	// Address is invalid for a service by Mark. Port 0 is all ports.
	Address netip.Addr
	Port    uint16
	Mark    uint32
	// Servers are those with a weight, sorted. IPVS drops what it has no server for.
	Servers []netip.AddrPort
	// Text names it: "IPVS service 192.0.2.1:80 (rr)".
	Text string
}

// balance takes packets for this host past IPVS. Which server gets them, and
// whether it answers, is not followed.
func (w *walker) balance(p *packet, live bdd.Node) bdd.Node {
	for _, s := range w.e.network.Services {
		set := w.m.And(live, w.serviceOf(p, s))
		if set == bdd.False {
			continue
		}
		w.note(p, nil, nil, "meets "+s.Text)
		live = w.m.Diff(live, set)
		served := bdd.False
		for _, server := range s.Servers {
			turn := w.m.Diff(set, served)
			turn = w.m.And(turn, w.fact(s.Text+" sends it to "+server.String(), External))
			w.decide(turn, Accepted, Decision{Text: s.Text}, &Delivery{Address: server.Addr(), Port: server.Port(), Interface: w.wayTo(server.Addr())})
			served = w.m.Or(served, turn)
		}
		w.decide(w.m.Diff(set, served), Dropped, Decision{Text: s.Text + " has no server for it"}, nil)
	}
	return live
}

// serviceOf is the packets that are for a service.
func (w *walker) serviceOf(p *packet, s VirtualService) bdd.Node {
	if !s.Address.IsValid() {
		return w.equalWord(p.mark, s.Mark)
	}
	if s.Protocol != p.protocol || familyOf(s.Address) != p.family {
		return bdd.False
	}
	n := w.prefix(p.destination(), netip.PrefixFrom(s.Address, s.Address.BitLen()))
	if s.Port == 0 || !p.hasPorts() {
		return n
	}
	return w.m.And(n, w.equal(p.port(), []byte{byte(s.Port >> 8), byte(s.Port)}))
}

// wayTo is the name of the link that the longest route to an address leads out
// of; empty where the address is this host's.
func (w *walker) wayTo(to netip.Addr) string {
	best, name := -1, ""
	for _, r := range w.e.network.Routes {
		if !r.Destination.Contains(to) || r.Destination.Bits() <= best {
			continue
		}
		link := w.e.byIndex[r.Interface]
		switch {
		case r.Type == RouteLocal:
			best, name = r.Destination.Bits(), ""
		case r.Type == RouteUnicast && link != nil:
			best, name = r.Destination.Bits(), link.Name
		}
	}
	return name
}

// balanced are the ports of a destination that IPVS serves for its protocol: they
// can be reachable without a socket.
func (e *Evaluator) balanced(q Query) []Redirection {
	var found []Redirection
	for _, s := range e.network.Services {
		if s.Protocol != q.Protocol || s.Address != q.Destination || s.Port == 0 || len(s.Servers) == 0 {
			continue
		}
		r := Redirection{First: s.Port, Last: s.Port, Address: s.Servers[0].Addr(), Port: s.Servers[0].Port()}
		if !slices.Contains(found, r) {
			found = append(found, r)
		}
	}
	return found
}
