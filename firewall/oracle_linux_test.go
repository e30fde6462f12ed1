package firewall_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

// An oracle is a kernel that says what it does to a packet, and its rules and
// network as netglance reads them.
type oracle struct {
	t    testing.TB
	ns   *kerneltest.Namespace
	host platform.Host
}

func newOracle(t testing.TB, layout kerneltest.Layout) *oracle {
	t.Helper()
	ns := kerneltest.New(t, layout)
	return &oracle{t: t, ns: ns, host: platform.LiveIn(ns.Path())}
}

// evaluator reads the kernel's rules and network. What can't be read fails the test.
func (o *oracle) evaluator() *firewall.Evaluator {
	o.t.Helper()
	rules, found := nft.Read(o.host, nil)
	network, more := rtnetlink.Read(o.host)
	for _, gap := range append(slices.Clone(found), more...) {
		o.t.Errorf("not read: %s", describe(gap))
	}
	network.Sockets = o.sockets(network)
	return firewall.NewEvaluator(rules, network)
}

// sockets are those that the test opened.
func (o *oracle) sockets(network *firewall.Network) []firewall.LocalSocket {
	list := []firewall.LocalSocket{}
	for _, s := range o.ns.Sockets() {
		family := firewall.FamilyIPv6
		if s.At.Addr().Is4() {
			family = firewall.FamilyIPv4
		}
		local := firewall.LocalSocket{
			Protocol: s.Protocol, Family: family, Address: s.At.Addr(), Port: s.At.Port(), Remote: s.Peer, V6Only: s.V6Only,
			Transparent: s.Transparent, Mark: uint32(s.Mark), MarkKnown: true, UID: uint32(s.UID), Owned: true,
		}
		for _, link := range network.Interfaces {
			if link.Name == s.Device {
				local.Device = link.Index
			}
		}
		list = append(list, local)
	}
	return list
}

func describe(gap gaps.Gap) string { return fmt.Sprintf("%s: %s", gap.Source, gap.Reason) }

func query(p kerneltest.Probe) firewall.Query {
	return firewall.Query{Protocol: p.Protocol, Interface: p.Via, Destination: p.To, Port: p.Port, Source: p.From, SourcePort: p.SourcePort}
}

// fate is what an outcome means for the one who sent the packet.
func fate(p kerneltest.Probe, o kerneltest.Outcome) firewall.Fate {
	switch o.Kind {
	case kerneltest.Accepted:
		return firewall.Accepted
	case kerneltest.Reset, kerneltest.Unreachable:
		return firewall.Rejected
	case kerneltest.Forwarded:
		// Who sends a datagram needs no answer.
		if o.Answered || p.Protocol != 6 {
			return firewall.Accepted
		}
	}
	return firewall.Dropped
}

// A judgement is what netglance says of a packet.
type judgement struct {
	firewall.Explanation
	// crash is what the evaluator panicked with; empty if it did not.
	crash string
}

func judge(e *firewall.Evaluator, p kerneltest.Probe) (j judgement) {
	defer func() {
		if r := recover(); r != nil {
			j.crash = fmt.Sprint(r)
		}
	}()
	j.Explanation = e.Explain(query(p))
	return j
}

// agrees says that the kernel did what was said: also where the packet ended up.
func (j judgement) agrees(p kerneltest.Probe, o kerneltest.Outcome) bool {
	return j.fateAgrees(p, o) && (j.Fate != firewall.Accepted || j.deliveryAgrees(o))
}

// fateAgrees says that the packet met the fate that was said. A conditional answer
// agrees with each of its outcomes, and with all where it could not follow them.
func (j judgement) fateAgrees(p kerneltest.Probe, o kerneltest.Outcome) bool {
	switch {
	case j.crash != "" || j.Fate == firewall.Undecided:
		return false
	case j.Fate == firewall.Conditional:
		return slices.Contains(j.Outcomes, fate(p, o)) || slices.Contains(j.Outcomes, firewall.Undecided)
	}
	return j.Fate == fate(p, o)
}

// deliveryAgrees compares where the packet ended up, as far as the kernel shows it.
func (j judgement) deliveryAgrees(o kerneltest.Outcome) bool {
	d := j.DeliveredTo
	switch {
	case d == nil:
		return len(j.Conditions) > 0 // several places, and what it depends on
	case o.Kind == kerneltest.Forwarded:
		return d.Interface == cmp.Or(o.Bridge, o.Via) && netip.AddrPortFrom(d.Address, d.Port) == o.To
	case d.Interface != "":
		return false
	}
	return o.To.Port() == 0 || o.To.Port() == d.Port
}

func (j judgement) String() string {
	if j.crash != "" {
		return "panic: " + j.crash
	}
	s := j.Fate.String()
	if j.Fate == firewall.Conditional {
		s += fmt.Sprintf(" %v %v", j.Outcomes, j.Conditions)
	}
	if d := j.DeliveredTo; d != nil {
		s += fmt.Sprintf(", delivered to %s %q", netip.AddrPortFrom(d.Address, d.Port), d.Interface)
	}
	s += ", by " + j.DecidedBy.Text
	for _, step := range j.Path {
		s += "\n\t" + step.Hook
		if step.Chain != nil {
			s += fmt.Sprintf(" %s %s %s", step.Chain.Table.Family, step.Chain.Table.Name, step.Chain.Name)
		}
		if step.Rule != nil {
			s += fmt.Sprintf(" rule %d", step.Rule.Number)
		}
		s += ": " + step.Effect
	}
	return s
}
