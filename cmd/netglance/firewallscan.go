package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/scan"
	"github.com/netglance/netglance/scan/service"
)

// scanPorts asks the host's own ports over lo, and notes at each row what answered.
func (a *app) scanPorts(ctx context.Context, chosen selection, s *survey, ports []correlate.Exposure, evaluator evaluator) ([]correlate.Exposure, error) {
	switch {
	case len(a.ruleNames) > 0 || a.host != "":
		return nil, usage("run it on the host itself, or from its network: netglance scan HOST --expect FILE", "--scan asks this host: a recording and rules that run nowhere answer no packets")
	case a.allNamespaces || a.netns != "":
		return nil, usage("run it inside: ip netns exec NAME netglance firewall --scan", "--scan asks the namespace that it runs in")
	}
	scanner, err := a.scanner()
	if err != nil {
		return nil, internal(err)
	}
	o := scan.Options{TCP: chosen.scanned("tcp", ports), UDP: chosen.scanned("udp", ports), Common: service.Common("tcp", commonPorts)}
	for _, t := range scan.OwnAddresses(scanner.Interfaces) {
		if chosen.four == chosen.six || t.First.Is4() == chosen.four {
			o.Targets = append(o.Targets, t)
		}
	}
	clear := a.showProgress(scanner)
	result, missing, err := scanner.Run(ctx, o)
	clear()
	if err != nil {
		return nil, scanFailed(err)
	}
	if result.Interrupted {
		missing = append(missing, gaps.Gap{Source: "scan", Reason: "it was interrupted: ports were left out"})
	}
	s.about.Gaps = append(s.about.Gaps, missing...)
	var seen []correlate.Seen
	for _, h := range result.Hosts {
		seen = append(seen, correlate.Seen{Host: h, Method: "loopback", Expect: s.overLoopback(evaluator, h.Address, result.TCP)})
	}
	return correlate.Probed(ports, seen), nil
}

// scanned are the ports to ask: all of TCP, but of UDP those with a socket, since a
// silent one says nothing.
func (s *selection) scanned(protocol string, rows []correlate.Exposure) (ports []uint16) {
	if !s.hasProtocol(protocol) {
		return nil
	}
	if protocol == "tcp" {
		for p := 1; p < 1<<16; p++ {
			if s.hasPort(uint16(p)) {
				ports = append(ports, uint16(p))
			}
		}
		return ports
	}
	for _, e := range rows {
		if e.Protocol == protocol && e.LastPort == 0 && !e.Redirected {
			ports = append(ports, e.Port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// overLoopback is what the rules do to a packet that the host sends to itself: it
// comes from the very address that it goes to, and meets input as it comes in by lo.
// What output does to it first is not followed: where rules stand there, or before a
// whole connection's answer, nothing is said. That the evaluator finds no way back to
// an own address is no drop here.
func (s *survey) overLoopback(evaluator evaluator, to netip.Addr, method scan.Method) func(uint8, uint16) firewall.Part {
	to = to.WithZone("")
	changed := s.rules == nil || s.foreign != nil || slices.ContainsFunc(s.rules.Tables, leaves)
	return func(protocol uint8, port uint16) firewall.Part {
		if changed {
			return firewall.Part{}
		}
		said := evaluator.Explain(firewall.Query{Protocol: protocol, Interface: "lo", Destination: to, Port: port, Source: to}).Part
		if said.DecidedBy.Chain == nil && strings.Contains(said.DecidedBy.Text, firewall.OwnSource) {
			said.Fate = firewall.Accepted
		}
		if said.Fate == firewall.Accepted && protocol == correlate.Protocols["tcp"] && method != scan.SYN {
			return firewall.Part{}
		}
		return correlate.Doubt(said, s.unread)
	}
}

// leaves says that a table has to do with packets that the host sends.
func leaves(t *firewall.Table) bool {
	return slices.ContainsFunc(t.Chains, func(c *firewall.Chain) bool {
		if c.Base == nil || len(c.Rules) == 0 && c.Base.Policy != firewall.Drop {
			return false
		}
		return c.Base.Hook == firewall.Output || c.Base.Hook == firewall.Postrouting || c.Base.Hook == firewall.Egress
	})
}

// An expectation is a recorded host that a scan is held against.
type expectation struct {
	survey    *survey
	ports     []correlate.Exposure
	evaluator evaluator
}

// expect reads the recording of a host that is to be scanned.
func (a *app) expect(file string) (*expectation, error) {
	host, err := a.open(file)
	if err != nil {
		return nil, hostFile(file, err)
	}
	s := readAll(host)
	if len(s.unread) > 0 {
		return nil, &failure{code: exitUnread, err: fmt.Errorf("the recording %q is not whole: could not be read: %s", file, strings.Join(s.unread, ", ")), hint: "record the host again, as root"}
	}
	in, evaluator := s.input(nil)
	return &expectation{s, s.ports(in, evaluator), evaluator}, nil
}

// hold compares what was seen from outside with what the recorded host would do.
func (e *expectation) hold(hosts []scan.Host, source func(netip.Addr) (netip.Addr, error)) (out []correlate.Disagreement, compared int, missing []gaps.Gap) {
	for _, h := range hosts {
		via := e.interfaceOf(h.Address)
		from, err := source(h.Address)
		switch {
		case h.Own:
			missing = append(missing, gaps.Gap{Source: h.Address.String(), Reason: "the packets travelled over lo: they met other rules than those from outside", Hint: "scan it from another host"})
			continue
		case via == "":
			missing = append(missing, gaps.Gap{Source: h.Address.String(), Reason: "the recorded host has no such address: it could not be compared", Hint: "record the host again, or scan its own addresses"})
			continue
		case err != nil:
			missing = append(missing, gaps.Gap{Source: h.Address.String(), Reason: err.Error(), Err: err})
			continue
		}
		ask := func(protocol uint8, port uint16) firewall.Part {
			said := e.evaluator.Explain(firewall.Query{Protocol: protocol, Interface: via, Destination: h.Address.WithZone(""), Port: port, Source: from})
			return correlate.Doubt(said.Part, e.survey.unread)
		}
		compared++
		out = append(out, correlate.Hold(e.ports, []correlate.Seen{{Host: h, Method: "lan", Expect: ask}})...)
	}
	return out, compared, missing
}

// interfaceOf is the recorded host's interface with an address; empty if there is none.
func (e *expectation) interfaceOf(a netip.Addr) string {
	for _, own := range e.survey.network.Addresses {
		if own.Prefix.Addr().WithZone("") != a.WithZone("") {
			continue
		}
		for _, i := range e.survey.network.Interfaces {
			if i.Index == own.Interface {
				return i.Name
			}
		}
	}
	return ""
}
