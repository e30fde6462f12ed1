package report

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/internal/golden"
)

// changed is everything that a difference can hold.
func changed() Diff {
	ports := exposures()
	return Diff{Before: "before.ng", After: "after.ng", Difference: correlate.Difference{
		Ports: []correlate.PortChange{
			{Change: correlate.Closed, Before: &ports[1], Text: "it was local, held by postgres"},
			{Change: correlate.OwnedBy, Before: &ports[0], After: &ports[0], Text: "held by dropbear, before by sshd"},
			{Change: correlate.Widened, Before: &ports[2], After: &ports[2], Interface: "eth0", Family: 6, Sources: prefixes("2001:db8::/32"), Text: "2001:db8::/32, by eth0, reaches it now"},
			{Change: correlate.Opened, After: &ports[3], Text: "exposed, held by docker-proxy"},
		},
		Rules: []correlate.RuleChange{
			{Kind: "chain changed", Chain: "nftables inet filter input", Text: "from policy accept to policy drop"},
			{Kind: "added", Chain: "nftables inet filter input", Text: "tcp dport 22 accept", After: 3},
			{Kind: "moved", Chain: "nftables inet filter input", Text: "ct state established accept", Before: 1, After: 2},
		},
		OtherPorts: []correlate.PortSpan{{Protocol: "tcp", First: 8000, Last: 8100}}, AnswersKnown: true, Incomplete: true,
	}}
}

func diffOutputs() map[string]func(io.Writer) error {
	untold := Diff{Before: "a.json", After: "b.json", Difference: correlate.Difference{RulesUntold: true}}
	return map[string]func(io.Writer) error{
		"diff.txt":       func(w io.Writer) error { return DiffText(w, changed(), Style{}) },
		"diff.md":        func(w io.Writer) error { return DiffMarkdown(w, changed()) },
		"diff.json":      func(w io.Writer) error { return DiffJSON(w, changed(), "v1.2.3") },
		"diff-none.txt":  func(w io.Writer) error { return DiffText(w, untold, Style{}) },
		"diff-none.json": func(w io.Writer) error { return DiffJSON(w, untold, "v1.2.3") },
	}
}

func TestGoldenDifferences(t *testing.T) {
	for name, f := range diffOutputs() {
		t.Run(name, func(t *testing.T) {
			golden.Equal(t, name, output(t, f))
			if strings.HasSuffix(name, ".json") {
				if err := validate(t, schema(t, "diff.json"), output(t, f)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestHostileTextIsNeutralizedInDifferences(t *testing.T) {
	d := changed()
	d.Before, d.After = hostile, hostile
	for i := range d.Ports {
		c := &d.Ports[i]
		c.Text, c.Interface = hostile, hostile
		for _, e := range []*correlate.Exposure{c.Before, c.After} {
			if e != nil {
				e.Namespace = hostile
			}
		}
	}
	for i := range d.Rules {
		d.Rules[i].Chain, d.Rules[i].Text = hostile, hostile
	}
	for name, f := range map[string]func(io.Writer) error{
		"text":     func(w io.Writer) error { return DiffText(w, d, Style{}) },
		"json":     func(w io.Writer) error { return DiffJSON(w, d, "v1") },
		"markdown": func(w io.Writer) error { return DiffMarkdown(w, d) },
	} {
		if content := output(t, f); bytes.ContainsAny(content, "\x1b\x07\u202e\u200b\u009b") {
			t.Errorf("%s: %q", name, content)
		}
	}
}

// A report that is read again says the same: nothing changed between the two.
func TestAReportReadAgainIsTheSame(t *testing.T) {
	f := judged()
	read, err := ReadFirewall(bytes.NewReader(written(t, f, "json")), "report.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Ports) != len(f.Ports) || read.Complete {
		t.Fatalf("%d ports of %d, complete: %v", len(read.Ports), len(f.Ports), read.Complete)
	}
	d, err := correlate.Diff(read, &correlate.Snapshot{Ports: f.Ports})
	if err != nil || !d.Empty() {
		t.Errorf("%v, %+v", err, d.Ports)
	}
	for _, x := range f.Judgement.Findings {
		if read.Findings[x.Fingerprint] == (x.SuppressedBy != nil) {
			t.Errorf("the finding %s is known: %v", x.Fingerprint, read.Findings[x.Fingerprint])
		}
	}
}

func TestWhatIsNoReportIsRefused(t *testing.T) {
	good := string(written(t, judged(), "json"))
	for name, text := range map[string]string{
		"nothing":                  "",
		"something else":           `{"schema_version":"1"}`,
		"a newer version":          strings.Replace(good, `"schema_version": "1"`, `"schema_version": "2"`, 1),
		"an unknown label":         strings.Replace(good, `"label":"exposed"`, `"label":"open"`, 1),
		"an unknown verdict":       strings.Replace(good, `"verdict":"accept"`, `"verdict":"allow"`, 1),
		"an IPv6 source in IPv4":   strings.Replace(good, `"10.0.0.0/8"`, `"2001:db8::/32"`, 1),
		"a port beyond 65535":      strings.Replace(good, `"port":22`, `"port":65536`, 1),
		"a mask of another family": strings.Replace(good, `"mask":"0.0.0.1"`, `"mask":"::1"`, 1),
		"half of a file":           good[:len(good)/2],
	} {
		if text == good {
			t.Fatalf("%s: nothing was replaced", name)
		}
		if _, err := ReadFirewall(strings.NewReader(text), "x"); !errors.Is(err, ErrNotReport) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadFirewall(f *testing.F) {
	var b bytes.Buffer
	if _, err := judged().Write(&b, "json"); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := ReadFirewall(bytes.NewReader(content), "fuzz")
		if err != nil {
			return
		}
		if d, err := correlate.Diff(s, s); err == nil && !d.Empty() {
			t.Errorf("a report differs from itself: %+v", d.Ports)
		}
	})
}
