package firewall_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/kerneltest/nftgen"
)

// TestPortsTogetherFareAsAlone asks about ports at the edges of random rulesets,
// together and one by one: all that is said must be the same.
func TestPortsTogetherFareAsAlone(t *testing.T) {
	settings := readSettings(t)
	world := worlds[0]
	o := newOracle(t, world.layout)
	together := 0
	for seed := settings.first; seed <= settings.last; seed++ {
		options := rulesetOptions
		options.Undecided = seed%3 == 0
		script := nftgen.Generate(seed, options)
		if err := o.load(t, script); err != nil {
			t.Fatal(err)
		}
		evaluator := o.evaluator()
		r := rand.New(rand.NewPCG(seed, 4))
		edges := nftgen.FindEdges(script.String())
		packets := nftgen.Packets(r, packetHost, edges, 12)
		var ports []uint16
		for _, p := range packets {
			ports = append(ports, p.Port)
		}
		for _, p := range packets[:3] {
			q := firewall.Query{Protocol: p.Protocol, Interface: p.Interface, Destination: p.To}
			for i, parts := range evaluator.ReachTogether(q, ports) {
				if parts == nil {
					continue
				}
				if i > 0 {
					together++
				}
				q.Port = ports[i]
				if got, want := partsText(parts), partsText(evaluator.Reach(q)); got != want {
					t.Fatalf("seed %d: %+v\ntogether %s\nalone %s\n%s", seed, q, got, want, script)
				}
			}
		}
	}
	t.Logf("%d answers together", together)
	if together == 0 {
		t.Error("no port was answered for together with others")
	}
}

func partsText(parts []firewall.Part) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "\n%v %v by %q in %v, %v, %d acceptances", p.Fate, p.Outcomes, p.DecidedBy.Text, p.Sources, p.Conditions, len(p.Acceptances))
		if p.DeliveredTo != nil {
			fmt.Fprintf(&b, ", to %+v", *p.DeliveredTo)
		}
	}
	return b.String()
}
