package twin

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/scan/packets"
)

// State is what the probes found at a port.
type State string

// The states. A port is open that lets some outside source in.
const (
	Open        State = "open"
	Closed      State = "closed"   // some probe was answered with an error, none let in
	Filtered    State = "filtered" // nothing came back
	Unconfirmed State = "unconfirmed"
)

// A Result is what the kernel said to all answers.
type Result struct {
	// Ports are in the order of those asked about.
	Ports []PortResult
	// Probes is how many were sent.
	Probes int
	// Traced is for how many probes the kernel's deciding rule was compared.
	Traced int
}

// A PortResult is what the kernel said to the answers about one port.
type PortResult struct {
	State State
	// Probes were sent; Agreed of them were answered as said.
	Probes, Agreed int
	// Disagreed is how many were not; Conflicts are the first of those.
	Disagreed int
	Conflicts []Conflict
	// OtherRules are probes that met the fate which was said, by another rule.
	OtherRules []Conflict
	// Unverified counts what says nothing about the answers, by the reason.
	Unverified map[string]int
	// Conditional are the answers that hold more than one fate.
	Conditional []Possibility
}

// A Possibility is an answer with several possible fates, and those seen.
type Possibility struct {
	Way            int // in the port's list
	Possible, Seen []firewall.Fate
}

// A Conflict is a probe to which the kernel did other than was said.
type Conflict struct {
	Way   int // in the port's list
	Probe packets.Probe
	// Said is netglance's answer for the probe, Kernel the kernel's.
	Said   firewall.Explanation
	Kernel packets.Outcome
	// Fate is what Kernel means for the sender.
	Fate firewall.Fate
	// Steps are the kernel's own through nf_tables, empty for other rules.
	Steps []Step
}

// maxConflicts is how many conflicts of a port are kept.
const maxConflicts = 10

// Judges are netglance's evaluators: of the host, and of the twin as netglance
// reads it, which is asked for only where the twin could not be made alike.
type Judges struct {
	Host Explainer
	Twin func() Explainer
}

// An Explainer says what becomes of a packet: a firewall.Evaluator.
type Explainer interface {
	Explain(firewall.Query) firewall.Explanation
}

// A verifier holds answers to the kernel.
type verifier struct {
	*Twin
	ports    []Port
	judges   Judges
	result   Result
	progress func(done, all int)
	// seen are the fates of each conditional way's probes.
	seen map[[2]int][]firewall.Fate
}

// progressStep is how many probes go between two reports of progress.
const progressStep = 1 << 14

// Verify probes every part of every answer. progress may be nil.
func (t *Twin) Verify(ports []Port, judges Judges, progress func(done, all int)) (Result, error) {
	v := &verifier{Twin: t, ports: ports, judges: judges, progress: progress, seen: map[[2]int][]firewall.Fate{}}
	v.result.Ports = make([]PortResult, len(ports))
	chosen := t.choose(ports)
	for i := range v.result.Ports {
		v.result.Ports[i] = PortResult{State: Unconfirmed, Unverified: map[string]int{}}
	}
	for at, why := range chosen.unprobed {
		v.result.Ports[at[0]].Unverified[why]++
	}
	if t.Useless != nil {
		for i := range ports {
			v.result.Ports[i].Unverified[t.Useless.Error()] += len(ports[i].Ways)
		}
		return v.result, nil
	}
	err := t.kernel.Do(func() error { return v.run(chosen.list) })
	v.finish()
	return v.result, err
}

func (v *verifier) run(list []witness) error {
	if err := v.meet(farAddresses(list, v.ports)); err != nil {
		return err
	}
	doubts := v.doubts(list)
	for start := 0; start < len(list); start += progressStep {
		part := list[start:min(len(list), start+progressStep)]
		if err := v.probe(part, doubts); err != nil {
			return err
		}
		if v.progress != nil {
			v.progress(start+len(part), len(list))
		}
	}
	return v.traceSample(list, doubts)
}

