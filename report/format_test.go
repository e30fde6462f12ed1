package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/joshdk/go-junit"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/internal/golden"
)

// judged is everything that a judgement can hold.
func judged() Firewall {
	ports := exposures()
	day := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	at := policy.Position{File: "netglance.yaml", Line: 12}
	pass := &policy.Suppression{At: policy.Position{File: "netglance.yaml", Line: 20}, Reason: "the old shop", Until: day}
	assertion := func(text string) policy.Assertion { return policy.Assertion{At: at, Text: text} }
	finding := func(kind correlate.Kind, severity correlate.Severity, port *correlate.Exposure, print string) correlate.Finding {
		f := correlate.Finding{Kind: kind, Severity: severity, Port: port, Fingerprint: print, Text: "because"}
		if port == nil {
			f.At = at
		} else {
			f.Text, f.Remedy = port.Reasons[0].Text, port.Remedy
		}
		return f
	}
	exposed := finding(correlate.KindExposed, correlate.Critical, &ports[2], "aa00000000000001")
	suppressed := finding(correlate.KindExposed, correlate.High, &ports[3], "aa00000000000002")
	suppressed.SuppressedBy = pass
	known := finding(correlate.KindConditional, correlate.Low, &ports[0], "aa00000000000003")
	known.Known = true
	return Firewall{Host: gapped(), Ports: ports, Judgement: Judgement{
		Policy: "netglance.yaml",
		Findings: []correlate.Finding{exposed, suppressed, finding(correlate.KindUnknown, correlate.Medium, &ports[5], "aa00000000000004"), known,
			finding(correlate.KindExpired, correlate.Low, nil, "aa00000000000005"), finding(correlate.KindAssertion, correlate.High, nil, "aa00000000000006"),
			finding(correlate.KindNew, correlate.High, &ports[2], "aa00000000000007")},
		Asserted: []correlate.Asserted{
			{Assertion: assertion("22/tcp from 10.0.0.0/8: open"), Outcome: correlate.Holds},
			{Assertion: assertion("6379/tcp: closed"), Outcome: correlate.Fails, Sources: prefixes("::/0"), Why: "anywhere in IPv6: let in"},
			{Assertion: assertion("51820/udp: closed"), Why: "could not be read: nf_tables"},
		},
	}}
}

func written(t *testing.T, f Firewall, format string) []byte {
	t.Helper()
	return output(t, func(w io.Writer) error {
		if found, err := f.Write(w, format); err != nil || !found {
			t.Fatalf("%s: found: %v, %v", format, found, err)
		}
		return nil
	})
}

