package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/correlate/policy"
)

// A Judgement is what was found beside the ports themselves.
type Judgement struct {
	// Policy is the name of its file; empty if there is none.
	Policy   string
	Findings []correlate.Finding
	Asserted []correlate.Asserted
	// Gate says which findings were asked to fail the run; nil if none were.
	Gate func(correlate.Finding) bool
}

// Message is a finding in one sentence, for people who don't see the table.
func Message(f correlate.Finding) string {
	if f.Port == nil {
		return Clean(f.At.String() + ": " + f.Text)
	}
	what := portName(*f.Port)
	if f.Port.Service != "" {
		what += " (" + f.Port.Service + ")"
	}
	who := ""
	if o := owner(*f.Port); o != "" && o != "–" {
		who = ", held by " + o + ","
	}
	switch f.Kind {
	case correlate.KindExposed:
		return Clean(fmt.Sprintf("%s%s is reachable from %s: %s", what, who, reachableFrom(*f.Port), f.Text))
	case correlate.KindUnknown:
		return Clean(fmt.Sprintf("%s%s could not be decided: %s", what, who, f.Text))
	case correlate.KindConditional:
		return Clean(fmt.Sprintf("%s%s is reachable or not, which depends on: %s", what, who, f.Text))
	case correlate.KindNew:
		return Clean(fmt.Sprintf("%s%s is reachable from %s, which the baseline doesn't have: %s", what, who, reachableFrom(*f.Port), f.Text))
	}
	return Clean(fmt.Sprintf("%s%s: %s", what, who, f.Text))
}

// judgementText is what the table doesn't show: assertions and entries of the
// policy, and what was let pass.
func judgementText(j Judgement, s Style) string {
	var b strings.Builder
	held := 0
	for _, a := range j.Asserted {
		if a.Outcome == correlate.Holds {
			held++
		}
	}
	for _, f := range j.Findings {
		line := ""
		switch {
		case f.SuppressedBy != nil:
			line = s.paint(cell{"suppressed:", dim}) + " " + subject(f) + " until " + f.SuppressedBy.Until.Format(time.DateOnly) + " by " + Clean(f.SuppressedBy.At.String()+": "+f.SuppressedBy.Reason)
		case f.Known && s.Verbose:
			line = s.paint(cell{"known:", dim}) + " " + subject(f) + ", as in the baseline"
		case f.Known:
		case f.Port == nil:
			line = s.paint(cell{string(f.Kind) + ":", kindColors[f.Kind]}) + " " + Message(f)
		case f.Kind == correlate.KindNew:
			line = s.paint(cell{"new:", red}) + " " + Message(f)
		}
		if line != "" {
			b.WriteString(line + "\n")
		}
	}
	if held > 0 {
		fmt.Fprintf(&b, "%d of %d assertions hold.\n", held, len(j.Asserted))
	}
	if b.Len() == 0 {
		return ""
	}
	return b.String() + "\n"
}

var kindColors = map[correlate.Kind]string{correlate.KindAssertion: red, correlate.KindUnknown: yellow, correlate.KindExpired: yellow}

// subject is a finding in two or three words.
func subject(f correlate.Finding) string {
	if f.Port == nil {
		return string(f.Kind) + " " + Clean(f.At.String())
	}
	return string(f.Kind) + " " + portName(*f.Port)
}

type findingJSON struct {
	Kind        string   `json:"kind"`
	Severity    string   `json:"severity"`
	Protocol    string   `json:"protocol,omitempty"`
	Port        uint16   `json:"port,omitempty"`
	At          *atJSON  `json:"at,omitempty"`
	Message     string   `json:"message"`
	Remedy      []string `json:"remedy"`
	Fingerprint string   `json:"fingerprint"`
	// PortFingerprint is that of the port that it is about.
	PortFingerprint string          `json:"port_fingerprint,omitempty"`
	Known           bool            `json:"known,omitempty"`
	Suppressed      *suppressedJSON `json:"suppressed,omitempty"`
}

type atJSON struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

type suppressedJSON struct {
	At     atJSON `json:"at"`
	Reason string `json:"reason"`
	Until  string `json:"until"`
}

func findingList(all []correlate.Finding) []findingJSON {
	out := make([]findingJSON, 0, len(all))
	for _, f := range all {
		j := findingJSON{Kind: string(f.Kind), Severity: f.Severity.String(), Message: Message(f), Remedy: cleanAll(f.Remedy), Fingerprint: f.Fingerprint, Known: f.Known}
		if f.Port != nil {
			j.Protocol, j.Port, j.PortFingerprint = f.Port.Protocol, f.Port.Port, f.Port.Fingerprint
		}
		if f.At.File != "" {
			at := position(f.At)
			j.At = &at
		}
		if s := f.SuppressedBy; s != nil {
			j.Suppressed = &suppressedJSON{position(s.At), Clean(s.Reason), s.Until.Format(time.DateOnly)}
		}
		out = append(out, j)
	}
	return out
}

func position(p policy.Position) atJSON { return atJSON{Clean(p.File), p.Line} }

type assertedJSON struct {
	At        atJSON     `json:"at"`
	Assertion string     `json:"assertion"`
	Ports     string     `json:"ports"`
	Outcome   string     `json:"outcome"`
	Sources   prefixList `json:"sources"`
	Why       string     `json:"why"`
}

func asserted(all []correlate.Asserted) []assertedJSON {
	out := make([]assertedJSON, 0, len(all))
	for _, a := range all {
		out = append(out, assertedJSON{position(a.At), Clean(a.Text), a.Ports.String(), a.Outcome.String(), a.Sources, Clean(a.Why)})
	}
	return out
}
