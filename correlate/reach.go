package correlate

import (
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/netglance/netglance/firewall"
)

// Protocols are the IP protocol numbers of the protocols that have ports.
var Protocols = map[string]uint8{"tcp": 6, "udp": 17, "udplite": 136}

// A reachTable holds the answers to the questions that all rows ask, each asked once.
type reachTable map[firewall.Query][]firewall.Part

// ask answers every query, on all processors: first those that differ in nothing
// but the port, together, then those that have to be asked alone.
func ask(fw Firewall, queries []firewall.Query) reachTable {
	table := make(reachTable, len(queries))
	alone := queries
	if many, ok := fw.(togetherAsker); ok {
		alone = table.askTogether(many, alikeButPort(queries))
	}
	answers := make([][]firewall.Part, len(alone))
	parallel(len(alone), func(i int) { answers[i] = fw.Reach(alone[i]) })
	for i, q := range alone {
		table[q] = answers[i]
	}
	return table
}

// togetherAsker is a Firewall that can answer for several ports at once.
type togetherAsker interface {
	// ReachTogether is Reach for several ports; nil for those to be asked alone.
	ReachTogether(q firewall.Query, ports []uint16) [][]firewall.Part
}

// askTogether fills the table and returns what is left to be asked.
func (t reachTable) askTogether(fw togetherAsker, groups []portGroup) (alone []firewall.Query) {
	answers := make([][][]firewall.Part, len(groups))
	parallel(len(groups), func(i int) { answers[i] = fw.ReachTogether(groups[i].Query, groups[i].ports) })
	for i, g := range groups {
		for j, port := range g.ports {
			if g.Port = port; answers[i][j] == nil {
				alone = append(alone, g.Query)
			} else {
				t[g.Query] = answers[i][j]
			}
		}
	}
	return alone
}

// parallel calls f with the numbers below n.
func parallel(n int, f func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	workers.Wait()
}

// A portGroup is queries that differ in the port.
type portGroup struct {
	firewall.Query
	ports []uint16
}

func alikeButPort(queries []firewall.Query) []portGroup {
	at := make(map[firewall.Query]int)
	var groups []portGroup
	for _, q := range queries {
		port := q.Port
		q.Port = 0
		i, ok := at[q]
		if !ok {
			i = len(groups)
			at[q] = i
			groups = append(groups, portGroup{Query: q})
		}
		groups[i].ports = append(groups[i].ports, port)
	}
	return groups
}

func query(protocol string, port uint16, t target) firewall.Query {
	return firewall.Query{Protocol: Protocols[protocol], Interface: t.iface, Destination: t.addr, Port: port}
}

// A destinationGroup is destinations on one interface that the rules treat alike.
type destinationGroup struct {
	first        target
	destinations []netip.Addr
	parts        []firewall.Part
}

// unicastParts are the partitions of the host's own addresses on the same
// interface, of the same family.
func unicastParts(groups []*destinationGroup, like *destinationGroup) (parts [][]firewall.Part) {
	for _, g := range groups {
		if !g.first.group && g.first.iface == like.first.iface && g.first.family() == like.first.family() {
			parts = append(parts, g.parts)
		}
	}
	return parts
}

// reach is a row's partitions: destinations that the rules treat alike on one
// interface share theirs.
func reach(r *row, ways []target, table reachTable, in Input, at portIndex) []Reach {
	var groups []*destinationGroup
	for _, t := range ways {
		parts := settle(table[query(r.Protocol, r.Port, t)], t, r.Protocol, r.Port, in, at)
		same := slices.IndexFunc(groups, func(g *destinationGroup) bool {
			return g.first.group == t.group && g.first.iface == t.iface && g.first.family() == t.family() && slices.EqualFunc(g.parts, parts, equalParts)
		})
		if same < 0 {
			groups = append(groups, &destinationGroup{t, []netip.Addr{t.addr}, parts})
			continue
		}
		groups[same].destinations = append(groups[same].destinations, t.addr)
	}
	var out []Reach
	for _, g := range groups {
		if g.first.group && !opensMore(g.parts, unicastParts(groups, g)) {
			continue
		}
		for _, part := range g.parts {
			e := Reach{Interface: g.first.iface, Family: g.first.family(), Destinations: g.destinations, Part: part}
			if d := part.DeliveredTo; d != nil && in.places[*d] != nil {
				e.DeliveredIn = in.places[*d].Namespace
			}
			e.By, e.Declared, e.DeclaredBy = leastDeclared(part, portsOf(r.Port, part), e.Family)
			out = append(out, e)
		}
	}
	forgetIPv6(out)
	return out
}

