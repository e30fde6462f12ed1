package correlate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// Words say what a rule is to the program that wrote it.
type Words interface {
	// Rule is "ufw rule 3: allow 22/tcp": whole says that the words tell what the rule
	// does; else they only name who has it. Empty where nothing is known.
	Rule(*firewall.Rule) (words string, whole bool)
	// Default is whose the policy of a base chain is: "ufw's default".
	Default(*firewall.Chain) string
}

// said is what the rule is to its manager; empty where nobody has words for it.
func (w writer) said(r *firewall.Rule) (words string, whole bool) {
	if w.in.Words == nil || r == nil {
		return "", false
	}
	words, whole = w.in.Words.Rule(r)
	return w.byName(words), whole
}

// does is the manager's words for a rule, or its place, with what it does and its text.
func (w writer) does(r *firewall.Rule, verb string) string {
	words, whole := w.said(r)
	switch {
	case whole:
		return words
	case words != "":
		return fmt.Sprintf("%s %s: %s", words, verb, r.Text())
	}
	return fmt.Sprintf("%s %s: %s", ruleName(r), verb, r.Text())
}

// doesSo is the same where the words alone don't say what is wrong: "… accepts it,
// naming neither port nor sources".
func (w writer) doesSo(r *firewall.Rule, verb string) string {
	if words, whole := w.said(r); whole {
		return words + ": " + verb
	}
	return w.does(r, verb)
}

// automatic tells of a rule that Docker wrote for a port that it publishes.
func (w writer) automatic(r *firewall.Rule) string {
	if words, whole := w.said(r); whole {
		return words + ", which Docker lets in by itself"
	}
	return fmt.Sprintf("Docker's own %s lets it in: %s", ruleName(r), r.Text())
}

// byDefault puts before a policy whose it is: "ufw's default: ".
func (w writer) byDefault(c *firewall.Chain) string {
	if w.in.Words == nil {
		return ""
	}
	if words := w.in.Words.Default(c); words != "" {
		return words + ": "
	}
	return ""
}

// unrouted are the declared parts of which a rule lets every packet in, and no
// answer gets back for want of a route alone. No filter keeps them out: with a
// route, which comes and goes as links do, they would reach the port.
func unrouted(blocked []Reach) []Reach {
	var list []Reach
	for _, r := range blocked {
		if r.Declared != Undeclared && len(r.Acceptances) > 0 && kernelDrops(r.Part) && strings.HasPrefix(r.DecidedBy.Text, firewall.AnswerLost+": "+firewall.NoRouteBack) {
			list = append(list, r)
		}
	}
	return list
}

// awaitsRoute says who could come if there were a route back.
func (w writer) awaitsRoute(waiting []Reach) {
	for _, r := range waiting {
		w.whyMeant(r)
	}
	var from []string
	for _, r := range waiting {
		for _, p := range r.Sources.Prefixes {
			if text := p.String(); len(from) < 4 && !slices.Contains(from, text) {
				from = append(from, text)
			}
		}
	}
	w.add("no_route_back", "for now nobody gets an answer: there is no route back to %s", strings.Join(from, ", "))
}
