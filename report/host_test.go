package report

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
)

func TestHeaderNamesTheInterfacesThatMatterAndFitsTheTerminal(t *testing.T) {
	h := Host{Name: "web-1", OS: "linux", Kernel: "6.1.0"}
	for i := range 10 {
		h.Interfaces = append(h.Interfaces, Interface{fmt.Sprintf("veth%d", i), []netip.Addr{netip.MustParseAddr("fe80::1")}})
	}
	h.Interfaces = append(h.Interfaces, Interface{"eth0", []netip.Addr{netip.MustParseAddr("203.0.113.7")}})
	want := "web-1 · Linux 6.1 · eth0 203.0.113.7 · veth0 fe80::1 · "
	if got := h.header(); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " · and 5 more interfaces") {
		t.Errorf("%q", got)
	}
	var out bytes.Buffer
	if err := FirewallText(&out, h, nil, Judgement{}, Style{Width: 60}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if cells(strings.TrimSuffix(line, "\n")) > 60 {
			t.Errorf("wider than the terminal: %q", line)
		}
	}
}

func TestSocketBoundToADeviceIsNotReachedFromAnywhere(t *testing.T) {
	e := correlate.Exposure{Label: correlate.Exposed, Devices: []string{"wg0"},
		Reach: []correlate.Reach{{Interface: "wg0", Family: 4, Part: part(firewall.Accepted, firewall.Decision{}, "0.0.0.0/0")}}}
	if got := reachableFrom(e); got != "anywhere via wg0" {
		t.Errorf("%q", got)
	}
}

// Of a link without a default route the kernel answers fe80::/64 and what has a
// route; that it leaves other link-local sources out is worth no word.
func TestLinkLocalSourcesThatNobodyHasAreNoHoles(t *testing.T) {
	open := complement(prefixes("fe80::/10", "ff00::/8"))
	e := correlate.Exposure{Label: correlate.Exposed, Reach: []correlate.Reach{
		{Interface: "eth0", Family: 6, Part: firewall.Part{Fate: firewall.Accepted, Sources: firewall.Sources{Prefixes: open}}},
		{Interface: "eth0", Family: 6, Part: part(firewall.Dropped, firewall.Decision{Text: "no route back"}, "fe80::/10", "ff00::/8")},
	}}
	if got := reachableFrom(e); got != "anywhere" {
		t.Errorf("%q", got)
	}
}

func TestOneSourceThatARuleKeepsOutIsNotAnywhere(t *testing.T) {
	all := complement(prefixes("192.0.2.66/32", "203.0.113.7/32"))
	e := correlate.Exposure{Label: correlate.Intentional, Reach: []correlate.Reach{
		{Interface: "eth0", Family: 4, Part: firewall.Part{Fate: firewall.Accepted, Sources: firewall.Sources{Prefixes: all}}},
		{Interface: "eth0", Family: 4, Part: part(firewall.Dropped, firewall.Decision{Chain: &firewall.Chain{}}, "192.0.2.66/32")},
		{Interface: "eth0", Family: 4, Part: part(firewall.Dropped, firewall.Decision{Text: "the source is this host's own address"}, "203.0.113.7/32")},
	}}
	if got := reachableFrom(e); got != "anywhere but 192.0.2.66" {
		t.Errorf("%q", got)
	}
}

func TestALinkLocalSourceIsNotAllOfThem(t *testing.T) {
	h := Host{Interfaces: []Interface{{"eth0", []netip.Addr{netip.MustParseAddr("fe80::7")}}}}
	if got := describe(firewall.Sources{Prefixes: prefixes("fe80::7/128")}, h.odd(), 3); got != "fe80::7" {
		t.Errorf("%q", got)
	}
}
