package nftgen

import (
	"fmt"
	"net/netip"
	"strings"
)

// Values come from few: rules then meet each other, and packets meet rules.

func (g *generator) port() string {
	return g.pick("22", "25", "53", "80", "123", "443", "1023", "1024", "3306", "5432", "6379", "8080", "8443", "9090", "9100")
}

// span is a range of ports.
func (g *generator) span() string {
	return g.pick("1-21", "20-25", "23-79", "81-442", "1000-1024", "2000-2100", "5000-6000", "8000-8079", "8081-8100", "9000-9089")
}

func (g *generator) portOrSpan() string {
	if g.chance(40) {
		return g.span()
	}
	return g.port()
}

// portMatch is the right-hand side of a comparison with a port.
func (g *generator) portMatch() string {
	switch g.weighted(6, 3, 2, 5, 2, 1, 1) {
	case 0:
		return g.port()
	case 1:
		return g.span()
	case 2:
		return "!= " + g.portOrSpan()
	case 3:
		return anonymous(g.distinct(g.portOrSpan, disjointPorts, 1+g.IntN(5)))
	case 4:
		return "!= " + anonymous(g.distinct(g.portOrSpan, disjointPorts, 1+g.IntN(4)))
	case 5:
		return g.pick("< ", ">= ", "<= ", "> ") + g.port()
	}
	return "& " + g.pick("0xff == 80", "0xf0 == 0x10", "0xff00 == 0x1f00", "1 == 0", "1 != 0")
}

func anonymous(elements []string) string { return "{ " + strings.Join(elements, ", ") + " }" }

func (g *generator) mark() string {
	return g.pick("0", "1", "2", "3", "0x10", "0x20", "0x30", "0x100", "0x80000000", "0xffffffff")
}

var (
	bases4 = []string{"10.0.0.0", "10.9.3.0", "172.17.0.0", "192.168.7.0", "198.51.100.0", "203.0.113.0", "100.64.0.0", "8.8.8.0"}
	bases6 = []string{"2001:db8::", "2001:db8:51::", "2001:db8:51:7::", "fd00:7::", "fd00:17::", "fe80::", "2a00::", "2001:db8::10"}
)

// prefix is an address or a network near one of the bases.
func (g *generator) prefix(v4 bool) string {
	bases, length := bases6, []int{128, 128, 128, 127, 126, 124, 120, 112, 64, 64, 48, 33, 16}
	if v4 {
		bases, length = bases4, []int{32, 32, 32, 31, 30, 28, 25, 24, 24, 23, 16, 12, 9, 8}
	}
	address := netip.MustParseAddr(g.pick(bases...))
	b := address.AsSlice()
	b[len(b)-1] = byte(g.IntN(256))
	if g.chance(30) {
		b[len(b)-2] ^= byte(g.IntN(8))
	}
	address, _ = netip.AddrFromSlice(b)
	bits := length[g.IntN(len(length))]
	prefix, err := address.Prefix(bits)
	if err != nil {
		panic(err) // the lengths above fit
	}
	if bits == address.BitLen() {
		return address.String()
	}
	return prefix.String()
}

// addressRange is two ends that are no prefix.
func (g *generator) addressRange(v4 bool) string {
	bases := bases6
	if v4 {
		bases = bases4
	}
	b := netip.MustParseAddr(g.pick(bases...)).AsSlice()
	last := append([]byte(nil), b...)
	from, to := g.IntN(200), 0
	to = from + 1 + g.IntN(55)
	b[len(b)-1], last[len(b)-1] = byte(from), byte(to)
	if g.chance(30) {
		last[len(b)-2]++
	}
	first, _ := netip.AddrFromSlice(b)
	end, _ := netip.AddrFromSlice(last)
	return first.String() + "-" + end.String()
}

func (g *generator) prefixOrRange(v4 bool) string {
	if g.chance(25) {
		return g.addressRange(v4)
	}
	return g.prefix(v4)
}

// addressMatch is the right-hand side of a comparison with an address.
func (g *generator) addressMatch(v4 bool) string {
	element := func() string { return g.prefixOrRange(v4) }
	switch g.weighted(6, 3, 3, 4, 2, 2) {
	case 0:
		return g.prefix(v4)
	case 1:
		return g.addressRange(v4)
	case 2:
		return "!= " + g.prefixOrRange(v4)
	case 3:
		return anonymous(g.distinct(element, disjointAddresses, 1+g.IntN(5)))
	case 4:
		return "!= " + anonymous(g.distinct(element, disjointAddresses, 1+g.IntN(4)))
	}
	return g.masked(v4)
}

// masked compares some bits of an address, not always the first ones.
func (g *generator) masked(v4 bool) string {
	if v4 {
		return g.pick("& 0.0.0.1 == 0.0.0.1", "& 255.0.0.255 == 10.0.0.7", "& 0.0.255.0 != 0.0.7.0", "& 255.255.0.1 == 192.168.0.0",
			"& 0.0.0.3 == { 0.0.0.1, 0.0.0.2 }", "& 0.0.0.8 != 0.0.0.8")
	}
	return g.pick("& ::1 == ::1", "& ffff::ff == 2001::9", "& 0:0:ffff:: != 0:0:51::", "& ::3 == { ::1, ::2 }")
}

// distinct are up to count values none of which meets another one: nft refuses
// overlapping ranges.
func (g *generator) distinct(value func() string, disjoint func(a, b string) bool, count int) []string {
	var list []string
next:
	for range count {
		v := value()
		for _, other := range list {
			if !disjoint(v, other) {
				continue next
			}
		}
		list = append(list, v)
	}
	return list
}

func disjointPorts(a, b string) bool {
	aFirst, aLast := portEnds(a)
	bFirst, bLast := portEnds(b)
	return aLast < bFirst || bLast < aFirst
}

func portEnds(text string) (first, last int) {
	if n, _ := fmt.Sscanf(text, "%d-%d", &first, &last); n < 2 {
		last = first
	}
	return first, last
}

func disjointAddresses(a, b string) bool {
	aFirst, aLast := addressEnds(a)
	bFirst, bLast := addressEnds(b)
	return aLast.Less(bFirst) || bLast.Less(aFirst)
}

func addressEnds(text string) (first, last netip.Addr) {
	if from, to, ok := strings.Cut(text, "-"); ok {
		return netip.MustParseAddr(from), netip.MustParseAddr(to)
	}
	if strings.Contains(text, "/") {
		p := netip.MustParsePrefix(text)
		return p.Masked().Addr(), lastOf(p)
	}
	address := netip.MustParseAddr(text)
	return address, address
}
