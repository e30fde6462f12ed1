package addresses

import "testing"

func TestTextsAreShortAndTrue(t *testing.T) {
	s := New()
	own := s.Of(append(prefixes("10.0.0.7/32"), OffWire...)...)
	all := s.Of(prefixes("0.0.0.0/0", "::/0")...)
	for _, c := range []struct {
		name   string
		set    Set
		family int
		want   string
	}{
		{"nobody", Set{}, 4, "nobody"},
		{"nobody of the other family", s.Of(prefixes("10.0.0.0/8")...), 6, "nobody"},
		{"all but what no packet has", s.Diff(all, own), 4, "anywhere"},
		{"all but a network", s.Diff(all, s.Of(prefixes("192.0.2.0/24")...)), 4, "anywhere but 192.0.2.0/24"},
		{"a network with the host's own address in it", s.Diff(s.Of(prefixes("10.0.0.0/8")...), own), 4, "10.0.0.0/8"},
		{"the largest first", s.Of(prefixes("10.0.0.0/24", "2001:db8::/32", "192.0.2.1/32", "11.0.0.0/8", "12.0.0.0/9")...), 4, "11.0.0.0/8, 12.0.0.0/9, 10.0.0.0/24, +1 more"},
		{"one address", s.Of(prefixes("2001:db8::1/128")...), 6, "2001:db8::1"},
	} {
		if got := s.Text(c.set, own, c.family); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
