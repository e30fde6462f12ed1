package report

import (
	"net/netip"
	"testing"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
)

func TestSourcesInFewWords(t *testing.T) {
	own := prefixes("10.0.0.1/32", "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3")
	everything := complement(prefixes("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"))
	for _, c := range []struct {
		name string
		in   []netip.Prefix
		want string
	}{
		{"all but what is never on a wire", everything, "anywhere"},
		{"all but one network", complement(prefixes("198.51.100.0/24")), "anywhere but 198.51.100.0/24"},
		{"a network without the host's own address", complement(prefixes("0.0.0.0/5", "8.0.0.0/7", "10.0.0.1/32", "11.0.0.0/8", "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3", "64.0.0.0/2", "128.0.0.0/1")), "10.0.0.0/8"},
		{"one address", prefixes("192.0.2.5/32"), "192.0.2.5"},
		{"two halves", prefixes("192.0.2.0/25", "192.0.2.128/25"), "192.0.2.0/24"},
		{"the largest first", prefixes("192.0.2.5/32", "198.51.100.0/24", "203.0.113.0/30"), "198.51.100.0/24, 203.0.113.0/30, +1 more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := describe(firewall.Sources{Prefixes: c.in}, own, 2); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestComplementOfAComplementIsTheSame(t *testing.T) {
	for _, in := range [][]netip.Prefix{prefixes("10.0.0.0/8", "192.0.2.5/32"), prefixes("2001:db8::/32", "fe80::/10"), prefixes("0.0.0.0/1")} {
		out := complement(complement(in))
		if len(out) != len(in) {
			t.Fatalf("%v became %v", in, out)
		}
		for i := range in {
			if in[i] != out[i] {
				t.Errorf("%v became %v", in, out)
			}
		}
	}
	if all := complement(prefixes("0.0.0.0/0")); len(all) != 0 {
		t.Errorf("what everything leaves: %v", all)
	}
}

func TestReachableFromNamesTheWay(t *testing.T) {
	open := part(firewall.Accepted, firewall.Decision{}, "0.0.0.0/0")
	open6 := part(firewall.Accepted, firewall.Decision{}, "::/0")
	shut := part(firewall.Dropped, firewall.Decision{Chain: input}, "0.0.0.0/0")
	shut6 := part(firewall.Dropped, firewall.Decision{Chain: input}, "::/0")
	some := part(firewall.Accepted, firewall.Decision{}, "10.0.0.0/8")
	for _, c := range []struct {
		name                     string
		eth0, eth0v6, wg0, wg0v6 firewall.Part
		want                     string
	}{
		{"everything", open, open6, open, open6, "anywhere"},
		{"one interface", open, open6, shut, shut6, "anywhere via eth0"},
		{"one family", shut, open6, shut, open6, "anywhere, IPv6 only"},
		{"one interface and family", open, shut6, shut, shut6, "anywhere via eth0, IPv4 only"},
		{"crosswise", open, shut6, shut, open6, "anywhere via eth0 (IPv4), wg0 (IPv6)"},
		{"prefixes tell their family", some, shut6, some, shut6, "10.0.0.0/8"},
		{"two kinds", some, shut6, open, shut6, "10.0.0.0/8 via eth0; anywhere via wg0, IPv4 only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := correlate.Exposure{Reach: []correlate.Reach{
				reach("eth0", 4, "203.0.113.7", c.eth0), reach("eth0", 6, "2001:db8::7", c.eth0v6),
				reach("wg0", 4, "203.0.113.7", c.wg0), reach("wg0", 6, "2001:db8::7", c.wg0v6)}}
			if got := reachableFrom(e); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestColumnsAlignByTheCellsOfATerminal(t *testing.T) {
	if cells("日本") != 4 || cells("grüße") != 5 || cells("plain") != 5 {
		t.Error("wide characters take two cells")
	}
}
