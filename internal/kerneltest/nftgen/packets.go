package nftgen

import (
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
)

// Edges are the values at which a ruleset's answer may change.
type Edges struct {
	IPv4, IPv6 []netip.Addr
	Ports      []uint16
	// Named are the ports that stand in the ruleset themselves.
	Named []uint16
}

var (
	addressPattern = regexp.MustCompile(`[0-9a-fA-F]*[:.][0-9a-fA-F:.]*[0-9a-fA-F:](/[0-9]+)?`)
	numberPattern  = regexp.MustCompile(`\b[0-9]{1,5}\b`)
)

// FindEdges reads every address, prefix and number of a ruleset's text: the
// first and last address of each, their neighbours and one in the middle; every
// number that may be a port, and its neighbours.
func FindEdges(ruleset string) Edges {
	var e Edges
	for _, text := range addressPattern.FindAllString(ruleset, -1) {
		e.addAddress(text)
	}
	for _, text := range numberPattern.FindAllString(ruleset, -1) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 65535 {
			continue
		}
		e.Named = append(e.Named, uint16(n))
		e.Ports = append(e.Ports, uint16(max(n-1, 1)), uint16(n), uint16(min(n+1, 65535)))
	}
	for _, ports := range []*[]uint16{&e.Ports, &e.Named} {
		slices.Sort(*ports)
		*ports = slices.Compact(*ports)
	}
	for _, addresses := range []*[]netip.Addr{&e.IPv4, &e.IPv6} {
		slices.SortFunc(*addresses, netip.Addr.Compare)
		*addresses = slices.Compact(*addresses)
	}
	return e
}

func (e *Edges) addAddress(text string) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	first, last := prefix.Masked().Addr(), lastOf(prefix)
	list := &e.IPv6
	if first.Is4() {
		list = &e.IPv4
	}
	for _, address := range []netip.Addr{first.Prev(), first, middleOf(prefix), last, last.Next()} {
		if address.IsValid() {
			*list = append(*list, address)
		}
	}
}

// lastOf is a prefix's last address.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	address, _ := netip.AddrFromSlice(b)
	return address
}

// middleOf is the first address of a prefix's upper half.
func middleOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	if bit := p.Bits(); bit < len(b)*8 {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	address, _ := netip.AddrFromSlice(b)
	return address
}

// A Host is what packets are made for.
type Host struct {
	Interfaces []string
	// Destinations are the addresses that packets go to, both families: the
	// host's own, most of all, and some behind it.
	Destinations []netip.Addr
	// Sources are addresses that are worth coming from whatever the rules name.
	Sources []netip.Addr
	// Ports are where packets go to whatever the rules name.
	Ports []uint16
}

// A Packet is the first of a flow.
type Packet struct {
	Interface        string
	Protocol         uint8
	From, To         netip.Addr
	SourcePort, Port uint16
}

// Packets are count packets to the host whose fields lie at the edges, near
// them or anywhere. No two share their source address and port.
func Packets(r *rand.Rand, host Host, e Edges, count int) []Packet {
	type flow struct {
		protocol uint8
		from     netip.AddrPort
	}
	seen := map[flow]bool{}
	packets := make([]Packet, 0, count)
	for len(packets) < count {
		p := Packet{
			Interface:  pick(r, host.Interfaces),
			Protocol:   pick(r, []uint8{6, 6, 17}),
			To:         pick(r, host.Destinations),
			SourcePort: sourcePort(r, e),
			Port:       destinationPort(r, host, e),
		}
		p.From = source(r, host, e, p.To.Is4())
		f := flow{p.Protocol, netip.AddrPortFrom(p.From, p.SourcePort)}
		if p.From == p.To || seen[f] {
			continue
		}
		seen[f] = true
		packets = append(packets, p)
	}
	return packets
}

// sourcePort is mostly any port, as senders choose theirs.
func sourcePort(r *rand.Rand, e Edges) uint16 {
	if len(e.Ports) > 0 && r.IntN(10) == 0 {
		return pick(r, e.Ports)
	}
	return uint16(1 + r.IntN(65535))
}

func destinationPort(r *rand.Rand, host Host, e Edges) uint16 {
	if len(e.Ports) > 0 && r.IntN(10) < 8 {
		return pick(r, e.Ports)
	}
	return pick(r, host.Ports)
}

func source(r *rand.Rand, host Host, e Edges, is4 bool) netip.Addr {
	edges := e.IPv6
	if is4 {
		edges = e.IPv4
	}
	for _, address := range host.Sources {
		if address.Is4() == is4 {
			edges = append(edges[:len(edges):len(edges)], address)
		}
	}
	address := pick(r, edges)
	b := address.AsSlice()
	switch r.IntN(10) {
	case 0: // anywhere
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if !is4 {
			b[0] = 0x20
		}
	case 1, 2: // nearby: some of the bits are others
		for range 1 + r.IntN(3) {
			bit := r.IntN(len(b) * 8)
			b[bit/8] ^= 0x80 >> (bit % 8)
		}
	}
	address, _ = netip.AddrFromSlice(b)
	return address
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }
