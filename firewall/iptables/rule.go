package iptables

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
)

// A rule is one rule as read, from the kernel or from a text. It prints itself
// as iptables -S does.
type rule struct {
	chain   string
	header  header
	matches []xt.Extension
	// target is the zero Extension for a rule without target and for a jump.
	target    xt.Extension
	hasTarget bool
	jump      string
}

// String is the rule's line: "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT".
func (r *rule) String() string {
	var b strings.Builder
	b.WriteString("-A " + r.chain)
	r.header.text(&b)
	for _, m := range r.matches {
		b.WriteString(" " + m.String())
	}
	switch {
	case r.jump != "" && r.header.jumpIsGoto:
		b.WriteString(" -g " + r.jump)
	case r.jump != "":
		b.WriteString(" -j " + r.jump)
	case r.hasTarget:
		b.WriteString(" " + r.target.String())
	}
	return b.String()
}

// steps are all that the rule matches and does. chain finds the chain that it
// jumps to.
func (r *rule) steps(chain func(name string) *firewall.Chain) []firewall.Step {
	s := r.header.appendSteps(make([]firewall.Step, 0, 4+2*len(r.matches)))
	for _, m := range r.matches {
		s = append(s, m.Steps()...)
	}
	switch {
	case r.jump != "" && r.header.jumpIsGoto:
		s = append(s, firewall.Verdict{Code: firewall.Goto, Chain: chain(r.jump)})
	case r.jump != "":
		s = append(s, firewall.Verdict{Code: firewall.Jump, Chain: chain(r.jump)})
	case r.hasTarget:
		s = append(s, r.target.Steps()...)
	}
	return s
}

// comment is the text of the rule's comments.
func (r *rule) comment() string {
	comment := ""
	for _, m := range r.matches {
		text, ok := m.Comment()
		if ok && comment != "" {
			comment += "; "
		}
		comment += text
	}
	return comment
}

// model is the rule as the evaluator takes it. source prints it.
func (r *rule) model(chain *firewall.Chain, number int, find func(name string) *firewall.Chain, source fmt.Stringer) *firewall.Rule {
	return &firewall.Rule{Chain: chain, Number: number, Comment: r.comment(), Steps: r.steps(find), Source: source}
}
