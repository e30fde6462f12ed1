package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/scan/twin"
)

// A Verification is what a kernel said to the answers about a host's ports.
type Verification struct {
	Host  Host
	Ports []correlate.Exposure
	// Result's ports are Ports', in the same order.
	Result twin.Result
}

// Conflicts is how many probes met another fate than was said.
func (v Verification) Conflicts() (count int) {
	for _, p := range v.Result.Ports {
		count += p.Disagreed
	}
	return count
}

// Agreed is how many probes met the fate that was said.
func (v Verification) Agreed() (count int) {
	for _, p := range v.Result.Ports {
		count += p.Agreed
	}
	return count
}

// otherRules is how many met that fate by another rule.
func (v Verification) otherRules() (count int) {
	for _, p := range v.Result.Ports {
		count += len(p.OtherRules)
	}
	return count
}

// shownConflicts is how many conflicts of a port are printed.
const shownConflicts = 2

// VerifyText writes conflicts first, with both ways through the rules, then a line a port.
func VerifyText(w io.Writer, v Verification, s Style) error {
	if !s.Quiet {
		if _, err := fmt.Fprintf(w, "%s\n\n", strings.Join(wrap(v.Host.header(), s.Width), "\n")); err != nil {
			return err
		}
	}
	if err := v.writeConflicts(w, s); err != nil {
		return err
	}
	if err := v.table(s).write(w, s); err != nil || s.Quiet {
		return err
	}
	_, err := io.WriteString(w, "\n"+v.summary(s)+gapLines(v.Host, s))
	return err
}

