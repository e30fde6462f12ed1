package policy

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/netglance/netglance/internal/lazyregexp"
)

// protocols have ports.
var protocols = map[string]bool{"tcp": true, "udp": true, "udplite": true}

// parsePorts reads "22/tcp" and "8000-8100/udp".
func parsePorts(word string) (Ports, error) {
	numbers, protocol, found := strings.Cut(word, "/")
	if !found {
		return Ports{}, fmt.Errorf("%q names no protocol: write %s/tcp or %s/udp", word, word, word)
	}
	if !protocols[protocol] {
		return Ports{}, fmt.Errorf("%q: no protocol %q: it is tcp, udp or udplite", word, protocol)
	}
	low, high, ranged := strings.Cut(numbers, "-")
	if !ranged {
		high = low
	}
	first, err1 := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	if err1 != nil || err2 != nil || first == 0 || last < first {
		return Ports{}, fmt.Errorf("%q is no port: write 22/tcp or 8000-8100/tcp", word)
	}
	return Ports{protocol, uint16(first), uint16(last)}, nil
}

// Private are the networks that no router of the internet knows (RFC 1918, RFC
// 4193), and those of one link.
var Private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

// everybody is every address.
var everybody = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// sourceWords are the names that every policy has for sources.
var sourceWords = map[string][]netip.Prefix{"anywhere": everybody, "private": Private}

// parseSource reads a prefix, an address, a range of addresses, or a name.
func (f *files) parseSource(word string) ([]netip.Prefix, error) {
	if known, ok := sourceWords[word]; ok {
		return known, nil
	}
	if known, ok := f.sources[word]; ok {
		return known, nil
	}
	if from, to, ranged := strings.Cut(word, "-"); ranged && !strings.ContainsAny(word, "/") {
		if a, err := netip.ParseAddr(from); err == nil {
			b, err := netip.ParseAddr(to)
			if err != nil || a.Is4() != b.Is4() || b.Less(a) || a.Zone()+b.Zone() != "" {
				return nil, fmt.Errorf("%q is no range of addresses: write 192.0.2.10-192.0.2.20", word)
			}
			return rangePrefixes(a, b), nil
		}
	}
	if p, err := netip.ParsePrefix(word); err == nil {
		if p != p.Masked() {
			return nil, fmt.Errorf("%q has bits behind its length: write %s, or %s for the address alone", word, p.Masked(), p.Addr())
		}
		if p.Addr().Is4In6() {
			return nil, fmt.Errorf("%q: no packet has such a source: write the IPv4 prefix", word)
		}
		return []netip.Prefix{p}, nil
	}
	if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}, nil
	}
	return nil, fmt.Errorf("%q is no prefix, address or range, nor a name: anywhere, private, and what \"sources\" names", word)
}

// rangePrefixes are the fewest prefixes that hold a range of addresses.
func rangePrefixes(from, to netip.Addr) (out []netip.Prefix) {
	for {
		length := from.BitLen() - trailingZeros(from)
		for lastOf(netip.PrefixFrom(from, length)).Compare(to) > 0 {
			length++
		}
		p := netip.PrefixFrom(from, length)
		out = append(out, p)
		if from = lastOf(p).Next(); !from.IsValid() || to.Less(from) {
			return out
		}
	}
}

func trailingZeros(a netip.Addr) (n int) {
	bytes := a.AsSlice()
	for i := len(bytes) - 1; i >= 0; i-- {
		if bytes[i] != 0 {
			return n + bits.TrailingZeros8(bytes[i])
		}
		n += 8
	}
	return n
}

func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

func (r *reader) day(into *time.Time) func(*yaml.Node) {
	return func(n *yaml.Node) {
		word, ok := r.word(n, "a date")
		if !ok {
			return
		}
		day, err := time.Parse(time.DateOnly, word)
		if err != nil {
			r.fail(n, "%q is no date: write the last day, as in 2027-01-31", word)
			return
		}
		*into = day
	}
}

// nameWord is what sources, services and profiles may be called, so that no name
// reads like a port or an address.
var nameWord = lazyregexp.New(`^[A-Za-z][A-Za-z0-9_-]*$`)

func (r *reader) name(n *yaml.Node, what string) bool {
	if _, taken := sourceWords[n.Value]; !taken && nameWord.MatchString(n.Value) {
		return true
	}
	r.fail(n, "%q can't be the name of a %s: it is letters, digits, - and _, and not anywhere or private", n.Value, what)
	return false
}
