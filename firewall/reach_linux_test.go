package firewall_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/internal/kerneltest/nftgen"
)

// Explain is held to the kernel; Reach is held to Explain: every source lies in
// one part, and that part has its fate.
func TestReachSaysOfEverySourceWhatExplainDoes(t *testing.T) {
	settings := readSettings(t)
	for i, world := range worlds {
		t.Run(world.name, func(t *testing.T) {
			o := newOracle(t, world.layout)
			for seed := settings.first; seed <= settings.last; seed++ {
				if seed%uint64(len(worlds)) == uint64(i) {
					o.compareReach(t, seed)
				}
			}
		})
	}
}

func (o *oracle) compareReach(t *testing.T, seed uint64) {
	t.Helper()
	script := nftgen.Generate(seed, rulesetOptions)
	if err := o.load(t, script); err != nil {
		t.Errorf("seed %d: %v", seed, err)
		return
	}
	evaluator := o.evaluator()
	r := rand.New(rand.NewPCG(seed, 2))
	edges := nftgen.FindEdges(script.String())
	packets := nftgen.Packets(r, packetHost, edges, 150)
	for i, target := range packets[:8] {
		q := firewall.Query{Protocol: target.Protocol, Interface: target.Interface, Destination: target.To, Port: target.Port}
		if i%2 == 0 {
			q.SourcePort = target.SourcePort
		}
		parts := evaluator.Reach(q)
		for _, p := range packets {
			if p.From.Is4() != target.To.Is4() {
				continue
			}
			if problem := reachProblem(evaluator, q, parts, p.From, p.SourcePort); problem != "" {
				t.Errorf("seed %d: %+v from %s: %s\n%s", seed, q, p.From, problem, script)
				return
			}
		}
	}
}

// reachProblem is how the part that holds a source differs from the explanation
// of one packet from there; empty if it doesn't.
func reachProblem(e *firewall.Evaluator, q firewall.Query, parts []firewall.Part, source netip.Addr, sourcePort uint16) string {
	var holding []firewall.Part
	for _, part := range parts {
		if holds(part.Sources, source) {
			holding = append(holding, part)
		}
	}
	if len(holding) != 1 {
		return fmt.Sprintf("in %d of %d parts", len(holding), len(parts))
	}
	part := holding[0]
	probe := kerneltest.Probe{Via: q.Interface, Protocol: q.Protocol, From: source, To: q.Destination, SourcePort: q.SourcePort, Port: q.Port}
	if probe.SourcePort == 0 {
		probe.SourcePort = sourcePort
	}
	j := judge(e, probe)
	switch {
	case j.crash != "":
		return j.String()
	case part.Fate == firewall.Conditional && q.SourcePort == 0:
		// Any of the fates may be that of one source port.
		if !slices.Contains(part.Outcomes, j.Fate) && j.Fate != firewall.Conditional {
			return fmt.Sprintf("reach %v, explain %s", part.Outcomes, j)
		}
	case part.Fate != j.Fate:
		return fmt.Sprintf("reach %s, explain %s", part.Fate, j)
	case part.Fate == firewall.Accepted && part.DeliveredTo == nil && q.SourcePort == 0:
		// Where the packet ends up may be a matter of its source port.
	case part.Fate == firewall.Accepted && !sameDelivery(part.DeliveredTo, j.DeliveredTo):
		return fmt.Sprintf("reach delivers to %+v, explain %s", part.DeliveredTo, j)
	}
	return ""
}

func sameDelivery(a, b *firewall.Delivery) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func holds(s firewall.Sources, source netip.Addr) bool {
	for _, prefix := range s.Prefixes {
		if prefix.Contains(source) {
			return true
		}
	}
	for _, masked := range s.Masked {
		if fits(source.AsSlice(), masked.Address.AsSlice(), masked.Mask.AsSlice()) {
			return true
		}
	}
	return false
}

func fits(source, address, mask []byte) bool {
	for i := range source {
		if (source[i]^address[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}
