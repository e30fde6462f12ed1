package twin

import (
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/scan/packets"
)

// A Port is a port with the answers to be held to the kernel.
type Port struct {
	// Protocol is the IP protocol number. LastPort is set where the answers are for
	// all ports from Port on to it.
	Protocol       uint8
	Port, LastPort uint16
	Ways           []Way
}

// A Way is one part of a partition: sources that meet one fate, coming in by an
// interface for any of some destinations.
type Way struct {
	Interface    string
	Destinations []netip.Addr
	Part         firewall.Part
}

// A witness is a probe with the answer that it is to bear out.
type witness struct {
	probe packets.Probe
	port  int // in the list of ports
	way   int // in the port's list of ways
}

func (w witness) query(entrance string) firewall.Query {
	p := w.probe
	return firewall.Query{Protocol: p.Protocol, Interface: entrance, Destination: p.To, Port: p.Port, Source: p.From, SourcePort: p.SourcePort}
}

const (
	// maxDestinations is how many destinations of a way are tried, and maxPrefixes
	// how many ranges of its sources: the first, the last and random ones.
	maxDestinations = 4
	maxPrefixes     = 6
	// randomSources are tried for every destination besides.
	randomSources = 4
	// repetitions is how often a witness of a conditional answer is sent, so that
	// more than one outcome may be seen.
	repetitions = 4
)

// sourcePorts are at the edges of what rules name.
var sourcePorts = []uint16{40000, 1, 53, 1023, 1024, 32768, 65535}

// A chooser chooses witnesses; the same ones for the same host.
type chooser struct {
	twin *Twin
	rand *rand.Rand
	// entered and left count, so that entrances and source ports take turns.
	entered, left int
	list          []witness
	// chosen are the flows on the list.
	chosen map[chosenFlow]bool
	// unprobed are the ways that no probe can try, with the reason.
	unprobed map[[2]int]string
}

func (t *Twin) choose(ports []Port) *chooser {
	c := &chooser{twin: t, rand: rand.New(rand.NewPCG(1, 2)), unprobed: map[[2]int]string{}, chosen: map[chosenFlow]bool{}}
	for i := range ports {
		c.port(i, ports[i])
	}
	return c
}

func (c *chooser) port(number int, p Port) {
	for i, way := range p.Ways {
		if why := c.impossible(p, way); why != "" {
			c.unprobed[[2]int{number, i}] = why
			continue
		}
		sources := c.sources(way.Part.Sources)
		if len(sources) == 0 {
			c.unprobed[[2]int{number, i}] = "its sources are members of a set too large to list"
			continue
		}
		for _, to := range some(c.rand, way.Destinations, maxDestinations) {
			for _, port := range portsOf(p) {
				for _, from := range sources {
					c.add(number, i, p, way, to, port, from)
				}
			}
		}
	}
	c.anywhere(number, p)
}

// impossible says why no probe can try a way; empty if one can.
func (c *chooser) impossible(p Port, way Way) string {
	switch {
	case p.Protocol != protocolTCP && p.Protocol != protocolUDP:
		return "only TCP and UDP are probed"
	case way.Part.Fate == firewall.Undecided:
		return "netglance says nothing of it: unknown"
	case len(c.twin.entrances[way.Interface]) == 0:
		return "the twin has no link " + way.Interface + " that is up"
	}
	return ""
}

// protocolUDP is the IP protocol number.
const protocolUDP = 17

func (c *chooser) add(number, i int, p Port, way Way, to netip.Addr, port uint16, from netip.Addr) {
	entrances := c.twin.entrances[way.Interface]
	times := 1
	if way.Part.Fate == firewall.Conditional {
		times = repetitions
	}
	for range times {
		c.entered++
		c.left++
		probe := packets.Probe{
			Via: entrances[c.entered%len(entrances)], Protocol: p.Protocol, From: from, To: to,
			SourcePort: sourcePorts[c.left%len(sourcePorts)], Port: port,
		}
		for c.chosen[flowOf(probe)] && probe.SourcePort > 1 {
			probe.SourcePort-- // every flow once
		}
		c.chosen[flowOf(probe)] = true
		c.list = append(c.list, witness{port: number, way: i, probe: probe})
	}
}

