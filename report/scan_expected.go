package report

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/correlate"
)

// An Expectation is how a scan differs from what a recording of the host says.
type Expectation struct {
	// Recording is the file.
	Recording string
	// Compared is how many of the scan's addresses the recorded host has.
	Compared      int
	Disagreements []correlate.Disagreement
}

type expectationJSON struct {
	Recording     string             `json:"recording"`
	Compared      int                `json:"compared"`
	Disagreements []disagreementJSON `json:"disagreements"`
}

type disagreementJSON struct {
	Address   string        `json:"address"`
	Protocol  string        `json:"protocol"`
	Port      uint16        `json:"port"`
	Found     string        `json:"found"`
	Said      *string       `json:"said"`
	DecidedBy *decisionJSON `json:"decided_by"`
	Text      string        `json:"text"`
}

func (e *Expectation) json() *expectationJSON {
	if e == nil {
		return nil
	}
	out := &expectationJSON{Recording: Clean(e.Recording), Compared: e.Compared, Disagreements: []disagreementJSON{}}
	for _, d := range e.Disagreements {
		x := disagreementJSON{Address: Clean(d.Address.String()), Protocol: d.Protocol, Port: d.Port, Found: d.Found.String(), Text: Clean(d.Text)}
		if d.Said != nil {
			said := d.Said.Fate.String()
			x.Said, x.DecidedBy = &said, decision(d.Said.DecidedBy)
		}
		out.Disagreements = append(out.Disagreements, x)
	}
	return out
}

func (e *Expectation) text(style Style) string {
	if e == nil {
		return ""
	}
	if e.Compared == 0 {
		return "Nothing could be compared with " + Clean(e.Recording) + ".\n"
	}
	if len(e.Disagreements) == 0 {
		return "It answers as " + Clean(e.Recording) + " says.\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s with %s:\n", counted(len(e.Disagreements), "disagreement"), Clean(e.Recording))
	for _, d := range e.Disagreements {
		fmt.Fprintf(&b, "  %s %d/%s: %s\n", style.paint(cell{"conflict", red}), d.Port, d.Protocol, Clean(d.Text))
	}
	return b.String()
}
