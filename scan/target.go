package scan

import (
	"errors"
	"fmt"
	"iter"
	"math/big"
	"net/netip"
	"slices"
	"strings"
)

// A Target is a range of addresses, both ends included.
type Target struct {
	// Name is the host name that was given for the address.
	Name        string
	First, Last netip.Addr
	// Network is the one that the range is, if it was given as one: its own and its
	// broadcast address are no hosts'.
	Network netip.Prefix
}

// mostAddresses is how many addresses a scan has at most.
const mostAddresses = 1 << 20

// ErrTooMany says that targets have more addresses than are ever scanned.
var ErrTooMany = errors.New("more than a million addresses")

// ErrNoAddress says that a word is neither an address nor a range of them: it may be a name.
var ErrNoAddress = errors.New("not an address, a range or a network")

// ParseTarget reads "192.0.2.1", "fe80::1%eth0", "192.0.2.0/24", "192.0.2.1-192.0.2.9",
// or nmap's "192.0.2.1-9".
func ParseTarget(word string) (Target, error) {
	if p, err := netip.ParsePrefix(word); err == nil {
		return network(p)
	}
	if a, err := netip.ParseAddr(word); err == nil {
		a = a.Unmap()
		return Target{First: a, Last: a}, nil
	}
	low, high, ranged := strings.Cut(word, "-")
	first, err := netip.ParseAddr(low)
	if !ranged || err != nil {
		return Target{}, fmt.Errorf("%q: %w", word, ErrNoAddress)
	}
	last, err := netip.ParseAddr(high)
	if i := strings.LastIndexByte(low, '.'); err != nil && i >= 0 {
		last, err = netip.ParseAddr(low[:i+1] + high)
	}
	if err != nil || first.Is4() != last.Is4() || last.Less(first) || first.Zone() != last.Zone() {
		return Target{}, fmt.Errorf("%q: the range has no such end: %w", word, ErrNoAddress)
	}
	t := Target{First: first, Last: last}
	return t, t.fits()
}

func network(p netip.Prefix) (Target, error) {
	p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()).Masked()
	t := Target{First: p.Addr(), Last: lastOf(p), Network: p}
	return t, t.fits()
}

// lastOf is a network's highest address.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func (t Target) fits() error {
	if t.size().Cmp(big.NewInt(mostAddresses)) > 0 {
		return fmt.Errorf("%s: %w", t, ErrTooMany)
	}
	return nil
}

// size is exact for any range: those of IPv6 are wider than 64 bits.
func (t Target) size() *big.Int {
	first, last := new(big.Int).SetBytes(t.First.AsSlice()), new(big.Int).SetBytes(t.Last.AsSlice())
	last.Sub(last, first)
	return last.Add(last, big.NewInt(1))
}

func (t Target) String() string {
	switch {
	case t.Name != "":
		return t.Name
	case t.Network.IsValid():
		return t.Network.String()
	case t.First == t.Last:
		return t.First.String()
	}
	return t.First.String() + "-" + t.Last.String()
}

// Count is how many addresses the target has.
func (t Target) Count() int { return int(t.size().Int64()) }

// Addresses are the target's, without those of a network that no host has: its
// first and last one where it has more than two (RFC 1122, 3.2.1.3; RFC 3021).
func (t Target) Addresses() iter.Seq[netip.Addr] {
	skip := t.Network.IsValid() && t.First.Is4() && t.Network.Bits() < 31
	return func(yield func(netip.Addr) bool) {
		for a := t.First; a.IsValid() && !t.Last.Less(a); a = a.Next() {
			if skip && (a == t.First || a == t.Last) {
				continue
			}
			if !yield(a) {
				return
			}
		}
	}
}

// CheckCount refuses targets that are too many together.
func CheckCount(targets []Target) error {
	n := 0
	for _, t := range targets {
		if n += t.Count(); n > mostAddresses {
			return ErrTooMany
		}
	}
	return nil
}

// near are the networks that no stranger's host is in (RFC 1918, 3927, 4193, 4291, 6598).
var near = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

// Public says whether a target has addresses that are neither private nor in one of
// the host's own networks.
func (t Target) Public(own []Interface) bool {
	known := slices.Clone(near)
	for _, i := range own {
		for _, p := range i.Prefixes {
			known = append(known, p.Masked())
		}
	}
	return !slices.ContainsFunc(known, func(p netip.Prefix) bool {
		return p.Contains(t.First.WithZone("")) && p.Contains(t.Last.WithZone(""))
	})
}

// OwnAddresses are the targets of a host that scans itself: loopback, and each own
// address once, IPv4 first.
func OwnAddresses(own []Interface) []Target {
	var all []netip.Addr
	for _, i := range own {
		for _, p := range i.Prefixes {
			a := p.Addr().WithZone("")
			if a.IsLinkLocalUnicast() && a.Is6() {
				a = a.WithZone(i.Name)
			}
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b netip.Addr) int {
		if a.IsLoopback() != b.IsLoopback() {
			if a.IsLoopback() {
				return -1
			}
			return 1
		}
		return a.Compare(b)
	})
	var out []Target
	for _, a := range slices.Compact(all) {
		out = append(out, Target{First: a, Last: a})
	}
	return out
}
