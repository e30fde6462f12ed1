package pf

import (
	"net/netip"

	"github.com/netglance/netglance/firewall"
)

// maxRedirected is how many ports of one rule are told one by one.
const maxRedirected = 1024

// redirections are the ports that a rule leads elsewhere, for some packets at least.
// Whether it gets to see them is for Reach to say.
func (w *walk) redirections(q firewall.Query, link *firewall.Interface, a *Anchor, r *Rule) []firewall.Redirection {
	p := w.firstPacket(q, link)
	if r.IsAnchor || r.No || r.Action == Block || w.matches(p, a, r) == firewall.NoPackets {
		return nil
	}
	first, last := r.Destination.Port.bounds()
	first = max(first, 1)
	if r.Divert != nil && r.Divert.Kind == "divert-to" && r.Divert.Address.IsValid() {
		return []firewall.Redirection{{First: first, Last: last, Address: r.Divert.Address, Port: r.Divert.Port}}
	}
	if r.RDRTo == nil {
		return nil
	}
	prefixes, _ := w.poolPrefixes(p, a, r.RDRTo, q.Destination.BitLen())
	var found []firewall.Redirection
	for _, prefix := range prefixes[:min(len(prefixes), maxPool)] {
		found = append(found, portsTo(r.RDRTo, first, last, prefix.Addr())...)
	}
	return found
}

// portsTo pairs ports with those of a pool.
func portsTo(pool *Pool, first, last uint16, to netip.Addr) []firewall.Redirection {
	if pool.High <= pool.Low || int(last)-int(first) > maxRedirected {
		return []firewall.Redirection{{First: first, Last: last, Address: to, Port: pool.Low}}
	}
	var found []firewall.Redirection
	length := int(pool.High) - int(pool.Low) + 1
	for port := int(first); port <= int(last); port++ {
		found = append(found, firewall.Redirection{
			First: uint16(port), Last: uint16(port), Address: to, Port: pool.Low + uint16((port-int(first))%length),
		})
	}
	return found
}

// bounds are the lowest and the highest port that fit a condition.
func (p Port) bounds() (first, last uint16) {
	switch p.Op {
	case Equal:
		return p.Low, p.Low
	case Through:
		return p.Low, p.High
	case Less, LessEqual:
		return 0, p.Low
	case Greater, GreaterEqual:
		return p.Low, 0xffff
	case Between:
		return p.Low + 1, p.High - 1
	}
	return 0, 0xffff
}