// portsOf are the port before translation, and after it where there was one.
func portsOf(port uint16, part firewall.Part) []uint16 {
	if part.DeliveredTo == nil || part.DeliveredTo.Port == port {
		return []uint16{port}
	}
	return []uint16{port, part.DeliveredTo.Port}
}

// settle takes back what can't be known, and what ends where no socket is, here or
// in a container that it is forwarded to.
// Delivery where the packet was sent to anyway is left out.
func settle(parts []firewall.Part, t target, protocol string, port uint16, in Input, at portIndex) []firewall.Part {
	out := make([]firewall.Part, 0, len(parts))
	for _, part := range parts {
		if d := part.DeliveredTo; d != nil && *d == (firewall.Delivery{Address: t.addr, Port: port}) {
			part.DeliveredTo = nil
		}
		if nobodyThere(part, t, protocol, port, at) {
			part = firewall.Part{Sources: part.Sources, Fate: firewall.Rejected, DecidedBy: firewall.Decision{Text: "no socket listens where the packet ends up"}}
		}
		part = Doubt(part, in.Unread)
		if t.unsure && part.Fate != firewall.Dropped && part.Fate != firewall.Rejected {
			part = undecided(part, "the kernel didn't say whether this IPv6 socket takes IPv4 packets")
		}
		out = append(out, in.places.follow(part, protocol, 1)...)
	}
	return out
}

// Doubt takes back what can't be known while something that decides about packets
// is unread: all but what the kernel drops by itself.
func Doubt(part firewall.Part, unread []string) firewall.Part {
	if len(unread) == 0 || kernelDrops(part) {
		return part
	}
	return undecided(part, "could not be read: "+strings.Join(unread, ", "))
}

// Witness is an address from the middle of the largest of the prefixes; invalid if there are none.
func Witness(s firewall.Sources) netip.Addr {
	if len(s.Prefixes) == 0 {
		return netip.Addr{}
	}
	p := slices.MinFunc(s.Prefixes, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	bytes := p.Addr().AsSlice()
	if bit := p.Bits(); bit < p.Addr().BitLen() {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

func undecided(part firewall.Part, why string) firewall.Part {
	return firewall.Part{Sources: part.Sources, Fate: firewall.Undecided, Conditions: []firewall.Condition{{Kind: firewall.Unread, Text: why}}}
}

// kernelDrops says that no rule was needed to drop the packet: a martian, no route.
func kernelDrops(p firewall.Part) bool {
	return p.Fate == firewall.Dropped && p.DecidedBy.Chain == nil
}

func equalParts(a, b firewall.Part) bool {
	return a.Fate == b.Fate && equalDecisions(a.DecidedBy, b.DecidedBy) && equalSources(a.Sources, b.Sources) &&
		slices.Equal(a.Conditions, b.Conditions) && slices.Equal(a.Outcomes, b.Outcomes) &&
		slices.EqualFunc(a.Acceptances, b.Acceptances, equalDecisions) && equalDeliveries(a.DeliveredTo, b.DeliveredTo)
}

func equalDecisions(a, b firewall.Decision) bool {
	return a.Chain == b.Chain && a.Rule == b.Rule && a.Text == b.Text && slices.Equal(a.Via, b.Via)
}

func equalSources(a, b firewall.Sources) bool {
	return slices.Equal(a.Prefixes, b.Prefixes) && slices.Equal(a.Masked, b.Masked) && slices.Equal(a.Sets, b.Sets)
}

func equalDeliveries(a, b *firewall.Delivery) bool {
	return a == b || a != nil && b != nil && *a == *b
}
