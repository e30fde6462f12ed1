package addresses

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func prefixes(words ...string) (out []netip.Prefix) {
	for _, w := range words {
		out = append(out, netip.MustParsePrefix(w))
	}
	return out
}

func TestWhatIsLeftOfASetIsExact(t *testing.T) {
	for _, c := range []struct {
		name        string
		from, minus []netip.Prefix
		want        string
	}{
		{"a hole in the middle", prefixes("10.0.0.0/8"), prefixes("10.128.0.0/9"), "[10.0.0.0/9]"},
		{"one address of two", prefixes("192.0.2.0/31"), prefixes("192.0.2.1/32"), "[192.0.2.0/32]"},
		{"nothing", prefixes("10.1.0.0/16"), prefixes("10.0.0.0/8"), "[]"},
		{"halves that hold the whole", prefixes("0.0.0.0/0"), prefixes("0.0.0.0/1", "128.0.0.0/1"), "[]"},
		{"IPv4 holds no IPv6", prefixes("::/0"), prefixes("0.0.0.0/0"), "[::/0]"},
		{"the same bits of another family", prefixes("2001:db8::/32"), prefixes("32.1.13.184/32"), "[2001:db8::/32]"},
		{"both families, IPv4 first", prefixes("2001:db8::/32", "10.0.0.0/8"), nil, "[10.0.0.0/8 2001:db8::/32]"},
	} {
		s := New()
		got, more := s.Prefixes(s.Diff(s.Of(c.from...), s.Of(c.minus...)), 100)
		if fmt.Sprint(got) != c.want || more {
			t.Errorf("%s: %v without %v leaves %v (more: %v), want %s", c.name, c.from, c.minus, got, more, c.want)
		}
	}
}

// A set too large to be listed is a variable: what is outside it is not inside.
func TestMembersOfANamedSetAreNotTheOthers(t *testing.T) {
	s := New()
	all := s.Of(prefixes("10.0.0.0/8")...)
	in := s.And(all, s.Named("inet filter admins"))
	if s.Holds(in, all) || !s.Holds(all, in) {
		t.Error("members of a set are some of the addresses, not all")
	}
	out := s.Diff(all, in)
	if !s.And(out, in).Empty() || s.Or(out, in) != all {
		t.Error("inside and outside are not a partition")
	}
	if got, _ := s.Prefixes(in, 10); fmt.Sprint(got) != "[10.0.0.0/8]" {
		t.Errorf("members are listed as %v", got)
	}
}

func TestOddAddressesAreAMaskNotAPrefix(t *testing.T) {
	s := New()
	odd := s.Masked(netip.MustParseAddr("0.0.0.1"), netip.MustParseAddr("0.0.0.1"))
	if s.Holds(odd, s.Of(prefixes("192.0.2.2/32")...)) || !s.Holds(odd, s.Of(prefixes("192.0.2.3/32")...)) {
		t.Error("the mask doesn't pick odd addresses")
	}
	if _, more := s.Prefixes(odd, 5); !more {
		t.Error("2^31 prefixes are said to be at most 5")
	}
}

// Each address of a small block, against plain membership in the prefixes.
func TestSetsHoldTheAddressesOfTheirPrefixes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		s := New()
		pick := func() (out []netip.Prefix) {
			for range r.IntN(4) {
				a := netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))})
				out = append(out, netip.PrefixFrom(a, 24+r.IntN(9)).Masked())
			}
			return out
		}
		a, b := pick(), pick()
		diff := s.Diff(s.Of(a...), s.Of(b...))
		listed, _ := s.Prefixes(diff, 1000)
		for last := range 256 {
			address := netip.AddrFrom4([4]byte{192, 0, 2, byte(last)})
			want := in(a, address) && !in(b, address)
			if in(listed, address) != want {
				t.Fatalf("%v without %v: %s is %v among %v", a, b, address, !want, listed)
			}
		}
	}
}

func in(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func TestABoundIsMetBeforeMemoryIs(t *testing.T) {
	s := NewBounded(1000, 0)
	var many []netip.Prefix
	for i := range 4000 {
		many = append(many, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i * i >> 12), byte(i * 31), byte(i * i * i >> 5)}), 32))
	}
	s.Of(many...)
	if !s.Full() {
		t.Error("4,000 addresses fit into 1,000 nodes")
	}
}

// Lists that look alike at both ends and in the middle are different sets.
func TestARememberedSetIsThatOfItsOwnList(t *testing.T) {
	s := New()
	list := func(odd string) (out []netip.Prefix) {
		for i := range 12 {
			out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16))
		}
		out[3] = netip.MustParsePrefix(odd)
		return out
	}
	a, b := s.Of(list("192.0.2.0/24")...), s.Of(list("198.51.100.0/24")...)
	if a == b || s.Of(list("192.0.2.0/24")...) != a {
		t.Error("a list was taken for another")
	}
}
