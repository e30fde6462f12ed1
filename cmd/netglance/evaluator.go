package main

import (
	"net/netip"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
)

// An evaluator says what a host's rules do to packets.
type evaluator interface {
	correlate.PortFirewall
	Explain(firewall.Query) firewall.Explanation
}

// evaluator is the host's: that of its own system, or else of Linux.
func (s *survey) evaluator() evaluator {
	if s.foreign != nil {
		return s.foreign
	}
	return firewall.NewEvaluator(s.rules, s.network)
}

// undecided is the evaluator of rules that could not be read, or that netglance
// doesn't evaluate: it knows nothing of any packet.
type undecided struct{}

func (undecided) Reach(q firewall.Query) []firewall.Part {
	everybody := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if q.Destination.Unmap().Is4() {
		everybody = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	if q.Source.IsValid() {
		everybody = netip.PrefixFrom(q.Source, q.Source.BitLen())
	}
	return []firewall.Part{{
		Sources: firewall.Sources{Prefixes: []netip.Prefix{everybody}},
		Fate:    firewall.Undecided,
	}}
}

func (u undecided) Explain(q firewall.Query) firewall.Explanation {
	return firewall.Explanation{Part: u.Reach(q)[0]}
}

func (undecided) Redirections(firewall.Query) []firewall.Redirection { return nil }

func (undecided) PortSpans(firewall.Query) []firewall.PortSpan {
	return []firewall.PortSpan{{First: 1, Last: 0xffff, Sure: true}}
}
