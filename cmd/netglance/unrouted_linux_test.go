package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

// A rule lets 10.0.0.0/8 in, and the host has no route back there: the kernel drops
// the SYN in the listener. The port is meant for them all the same, and says both.
func TestARuleForSourcesThatNoRouteLeadsBackTo(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{Interfaces: []kerneltest.Interface{{Name: "eth0", Addresses: []string{"192.0.2.1/24"}}}})
	if err := ns.NFT("table inet filter {\nchain input {\ntype filter hook input priority 0; policy drop;\nip saddr 10.0.0.0/8 tcp dport 5432 counter accept\n}\n}"); err != nil {
		t.Fatal(err)
	}
	if err := ns.Listen("tcp", netip.MustParseAddrPort("0.0.0.0:5432")); err != nil {
		t.Fatal(err)
	}
	p := kerneltest.Probe{Via: "eth0", Protocol: 6, From: netip.MustParseAddr("10.1.2.3"), To: netip.MustParseAddr("192.0.2.1"), SourcePort: 40000, Port: 5432}
	if got := ns.Probe([]kerneltest.Probe{p})[0].Kind; got != kerneltest.Dropped {
		t.Errorf("without a route the kernel: %s", got)
	}
	if counted, err := ns.Run("nft", "list", "chain", "inet", "filter", "input"); err != nil || strings.Contains(counted, "packets 0") {
		t.Errorf("the rule let nothing in: %s %v", counted, err)
	}
	open := func(string) (platform.Host, error) { return platform.LiveIn(ns.Path()), nil }
	row := func() (p portAnswer, text string) {
		out, _, _ := netglanceIn(t, open, "firewall", "--json")
		var answer struct{ Ports []portAnswer }
		if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Ports) != 1 {
			t.Fatalf("%v in %s", err, out)
		}
		text, _, _ = netglanceIn(t, open, "firewall")
		return answer.Ports[0], text
	}
	without, text := row()
	if without.Label != "intentional" || !strings.Contains(fmt.Sprint(without.Reasons), "no route back to 10.0.0.0/8") || !strings.Contains(text, "nobody for now") {
		t.Errorf("without a route: %+v\n%s", without, text)
	}

	if _, err := ns.Run("ip", "route", "add", "10.0.0.0/8", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	p.SourcePort++
	if got := ns.Probe([]kerneltest.Probe{p})[0].Kind; got != kerneltest.Accepted {
		t.Errorf("with a route the kernel: %s", got)
	}
	if with, _ := row(); with.Label != "intentional" || strings.Contains(fmt.Sprint(with.Reasons), "route") {
		t.Errorf("with a route: %+v", with)
	}
}
