package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/netglance/netglance/correlate"
)

// A Diff is what changed between two reports, which have names.
type Diff struct {
	Before, After string
	correlate.Difference
}

var changeColors = map[correlate.Change]string{
	correlate.Opened: red, correlate.Widened: red, correlate.Unsettled: yellow, correlate.Closed: green, correlate.Narrowed: green, correlate.OwnedBy: yellow,
}

// DiffText writes the answer of "netglance diff": what opens the host first.
func DiffText(w io.Writer, d Diff, s Style) error {
	var b strings.Builder
	if !s.Quiet {
		fmt.Fprintf(&b, "%s → %s\n\n", Clean(d.Before), Clean(d.After))
	}
	for _, c := range ordered(d.Ports) {
		fmt.Fprintf(&b, "%s  %s: %s\n", s.paint(cell{fmt.Sprintf("%-9s", c.Change), changeColors[c.Change]}), changedPort(c), Clean(c.Text))
	}
	for _, r := range d.Rules {
		fmt.Fprintf(&b, "%s  %s\n", s.paint(cell{fmt.Sprintf("%-9s", "rules"), bold}), ruleChange(r))
	}
	if s.Quiet {
		_, err := io.WriteString(w, b.String())
		return err
	}
	if !d.Empty() {
		b.WriteByte('\n')
	}
	for _, line := range diffNotes(d) {
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// changes are in the order in which people care: what opens first.
var changes = []correlate.Change{correlate.Opened, correlate.Widened, correlate.Unsettled, correlate.OwnedBy, correlate.Bound, correlate.Started, correlate.Closed, correlate.Narrowed, correlate.Settled, correlate.Stopped, correlate.Labelled}

// Changes are the names of all changes, and "rules".
func Changes() []string {
	var out []string
	for _, c := range changes {
		out = append(out, string(c))
	}
	return append(out, "rules")
}

func ordered(all []correlate.PortChange) []correlate.PortChange {
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b correlate.PortChange) int {
		return slices.Index(changes, a.Change) - slices.Index(changes, b.Change)
	})
	return out
}

// changedPort names the port, and its namespace where that is not the host's.
func changedPort(c correlate.PortChange) string {
	e := portOf(c)
	name := portName(e)
	if e.Service != "" {
		name += " (" + e.Service + ")"
	}
	if e.Namespace != "host" && e.Namespace != "" {
		name += " in " + Clean(e.Namespace)
	}
	return name
}

func portOf(c correlate.PortChange) correlate.Exposure {
	if c.After != nil {
		return *c.After
	}
	return *c.Before
}

func ruleChange(r correlate.RuleChange) string {
	where := ""
	switch {
	case r.Before != 0 && r.After != 0:
		where = fmt.Sprintf(" from %d to %d", r.Before, r.After)
	case r.Before+r.After != 0:
		where = fmt.Sprintf(" %d", r.Before+r.After)
	}
	if strings.HasPrefix(r.Kind, "chain ") {
		return fmt.Sprintf("%s: %s %s", Clean(r.Chain), r.Kind, Clean(r.Text))
	}
	return fmt.Sprintf("%s: rule%s %s: %s", Clean(r.Chain), where, r.Kind, Clean(r.Text))
}

// diffNotes say how much the difference tells.
func diffNotes(d Diff) (lines []string) {
	if d.Empty() {
		lines = append(lines, "Nothing changed.")
	}
	if d.RulesUntold {
		lines = append(lines, "The rules were not compared: a JSON report doesn't hold them, a recording does.")
	}
	switch {
	case len(d.Rules) > 0 && d.AnswersKnown && len(d.OtherPorts) == 0:
		lines = append(lines, "The rules changed, and no answer about any TCP or UDP port does, whether anything listens there or not, but for the ports above.")
	case len(d.OtherPorts) > 0:
		lines = append(lines, "By the rules, other sources than before reach also: "+spanList(d.OtherPorts)+". Nothing listens there, or did.")
	}
	if d.Incomplete {
		lines = append(lines, "One of them left something unread: what is missing there may not have changed.")
	}
	return lines
}

// shownSpans is how many ranges of ports a text names.
const shownSpans = 10

