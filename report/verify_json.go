package report

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/scan/packets"
	"github.com/netglance/netglance/scan/twin"
)

type verifyJSON struct {
	document
	Ports   []verifiedJSON    `json:"ports"`
	Summary verifySummaryJSON `json:"summary"`
}

type verifiedJSON struct {
	Protocol  string   `json:"protocol"`
	Port      uint16   `json:"port"`
	LastPort  uint16   `json:"last_port,omitempty"`
	Addresses []string `json:"addresses"`
	Label     string   `json:"label"`
	State     string   `json:"state"`
	// Probes were sent, Agreed met the fate that was said, Disagreed another one; of
	// the rest nothing can be said.
	Probes      int               `json:"probes"`
	Agreed      int               `json:"agreed"`
	Disagreed   int               `json:"disagreed"`
	Conflicts   []conflictJSON    `json:"conflicts"`
	OtherRules  []conflictJSON    `json:"other_rules"`
	Unverified  []unverifiedJSON  `json:"unverified"`
	Conditional []possibilityJSON `json:"conditional"`
	Fingerprint string            `json:"fingerprint"`
}

// conflictJSON is a probe to which the kernel did other than was said.
type conflictJSON struct {
	Query     Question     `json:"query"`
	Netglance answerJSON   `json:"netglance"`
	Kernel    kernelAnswer `json:"kernel"`
}

type kernelAnswer struct {
	Verdict string `json:"verdict"`
	// Outcome tells it in words.
	Outcome string `json:"outcome"`
	// Path is the kernel's own, through nf_tables only.
	Path []pathJSON `json:"path"`
}

type unverifiedJSON struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// possibilityJSON is an answer with several possible fates, and those that were seen.
type possibilityJSON struct {
	Interface string   `json:"interface"`
	Family    string   `json:"family"`
	Possible  []string `json:"possible"`
	Seen      []string `json:"seen"`
}

type verifySummaryJSON struct {
	Probes     int `json:"probes"`
	Agreed     int `json:"agreed"`
	Disagreed  int `json:"disagreed"`
	Traced     int `json:"traced"`
	OtherRules int `json:"other_rules"`
}

// VerifyJSON writes the answer of "netglance firewall verify" (schema/verify.json).
func VerifyJSON(w io.Writer, v Verification) error {
	out := verifyJSON{document: newDocument(v.Host), Ports: make([]verifiedJSON, 0, len(v.Ports))}
	for i, e := range v.Ports {
		out.Ports = append(out.Ports, verified(e, v.Result.Ports[i]))
	}
	out.Summary = verifySummaryJSON{v.Result.Probes, v.Agreed(), v.Conflicts(), v.Result.Traced, v.otherRules()}
	return writeJSON(w, out)
}

func verified(e correlate.Exposure, r twin.PortResult) verifiedJSON {
	p := verifiedJSON{
		Protocol: e.Protocol, Port: e.Port, LastPort: e.LastPort, Addresses: addressTexts(e.Addresses), Label: e.Label.String(), State: string(r.State),
		Probes: r.Probes, Agreed: r.Agreed, Disagreed: r.Disagreed, Fingerprint: e.Fingerprint,
		Conflicts: conflicts(e, r.Conflicts), OtherRules: conflicts(e, r.OtherRules), Unverified: []unverifiedJSON{}, Conditional: []possibilityJSON{},
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Unverified)) {
		p.Unverified = append(p.Unverified, unverifiedJSON{Clean(reason), r.Unverified[reason]})
	}
	for _, c := range r.Conditional {
		way := e.Reach[c.Way]
		p.Conditional = append(p.Conditional, possibilityJSON{Clean(way.Interface), familyName(way.Family), fates(c.Possible), fates(c.Seen)})
	}
	return p
}

// fates are never null in JSON.
func fates(in []firewall.Fate) []string { return append([]string{}, outcomes(in)...) }

func conflicts(e correlate.Exposure, list []twin.Conflict) []conflictJSON {
	out := make([]conflictJSON, 0, len(list))
	for _, c := range list {
		k := kernelAnswer{Verdict: c.Fate.String(), Outcome: Clean(c.Kernel.String()), Path: []pathJSON{}}
		for _, step := range c.Steps {
			k.Path = append(k.Path, pathJSON{"", kernelChain(step), kernelRule(step), kernelEffect(step)})
		}
		out = append(out, conflictJSON{question(e, c.Probe), answer(c.Said), k})
	}
	return out
}

func question(e correlate.Exposure, p packets.Probe) Question {
	return Question{Protocol: e.Protocol, Port: p.Port, To: p.To.String(), From: p.From.String(), SourcePort: p.SourcePort, Via: Clean(p.Via)}
}

func kernelChain(s twin.Step) string {
	return fmt.Sprintf("%s %s %s", s.Family, Clean(s.Table), Clean(s.Chain))
}

func kernelRule(s twin.Step) string {
	if s.Rule == nil {
		return ""
	}
	return Clean(s.Rule.Text())
}

func kernelEffect(s twin.Step) string {
	switch {
	case s.Policy:
		return "policy " + s.Verdict
	case s.Target != "":
		return s.Verdict + " " + Clean(s.Target)
	}
	return s.Verdict
}

// endpoint is an address with a port.
func endpoint(a netip.Addr, port uint16) string { return Clean(netip.AddrPortFrom(a, port).String()) }
