package report

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
)

// A document is what every JSON answer starts with.
type document struct {
	SchemaVersion string    `json:"schema_version"`
	Tool          toolJSON  `json:"tool"`
	Host          hostJSON  `json:"host"`
	Complete      bool      `json:"complete"`
	Gaps          []gapJSON `json:"gaps"`
}

type toolJSON struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type hostJSON struct {
	Name     string   `json:"name"`
	OS       string   `json:"os"`
	Kernel   string   `json:"kernel"`
	Backends []string `json:"backends"`
	// Namespace is that which was looked at; absent for the host's own, and where
	// there are several.
	Namespace string `json:"namespace,omitempty"`
}

type gapJSON struct {
	Source string `json:"source"`
	Reason string `json:"reason"`
	Hint   string `json:"hint"`
}

func newDocument(h Host) document {
	d := document{
		SchemaVersion: Version,
		Tool:          toolJSON{"netglance", h.Tool},
		Host:          hostJSON{Clean(h.Name), Clean(h.OS), Clean(h.Kernel), cleanAll(h.Backends), Clean(h.Namespace)},
		Complete:      len(h.Gaps) == 0,
		Gaps:          []gapJSON{},
	}
	for _, g := range h.sortedGaps() {
		d.Gaps = append(d.Gaps, gapJSON{Clean(g.Source), Clean(g.Reason), Clean(g.Hint)})
	}
	return d
}

// withOwnerGaps adds a gap for every reason why owners are missing that is not among them yet.
func withOwnerGaps(h Host, reason, hint string) Host {
	if reason == "" || slices.ContainsFunc(h.Gaps, func(g gaps.Gap) bool { return strings.HasPrefix(g.Reason, reason) }) {
		return h
	}
	h.Gaps = append(slices.Clip(h.Gaps), gaps.Gap{Source: "socket owners", Reason: reason, Hint: hint})
	return h
}

type ownerJSON struct {
	PID        int      `json:"pid"`
	Name       string   `json:"name"`
	Executable string   `json:"executable"`
	Deleted    bool     `json:"deleted,omitempty"`
	Replaced   bool     `json:"replaced,omitempty"`
	Command    []string `json:"command"`
	User       string   `json:"user"`
	UID        uint32   `json:"uid"`
	Started    string   `json:"started,omitempty"`
	Unit       string   `json:"unit"`
	UserUnit   string   `json:"user_unit,omitempty"`
	SocketUnit string   `json:"socket_unit,omitempty"`
	// Container is the container's id, inferred from the cgroup path; empty if none.
	Container string `json:"container"`
	Runtime   string `json:"container_runtime,omitempty"`
	Pod       string `json:"pod,omitempty"`
	// ContainerName is what people call the container, where that is known.
	ContainerName string `json:"container_name,omitempty"`
	// Holder says that the process holds the socket for somebody else.
	Holder bool `json:"holder,omitempty"`
	// Namespace is where the owner's socket is, if not where the row's is.
	Namespace string `json:"namespace,omitempty"`
}

// owners is nil, JSON's null, where owners exist and could not be seen.
func owners(processes []listeners.Process, gap string) []ownerJSON {
	if len(processes) == 0 && gap != "" {
		return nil
	}
	out := make([]ownerJSON, 0, len(processes))
	for _, p := range processes {
		o := ownerJSON{
			PID: p.PID, Name: Clean(p.Name), Executable: Clean(p.Executable), Deleted: p.Deleted, Replaced: p.Replaced,
			Command: cleanAll(p.Command), User: Clean(p.User), UID: p.UID,
			Unit: Clean(p.Unit), UserUnit: Clean(p.UserUnit), SocketUnit: Clean(p.SocketUnit),
		}
		if !p.Started.IsZero() {
			o.Started = p.Started.UTC().Format(time.RFC3339)
		}
		o.Container, o.Runtime, o.Pod = Clean(p.Container.ID), Clean(p.Container.Runtime), Clean(p.Container.Pod)
		o.ContainerName, o.Holder = Clean(p.Container.Name), p.Proxies()
		out = append(out, o)
	}
	return out
}

