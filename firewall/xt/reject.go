package xt

import (
	"slices"

	"github.com/netglance/netglance/firewall"
)

var rejectWith4 = []string{"icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable",
	"echo-reply", "icmp-net-prohibited", "icmp-host-prohibited", "tcp-reset", "icmp-admin-prohibited"}

var rejectWith6 = []string{"icmp6-no-route", "icmp6-adm-prohibited", "icmp6-not-neighbour", "icmp6-addr-unreachable", "icmp6-port-unreachable",
	"echo-reply", "tcp-reset", "icmp6-policy-fail", "icmp6-reject-route"}

func decodeReject4(_ uint8, f *fields) extension { return newReject(f.u32(), rejectWith4) }
func decodeReject6(_ uint8, f *fields) extension { return newReject(f.u32(), rejectWith6) }

// rejection is ipt_reject_info and ip6t_reject_info (ipt_REJECT.h, ip6t_REJECT.h).
type rejection struct{ with string }

func newReject(with uint32, names []string) extension {
	if int64(with) >= int64(len(names)) {
		return nil
	}
	return rejection{names[with]}
}

func (r rejection) steps(Decoder) []firewall.Step {
	return one(firewall.Reject{TCPReset: r.with == "tcp-reset", With: r.with})
}

func (r rejection) String() string { return "--reject-with " + r.with }

func parseReject4(g *given) extension {
	return g.reject("icmp-port-unreachable", rejectWith4, map[string]string{
		"net-unreach": "icmp-net-unreachable", "host-unreach": "icmp-host-unreachable", "proto-unreach": "icmp-proto-unreachable",
		"port-unreach": "icmp-port-unreachable", "net-prohib": "icmp-net-prohibited", "host-prohib": "icmp-host-prohibited",
		"tcp-rst": "tcp-reset", "admin-prohib": "icmp-admin-prohibited"})
}

func parseReject6(g *given) extension {
	return g.reject("icmp6-port-unreachable", rejectWith6, map[string]string{
		"no-route": "icmp6-no-route", "adm-prohibited": "icmp6-adm-prohibited", "addr-unreach": "icmp6-addr-unreachable",
		"port-unreach": "icmp6-port-unreachable", "policy-fail": "icmp6-policy-fail", "reject-route": "icmp6-reject-route"})
}

func (g *given) reject(with string, names []string, short map[string]string) extension {
	for _, o := range g.list {
		with = o.first()
		if long, ok := short[with]; ok {
			with = long
		}
		if !slices.Contains(names, with) {
			g.fail(o, "unknown answer")
		}
	}
	return rejection{with}
}
