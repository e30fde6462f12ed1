package correlate

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/addresses"
	"github.com/netglance/netglance/listeners"
)

// Outcome is whether an assertion holds.
type Outcome uint8

// The outcomes. Undecided is where something that decides could not be read, or
// depends on what no reading settles.
const (
	Undecided Outcome = iota
	Holds
	Fails
)

func (o Outcome) String() string { return [...]string{"unknown", "pass", "fail"}[o%3] }

// An Asserted is an assertion with its answer.
type Asserted struct {
	policy.Assertion
	Outcome Outcome
	// Sources are those that contradict it, or of which it is not known: at most
	// 1,000 prefixes. Empty where it holds.
	Sources []netip.Prefix
	// Why says what decides about them.
	Why string
}

// Assert answers the policy's assertions, for every source at once.
func Assert(in Input) []Asserted {
	in.intent = newIntent(in)
	at := indexPorts(rows(in.Listeners))
	var out []Asserted
	for _, a := range in.Policy.Assertions {
		out = append(out, in.assert(a, at))
	}
	return out
}

// assert asks about every port of the range: the first that doesn't hold answers.
func (in Input) assert(a policy.Assertion, at portIndex) Asserted {
	if a.Interface != "" && len(in.Network.Interfaces) > 0 && !slices.Contains(Ingress(in.Network), a.Interface) {
		return Asserted{Assertion: a, Outcome: Fails, Why: fmt.Sprintf("this host has no interface %s that is up", a.Interface)}
	}
	out := Asserted{Assertion: a, Outcome: Holds}
	for port := int(a.Ports.First); port <= int(a.Ports.Last); port++ {
		one := in.assertPort(a, uint16(port), at)
		if one.Outcome == Fails {
			return one
		}
		if one.Outcome == Undecided && out.Outcome == Holds {
			out = one
		}
	}
	return out
}

// An entrance is one way in, with what becomes of packets that take it.
type entrance struct {
	target
	parts []firewall.Part
}

func (in Input) assertPort(a policy.Assertion, port uint16, at portIndex) Asserted {
	space := in.intent.space
	entrances := in.entrances(a, port, at)
	var sure, maybe addresses.Set
	for _, e := range entrances {
		for _, p := range e.parts {
			switch reaches(p) {
			case surely:
				sure = space.Or(sure, sourceSet(space, p.Sources, e.family()))
			case perhaps:
				maybe = space.Or(maybe, sourceSet(space, p.Sources, e.family()))
			}
		}
	}
	asked := in.asked(a)
	if len(entrances) == 0 && (len(in.Unread) > 0 || len(in.Network.Interfaces) == 0) {
		return Asserted{a, Undecided, in.intent.list(asked), "the interfaces and addresses of the host could not be read"}
	}
	if a.Want == policy.Closed || a.Want == policy.Blocked {
		return in.keptOut(a, space.And(asked, sure), space.And(asked, maybe), entrances, port)
	}
	missing := space.Diff(asked, sure)
	return in.letIn(a, missing, space.Diff(missing, maybe), entrances, port)
}

func (in Input) keptOut(a policy.Assertion, open, unsure addresses.Set, entrances []entrance, port uint16) Asserted {
	switch {
	case !open.Empty():
		return Asserted{a, Fails, in.intent.list(open), in.why(open, entrances, port, surely)}
	case !unsure.Empty():
		return Asserted{a, Undecided, in.intent.list(unsure), in.why(unsure, entrances, port, perhaps)}
	}
	return Asserted{Assertion: a, Outcome: Holds}
}

func (in Input) letIn(a policy.Assertion, missing, out addresses.Set, entrances []entrance, port uint16) Asserted {
	switch {
	case !out.Empty():
		return Asserted{a, Fails, in.intent.list(out), in.why(out, entrances, port, never)}
	case !missing.Empty():
		return Asserted{a, Undecided, in.intent.list(missing), in.why(missing, entrances, port, perhaps)}
	}
	return Asserted{Assertion: a, Outcome: Holds}
}

// asked are the sources that the assertion is about. Those that no packet has are
// left out where it says that all get in, and so is all of a family that the host
// has no address of.
func (in Input) asked(a policy.Assertion) addresses.Set {
	space := in.intent.space
	asked := addresses.Everything
	if len(a.Sources) > 0 {
		asked = space.Of(a.Sources...)
	}
	if a.To.IsValid() {
		asked = space.And(asked, addresses.Family(target{addr: a.To}.family()))
	}
	if a.Want == policy.Closed || a.Want == policy.Blocked {
		return asked
	}
	for _, family := range []int{4, 6} {
		all := addresses.Family(family)
		if space.Holds(asked, all) && !in.speaks(family) {
			asked = space.Diff(asked, all)
		}
	}
	// Behind a router, no source is link-local: it reaches its own link alone.
	return space.Diff(space.Diff(asked, in.intent.filler), space.Of(linkLocal...))
}

