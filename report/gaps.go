package report

import (
	"fmt"
	"io"
	"strings"
)

// GapsText says what was left unread, a line a gap.
func GapsText(w io.Writer, h Host, s Style) error {
	_, err := io.WriteString(w, gapLines(h, s))
	return err
}

func gapLines(h Host, s Style) string {
	var b strings.Builder
	for _, g := range h.sortedGaps() {
		fmt.Fprintf(&b, "%s %s: %s", s.paint(cell{"unread:", yellow}), Clean(g.Source), Clean(g.Reason))
		if g.Hint != "" {
			b.WriteString(" – " + Clean(g.Hint))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
