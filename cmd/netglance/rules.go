package main

import (
	"github.com/spf13/cobra"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/report"
)

func newRules(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rules",
		Short: "The rules in the order in which a packet meets them",
		Long: `rules lists all rules, hook by hook, base chains by priority across tables and
families, and chains that are called below the first rule that calls them. Below a
rule stands what it opens, and what is odd about it: that no packet can make it
act, and what takes them away, or that nothing listens on the ports it opens.`,
		Example: "  sudo netglance firewall rules",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.rules() },
	}
}

func (a *app) rules() error {
	s, err := a.look(readAll)
	if err != nil {
		return err
	}
	found := s.reviewRules()
	if a.json {
		return internal(report.RulesJSON(a.out, s.about, s.rules, found))
	}
	a.notes(s.about)
	if len(s.rules.Tables) == 0 && len(s.unread) > 0 {
		return nil // "no rule" and "could not read the rules" never look alike
	}
	return internal(report.RulesText(a.out, s.rules, found, a.style()))
}

// reviewRules joins the rules with what listens.
func (s *survey) reviewRules() correlate.RulesReview {
	in, evaluator := s.input(nil)
	ports := s.ports(in, evaluator)
	found := correlate.ReviewRules(in, s.review(), ports, !s.socketsUnread && !s.planned)
	s.addPFFindings(&found)
	return found
}

// review is what each rule is good for; of rules that aren't evaluated, nothing.
func (s *survey) review() *firewall.Review {
	reviewer, ok := s.evaluator().(interface{ Review() *firewall.Review })
	if !ok {
		return &firewall.Review{}
	}
	return reviewer.Review()
}
