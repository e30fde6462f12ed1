package firewall_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/kerneltest/nftgen"
)

// TestPortsOfASpanFareAlike asks about the ends and the middle of spans of ports,
// for random rulesets: Reach, which the kernel holds to account, must say the same.
func TestPortsOfASpanFareAlike(t *testing.T) {
	settings := readSettings(t)
	world := worlds[0]
	o := newOracle(t, world.layout)
	asked := 0
	for seed := settings.first; seed <= settings.last; seed++ {
		script := nftgen.Generate(seed, rulesetOptions)
		if err := o.load(t, script); err != nil {
			t.Fatal(err)
		}
		evaluator := o.evaluator()
		r := rand.New(rand.NewPCG(seed, 3))
		for _, p := range nftgen.Packets(r, packetHost, nftgen.FindEdges(script.String()), 2) {
			q := firewall.Query{Protocol: p.Protocol, Interface: p.Interface, Destination: p.To}
			spans := evaluator.PortSpans(q)
			if spans[0].First != 1 || spans[len(spans)-1].Last != 65535 {
				t.Errorf("seed %d: %+v: spans from %d to %d", seed, q, spans[0].First, spans[len(spans)-1].Last)
			}
			for range 4 {
				span := spans[r.IntN(len(spans))]
				if !span.Sure || span.First == span.Last {
					continue
				}
				first := fates(evaluator, q, span.First)
				for _, port := range []uint16{span.First + (span.Last-span.First)/2, span.Last} {
					asked++
					if got := fates(evaluator, q, port); got != first {
						t.Errorf("seed %d: %+v\nport %d: %s\nport %d: %s\n%s", seed, q, span.First, first, port, got, script)
					}
				}
			}
		}
	}
	t.Logf("%d questions", asked)
	if asked == 0 {
		t.Error("no question was asked")
	}
}

// fates are a port's partition in words; a port that packets keep is 0.
func fates(e *firewall.Evaluator, q firewall.Query, port uint16) string {
	q.Port = port
	var parts []string
	for _, p := range e.Reach(q) {
		var to firewall.Delivery
		if p.DeliveredTo != nil {
			to = *p.DeliveredTo
		}
		if to.Port == port {
			to.Port = 0
		}
		parts = append(parts, fmt.Sprintf("%v by %q, to %v, from %v", p.Fate, p.DecidedBy.Text, to, p.Sources))
	}
	slices.Sort(parts)
	return strings.Join(parts, "\n")
}
