package report

import (
	"io"
	"slices"

	"github.com/netglance/netglance/correlate"
)

// A Firewall is everything that "netglance firewall" has to say.
type Firewall struct {
	Host      Host
	Ports     []correlate.Exposure
	Judgement Judgement
}

// A Format is one way to write it.
type Format struct {
	Name string
	// For is who reads it.
	For   string
	write func(io.Writer, Firewall) error
}

// formats are those of "netglance firewall" beside text, which needs a style.
var formats = []Format{
	{"json", "programs (schema/firewall.json)", func(w io.Writer, f Firewall) error { return FirewallJSON(w, f.Host, f.Ports, f.Judgement) }},
	{"sarif", "code scanning: SARIF 2.1.0", sarifReport},
	{"junit", "test reports: JUnit XML", junitReport},
	{"github", "annotations of a GitHub workflow", githubReport},
	{"markdown", "a summary for a pull request or a job", markdownReport},
	{"csv", "spreadsheets: a line a port", csvReport},
	{"openmetrics", "node_exporter's textfile collector, and Prometheus", openMetricsReport},
	{"html", "people without a terminal: one page", htmlReport},
}

// Formats are the names of all formats beside text.
func Formats() []Format { return slices.Clone(formats) }

// Write writes the answer in a format by its name; false if there is none such.
func (f Firewall) Write(w io.Writer, format string) (bool, error) {
	at := slices.IndexFunc(formats, func(x Format) bool { return x.Name == format })
	if at < 0 {
		return false, nil
	}
	return true, formats[at].write(w, f)
}

// counting are the findings to act on, in a report that shows others as passed.
func (f Firewall) counting() (out []correlate.Finding) {
	for _, x := range f.Judgement.Findings {
		if f.Judgement.fails(x) {
			out = append(out, x)
		}
	}
	return out
}

// fails says that a finding is one to act on: by the gates that were asked for,
// or, where none was, all but what merely depends on something.
func (j Judgement) fails(f correlate.Finding) bool {
	if !f.Counts() {
		return false
	}
	if j.Gate != nil {
		return j.Gate(f)
	}
	return f.Kind != correlate.KindConditional
}
