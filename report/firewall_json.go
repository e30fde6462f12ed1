package report

import (
	"io"
	"net/netip"

	"github.com/netglance/netglance/correlate"
)

type firewallJSON struct {
	document
	Ports   []portJSON     `json:"ports"`
	Summary map[string]int `json:"summary"`
}

type portJSON struct {
	Protocol   string       `json:"protocol"`
	Port       uint16       `json:"port"`
	LastPort   uint16       `json:"last_port,omitempty"`
	Redirected bool         `json:"redirected,omitempty"`
	Addresses  []netip.Addr `json:"addresses"`
	Devices    []string     `json:"devices,omitempty"`
	Namespace  string       `json:"namespace"`
	Label      string       `json:"label"`
	Service    string       `json:"service"`
	Owners     []ownerJSON  `json:"owners"`
	Kernel     bool         `json:"kernel,omitempty"`
	Reach      []reachJSON  `json:"reach"`
	Reasons    []reasonJSON `json:"reasons"`
	Remedy     []string     `json:"remedy"`
	// Fingerprint stays the same across restarts.
	Fingerprint string `json:"fingerprint"`
}

type reachJSON struct {
	Interface   string         `json:"interface"`
	Family      string         `json:"family"`
	Destination []netip.Addr   `json:"destination"`
	Sources     []netip.Prefix `json:"sources"`
	// SourceMasks are further sources, where prefixes would be too many.
	SourceMasks []maskedJSON `json:"source_masks,omitempty"`
	// SourceSets narrow the sources to those in (or outside) sets too large to list.
	SourceSets  []setJSON       `json:"source_sets,omitempty"`
	Verdict     string          `json:"verdict"`
	Outcomes    []string        `json:"outcomes,omitempty"`
	DecidedBy   *decisionJSON   `json:"decided_by"`
	Conditions  []conditionJSON `json:"conditions"`
	DeliveredTo *deliveryJSON   `json:"delivered_to,omitempty"`
}

type reasonJSON struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// FirewallJSON writes the answer of "netglance firewall" (schema/firewall.json).
func FirewallJSON(w io.Writer, h Host, ports []correlate.Exposure) error {
	out := firewallJSON{Ports: make([]portJSON, 0, len(ports)), Summary: map[string]int{}}
	for _, l := range correlate.Labels {
		out.Summary[l.String()] = 0
	}
	for _, e := range ports {
		h = withOwnerGaps(h, missingOwners(e), e.OwnerHint)
		out.Summary[e.Label.String()]++
		out.Ports = append(out.Ports, port(e))
	}
	out.document = newDocument(h)
	return writeJSON(w, out)
}

// missingOwners is why no owner is known at all; empty if one is.
func missingOwners(e correlate.Exposure) string {
	if len(e.Owners) > 0 {
		return ""
	}
	return e.OwnerGap
}

func port(e correlate.Exposure) portJSON {
	p := portJSON{
		Protocol: e.Protocol, Port: e.Port, LastPort: e.LastPort, Redirected: e.Redirected, Addresses: e.Addresses, Devices: cleanAll(e.Devices), Namespace: Clean(e.Namespace),
		Label: e.Label.String(), Service: e.Service, Owners: owners(e.Owners, e.OwnerGap), Kernel: e.Kernel,
		Reach: make([]reachJSON, 0, len(e.Reach)), Reasons: make([]reasonJSON, 0, len(e.Reasons)), Remedy: cleanAll(e.Remedy), Fingerprint: e.Fingerprint,
	}
	if p.Addresses == nil {
		p.Addresses = []netip.Addr{}
	}
	for _, r := range e.Reach {
		p.Reach = append(p.Reach, reachOf(r))
	}
	for _, r := range e.Reasons {
		p.Reasons = append(p.Reasons, reasonJSON{r.Code, Clean(r.Text)})
	}
	return p
}

func reachOf(r correlate.Reach) reachJSON {
	out := reachJSON{
		Interface: Clean(r.Interface), Family: familyName(r.Family), Destination: r.Destinations, Sources: r.Sources.Prefixes,
		SourceMasks: masked(r.Sources.Masked), SourceSets: sets(r.Sources.Sets), Verdict: r.Fate.String(), Outcomes: outcomes(r.Outcomes), DecidedBy: decision(r.DecidedBy),
		Conditions: conditions(r.Conditions), DeliveredTo: delivery(r.DeliveredTo),
	}
	if out.Sources == nil {
		out.Sources = []netip.Prefix{}
	}
	return out
}

func familyName(family int) string {
	if family == 6 {
		return "ipv6"
	}
	return "ipv4"
}