// farAddresses are all that packets may be sent to beyond a link.
func farAddresses(list []witness, ports []Port) []netip.Addr {
	known := map[netip.Addr]bool{}
	for _, w := range list {
		known[w.probe.From], known[w.probe.To] = true, true
	}
	for _, p := range ports {
		for _, way := range p.Ways {
			if d := way.Part.DeliveredTo; d != nil {
				known[d.Address] = true
			}
		}
	}
	all := make([]netip.Addr, 0, len(known))
	for a := range known {
		all = append(all, a)
	}
	return all
}

// probe sends witnesses and compares.
func (v *verifier) probe(list []witness, doubts map[packets.Probe]string) error {
	probes := make([]packets.Probe, len(list))
	for i, w := range list {
		probes[i] = w.probe
	}
	outcomes, err := v.prober.Probe(probes)
	if err != nil {
		return err
	}
	v.result.Probes += len(probes)
	for i, w := range list {
		p := &v.result.Ports[w.port]
		p.Probes++
		p.State = worst(p.State, v.outside(w.probe.From), v.found(w, FateOf(w.probe, outcomes[i])))
		if why := doubts[w.probe]; why != "" {
			p.Unverified[why]++
			continue
		}
		if err := v.compare(w, outcomes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) compare(w witness, outcome packets.Outcome) error {
	way, p := v.ports[w.port].Ways[w.way], &v.result.Ports[w.port]
	part := v.part(w)
	v.see(w, FateOf(w.probe, outcome))
	if agrees(part, w.probe, outcome) {
		p.Agreed++
		return nil
	}
	// What earlier probes left behind (a rate, a meter, a flow) may tell.
	outcome, err := v.alone(w.probe)
	if err != nil {
		return err
	}
	if agrees(part, w.probe, outcome) {
		p.Agreed++
		return nil
	}
	p.Disagreed++
	if len(p.Conflicts) == maxConflicts {
		return nil
	}
	conflict := Conflict{Way: w.way, Probe: w.probe, Kernel: outcome, Fate: FateOf(w.probe, outcome), Said: v.judges.Host.Explain(w.query(way.Interface))}
	err = v.tracing(func(trace func(packets.Probe) ([]Step, error)) (err error) {
		conflict.Steps, err = trace(w.probe)
		return err
	})
	p.Conflicts = append(p.Conflicts, conflict)
	return err
}

// part is what is said of a probe as far as the host decides it: what becomes of it
// in another namespace, a container's, is not the twin's to tell.
func (v *verifier) part(w witness) firewall.Part {
	way := v.ports[w.port].Ways[w.way]
	if way.Part.DecidedBy.Namespace == "" {
		return way.Part
	}
	return v.judges.Host.Explain(w.query(way.Interface)).Part
}

// found is the fate of a probe that the port's state goes by: that in a container
// where one decides.
func (v *verifier) found(w witness, fate firewall.Fate) firewall.Fate {
	part := v.ports[w.port].Ways[w.way].Part
	if fate == firewall.Accepted && part.DecidedBy.Namespace != "" && part.Fate != firewall.Conditional {
		return part.Fate
	}
	return fate
}

// see notes the fate of a probe whose answer holds several.
func (v *verifier) see(w witness, fate firewall.Fate) {
	if v.ports[w.port].Ways[w.way].Part.Fate != firewall.Conditional {
		return
	}
	at := [2]int{w.port, w.way}
	if !slices.Contains(v.seen[at], fate) {
		v.seen[at] = append(v.seen[at], fate)
	}
}

func (v *verifier) finish() {
	for at, fates := range v.seen {
		slices.Sort(fates)
		p := &v.result.Ports[at[0]]
		p.Conditional = append(p.Conditional, Possibility{Way: at[1], Possible: v.ports[at[0]].Ways[at[1]].Part.Outcomes, Seen: fates})
	}
	for i := range v.result.Ports {
		slices.SortFunc(v.result.Ports[i].Conditional, func(a, b Possibility) int { return cmp.Compare(a.Way, b.Way) })
	}
}

// FateOf is what an outcome means for the one who sent the packet.
func FateOf(p packets.Probe, o packets.Outcome) firewall.Fate {
	switch o.Kind {
	case packets.Accepted:
		return firewall.Accepted
	case packets.Reset, packets.Unreachable:
		return firewall.Rejected
	case packets.Forwarded:
		// Who sends a datagram needs no answer.
		if o.Answered || p.Protocol != protocolTCP {
			return firewall.Accepted
		}
	}
	return firewall.Dropped
}

// agrees says that the kernel did what was said: also where the packet ended up.
// A conditional answer holds each of its outcomes, and all where it could not
// follow them.
func agrees(part firewall.Part, p packets.Probe, o packets.Outcome) bool {
	fate := FateOf(p, o)
	if part.Fate == firewall.Conditional {
		return slices.Contains(part.Outcomes, fate) || slices.Contains(part.Outcomes, firewall.Undecided)
	}
	return fate == part.Fate && (fate != firewall.Accepted || delivered(part, p, o))
}

// delivered compares where the packet ended up, as far as the kernel shows it.
func delivered(part firewall.Part, p packets.Probe, o packets.Outcome) bool {
	d := part.DeliveredTo
	switch {
	case d == nil && len(part.Conditions) > 0:
		return true // several places, and what it depends on
	case d == nil:
		return o.Kind == packets.Accepted && (o.To.Port() == 0 || o.To.Port() == p.Port)
	case o.Kind == packets.Forwarded:
		return d.Interface == cmp.Or(o.Bridge, o.Via) && netip.AddrPortFrom(d.Address, d.Port) == o.To
	case d.Interface != "":
		return false
	}
	return o.To.Port() == 0 || o.To.Port() == d.Port
}

// worst joins a port's state with one more probe's fate. What seems to come from
// the host itself does not come from outside.
func worst(s State, outside bool, fate firewall.Fate) State {
	rank := map[State]int{Unconfirmed: 0, Filtered: 1, Closed: 2, Open: 3}
	next := Filtered
	switch {
	case !outside:
		return s
	case fate == firewall.Accepted:
		next = Open
	case fate == firewall.Rejected:
		next = Closed
	}
	if rank[next] > rank[s] {
		return next
	}
	return s
}

// outside says that an address may be somebody else's.
func (v *verifier) outside(a netip.Addr) bool {
	return !a.IsLoopback() && !slices.ContainsFunc(v.host.Network.Addresses, func(own firewall.Address) bool {
		return own.Prefix.Addr().WithZone("") == a
	})
}

// doubts are the probes that say nothing about the host, with the reason: a rule
// that the kernel refused may decide about them, or what the twin lacks of the
// host's network does.
func (v *verifier) doubts(list []witness) map[packets.Probe]string {
	doubts := map[packets.Probe]string{}
	if len(v.refused) == 0 && !v.Unlike {
		return doubts
	}
	said := make([]firewall.Explanation, len(list))
	for i, w := range list {
		said[i] = v.judges.Host.Explain(w.query(v.ports[w.port].Ways[w.way].Interface))
	}
	compare := func(e Explainer, why string) {
		for i, w := range list {
			if !sameAnswer(said[i], e.Explain(w.query(v.ports[w.port].Ways[w.way].Interface))) {
				doubts[w.probe] = why
			}
		}
	}
	if v.Unlike {
		compare(v.judges.Twin(), "the twin is not like the host there")
	}
	if len(v.refused) > 0 {
		v.doubting(func() {
			compare(firewall.NewEvaluator(v.host.Rules, v.host.Network), "it depends on a rule that the twin's kernel refused")
		})
	}
	return doubts
}

func sameAnswer(a, b firewall.Explanation) bool {
	if a.Fate != b.Fate || !slices.Equal(a.Outcomes, b.Outcomes) {
		return false
	}
	return a.DeliveredTo == b.DeliveredTo || a.DeliveredTo != nil && b.DeliveredTo != nil && *a.DeliveredTo == *b.DeliveredTo
}
