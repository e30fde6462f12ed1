package report

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// A table aligns its columns by the cells that a terminal gives each character.
// The last column is wrapped to the width.
type table struct {
	rows [][]cell
}

type cell struct {
	text  string
	color string
}

// Colors, as ECMA-48 SGR parameters.
const (
	red    = "1;31"
	yellow = "33"
	green  = "32"
	cyan   = "36"
	dim    = "2"
	bold   = "1"
)

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

func plainCells(texts ...string) []cell {
	out := make([]cell, len(texts))
	for i, s := range texts {
		out[i] = cell{text: s}
	}
	return out
}

// narrowest is the least that a wrapped column gets.
const narrowest = 24

func (t *table) write(w io.Writer, s Style) error {
	widths := t.widths()
	var b strings.Builder
	for _, row := range t.rows {
		indent := 0
		for i, c := range row[:len(row)-1] {
			b.WriteString(s.paint(c))
			b.WriteString(strings.Repeat(" ", widths[i]-cells(c.text)+2))
			indent += widths[i] + 2
		}
		writeLast(&b, row[len(row)-1], indent, s)
	}
	_, err := io.WriteString(w, trimLines(b.String()))
	return err
}

// writeLast wraps the last cell in its column. Where the terminal leaves too little
// room it goes below its row.
func writeLast(b *strings.Builder, c cell, indent int, s Style) {
	if s.Width > 0 && indent+cells(c.text) > s.Width && s.Width-indent < narrowest {
		b.WriteByte('\n')
		indent = 4
		b.WriteString(strings.Repeat(" ", indent))
	}
	for i, line := range wrap(c.text, s.Width-indent) {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", indent))
		}
		b.WriteString(s.paint(cell{line, c.color}))
		b.WriteByte('\n')
	}
}

func (t *table) widths() []int {
	var out []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(out) {
				out = append(out, 0)
			}
			out[i] = max(out[i], cells(c.text))
		}
	}
	return out
}

// cells is the width of a text on a terminal.
func cells(s string) int {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return runewidth.StringWidth(s)
		}
	}
	return len(s)
}

func (s Style) paint(c cell) string {
	if !s.Color || c.color == "" || c.text == "" {
		return c.text
	}
	return "\x1b[" + c.color + "m" + c.text + "\x1b[0m"
}

// wrap breaks a text at spaces; a width that is too small to be of use leaves it whole.
func wrap(text string, width int) []string {
	if width < narrowest || cells(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && cells(line)+1+cells(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