// A chosenFlow is a flow, by whichever link it comes in.
type chosenFlow struct {
	protocol uint8
	from, to netip.AddrPort
}

func flowOf(p packets.Probe) chosenFlow {
	return chosenFlow{p.Protocol, netip.AddrPortFrom(p.From, p.SourcePort), netip.AddrPortFrom(p.To, p.Port)}
}

// portsOf are a span's first, middle and last port, or the one there is.
func portsOf(p Port) []uint16 {
	if p.LastPort <= p.Port {
		return []uint16{p.Port}
	}
	return slices.Compact([]uint16{p.Port, p.Port + (p.LastPort-p.Port)/2, p.LastPort})
}

// some are all of a short list, or its ends and random ones of between.
func some[T any](r *rand.Rand, list []T, most int) []T {
	if len(list) <= most {
		return list
	}
	chosen := []T{list[0], list[len(list)-1]}
	for len(chosen) < most {
		chosen = append(chosen, list[1+r.IntN(len(list)-2)])
	}
	return chosen
}

// sources are addresses from the edges and the middle of source ranges.
func (c *chooser) sources(s firewall.Sources) (list []netip.Addr) {
	if len(s.Sets) > 0 {
		return nil
	}
	prefixes := some(c.rand, s.Prefixes, maxPrefixes)
	if len(s.Prefixes) > maxPrefixes {
		prefixes = append(prefixes, slices.MinFunc(s.Prefixes, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() }))
	}
	for _, p := range prefixes {
		list = append(list, p.Masked().Addr(), middle(p), last(p))
	}
	for _, m := range some(c.rand, s.Masked, maxPrefixes) {
		list = append(list, c.fitting(m))
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

func middle(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	if bit := p.Bits(); bit < p.Addr().BitLen() {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return address(b)
}

func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return address(b)
}

// address is that of 4 or 16 bytes.
func address(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// fitting is a random address that equals m's in the bits of its mask.
func (c *chooser) fitting(m firewall.MaskedAddress) netip.Addr {
	b, mask := m.Address.AsSlice(), m.Mask.AsSlice()
	for i := range b {
		b[i] = b[i]&mask[i] | byte(c.rand.Uint32())&^mask[i]
	}
	return address(b)
}

// anywhere adds random sources for each destination, whatever part they are in.
func (c *chooser) anywhere(number int, p Port) {
	type place struct {
		link string
		to   netip.Addr
	}
	ways := map[place][]int{}
	var places []place
	for i, way := range p.Ways {
		for _, to := range some(c.rand, way.Destinations, maxDestinations) {
			at := place{way.Interface, to}
			if ways[at] == nil {
				places = append(places, at)
			}
			ways[at] = append(ways[at], i)
		}
	}
	for _, at := range places {
		for range randomSources {
			from := c.random(at.to.BitLen())
			i := slices.IndexFunc(ways[at], func(i int) bool { return contains(p.Ways[i].Part.Sources, from) })
			if i < 0 || c.unprobed[[2]int{number, ways[at][i]}] != "" {
				continue
			}
			way := p.Ways[ways[at][i]]
			c.add(number, ways[at][i], p, way, at.to, portsOf(p)[0], from)
		}
	}
}

func (c *chooser) random(bits int) netip.Addr {
	b := make([]byte, bits/8)
	for i := range b {
		b[i] = byte(c.rand.Uint32())
	}
	return address(b)
}

// contains says that an address is among the sources for certain.
func contains(s firewall.Sources, a netip.Addr) bool {
	if len(s.Sets) > 0 {
		return false
	}
	if slices.ContainsFunc(s.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return true
	}
	return slices.ContainsFunc(s.Masked, func(m firewall.MaskedAddress) bool {
		b, at, mask := a.AsSlice(), m.Address.AsSlice(), m.Mask.AsSlice()
		for i := range b {
			if (b[i]^at[i])&mask[i] != 0 {
				return false
			}
		}
		return true
	})
}
