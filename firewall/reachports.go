package firewall

import (
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// fewPorts are so few that they are asked about one by one.
const fewPorts = 3

// ReachTogether is Reach for several destination ports, where they can be answered
// for together: the rules that matter name no port, so that most of the way is the
// same. The answer is nil for ports that are left to be asked about alone.
func (e *Evaluator) ReachTogether(q Query, ports []uint16) [][]Part {
	answers := make([][]Part, len(ports))
	if len(ports) < fewPorts {
		return answers
	}
	w := e.walker()
	q.Port = ports[0]
	answers[0] = w.answer(q)
	met := w.work
	e.walkers.Put(w)
	if met*len(ports) > 2*e.ruleCount {
		e.together(q, ports[1:], answers[1:])
	}
	return answers
}

// together answers for all ports by one walk with the port left open, if it can: not
// where what happens may depend on the port in a way that is known of each port and
// not of an open one.
func (e *Evaluator) together(q Query, ports []uint16, answers [][]Part) {
	w := e.walker()
	defer e.walkers.Put(w)
	q.Port, q.Destination = 0, q.Destination.WithZone("").Unmap()
	if !q.Destination.IsValid() || q.Source.IsValid() {
		return
	}
	w.inbound(q)
	if w.exhausted != bdd.False || w.lumped || slices.ContainsFunc(w.variables, aboutPacket) {
		return
	}
	outcomes, unanswered := w.merged(w.outcomes), w.unanswered
	spans := w.spans(outcomes)
	if !spans[0].Sure {
		return
	}
	known := make(map[PortSpan][]Part)
	for i, port := range ports {
		span := spanOf(spans, port)
		if known[span] == nil {
			w.outcomes, w.unanswered = w.at(outcomes, port), w.settledAt(unanswered, port)
			known[span] = w.partition(q.Destination.BitLen())
		}
		answers[i] = deliveredAt(known[span], port)
	}
}

// aboutPacket says that a condition may be there because the port is open. What
// depends on time, rates, history or the members of a huge set does so for any port.
func aboutPacket(v variable) bool {
	return v.membership == nil && v.condition.Kind != Rate && v.condition.Kind != Time && v.condition.Kind != History
}

func spanOf(spans []PortSpan, port uint16) PortSpan {
	for _, s := range spans {
		if s.First <= port && port <= s.Last {
			return s
		}
	}
	return PortSpan{First: port, Last: port}
}

// at are the outcomes of packets to one port.
func (w *walker) at(outcomes []outcome, port uint16) []outcome {
	var out []outcome
	for _, o := range outcomes {
		if o.set = w.restrictPort(o.set, port); o.set != bdd.False {
			out = append(out, o)
		}
	}
	return out
}

func (w *walker) settledAt(list []settled, port uint16) []settled {
	var out []settled
	for _, s := range list {
		if s.set = w.restrictPort(s.set, port); s.set != bdd.False {
			out = append(out, s)
		}
	}
	return out
}

func (w *walker) restrictPort(set bdd.Node, port uint16) bdd.Node {
	if w.m.Deepest(set) < portLevel {
		return set
	}
	for i := range 16 {
		set = w.m.Restrict(set, portLevel+i, port>>(15-i)&1 == 1)
	}
	return set
}

// deliveredAt is the parts for one port: packets that keep their port end up there.
func deliveredAt(parts []Part, port uint16) []Part {
	out := slices.Clone(parts)
	for i, p := range out {
		if p.DeliveredTo != nil && p.DeliveredTo.Port == 0 {
			kept := *p.DeliveredTo
			kept.Port = port
			out[i].DeliveredTo = &kept
		}
	}
	return out
}