// served adds to a row's owners those who take its packets in other namespaces.
func served(own []ownerJSON, of []correlate.Served) []ownerJSON {
	for _, s := range of {
		for _, o := range owners(s.Owners, "") {
			o.Namespace = Clean(s.Namespace)
			own = append(own, o)
		}
	}
	return own
}

type decisionJSON struct {
	Backend string `json:"backend"`
	Family  string `json:"family"`
	Table   string `json:"table"`
	Chain   string `json:"chain"`
	Handle  uint64 `json:"handle"`
	Number  int    `json:"number"`
	Text    string `json:"text"`
	// Namespace is whose rules decided, if not those of the row's own.
	Namespace string `json:"namespace,omitempty"`

	// name is the chain as people write it; numbered says that a rule decided.
	name     string
	numbered bool
}

// decision is nil, JSON's null, where nothing could be read that decides. The
// backend "kernel" stands for its own handling, without a rule.
func decision(d firewall.Decision) *decisionJSON {
	if d.Chain == nil && d.Rule == nil {
		if d.Text == "" {
			return nil
		}
		return &decisionJSON{Backend: "kernel", Text: Clean(d.Text), Namespace: Clean(d.Namespace)}
	}
	out := &decisionJSON{Text: Clean(d.Text), Namespace: Clean(d.Namespace)}
	chain := d.Chain
	if d.Rule != nil {
		out.Handle, out.Number, out.numbered = d.Rule.Handle, d.Rule.Number, true
		if d.Rule.Chain != nil {
			chain = d.Rule.Chain
		}
	}
	if chain != nil {
		out.Chain, out.name = Clean(chain.Name), Clean(chain.FullName())
		if chain.Table != nil {
			out.Backend, out.Family, out.Table = chain.Table.Backend.String(), chain.Table.Family.String(), Clean(chain.Table.Name)
		}
	}
	return out
}

type conditionJSON struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func conditions(in []firewall.Condition) []conditionJSON {
	out := make([]conditionJSON, len(in))
	for i, c := range in {
		out[i] = conditionJSON{c.Kind.String(), Clean(c.Text)}
	}
	return out
}

// addressTexts: a zone is the name of an interface.
func addressTexts(in []netip.Addr) []string {
	out := make([]string, len(in))
	for i, a := range in {
		out[i] = Clean(a.String())
	}
	return out
}

type deliveryJSON struct {
	Address   string `json:"address"`
	Port      uint16 `json:"port"`
	Interface string `json:"interface"`
	// Namespace is whose address it is, if that was found, and not the row's own.
	Namespace string `json:"namespace,omitempty"`
}

func delivery(d *firewall.Delivery, namespace string) *deliveryJSON {
	if d == nil {
		return nil
	}
	return &deliveryJSON{Clean(d.Address.String()), d.Port, Clean(d.Interface), Clean(namespace)}
}

type setJSON struct {
	// Set is "FAMILY TABLE NAME".
	Set      string `json:"set"`
	Outside  bool   `json:"outside"`
	Elements uint64 `json:"elements"`
}

func sets(in []firewall.SetMembership) []setJSON {
	var out []setJSON
	for _, m := range in {
		out = append(out, setJSON{setName(m.Set), m.Outside, max(m.Set.Count, uint64(len(m.Set.Elements)))})
	}
	return out
}

// maskedJSON is every address that equals Address in the bits that Mask has set.
type maskedJSON struct {
	Address netip.Addr `json:"address"`
	Mask    netip.Addr `json:"mask"`
}

func masked(in []firewall.MaskedAddress) []maskedJSON {
	var out []maskedJSON
	for _, m := range in {
		out = append(out, maskedJSON{m.Address, m.Mask})
	}
	return out
}

func setName(s *firewall.Set) string {
	if s.Table == nil {
		return Clean(s.Name)
	}
	return s.Table.Family.String() + " " + Clean(s.Table.Name) + " " + Clean(s.Name)
}

func outcomes(in []firewall.Fate) []string {
	var out []string
	for _, f := range in {
		out = append(out, f.String())
	}
	return out
}

// writeJSON writes a document, indented, in one write.
func writeJSON(w io.Writer, v any) error {
	text, err := indented(v)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}
