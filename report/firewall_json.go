package report

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"

	"github.com/netglance/netglance/correlate"
)

type portJSON struct {
	Protocol   string       `json:"protocol"`
	Port       uint16       `json:"port"`
	LastPort   uint16       `json:"last_port,omitempty"`
	Redirected bool         `json:"redirected,omitempty"`
	Addresses  []string     `json:"addresses"`
	Devices    []string     `json:"devices,omitempty"`
	Namespace  string       `json:"namespace"`
	Label      string       `json:"label"`
	Service    string       `json:"service"`
	Owners     []ownerJSON  `json:"owners"`
	Kernel     bool         `json:"kernel,omitempty"`
	Predicted  string       `json:"predicted,omitempty"`
	Reach      []reachJSON  `json:"reach"`
	Probe      probeJSON    `json:"probe"`
	Reasons    []reasonJSON `json:"reasons"`
	Remedy     []string     `json:"remedy"`
	// Fingerprint stays the same across restarts.
	Fingerprint string `json:"fingerprint"`
}

// probeJSON is what packets found; unconfirmed where none was sent.
type probeJSON struct {
	State  string `json:"state"`
	Method string `json:"method,omitempty"`
}

type reachJSON struct {
	Interface   string     `json:"interface"`
	Family      string     `json:"family"`
	Destination []string   `json:"destination"`
	Sources     prefixList `json:"sources"`
	// SourceMasks are further sources, where prefixes would be too many.
	SourceMasks []maskedJSON `json:"source_masks,omitempty"`
	// SourceSets narrow the sources to those in (or outside) sets too large to list.
	SourceSets []setJSON       `json:"source_sets,omitempty"`
	Verdict    string          `json:"verdict"`
	Outcomes   []string        `json:"outcomes,omitempty"`
	DecidedBy  *decisionJSON   `json:"decided_by"`
	Conditions []conditionJSON `json:"conditions"`
	// OutsidePolicy are the sources that no entry of the policy allows.
	OutsidePolicy prefixList    `json:"outside_policy,omitempty"`
	DeliveredTo   *deliveryJSON `json:"delivered_to,omitempty"`
}

type reasonJSON struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// FirewallJSON writes the answer of "netglance firewall" (schema/firewall.json), a
// line a port.
func FirewallJSON(w io.Writer, h Host, ports []correlate.Exposure, j Judgement) error {
	count := map[string]int{}
	for _, l := range correlate.Labels {
		count[l.String()] = 0
	}
	for _, e := range ports {
		h = withOwnerGaps(h, missingOwners(e), e.OwnerHint)
		count[e.Label.String()]++
	}
	head, err := indented(newDocument(h))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(head, []byte("\n}\n")))
	b.WriteString(",\n  \"ports\": [")
	for i, e := range ports {
		text, err := compact(port(e))
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(text)
		if b.Len() < chunkBytes {
			continue
		}
		if _, err := b.WriteTo(w); err != nil {
			return err
		}
	}
	if len(ports) > 0 {
		b.WriteString("\n  ")
	}
	summary, err := compact(count)
	if err != nil {
		return err
	}
	b.WriteString("],\n")
	if err := judgementFields(&b, j); err != nil {
		return err
	}
	fmt.Fprintf(&b, "  \"summary\": %s\n}\n", summary)
	_, err = w.Write(b.Bytes())
	return err
}

// judgementFields writes the findings, and what the policy asserts if there is one.
func judgementFields(b *bytes.Buffer, j Judgement) error {
	found, err := compact(findingList(j.Findings))
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "  \"findings\": %s,\n", found)
	if j.Policy == "" {
		return nil
	}
	file, err := compact(Clean(j.Policy))
	if err != nil {
		return err
	}
	held, err := compact(asserted(j.Asserted))
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "  \"policy\": {\"file\":%s,\"assertions\":%s},\n", file, held)
	return nil
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
		Protocol: e.Protocol, Port: e.Port, LastPort: e.LastPort, Redirected: e.Redirected, Addresses: addressTexts(e.Addresses), Devices: cleanAll(e.Devices), Namespace: Clean(e.Namespace),
		Label: e.Label.String(), Service: e.Service, Owners: served(owners(e.Owners, e.OwnerGap), e.Served), Kernel: e.Kernel, Predicted: Clean(e.Predicted),
		Reach: make([]reachJSON, 0, len(e.Reach)), Probe: probeOf(e.Probe), Reasons: make([]reasonJSON, 0, len(e.Reasons)), Remedy: cleanAll(e.Remedy), Fingerprint: e.Fingerprint,
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
	return reachJSON{
		Interface: Clean(r.Interface), Family: familyName(r.Family), Destination: addressTexts(r.Destinations), Sources: r.Sources.Prefixes,
		SourceMasks: masked(r.Sources.Masked), SourceSets: sets(r.Sources.Sets), Verdict: r.Fate.String(), Outcomes: outcomes(r.Outcomes), DecidedBy: decision(r.DecidedBy),
		Conditions: conditions(r.Conditions), OutsidePolicy: r.Outside, DeliveredTo: delivery(r.DeliveredTo, r.DeliveredIn),
	}
}

// A prefixList is an array in JSON, written without a call for each prefix.
type prefixList []netip.Prefix

func (l prefixList) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, p := range l {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(p.AppendTo(append(b, '"')), '"')
	}
	return append(b, ']'), nil
}

func familyName(family int) string {
	if family == 6 {
		return "ipv6"
	}
	return "ipv4"
}
