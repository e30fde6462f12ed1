package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/report"
)

// defaultPolicy is the file that the policy commands read where none is named.
const defaultPolicy = "netglance.yaml"

func newPolicy(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "What may be reached on this host: write it down, check it, test it",
		Long: `A policy (netglance.yaml) says which ports may be reached, from where, by whose
hand, why and until when. "netglance firewall --policy netglance.yaml" judges by it:
a port is intentional exactly when every source that can reach it is declared.

  version: 1
  sources:
    office: [198.51.100.0/28, "2001:db8:1::/48"]
  allow:
    - service: ssh                      # or port: 22/tcp, 8000-8100/tcp, [80/tcp, 443/tcp]
      from: [office, 10.0.0.0/8]        # default: anywhere; also private, 192.0.2.1-192.0.2.9
      via: eth*                         # default: every interface
      owner: {unit: ssh.service}        # also process, user, container, image; * stands for any characters but /
      reason: administration
      responsible: ops@example.com
      until: 2027-01-31                 # then it is a finding (expired)
  nothing_else: true                    # what no entry allows is exposed, even if a rule names it
  assert:                               # answered for every source, not for samples
    - 22/tcp from office: open          # open, closed: a connection is made, or not
    - 5432/tcp from anywhere: blocked   # accepted, blocked: what the rules do, whether anything listens or not
  suppress:
    - {port: 8080/tcp, finding: exposed, reason: goes away with the old shop, until: 2026-12-31}
  profiles:                             # chosen by "use: web" in the file, or by --profile web
    web: {include: base, allow: [{service: https}]}
    base: {allow: [{service: ssh, from: private}]}

The schema for editors is ` + report.PolicySchema,
		Example: `  sudo netglance policy init > netglance.yaml
  netglance policy check
  sudo netglance policy test
  sudo netglance firewall --policy netglance.yaml --fail-on exposed,assertion,expired`,
	}
	c.AddCommand(newPolicyInit(a), newPolicyCheck(a), newPolicyTest(a))
	return c
}

func newPolicyInit(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a policy from what stands, to standard output",
		Long: `init writes an entry for every port that is meant to be reached, and says in comments
where that comes from. What is reachable and declared by nothing stands there as a
comment: somebody must decide.`,
		Example: "  sudo netglance policy init > netglance.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return usage("leave --json out", "a policy is YAML")
			}
			s, err := a.look(readAll)
			if err != nil {
				return err
			}
			in, evaluator := s.input(nil)
			a.notes(s.about)
			return internal(report.PolicyYAML(a.out, s.about, s.ports(in, evaluator)))
		},
	}
}

func newPolicyCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what is wrong with a policy, line by line, without looking at any host",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			j := judging{policyFile: policyArgument(args)}
			p, err := j.readPolicy()
			if err != nil {
				return err
			}
			if !a.quiet {
				fmt.Fprintf(a.out, "%s: %d entries, %d assertions, %d suppressions. Nothing is wrong with it.\n",
					report.Clean(p.File), len(p.Entries), len(p.Assertions), len(p.Suppressions))
			}
			return nil
		},
	}
}

func policyArgument(args []string) string {
	if len(args) == 0 {
		return defaultPolicy
	}
	return args[0]
}

func newPolicyTest(a *app) *cobra.Command {
	var j judging
	c := &cobra.Command{
		Use:   "test [FILE]",
		Short: "Answer the policy's assertions for this host, for every source at once",
		Long: `test ends with 0 if all assertions hold, with 1 if one fails, and with 3 if one
can't be answered and none fails.`,
		Example: `  sudo netglance policy test
  netglance policy test netglance.yaml --host web-1.ng
  netglance policy test --rules rules.v4        what rules would do that run nowhere yet`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			j.policyFile = policyArgument(args)
			p, err := j.readPolicy()
			if err != nil {
				return err
			}
			return a.policyTest(p)
		},
	}
	a.fileFlags.register(c.Flags())
	c.Flags().StringSliceVar(&j.profiles, "profile", nil, "use these `PROFILES` of the policy, instead of those that it names itself")
	return c
}

func (a *app) policyTest(p *policy.Policy) error {
	if len(p.Assertions) == 0 {
		return usage("write some under \"assert\", for instance: - 22/tcp from 10.0.0.0/8: open", "%s asserts nothing", p.File)
	}
	s, err := a.look(readAll)
	if err != nil {
		return err
	}
	in, _ := s.input(p)
	answers := s.asserted(in)
	if a.json {
		err = report.AssertedJSON(a.out, s.about, answers)
	} else {
		err = report.AssertedText(a.out, s.about, answers, a.style())
	}
	if err != nil {
		return internal(err)
	}
	return assertedGate(answers)
}

func assertedGate(answers []correlate.Asserted) error {
	count := map[correlate.Outcome]int{}
	for _, x := range answers {
		count[x.Outcome]++
	}
	switch {
	case count[correlate.Fails] > 0:
		return assertionsFail(count[correlate.Fails])
	case count[correlate.Undecided] > 0:
		return unreadHost("some assertions have no answer")
	}
	return nil
}
