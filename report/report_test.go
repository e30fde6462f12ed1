package report

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/listeners"
)

// outputs are every report that there is, by the name of its golden file.
func outputs() map[string]func(io.Writer) error {
	return map[string]func(io.Writer) error{
		"firewall.txt":        func(w io.Writer) error { return FirewallText(w, host(), exposures(), Judgement{}, Style{}) },
		"firewall-narrow.txt": func(w io.Writer) error { return FirewallText(w, host(), exposures(), Judgement{}, Style{Width: 120}) },
		"firewall-wide.txt":   func(w io.Writer) error { return FirewallText(w, host(), exposures(), Judgement{}, Style{Width: 180}) },
		"firewall-color.txt":  func(w io.Writer) error { return FirewallText(w, host(), exposures(), Judgement{}, Style{Color: true}) },
		"firewall-verbose.txt": func(w io.Writer) error {
			return FirewallText(w, gapped(), exposures(), Judgement{}, Style{Verbose: true})
		},
		"firewall-quiet.txt": func(w io.Writer) error {
			return FirewallText(w, gapped(), exposures(), Judgement{}, Style{Quiet: true})
		},
		"firewall-none.txt": func(w io.Writer) error { return FirewallText(w, host(), nil, Judgement{}, Style{}) },
		"firewall.json":     func(w io.Writer) error { return FirewallJSON(w, gapped(), exposures(), Judgement{}) },
		"listeners.txt":     func(w io.Writer) error { return ListenersText(w, sockets(), Style{}) },
		"listeners.json":    func(w io.Writer) error { return ListenersJSON(w, host(), sockets()) },
		"rules.txt":         func(w io.Writer) error { rules, found := reviewed(); return RulesText(w, rules, found, Style{}) },
		"rules.json":        func(w io.Writer) error { rules, found := reviewed(); return RulesJSON(w, host(), rules, found) },
		"explain.txt":       func(w io.Writer) error { return ExplainText(w, host(), answers(), Style{}) },
		"explain.json":      func(w io.Writer) error { return ExplainJSON(w, gapped(), answers()) },
		"verify.txt":        func(w io.Writer) error { return VerifyText(w, verification(), Style{}) },
		"verify-verbose.txt": func(w io.Writer) error {
			return VerifyText(w, verification(), Style{Verbose: true, Color: true, Width: 150})
		},
		"verify.json": func(w io.Writer) error { return VerifyJSON(w, verification()) },
		"firewall-verified.txt": func(w io.Writer) error {
			return FirewallText(w, host(), verifiedExposures(), Judgement{}, Style{})
		},
		"answer.json":       func(w io.Writer) error { _, err := w.Write(AnswerLine(answers()[0].Explanation)); return err },
		"answer-error.json": func(w io.Writer) error { _, err := w.Write(ErrorLine(io.ErrUnexpectedEOF)); return err },
	}
}

func output(t *testing.T, f func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	for name, f := range outputs() {
		t.Run(name, func(t *testing.T) { golden.Equal(t, name, output(t, f)) })
	}
}

// schema compiles a published schema, made stricter: what it doesn't name is an error.
func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	const base = "https://github.com/netglance/netglance/raw/main/report/schema/"
	c := jsonschema.NewCompiler()
	files, err := filepath.Glob("schema/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if id := doc.(map[string]any)["$id"]; id != base+filepath.Base(file) {
			t.Errorf("%s has the id %v", file, id)
		}
		strict(doc)
		if err := c.AddResource(base+filepath.Base(file), doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile(base + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"]; ok {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			strict(inner)
		}
	case []any:
		for _, inner := range v {
			strict(inner)
		}
	}
}