func spanList(spans []correlate.PortSpan) string {
	var words []string
	for _, s := range spans[:min(shownSpans, len(spans))] {
		words = append(words, s.String())
	}
	if more := len(spans) - shownSpans; more > 0 {
		words = append(words, fmt.Sprintf("+%d more", more))
	}
	return strings.Join(words, ", ")
}

// DiffMarkdown writes it for a pull request.
func DiffMarkdown(w io.Writer, d Diff) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Ports: %s → %s\n\n", markdown(d.Before), markdown(d.After))
	if len(d.Ports) > 0 {
		b.WriteString("| change | port | what |\n|---|---|---|\n")
		for _, c := range ordered(d.Ports) {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", c.Change, markdown(changedPort(c)), markdown(c.Text))
		}
		b.WriteByte('\n')
	}
	if len(d.Rules) > 0 {
		b.WriteString("## Rules\n\n")
		for _, r := range d.Rules {
			b.WriteString("- " + markdown(ruleChange(r)) + "\n")
		}
		b.WriteByte('\n')
	}
	for _, line := range diffNotes(d) {
		b.WriteString(markdown(line) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type changeJSON struct {
	Change    string     `json:"change"`
	Protocol  string     `json:"protocol"`
	Port      uint16     `json:"port"`
	LastPort  uint16     `json:"last_port,omitempty"`
	Namespace string     `json:"namespace"`
	Before    *stateJSON `json:"before"`
	After     *stateJSON `json:"after"`
	Interface string     `json:"interface,omitempty"`
	Family    string     `json:"family,omitempty"`
	Sources   prefixList `json:"sources,omitempty"`
	More      bool       `json:"more_sources,omitempty"`
	Text      string     `json:"text"`
}

type stateJSON struct {
	Label       string   `json:"label"`
	Addresses   []string `json:"addresses"`
	Owners      []string `json:"owners"`
	Fingerprint string   `json:"fingerprint"`
}

type ruleChangeJSON struct {
	Change string `json:"change"`
	Chain  string `json:"chain"`
	Text   string `json:"text"`
	Before int    `json:"before,omitempty"`
	After  int    `json:"after,omitempty"`
}

// DiffJSON writes it for programs (schema/diff.json).
func DiffJSON(w io.Writer, d Diff, tool string) error {
	out := struct {
		SchemaVersion string           `json:"schema_version"`
		Tool          toolJSON         `json:"tool"`
		Before        string           `json:"before"`
		After         string           `json:"after"`
		Complete      bool             `json:"complete"`
		Ports         []changeJSON     `json:"ports"`
		Rules         []ruleChangeJSON `json:"rules"`
		OtherPorts    []string         `json:"other_ports"`
	}{Version, toolJSON{"netglance", tool}, Clean(d.Before), Clean(d.After), !d.Incomplete, []changeJSON{}, nil, nil}
	for _, c := range ordered(d.Ports) {
		e := portOf(c)
		j := changeJSON{Change: string(c.Change), Protocol: e.Protocol, Port: e.Port, LastPort: e.LastPort, Namespace: Clean(e.Namespace),
			Before: state(c.Before), After: state(c.After), Interface: Clean(c.Interface), Sources: c.Sources, More: c.More, Text: Clean(c.Text)}
		if c.Family != 0 {
			j.Family = familyName(c.Family)
		}
		out.Ports = append(out.Ports, j)
	}
	if !d.RulesUntold {
		out.Rules = []ruleChangeJSON{}
	}
	for _, r := range d.Rules {
		out.Rules = append(out.Rules, ruleChangeJSON{r.Kind, Clean(r.Chain), Clean(r.Text), r.Before, r.After})
	}
	if d.AnswersKnown {
		out.OtherPorts = []string{}
	}
	for _, s := range d.OtherPorts {
		out.OtherPorts = append(out.OtherPorts, s.String())
	}
	text, err := indented(out)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func state(e *correlate.Exposure) *stateJSON {
	if e == nil {
		return nil
	}
	return &stateJSON{e.Label.String(), addressTexts(e.Addresses), cleanAll(correlate.Holders(*e)), e.Fingerprint}
}
