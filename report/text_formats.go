package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/netglance/netglance/correlate"
)

// findingDetails is why and what to do, a line each.
func findingDetails(x correlate.Finding) string {
	lines := []string{}
	if x.Port != nil {
		for _, r := range x.Port.Reasons {
			lines = append(lines, "why: "+Clean(r.Text))
		}
	}
	for _, r := range x.Remedy {
		lines = append(lines, "do: "+Clean(r))
	}
	return strings.Join(lines, "\n")
}

// githubReport writes workflow commands
// (docs.github.com, "Workflow commands for GitHub Actions"): an annotation a finding.
func githubReport(w io.Writer, f Firewall) error {
	var b strings.Builder
	for _, x := range f.counting() {
		level := map[string]string{"error": "error", "warning": "warning", "note": "notice"}[sarifLevel(x.Severity)]
		at := ""
		if x.At.File != "" {
			at = fmt.Sprintf("file=%s,line=%d,", githubProperty(x.At.File), x.At.Line)
		}
		text := Message(x)
		if len(x.Remedy) > 0 {
			text += "\nWhat to do: " + strings.Join(cleanAll(x.Remedy), "\n")
		}
		fmt.Fprintf(&b, "::%s %stitle=%s::%s\n", level, at, githubProperty(kindTexts[x.Kind].short), githubData(text))
	}
	for _, g := range f.Host.sortedGaps() {
		fmt.Fprintf(&b, "::warning title=netglance could not read everything::%s\n", githubData(Clean(g.Source+": "+g.Reason)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// githubData is text as a command's message.
func githubData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

// githubProperty is text as the value of a command's property.
func githubProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(Clean(s))
}

// csvReport writes a line a port.
func csvReport(w io.Writer, f Firewall) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"label", "protocol", "port", "last_port", "namespace", "service", "owner", "addresses", "reachable_from", "why", "remedy", "fingerprint"}}
	for _, e := range f.Ports {
		last := ""
		if e.LastPort != 0 {
			last = strconv.Itoa(int(e.LastPort))
		}
		rows = append(rows, []string{e.Label.String(), e.Protocol, strconv.Itoa(int(e.Port)), last, csvCell(Clean(e.Namespace)), e.Service, csvCell(owner(e)),
			csvCell(strings.Join(addressTexts(e.Addresses), " ")), csvCell(reachableFrom(e)), csvCell(why(e)), csvCell(strings.Join(cleanAll(e.Remedy), "; ")), e.Fingerprint})
	}
	return c.WriteAll(rows)
}

// csvCell keeps a spreadsheet from taking text for a formula (OWASP, "CSV Injection").
func csvCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// markdownReport writes a summary: what to act on, then all ports.
func markdownReport(w io.Writer, f Firewall) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Ports of %s\n\n%s\n\n", markdown(f.Host.Name), markdown(f.Host.header()))
	if acts := f.counting(); len(acts) > 0 {
		fmt.Fprintf(&b, "## To act on\n\n")
		for _, x := range acts {
			fmt.Fprintf(&b, "- **%s** (%s): %s\n", x.Kind, x.Severity, markdown(Message(x)))
			for _, r := range x.Remedy {
				fmt.Fprintf(&b, "  - %s\n", markdownCode(r))
			}
		}
		b.WriteString("\n")
	} else {
		b.WriteString("Nothing to act on.\n\n")
	}
	b.WriteString("| label | port | service | owner | reachable from | why |\n|---|---|---|---|---|---|\n")
	for _, e := range worstFirst(f.Ports) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", e.Label, portName(e), markdown(e.Service), markdown(owner(e)), markdown(reachableFrom(e)), markdown(why(e)))
	}
	for _, x := range f.Judgement.Findings {
		if x.SuppressedBy != nil {
			fmt.Fprintf(&b, "\nSuppressed: %s: %s\n", markdown(subject(x)), markdown(x.SuppressedBy.Reason))
		}
	}
	for _, g := range f.Host.sortedGaps() {
		fmt.Fprintf(&b, "\nUnread: %s: %s\n", markdown(g.Source), markdown(g.Reason))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdown escapes every character that Markdown or HTML could take for its own
// (CommonMark: any ASCII punctuation may be escaped).
func markdown(s string) string {
	var b strings.Builder
	for _, r := range Clean(s) {
		if strings.ContainsRune("\\`*_{}[]()<>#+!|~&", r) {
			b.WriteByte('\\')
		}
		if r == '@' { // no mention of somebody
			b.WriteString("&#64;")
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// markdownCode is text in a fence that is longer than any run of backticks in it.
func markdownCode(s string) string {
	s = Clean(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}
