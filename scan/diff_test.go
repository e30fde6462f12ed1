package scan

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/netglance/netglance/scan/service"
)

// seen is a host with TCP ports in states, from lists like "22,80-90".
func seen(t *testing.T, address, open, closed string, services map[uint16]string) Host {
	t.Helper()
	h := Host{Address: netip.MustParseAddr(address), Services: map[Endpoint]service.Service{}}
	for state, list := range map[State]string{Open: open, Closed: closed} {
		if list == "" {
			continue
		}
		ports, ok := ParseSpans(list)
		if !ok {
			t.Fatal(list)
		}
		h.Groups = append(h.Groups, Group{Protocol: "tcp", State: state, Ports: ports})
	}
	for port, version := range services {
		h.Services[Endpoint{"tcp", port}] = service.Service{Name: "x", Version: version}
	}
	return h
}

func TestDiff(t *testing.T) {
	before := []Host{
		seen(t, "10.0.0.1", "22,80", "23-79,443", map[uint16]string{22: "1", 80: "1"}),
		seen(t, "10.0.0.2", "22", "", nil),
		seen(t, "10.0.0.4", "5000", "", nil),
	}
	after := []Host{
		seen(t, "10.0.0.1", "22,25,443,8080", "23-24,26-80", map[uint16]string{22: "2"}),
		seen(t, "10.0.0.3", "22", "80", nil),
		seen(t, "10.0.0.4", "22", "", nil), // other ports were asked: nothing is known of the old one
	}
	var got []string
	for _, c := range Diff(before, after) {
		got = append(got, fmt.Sprintf("%s %s %d %s>%s", c.Address, c.Kind, c.Port, c.Before, c.After))
	}
	want := []string{
		"10.0.0.1 service 22 x 1>x 2",
		"10.0.0.1 opened 25 closed>open",
		"10.0.0.1 closed 80 open>closed",
		"10.0.0.1 opened 443 closed>open", // 8080 was not asked before
		"10.0.0.2 host-gone 0 >",
		"10.0.0.3 host-new 0 >",
		"10.0.0.3 opened 22 >open",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if more := Diff(after, after); len(more) > 0 {
		t.Errorf("a scan differs from itself: %v", more)
	}
}

func TestSpansOfHostileFiles(t *testing.T) {
	for _, list := range []string{"", "0", "5-4", "5,4", "1-10,10", "1-70000", "x"} {
		if spans, ok := ParseSpans(list); ok {
			t.Errorf("%q: %v", list, spans)
		}
	}
}
