package report

import (
	"io"
	"slices"
	"strings"

	"github.com/chavacava/garif"

	"github.com/netglance/netglance/correlate"
)

// declaredIn is the file that a finding is shown beside where there is no policy
// yet: the one in which to declare the port.
const declaredIn = "netglance.yaml"

// A sarifLog is garif's, with results that are an empty list where there are none:
// a run without the property didn't look (SARIF 2.1.0, 3.14.23).
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	*garif.Run
	Results []*garif.Result `json:"results"`
}

const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// sarifReport writes SARIF 2.1.0. A result is known by its fingerprint, which
// outlives restarts; what could not be read is a notification.
func sarifReport(w io.Writer, f Firewall) error {
	driver := garif.NewToolComponent("netglance")
	driver.InformationUri, driver.Version, driver.SemanticVersion = docs, f.Host.Tool, semantic(f.Host.Tool)
	for _, kind := range correlate.Kinds {
		driver.Rules = append(driver.Rules, sarifRule(kind))
	}
	run := garif.NewRun(garif.NewTool(driver))
	run.AutomationDetails = &garif.RunAutomationDetails{Id: "netglance/" + Clean(f.Host.Name) + "/"}
	invocation := garif.NewInvocation(true)
	for _, g := range f.Host.sortedGaps() {
		text := Clean(g.Source + ": " + g.Reason)
		if g.Hint != "" {
			text += " – " + Clean(g.Hint)
		}
		n := garif.NewNotification(garif.NewMessageFromText(text))
		n.Level = "warning"
		invocation.ToolExecutionNotifications = append(invocation.ToolExecutionNotifications, n)
	}
	run.Invocations = []*garif.Invocation{invocation}
	results := []*garif.Result{}
	for _, x := range f.Judgement.Findings {
		results = append(results, sarifResult(f, x))
	}
	text, err := indented(sarifLog{sarifSchema, "2.1.0", []sarifRun{{run, results}}})
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// semantic is the version if it is one that SARIF calls so.
func semantic(version string) string {
	if v, ok := strings.CutPrefix(version, "v"); ok && !strings.ContainsAny(v, " ()") {
		return v
	}
	return "0.0.0"
}

func ruleID(k correlate.Kind) string { return "netglance/" + string(k) }

func sarifRule(k correlate.Kind) *garif.ReportingDescriptor {
	text := kindTexts[k]
	rule := garif.NewRule(ruleID(k))
	rule.Name = text.name
	rule.ShortDescription, rule.FullDescription = garif.NewMultiformatMessageString(text.short), garif.NewMultiformatMessageString(text.full)
	rule.Help = &garif.MultiformatMessageString{Text: text.help, Markdown: text.full + "\n\n" + text.help}
	rule.HelpUri = docs + "#how-to-read-the-answer"
	rule.DefaultConfiguration = &garif.ReportingConfiguration{Enabled: true, Level: sarifLevel(usualSeverity[k])}
	rule.Properties = &garif.PropertyBag{"tags": []string{"security", "network"}, "security-severity": securitySeverity[usualSeverity[k]]}
	return rule
}

// usualSeverity is a kind's where the finding has not its own.
var usualSeverity = map[correlate.Kind]correlate.Severity{
	correlate.KindExposed: correlate.High, correlate.KindUnknown: correlate.Medium, correlate.KindConditional: correlate.Low, correlate.KindConflict: correlate.High,
	correlate.KindExpired: correlate.Low, correlate.KindAssertion: correlate.High, correlate.KindNew: correlate.Medium,
}

// securitySeverity are numbers as of CVSS, by which code scanning sorts.
var securitySeverity = map[correlate.Severity]string{correlate.Low: "3.0", correlate.Medium: "5.5", correlate.High: "8.0", correlate.Critical: "9.5"}

func sarifLevel(s correlate.Severity) string {
	switch s {
	case correlate.Low:
		return "note"
	case correlate.Medium:
		return "warning"
	}
	return "error"
}

func sarifResult(f Firewall, x correlate.Finding) *garif.Result {
	text := Message(x)
	if len(x.Remedy) > 0 {
		text += "\nWhat to do: " + strings.Join(cleanAll(x.Remedy), "; ")
	}
	properties := garif.PropertyBag{"severity": x.Severity.String()}
	if x.Port != nil {
		properties["port_fingerprint"] = x.Port.Fingerprint
	}
	r := &garif.Result{
		RuleId: ruleID(x.Kind), RuleIndex: slices.Index(correlate.Kinds, x.Kind), Level: garif.ResultLevel(sarifLevel(x.Severity)),
		Message: garif.NewMessageFromText(text), Locations: []*garif.Location{sarifLocation(f, x)},
		PartialFingerprints: map[string]string{"netglance/v1": x.Fingerprint, "primaryLocationLineHash": x.Fingerprint + ":1"},
		Properties:          &properties,
	}
	if x.SuppressedBy != nil {
		r.Suppressions = []*garif.Suppression{{Kind: "external", Status: "accepted", Justification: Clean(x.SuppressedBy.Reason)}}
	}
	if x.Known {
		r.BaselineState = "unchanged"
	}
	return r
}

// sarifLocation: a port is a logical location; the file is where it is declared, or would be.
func sarifLocation(f Firewall, x correlate.Finding) *garif.Location {
	file, line := declaredIn, 1
	if f.Judgement.Policy != "" {
		file = f.Judgement.Policy
	}
	if x.At.File != "" {
		file, line = x.At.File, x.At.Line
	}
	at := &garif.Location{PhysicalLocation: &garif.PhysicalLocation{
		ArtifactLocation: &garif.ArtifactLocation{Uri: fileURI(file)}, Region: &garif.Region{StartLine: line, EndLine: line}}}
	if x.Port != nil {
		name := portName(*x.Port)
		at.LogicalLocations = []*garif.LogicalLocation{{Name: name, Kind: "resource", FullyQualifiedName: Clean(f.Host.Name) + "/" + Clean(x.Port.Namespace) + "/" + name}}
	}
	return at
}
