package report

import (
	"net/netip"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/scan/packets"
	"github.com/netglance/netglance/scan/twin"
)

// verification is one with a conflict, another rule, an answer that was seen by
// half, and what could not be verified.
func verification() Verification {
	probe := packets.Probe{Via: "eth0", Protocol: 6, From: addr("198.51.100.9"), To: addr("203.0.113.7"), SourcePort: 40000, Port: 22}
	said := answers()[0].Explanation
	said.Fate = firewall.Accepted
	steps := []twin.Step{
		{Family: firewall.FamilyInet, Table: "filter", Chain: "input", Rule: ssh, Verdict: "jump", Target: "\x1b[31mred"},
		{Family: firewall.FamilyInet, Table: "filter", Chain: "input", Policy: true, Verdict: "drop"},
	}
	conflict := twin.Conflict{Probe: probe, Said: said, Kernel: packets.Outcome{}, Fate: firewall.Dropped, Steps: steps}
	other := conflict
	other.Fate, other.Probe.From, other.Probe.To = firewall.Accepted, addr("2001:db8:51::9"), netip.MustParseAddr("2001:db8::7")
	ports := exposures()
	results := make([]twin.PortResult, len(ports))
	for i := range results {
		results[i] = twin.PortResult{State: twin.Filtered, Probes: 12, Agreed: 12}
	}
	results[0] = twin.PortResult{
		State: twin.Open, Probes: 20, Agreed: 15, Disagreed: 5, Conflicts: []twin.Conflict{conflict}, OtherRules: []twin.Conflict{other},
		Conditional: []twin.Possibility{{Way: 0, Possible: []firewall.Fate{firewall.Accepted, firewall.Dropped}, Seen: []firewall.Fate{firewall.Dropped}}},
	}
	results[1] = twin.PortResult{State: twin.Unconfirmed}
	results[2].Unverified = map[string]int{"it depends on a rule that the twin's kernel refused": 3, "netglance says nothing of it: unknown": 1}
	results[2].Agreed = 9
	h := host()
	h.Gaps = []gaps.Gap{{Source: "twin", Reason: "rule 4 of inet filter input (osf name \"Linux\") is refused by this kernel: no such file or directory"}}
	return Verification{Host: h, Ports: ports, Result: twin.Result{Ports: results, Probes: 20 + 12*(len(ports)-2), Traced: 7}}
}

// verifiedExposures are exposures with what probes found.
func verifiedExposures() []correlate.Exposure {
	ports := exposures()
	for i, state := range []string{"open", "unconfirmed", "closed"} {
		ports[i].Probe = correlate.Probe{State: state, Method: "twin"}
	}
	return ports
}