func (v Verification) writeConflicts(w io.Writer, s Style) error {
	shown := shownConflicts
	if s.Verbose {
		shown = 1 << 10
	}
	for i, r := range v.Result.Ports {
		for _, c := range r.Conflicts[:min(len(r.Conflicts), shown)] {
			if err := writeConflict(w, v.Ports[i], c, true, s); err != nil {
				return err
			}
		}
		for _, c := range r.OtherRules[:min(len(r.OtherRules), shown)] {
			if err := writeConflict(w, v.Ports[i], c, false, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeConflict(w io.Writer, e correlate.Exposure, c twin.Conflict, fate bool, s Style) error {
	title, kernel := cell{"CONFLICT", red}, c.Fate.String()+": "+Clean(c.Kernel.String())
	if !fate {
		title, kernel = cell{"OTHER RULE", yellow}, c.Fate.String()
	}
	p := c.Probe
	said := c.Said.Fate.String()
	if d := decision(c.Said.DecidedBy); d != nil {
		said += ", decided by " + decisionText(d)
	}
	_, err := fmt.Fprintf(w, "%s  %d/%s from %s via %s to %s\n", s.paint(title), p.Port, e.Protocol,
		endpoint(p.From, p.SourcePort), Clean(p.Via), Clean(p.To.String()))
	if err != nil {
		return err
	}
	t := &table{}
	t.add(cell{"  netglance", bold}, cell{text: said})
	t.add(cell{"  the kernel", bold}, cell{text: kernel})
	if err := t.write(w, s); err != nil {
		return err
	}
	return sideBySide(c).write(w, s)
}

// sideBySide are both ways through the rules. The kernel tells its own of nf_tables only.
func sideBySide(c twin.Conflict) *table {
	ours := make([]string, 0, len(c.Said.Path))
	for _, step := range c.Said.Path {
		ours = append(ours, strings.Join(slices.DeleteFunc([]string{Clean(step.Hook), pathPlace(step), Clean(step.Effect)}, empty), " "))
	}
	var theirs []string
	for _, step := range c.Steps {
		place := kernelChain(step)
		if step.Rule != nil {
			place += fmt.Sprintf(" rule %d", step.Rule.Number)
		}
		theirs = append(theirs, place+" "+kernelEffect(step))
	}
	t := &table{}
	for i := range max(len(ours), len(theirs)) {
		t.add(cell{text: "    " + at(ours, i)}, cell{text: at(theirs, i)})
	}
	t.add(cell{})
	return t
}

func empty(s string) bool { return s == "" }

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

var foundColors = map[twin.State]string{twin.Open: green, twin.Closed: cyan, twin.Filtered: cyan, twin.Unconfirmed: dim}

func (v Verification) table(s Style) *table {
	t := &table{}
	header := plainCells("PORT", "LABEL", "FOUND", "PROBES", "AGREE", "CONFLICT", "NOTE")
	for i := range header {
		header[i].color = bold
	}
	t.add(header...)
	for _, i := range v.order() {
		e, r := v.Ports[i], v.Result.Ports[i]
		bad := cell{text: "–"}
		if r.Disagreed > 0 {
			bad = cell{fmt.Sprint(r.Disagreed), red}
		}
		t.add(cell{text: portName(e)}, cell{e.Label.String(), labelColors[e.Label]}, cell{string(r.State), foundColors[r.State]},
			cell{text: fmt.Sprint(r.Probes)}, cell{text: fmt.Sprint(r.Agreed)}, bad, cell{text: note(e, r, s)})
	}
	return t
}

// order is conflicts first, then by port.
func (v Verification) order() []int {
	list := make([]int, len(v.Ports))
	for i := range list {
		list[i] = i
	}
	slices.SortStableFunc(list, func(a, b int) int {
		return cmp.Or(cmp.Compare(v.Result.Ports[b].Disagreed, v.Result.Ports[a].Disagreed),
			cmp.Compare(v.Ports[a].Port, v.Ports[b].Port), cmp.Compare(v.Ports[a].Protocol, v.Ports[b].Protocol))
	})
	return list
}

// note is what a reader must know beside the counts.
func note(e correlate.Exposure, r twin.PortResult, s Style) string {
	var words []string
	if len(r.OtherRules) > 0 {
		words = append(words, "another rule decides")
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Unverified)) {
		words = append(words, "not verified: "+Clean(reason))
	}
	unseen := 0
	for _, c := range r.Conditional {
		if len(c.Seen) < len(c.Possible) {
			unseen++
		}
		if s.Verbose {
			words = append(words, fmt.Sprintf("%s %s: %s possible, %s seen", Clean(e.Reach[c.Way].Interface), familyName(e.Reach[c.Way].Family),
				strings.Join(outcomes(c.Possible), " or "), strings.Join(outcomes(c.Seen), " and ")))
		}
	}
	if unseen > 0 && !s.Verbose {
		words = append(words, fmt.Sprintf("of %s not every possible fate was seen", counted(unseen, "conditional answer")))
	}
	if len(words) == 0 && e.Label == correlate.Local && r.Probes == 0 {
		return "nothing from outside arrives there"
	}
	return strings.Join(words, "; ")
}

func (v Verification) summary(s Style) string {
	text := fmt.Sprintf("%s, %s: ", counted(len(v.Ports), "port"), counted(v.Result.Probes, "probe"))
	switch conflicts := v.Conflicts(); {
	case conflicts > 0:
		text += s.paint(cell{fmt.Sprintf("the kernel disagrees with %d of %d", conflicts, conflicts+v.Agreed()), red})
	case v.Agreed() == 0:
		text += s.paint(cell{"nothing was verified", yellow})
	case v.Agreed() < v.Result.Probes:
		text += s.paint(cell{fmt.Sprintf("the kernel agrees with %d; the others say nothing", v.Agreed()), green})
	default:
		text += s.paint(cell{"the kernel agrees with all", green})
	}
	text += "."
	if v.Result.Traced > 0 {
		text += fmt.Sprintf("  The deciding rule is the same for %d of %d.", v.Result.Traced-v.otherRules(), v.Result.Traced)
	}
	return text + "\n"
}

// probeOf is what verification found at a port, in JSON.
func probeOf(p correlate.Probe) probeJSON {
	if p.State == "" {
		return probeJSON{State: string(twin.Unconfirmed)}
	}
	return probeJSON{State: p.State, Method: p.Method}
}