var linkLocal = []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10")}

// speaks says that the host has an address of the family that others than
// neighbours can send to.
func (in Input) speaks(family int) bool {
	return slices.ContainsFunc(in.Network.Addresses, func(a firewall.Address) bool {
		address := a.Prefix.Addr().Unmap()
		return address.Is4() == (family == 4) && !address.IsLoopback() && !address.IsLinkLocalUnicast()
	})
}

// entrances are the ways that lead to the port, or to one address of it.
func (in Input) entrances(a policy.Assertion, port uint16, at portIndex) (out []entrance) {
	for _, t := range in.assertedTargets(a, port, at) {
		if a.Interface != "" && t.iface != a.Interface {
			continue
		}
		parts := in.Firewall.Reach(query(a.Ports.Protocol, port, t))
		if a.Want == policy.Open || a.Want == policy.Closed {
			in.places = in.placesOf(forwards(parts))
			parts = settle(parts, t, a.Ports.Protocol, port, in, at)
		} else {
			parts = doubtAll(parts, in.Unread)
		}
		parts = slices.DeleteFunc(parts, func(p firewall.Part) bool {
			return !a.To.IsValid() && t.addr.IsLoopback() && p.DeliveredTo != nil // a neighbour's alone: see fromLinkOnly
		})
		out = append(out, entrance{t, parts})
	}
	return out
}

func doubtAll(parts []firewall.Part, unread []string) []firewall.Part {
	out := slices.Clone(parts)
	for i := range out {
		out[i] = Doubt(out[i], unread)
	}
	return out
}

func (in Input) assertedTargets(a policy.Assertion, port uint16, at portIndex) []target {
	var out []target
	if a.To.IsValid() {
		for _, name := range Ingress(in.Network) {
			out = append(out, target{iface: name, addr: a.To})
		}
		return out
	}
	any4, any6 := socketAt(a.Ports.Protocol, "0.0.0.0", 4), socketAt(a.Ports.Protocol, "::", 6)
	any6.V6Only = true
	for _, l := range append(slices.Clone(at[port]), any4, any6) {
		if l.Transport() == a.Ports.Protocol {
			out = append(out, targets(l, in.Network)...)
		}
	}
	for i, t := range out {
		out[i].unsure = onlyUnsure(t, a.Ports.Protocol, port, at)
	}
	slices.SortFunc(out, compareTargets)
	return slices.Compact(out)
}

// onlyUnsure says that the sockets that may take the packets are IPv6 ones of which
// the kernel didn't say whether they take IPv4.
func onlyUnsure(t target, protocol string, port uint16, at portIndex) bool {
	takers := at.takers(protocol, netip.AddrPortFrom(t.addr, port))
	return t.addr.Is4() && len(takers) > 0 && !slices.ContainsFunc(takers, func(l listeners.Listener) bool {
		return l.Family == 4 || l.V6OnlyKnown
	})
}

// why says what decides about the sources, on the first way that does so with the certainty.
func (in Input) why(about addresses.Set, entrances []entrance, port uint16, how certainty) string {
	space, family := in.intent.space, 4
	if space.And(about, addresses.Family(4)).Empty() {
		family = 6
	}
	who := familyText(space.Text(about, space.Or(in.intent.filler, space.Of(linkLocal...)), family), family)
	for _, e := range entrances {
		for _, p := range e.parts {
			if reaches(p) != how || e.family() != family || space.And(about, sourceSet(space, p.Sources, family)).Empty() {
				continue
			}
			return fmt.Sprintf("%s: %s by %s: %s", who, verb(how), e.iface, partWhy(p, []uint16{port}, family))
		}
	}
	return who + ": nothing leads there"
}

func verb(how certainty) string {
	return [...]string{"kept out", "can't be told", "let in"}[how]
}

func partWhy(p firewall.Part, ports []uint16, family int) string {
	if reaches(p) == perhaps && len(p.Conditions) > 0 {
		return p.Conditions[0].Text
	}
	d := p.DecidedBy
	if reaches(p) == surely {
		d, _, _ = leastDeclared(p, ports, family)
	}
	switch {
	case d.Rule != nil || d.Chain != nil:
		return decisionText(d)
	case d.Text != "":
		return d.Text
	}
	return "no rule filters it"
}
