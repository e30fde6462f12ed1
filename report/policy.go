package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/netglance/netglance/correlate"
)

var outcomeColors = map[correlate.Outcome]string{correlate.Holds: green, correlate.Fails: red, correlate.Undecided: yellow}

// AssertedText writes the answer of "netglance policy test", a line an assertion.
func AssertedText(w io.Writer, h Host, all []correlate.Asserted, s Style) error {
	var b strings.Builder
	count := map[correlate.Outcome]int{}
	for _, a := range all {
		count[a.Outcome]++
		fmt.Fprintf(&b, "%s  %s: %s\n", s.paint(cell{fmt.Sprintf("%-7s", a.Outcome), outcomeColors[a.Outcome]}), Clean(a.At.String()), Clean(a.Text))
		if a.Why != "" {
			fmt.Fprintf(&b, "         %s\n", Clean(a.Why))
		}
	}
	if !s.Quiet {
		fmt.Fprintf(&b, "\n%d pass, %d fail, %d unknown.\n", count[correlate.Holds], count[correlate.Fails], count[correlate.Undecided])
		b.WriteString(gapLines(h, s))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// AssertedJSON writes it for programs (schema/policy-test.json).
func AssertedJSON(w io.Writer, h Host, all []correlate.Asserted) error {
	text, err := indented(struct {
		document
		Assertions []assertedJSON `json:"assertions"`
	}{newDocument(h), asserted(all)})
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
