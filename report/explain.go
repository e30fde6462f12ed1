package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// A Question is an explain query in the words of its asker.
type Question struct {
	Protocol   string `json:"protocol"`
	Port       uint16 `json:"port"`
	To         string `json:"to"`
	From       string `json:"from"`
	SourcePort uint16 `json:"source_port,omitempty"`
	Via        string `json:"via"`
}

// An Answer is what happens to the packets of a question.
type Answer struct {
	Question Question
	firewall.Explanation
	// Notes say what the question left open and was assumed.
	Notes []string
}

type answerJSON struct {
	Question    *Question       `json:"query,omitempty"`
	Sources     prefixList      `json:"sources,omitempty"`
	SourceMasks []maskedJSON    `json:"source_masks,omitempty"`
	SourceSets  []setJSON       `json:"source_sets,omitempty"`
	Verdict     string          `json:"verdict"`
	Outcomes    []string        `json:"outcomes,omitempty"`
	DecidedBy   *decisionJSON   `json:"decided_by"`
	Conditions  []conditionJSON `json:"conditions"`
	DeliveredTo *deliveryJSON   `json:"delivered_to,omitempty"`
	Path        []pathJSON      `json:"path"`
	Notes       []string        `json:"notes,omitempty"`
	Error       string          `json:"error,omitempty"`
}

type pathJSON struct {
	Hook   string `json:"hook"`
	Chain  string `json:"chain"`
	Rule   string `json:"rule"`
	Effect string `json:"effect"`
}

func answer(e firewall.Explanation) answerJSON {
	out := answerJSON{
		Verdict: e.Fate.String(), Outcomes: outcomes(e.Outcomes), DecidedBy: decision(e.DecidedBy),
		Conditions: conditions(e.Conditions), DeliveredTo: delivery(e.DeliveredTo, ""), Path: make([]pathJSON, 0, len(e.Path)),
	}
	for _, step := range e.Path {
		out.Path = append(out.Path, pathJSON{Clean(step.Hook), pathChain(step), pathRule(step), Clean(step.Effect)})
	}
	return out
}

func pathChain(step firewall.PathStep) string {
	chain := step.Chain
	if chain == nil {
		return ""
	}
	return Clean(chain.FullName())
}

func pathRule(step firewall.PathStep) string {
	if step.Rule == nil {
		return ""
	}
	return Clean(step.Rule.Text())
}

// AnswerLine is an answer of "explain --batch": one line of JSON (schema/answer.json).
func AnswerLine(e firewall.Explanation) []byte { return jsonLine(answer(e)) }

// ErrorLine is the answer to a line that asks nothing.
func ErrorLine(err error) []byte {
	return jsonLine(answerJSON{Verdict: firewall.Undecided.String(), Conditions: []conditionJSON{}, Path: []pathJSON{}, Error: Clean(err.Error())})
}

func jsonLine(a answerJSON) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a); err != nil {
		panic(err) // the type holds nothing that can't be written
	}
	return b.Bytes()
}

type explainJSON struct {
	document
	Answers []answerJSON `json:"answers"`
}

// ExplainJSON writes the answers of "netglance firewall explain" (schema/explain.json).
func ExplainJSON(w io.Writer, h Host, answers []Answer) error {
	out := explainJSON{document: newDocument(h), Answers: make([]answerJSON, 0, len(answers))}
	for _, a := range answers {
		j := answer(a.Explanation)
		question := a.Question
		question.Via, question.To, question.From = Clean(question.Via), Clean(question.To), Clean(question.From)
		j.Question, j.Notes = &question, cleanAll(a.Notes)
		j.Sources, j.SourceMasks, j.SourceSets = a.Sources.Prefixes, masked(a.Sources.Masked), sets(a.Sources.Sets)
		out.Answers = append(out.Answers, j)
	}
	return writeJSON(w, out)
}

var fateColors = map[firewall.Fate]string{
	firewall.Accepted: green, firewall.Dropped: red, firewall.Rejected: red, firewall.Conditional: yellow, firewall.Undecided: yellow,
}

// ExplainText tells the way of each packet, a line a step.
func ExplainText(w io.Writer, h Host, answers []Answer, s Style) error {
	for i, a := range answers {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w, heading(h, a, s)); err != nil {
			return err
		}
		if err := pathTable(a).write(w, s); err != nil {
			return err
		}
	}
	return nil
}

func heading(h Host, a Answer, s Style) string {
	var b strings.Builder
	q := a.Question
	fmt.Fprintf(&b, "%d/%s to %s via %s from %s: %s", q.Port, q.Protocol, Clean(q.To), Clean(q.Via), fromText(h, a), s.paint(cell{a.Fate.String(), fateColors[a.Fate]}))
	if d := decision(a.DecidedBy); d != nil && d.Chain == "" {
		b.WriteString(": " + d.Text)
	} else if d != nil {
		b.WriteString(", decided by " + decisionText(d))
	}
	if d := a.DeliveredTo; d != nil {
		fmt.Fprintf(&b, ", delivered to %s", Clean(netip.AddrPortFrom(d.Address, d.Port).String()))
		if d.Interface != "" {
			b.WriteString(" via " + Clean(d.Interface))
		}
	}
	b.WriteByte('\n')
	for _, c := range a.Conditions {
		fmt.Fprintf(&b, "  depends on (%s): %s\n", c.Kind, Clean(c.Text))
	}
	if !s.Quiet {
		for _, n := range a.Notes {
			fmt.Fprintf(&b, "  note: %s\n", Clean(n))
		}
	}
	return b.String()
}

// fromText is the source that was asked about, or the part of all sources that the answer holds for.
func fromText(h Host, a Answer) string {
	if len(a.Sources.Prefixes)+len(a.Sources.Masked)+len(a.Sources.Sets) == 0 {
		return Clean(a.Question.From)
	}
	if a.Question.From != "" && len(a.Sources.Prefixes) == 1 && a.Sources.Prefixes[0].IsSingleIP() {
		return Clean(a.Question.From)
	}
	return describe(a.Sources, h.odd(), 4)
}

func decisionText(d *decisionJSON) string {
	if d.Chain == "" {
		return d.Text
	}
	switch {
	case d.numbered && d.Handle == 0: // x_tables and pf number rules only by their place
		return fmt.Sprintf("%s rule %d: %s", d.name, d.Number, d.Text)
	case d.numbered:
		return fmt.Sprintf("%s rule %d (handle %d): %s", d.name, d.Number, d.Handle, d.Text)
	}
	return d.name + ": " + d.Text
}

func pathTable(a Answer) *table {
	t := &table{}
	hook := ""
	for _, step := range a.Path {
		shown := Clean(step.Hook)
		if shown == hook {
			shown = ""
		} else {
			hook = shown
		}
		t.add(cell{"  " + shown, bold}, cell{text: pathPlace(step)}, cell{text: pathEffect(step)})
	}
	return t
}

func pathPlace(step firewall.PathStep) string {
	place := pathChain(step)
	if step.Rule != nil {
		place += fmt.Sprintf(" rule %d", step.Rule.Number)
	}
	return place
}

func pathEffect(step firewall.PathStep) string {
	if rule := pathRule(step); rule != "" {
		return rule + " → " + Clean(step.Effect)
	}
	return Clean(step.Effect)
}