func validate(t *testing.T, s *jsonschema.Schema, content []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// What the commands say of recorded hosts, of every system.
func TestAnswersAboutRecordedHostsFitTheirSchemas(t *testing.T) {
	files, err := filepath.Glob("../cmd/netglance/testdata/*-1/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no answers: %v", err)
	}
	schemas := map[string]*jsonschema.Schema{}
	for _, file := range files {
		kind := filepath.Base(file)
		if schemas[kind] == nil {
			schemas[kind] = schema(t, kind)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, schemas[kind], content); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestJSONFitsItsPublishedSchema(t *testing.T) {
	for name, f := range outputs() {
		kind, ok := strings.CutSuffix(name, ".json")
		if !ok {
			continue
		}
		kind, _, _ = strings.Cut(kind, "-")
		t.Run(name, func(t *testing.T) {
			if err := validate(t, schema(t, kind+".json"), output(t, f)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASchemaRefusesWhatItDoesntName(t *testing.T) {
	content := bytes.Replace(output(t, outputs()["firewall.json"]), []byte(`"service"`), []byte(`"servise"`), 1)
	if validate(t, schema(t, "firewall.json"), content) == nil {
		t.Error("a misspelt field passed: the test above can't fail")
	}
}

func TestEmptyAnswersAreArraysNotNull(t *testing.T) {
	for name, f := range map[string]func(io.Writer) error{
		"firewall.json":  func(w io.Writer) error { return FirewallJSON(w, Host{}, []correlate.Exposure{{}}, Judgement{}) },
		"listeners.json": func(w io.Writer) error { return ListenersJSON(w, Host{}, []listeners.Listener{{}}) },
		"rules.json":     func(w io.Writer) error { return RulesJSON(w, Host{}, &firewall.Ruleset{}, correlate.RulesReview{}) },
		"explain.json":   func(w io.Writer) error { return ExplainJSON(w, Host{}, []Answer{{}}) },
	} {
		var v any
		content := output(t, f)
		if err := json.Unmarshal(content, &v); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "null") && !strings.Contains(string(content), `"decided_by": null`) {
			t.Errorf("%s: null in %s", name, content)
		}
	}
}

// An attacker's text: a terminal escape, a bell, a line break, a right-to-left
// override, an invisible character, an 8-bit escape and a broken UTF-8 sequence.
const hostile = "a\x1b]0;owned\x07\nb\u202ec\u200bd\u009be\xff"

const neutralized = `a\x1b]0;owned\x07\x0ab\u202ec\u200bd\u009be\xff`

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		hostile: neutralized, "": "", "plain": "plain", "grüße 日本": "grüße 日本", "tab\t": `tab\x09`, "\x7f": `\x7f`, "\ufeffbom": `\ufeffbom`, "\U000e0041": `\U000e0041`,
		"a\ufffdb": "a\ufffdb",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHostileTextIsNeutralizedInEveryFormat(t *testing.T) {
	scoped := addr("fe80::1").WithZone(hostile)
	process := listeners.Process{PID: 1, Name: hostile, Executable: hostile, Command: []string{hostile}, User: hostile, Unit: hostile, UserUnit: hostile, SocketUnit: hostile}
	contained := process
	contained.Container = listeners.Container{ID: hostile, Runtime: hostile, Pod: hostile}
	bad := &firewall.Table{Name: hostile}
	chain := &firewall.Chain{Table: bad, Name: hostile, Base: &firewall.Base{Hook: firewall.Input, Devices: []string{hostile}}}
	rule := &firewall.Rule{Chain: chain, Number: 1, Comment: hostile, Source: words(hostile), Steps: []firewall.Step{firewall.Verdict{Code: firewall.Jump, Chain: chain}}}
	chain.Rules = []*firewall.Rule{rule}
	bad.Chains = []*firewall.Chain{chain}
	rules := &firewall.Ruleset{Tables: []*firewall.Table{bad}}
	p := firewall.Part{Fate: firewall.Accepted, DecidedBy: firewall.Decision{Chain: chain, Rule: rule, Text: hostile},
		Sources:     firewall.Sources{Prefixes: prefixes("10.0.0.0/8"), Sets: []firewall.SetMembership{{Set: &firewall.Set{Table: bad, Name: hostile}}}},
		Conditions:  []firewall.Condition{{Text: hostile}},
		DeliveredTo: &firewall.Delivery{Address: scoped, Interface: hostile}}
	e := correlate.Exposure{Protocol: "tcp", Label: correlate.Exposed, Namespace: hostile, Addresses: []netip.Addr{scoped}, Devices: []string{hostile}, Owners: []listeners.Process{process, contained}, OwnerGap: hostile,
		Reach:   []correlate.Reach{{Interface: hostile, Family: 6, Destinations: []netip.Addr{scoped}, Part: p}, reach("eth1", 4, "10.0.0.1", part(firewall.Dropped, firewall.Decision{Text: hostile}, "0.0.0.0/0"))},
		Reasons: []correlate.Reason{{Code: "x", Text: hostile}}, Remedy: []string{hostile}}
	l := listeners.Listener{Protocol: "tcp", State: "listen", Address: scoped, Device: hostile, Owners: e.Owners, OwnerGap: hostile}
	h := Host{Name: hostile, OS: hostile, Kernel: hostile, Backends: []string{hostile}, Interfaces: []Interface{{Name: hostile, Addresses: []netip.Addr{scoped}}}}
	h.Gaps = append(h.Gaps, gapped().Gaps...)
	h.Gaps[0].Source, h.Gaps[0].Reason, h.Gaps[0].Hint = hostile, hostile, hostile
	answer := Answer{Question: Question{To: hostile, From: hostile, Via: hostile}, Notes: []string{hostile},
		Explanation: firewall.Explanation{Part: p, Path: []firewall.PathStep{{Hook: hostile, Chain: chain, Rule: rule, Effect: hostile}}}}

	for name, f := range map[string]func(io.Writer) error{
		"firewall text": func(w io.Writer) error {
			return FirewallText(w, h, []correlate.Exposure{e}, Judgement{}, Style{Verbose: true})
		},
		"firewall json":  func(w io.Writer) error { return FirewallJSON(w, h, []correlate.Exposure{e}, Judgement{}) },
		"listeners text": func(w io.Writer) error { return ListenersText(w, []listeners.Listener{l}, Style{}) },
		"listeners json": func(w io.Writer) error { return ListenersJSON(w, h, []listeners.Listener{l}) },
		"rules text":     func(w io.Writer) error { return RulesText(w, rules, correlate.RulesReview{}, Style{}) },
		"rules json":     func(w io.Writer) error { return RulesJSON(w, h, rules, correlate.RulesReview{}) },
		"explain text":   func(w io.Writer) error { return ExplainText(w, h, []Answer{answer}, Style{}) },
		"explain json":   func(w io.Writer) error { return ExplainJSON(w, h, []Answer{answer}) },
		"gaps":           func(w io.Writer) error { return GapsText(w, h, Style{}) },
		"answer":         func(w io.Writer) error { _, err := w.Write(AnswerLine(answer.Explanation)); return err },
		"error":          func(w io.Writer) error { _, err := w.Write(ErrorLine(hostileError{})); return err },
	} {
		t.Run(name, func(t *testing.T) {
			shown := string(output(t, f))
			if strings.Contains(name, "json") || name == "answer" || name == "error" {
				var v any
				if err := json.Unmarshal([]byte(shown), &v); err != nil {
					t.Fatal(err)
				}
				shown = allStrings(v) // what a program gets to see, and may print
			}
			for _, r := range strings.ReplaceAll(shown, "\n", "") {
				if r == 0xfffd || r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x200b {
					t.Fatalf("%U in %q", r, shown)
				}
			}
			if !strings.Contains(shown, `\x1b]0;owned`) {
				t.Errorf("the text is gone: %q", shown)
			}
		})
	}
}

type hostileError struct{}

func (hostileError) Error() string { return hostile }

func allStrings(v any) string {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "\n", "\x00") // a line break in a string is none of ours
	case map[string]any:
		var b strings.Builder
		for k, inner := range v {
			b.WriteString(k + allStrings(inner))
		}
		return b.String()
	case []any:
		var b strings.Builder
		for _, inner := range v {
			b.WriteString(allStrings(inner))
		}
		return b.String()
	}
	return ""
}
