package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// MaxReport is how large a report may be, in bytes.
const MaxReport = 256 << 20

// ErrNotReport says that a file is no JSON of "netglance firewall".
var ErrNotReport = errors.New("not a report of \"netglance firewall --json\"")

// readJSON is what a comparison needs of a report.
type readJSON struct {
	SchemaVersion string         `json:"schema_version"`
	Complete      bool           `json:"complete"`
	Ports         []readPortJSON `json:"ports"`
	Findings      []findingJSON  `json:"findings"`
}

type readPortJSON struct {
	Protocol    string          `json:"protocol"`
	Port        uint16          `json:"port"`
	LastPort    uint16          `json:"last_port"`
	Redirected  bool            `json:"redirected"`
	Addresses   []netip.Addr    `json:"addresses"`
	Devices     []string        `json:"devices"`
	Namespace   string          `json:"namespace"`
	Label       string          `json:"label"`
	Service     string          `json:"service"`
	Owners      *[]ownerJSON    `json:"owners"`
	Kernel      bool            `json:"kernel"`
	Reach       []readReachJSON `json:"reach"`
	Reasons     []reasonJSON    `json:"reasons"`
	Fingerprint string          `json:"fingerprint"`
}

type readReachJSON struct {
	Interface   string          `json:"interface"`
	Family      string          `json:"family"`
	Destination []netip.Addr    `json:"destination"`
	Sources     []netip.Prefix  `json:"sources"`
	SourceMasks []maskedJSON    `json:"source_masks"`
	SourceSets  []setJSON       `json:"source_sets"`
	Verdict     string          `json:"verdict"`
	Outcomes    []string        `json:"outcomes"`
	Conditions  []conditionJSON `json:"conditions"`
	DeliveredTo *readDelivery   `json:"delivered_to"`
}

type readDelivery struct {
	Address   netip.Addr `json:"address"`
	Port      uint16     `json:"port"`
	Interface string     `json:"interface"`
}

// ReadFirewall reads a report of "netglance firewall --json" as far as it can be compared.
func ReadFirewall(r io.Reader, name string) (*correlate.Snapshot, error) {
	var in readJSON
	decoder := json.NewDecoder(io.LimitReader(r, MaxReport))
	if err := decoder.Decode(&in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReport, err)
	}
	if in.SchemaVersion != Version || in.Ports == nil {
		return nil, fmt.Errorf("%w of version %s", ErrNotReport, Version)
	}
	s := &correlate.Snapshot{Name: name, Complete: in.Complete, Findings: map[string]bool{}}
	for i, p := range in.Ports {
		e, err := p.exposure()
		if err != nil {
			return nil, fmt.Errorf("%w: port %d of the list: %w", ErrNotReport, i+1, err)
		}
		s.Ports = append(s.Ports, e)
	}
	for _, f := range in.Findings {
		if f.Suppressed == nil {
			s.Findings[f.Fingerprint] = true
		}
	}
	return s, nil
}

func (p readPortJSON) exposure() (correlate.Exposure, error) {
	label, ok := correlate.ParseLabel(p.Label)
	if !ok {
		return correlate.Exposure{}, fmt.Errorf("no label %q", p.Label)
	}
	e := correlate.Exposure{Protocol: p.Protocol, Port: p.Port, LastPort: p.LastPort, Redirected: p.Redirected, Addresses: p.Addresses, Devices: p.Devices,
		Namespace: p.Namespace, Label: label, Service: p.Service, Kernel: p.Kernel, Fingerprint: p.Fingerprint}
	if p.Owners == nil {
		e.OwnerGap = "not in the report"
	} else {
		for _, o := range *p.Owners {
			e.Owners = append(e.Owners, listeners.Process{PID: o.PID, Name: o.Name, Executable: o.Executable, Unit: o.Unit, UserUnit: o.UserUnit, SocketUnit: o.SocketUnit, User: o.User,
				Container: listeners.Container{ID: o.Container, Runtime: o.Runtime, Pod: o.Pod}})
		}
	}
	for _, r := range p.Reasons {
		e.ProbableClient = e.ProbableClient || r.Code == "probable_client"
	}
	for _, r := range p.Reach {
		reach, err := r.reach()
		if err != nil {
			return e, err
		}
		e.Reach = append(e.Reach, reach)
	}
	return e, nil
}

func (r readReachJSON) reach() (correlate.Reach, error) {
	out := correlate.Reach{Interface: r.Interface, Family: 4, Destinations: r.Destination}
	if r.Family == "ipv6" {
		out.Family = 6
	}
	var ok bool
	if out.Fate, ok = fate(r.Verdict); !ok {
		return out, fmt.Errorf("no verdict %q", r.Verdict)
	}
	for _, word := range r.Outcomes {
		f, ok := fate(word)
		if !ok {
			return out, fmt.Errorf("no verdict %q", word)
		}
		out.Outcomes = append(out.Outcomes, f)
	}
	for _, c := range r.Conditions {
		out.Conditions = append(out.Conditions, firewall.Condition{Kind: conditionKind(c.Kind), Text: c.Text})
	}
	for _, p := range r.Sources {
		if !p.IsValid() || p.Addr().Is4() != (out.Family == 4) {
			return out, fmt.Errorf("the source %s is not of %s", p, r.Family)
		}
	}
	out.Sources.Prefixes = r.Sources
	for _, m := range r.SourceMasks {
		if !m.Address.IsValid() || m.Address.BitLen() != m.Mask.BitLen() || m.Address.Is4() != (out.Family == 4) {
			return out, fmt.Errorf("the mask %s doesn't fit the address %s", m.Mask, m.Address)
		}
		out.Sources.Masked = append(out.Sources.Masked, firewall.MaskedAddress{Address: m.Address, Mask: m.Mask})
	}
	for _, m := range r.SourceSets {
		out.Sources.Sets = append(out.Sources.Sets, firewall.SetMembership{Set: &firewall.Set{Name: m.Set}, Outside: m.Outside})
	}
	if d := r.DeliveredTo; d != nil {
		out.DeliveredTo = &firewall.Delivery{Address: d.Address, Port: d.Port, Interface: d.Interface}
	}
	return out, nil
}

func fate(word string) (firewall.Fate, bool) {
	for _, f := range []firewall.Fate{firewall.Undecided, firewall.Accepted, firewall.Rejected, firewall.Dropped, firewall.Conditional} {
		if f.String() == word {
			return f, true
		}
	}
	return firewall.Undecided, false
}

// conditionKind is unmodelled for a kind that a newer netglance has: it settles nothing.
func conditionKind(word string) firewall.ConditionKind {
	for k := firewall.ConditionUnknown; k <= firewall.Unread; k++ {
		if k.String() == strings.TrimSpace(word) {
			return k
		}
	}
	return firewall.Unmodelled
}