// officialSchema is OASIS's schema of SARIF 2.1.0 (errata 01), as the module
// go-sarif carries it: in a string that it doesn't export.
func officialSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "pkg/report/v210/sarif/schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err = strconv.Unquote(literal.Value)
		}
		return true
	})
	if err != nil || !strings.Contains(text, sarifSchema) {
		t.Fatalf("the schema in %s is another one: %v", dir, err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	c.AssertFormat()
	if err := c.AddResource(sarifSchema, doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(sarifSchema)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestSARIFIsValidByTheOfficialSchema(t *testing.T) {
	s := officialSchema(t)
	for name, f := range map[string]Firewall{"everything": judged(), "nothing": {Host: host()}, "hostile": hostileFirewall()} {
		content := written(t, f, "sarif")
		if err := validate(t, s, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		report, err := sarif.FromBytes(content)
		if err != nil || len(report.Runs[0].Results) != len(f.Judgement.Findings) {
			t.Errorf("%s: go-sarif reads %+v, %v", name, report, err)
		}
		if len(f.Judgement.Findings) == 0 && !bytes.Contains(content, []byte(`"results": []`)) {
			t.Errorf("%s: no list of results: that says that nobody looked", name)
		}
	}
	if validate(t, s, bytes.Replace(written(t, judged(), "sarif"), []byte(`"level": "error"`), []byte(`"level": "fatal"`), 1)) == nil {
		t.Error("a level that doesn't exist passed: the test above can't fail")
	}
}

func TestEverySARIFResultHasItsRuleAndFingerprint(t *testing.T) {
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct {
						ID   string
						Help struct{ Text, Markdown string }
					}
				}
			}
			Results []struct {
				RuleID              string
				RuleIndex           int
				PartialFingerprints map[string]string
				Suppressions        []struct{ Justification string }
				BaselineState       string
			}
		}
	}
	if err := json.Unmarshal(written(t, judged(), "sarif"), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	for i, r := range run.Results {
		rule := run.Tool.Driver.Rules[r.RuleIndex]
		if rule.ID != r.RuleID || rule.Help.Text == "" || rule.Help.Markdown == "" {
			t.Errorf("result %d names the rule %s, and %d is %+v", i, r.RuleID, r.RuleIndex, rule)
		}
		if r.PartialFingerprints["netglance/v1"] != judged().Judgement.Findings[i].Fingerprint {
			t.Errorf("result %d has the fingerprints %v", i, r.PartialFingerprints)
		}
	}
	if run.Results[1].Suppressions[0].Justification != "the old shop" || run.Results[3].BaselineState != "unchanged" {
		t.Errorf("%+v", run.Results)
	}
}

func TestEveryKindOfFindingIsExplained(t *testing.T) {
	for _, k := range correlate.Kinds {
		if text := kindTexts[k]; text.name == "" || text.short == "" || text.full == "" || text.help == "" {
			t.Errorf("%s: %+v", k, text)
		}
	}
}

func TestJUnitIsReadByAConsumer(t *testing.T) {
	suites, err := junit.Ingest(written(t, judged(), "junit"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, s := range suites {
		for _, c := range s.Tests {
			got[string(c.Status)] = append(got[string(c.Status)], c.Name)
		}
	}
	want := map[string][]string{
		"failed":  {"6379/tcp redis", "6379/tcp: closed", "netglance.yaml:12"},
		"error":   {"51820/udp wireguard", "51820/udp: closed", "nf_tables"},
		"skipped": {"22/tcp ssh", "8080/tcp http-alt"},
		"passed":  {"5432/tcp postgresql", "9100/tcp node-exporter", "22/tcp from 10.0.0.0/8: open"},
	}
	for status, names := range want {
		if !slices.Equal(got[status], names) {
			t.Errorf("%s are %q, want %q", status, got[status], names)
		}
	}
}

func TestGatesDecideWhatFails(t *testing.T) {
	f := judged()
	f.Judgement.Gate = func(x correlate.Finding) bool { return x.Kind == correlate.KindExpired }
	if got := string(written(t, f, "github")); strings.Contains(got, "6379") || !strings.Contains(got, "::notice file=netglance.yaml,line=12,") {
		t.Errorf("only expired entries were asked for:\n%s", got)
	}
}

// promtool is Debian's prometheus package.
func TestMetricsPassPromtool(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("no promtool (Debian: apt-get install prometheus)")
	}
	for name, f := range map[string]Firewall{"everything": judged(), "nothing": {Host: host()}, "hostile": hostileFirewall()} {
		check := exec.Command("promtool", "check", "metrics")
		check.Stdin = bytes.NewReader(written(t, f, "openmetrics"))
		if said, err := check.CombinedOutput(); err != nil || len(said) > 0 {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}

func TestCSVHasNoFormulas(t *testing.T) {
	f := judged()
	f.Ports[0].Owners[0].Name = `=HYPERLINK("http://192.0.2.1")`
	rows, err := csv.NewReader(bytes.NewReader(written(t, f, "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(f.Ports)+1 || !strings.HasPrefix(rows[1][6], "'=HYPERLINK") {
		t.Errorf("%d rows, the owner is %q", len(rows), rows[1][6])
	}
}

// hostileFirewall has an attacker's text wherever one can put it, also what has a
// meaning in a format only: Markdown, HTML, workflow commands, CDATA.
func hostileFirewall() Firewall {
	const text = hostile + "]]>\n::error::x\n| [a](http://x) `b` <script>alert(1)</script> @all \"quoted\" \\"
	f := judged()
	f.Host.Name, f.Host.Kernel = text, text
	f.Host.Gaps[0].Source, f.Host.Gaps[0].Reason, f.Host.Gaps[0].Hint = text, text, text
	f.Judgement.Policy = text
	for i := range f.Ports {
		e := &f.Ports[i]
		e.Namespace, e.Remedy = text, []string{text}
		e.Reasons = append(slices.Clone(e.Reasons), correlate.Reason{Code: "x", Text: text})
		for j := range e.Owners {
			e.Owners[j].Name, e.Owners[j].Unit = text, text
		}
	}
	for i := range f.Judgement.Findings {
		x := &f.Judgement.Findings[i]
		x.Text, x.Remedy = text, []string{text}
		if x.SuppressedBy != nil {
			x.SuppressedBy.Reason = text
		}
		if x.Port == nil {
			x.At.File = text
		}
	}
	for i := range f.Judgement.Asserted {
		f.Judgement.Asserted[i].Text, f.Judgement.Asserted[i].Why = text, text
	}
	return f
}

func TestHostileTextBreaksNoFormat(t *testing.T) {
	control := regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}\x{202e}\x{200b}]`)
	for _, format := range Formats() {
		content := written(t, hostileFirewall(), format.Name)
		if at := control.FindIndex(content); at != nil || !utf8.Valid(content) {
			t.Errorf("%s: a control character or broken UTF-8 got through at %v", format.Name, at)
		}
		switch format.Name {
		case "github":
			for line := range strings.Lines(string(content)) {
				if strings.Count(line, "::") < 2 || !strings.HasPrefix(line, "::error ") && !strings.HasPrefix(line, "::warning ") && !strings.HasPrefix(line, "::notice ") {
					t.Errorf("github: a line that is no command of ours: %q", line)
				}
			}
		case "html", "markdown":
			if codeSpan := regexp.MustCompile("(?m)^  - `.*$"); bytes.Contains(codeSpan.ReplaceAll(content, nil), []byte("<script>")) {
				t.Errorf("%s: a script got through", format.Name)
			}
		case "junit":
			if err := wellFormed(content); err != nil {
				t.Errorf("junit: %v", err)
			}
		}
	}
}

func wellFormed(content []byte) error {
	for d := xml.NewDecoder(bytes.NewReader(content)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// judgedOutputs are the reports on a judgement, by the name of their golden file.
func judgedOutputs() map[string]func(io.Writer) error {
	all := map[string]func(io.Writer) error{
		"firewall-judged.txt": func(w io.Writer) error {
			f := judged()
			return FirewallText(w, f.Host, f.Ports, f.Judgement, Style{})
		},
		"policy-init.yaml": func(w io.Writer) error { return PolicyYAML(w, host(), exposures()) },
		"policy-test.txt":  func(w io.Writer) error { return AssertedText(w, gapped(), judged().Judgement.Asserted, Style{}) },
		"policy-test.json": func(w io.Writer) error { return AssertedJSON(w, gapped(), judged().Judgement.Asserted) },
	}
	for file, format := range map[string]string{"firewall-judged.json": "json", "judged.sarif": "sarif", "judged.xml": "junit", "judged.github": "github",
		"judged.md": "markdown", "judged.csv": "csv", "judged.prom": "openmetrics", "judged.html": "html"} {
		all[file] = func(w io.Writer) error { _, err := judged().Write(w, format); return err }
	}
	return all
}

func TestGoldenJudgements(t *testing.T) {
	for name, f := range judgedOutputs() {
		t.Run(name, func(t *testing.T) { golden.Equal(t, name, output(t, f)) })
	}
}

func TestJudgementsFitTheirPublishedSchemas(t *testing.T) {
	for file, published := range map[string]string{"firewall-judged.json": "firewall.json", "policy-test.json": "policy-test.json"} {
		if err := validate(t, schema(t, published), output(t, judgedOutputs()[file])); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
