package main

import (
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/report"
)

func newFirewall(a *app) *cobra.Command {
	var chosen selection
	var failOn []string
	c := &cobra.Command{
		Use:   "firewall",
		Short: "What is open here, to whom, by which rule, and is it meant to be?",
		Long: `firewall joins what listens with what the rules say: a line a port, worst first.

  exposed      some outside source can reach it, and nothing declares that on purpose
  intentional  every source that can reach it is declared, by a rule that names the port or the sources
  filtered     it listens on a reachable address, and no outside source gets through
  local        it is bound where nothing from outside arrives
  unknown      could not be decided; what is missing is named

"exposed" means that this host would let the packet in. What lies before it (a cloud's
security group, a router) is not looked at.`,
		Example: `  sudo netglance firewall
  sudo netglance firewall -v                    all reasons, and what to do
  sudo netglance firewall --fail-on exposed     exit code 1 if a port is exposed
  netglance firewall --host web-1.ng --json
  netglance firewall --rules rules.v4 --rules rules.v6 --interfaces eth0=192.0.2.1/24,2001:db8::1/64
                                                what rules would do that run nowhere yet`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := chosen.parse(); err != nil {
				return err
			}
			labels, err := parseLabels(failOn)
			if err != nil {
				return err
			}
			return a.firewall(chosen, labels)
		},
	}
	chosen.register(c.Flags())
	a.fileFlags.register(c.PersistentFlags())
	c.Flags().StringSliceVar(&failOn, "fail-on", nil, "exit with 1 if a port has one of these `LABELS`, with 3 if that can't be known")
	c.AddCommand(newExplain(a), newRules(a))
	return c
}

func parseLabels(names []string) ([]correlate.Label, error) {
	var out []correlate.Label
	for _, name := range names {
		label, ok := correlate.ParseLabel(strings.TrimSpace(name))
		if !ok {
			var known []string
			for _, l := range correlate.Labels {
				known = append(known, l.String())
			}
			return nil, usage("use: "+strings.Join(known, ", "), "--fail-on %q: no such label", name)
		}
		out = append(out, label)
	}
	return out, nil
}

func (a *app) firewall(chosen selection, failOn []correlate.Label) error {
	s, err := a.look(readAll)
	if err != nil {
		return err
	}
	evaluator := firewall.NewEvaluator(s.rules, s.network)
	ports := s.ports(correlate.Input{
		Listeners: s.sockets,
		Network:   s.network,
		Rules:     s.rules,
		Firewall:  evaluator,
		Untranslated: sync.OnceValue(func() correlate.Firewall {
			return firewall.NewEvaluator(s.rules.WithoutNAT(), s.network)
		}),
		Unread: s.unread,
		Wanted: chosen.listener,
	}, evaluator)
	if a.json {
		err = report.FirewallJSON(a.out, s.about, ports)
	} else {
		err = report.FirewallText(a.out, s.about, ports, a.style())
	}
	if err != nil {
		return internal(err)
	}
	return gate(ports, failOn, s)
}

// ports are the rows of a host: of one that doesn't run, all ports.
func (s *survey) ports(in correlate.Input, evaluator *firewall.Evaluator) []correlate.Exposure {
	if s.planned {
		return correlate.AnalyzePlanned(in, evaluator)
	}
	return correlate.Analyze(in)
}

// gate turns findings into an exit code, where that was asked for.
func gate(ports []correlate.Exposure, failOn []correlate.Label, s *survey) error {
	if len(failOn) == 0 {
		return nil
	}
	found, undecided := 0, 0
	for _, e := range ports {
		if slices.Contains(failOn, e.Label) {
			found++
		} else if e.Label == correlate.Unknown {
			undecided++
		}
	}
	switch {
	case found > 0:
		var names []string
		for _, l := range failOn {
			names = append(names, l.String())
		}
		return foundLabels(found, names)
	case s.socketsUnread:
		return unreadHost("the sockets")
	case undecided > 0 && len(s.unread) > 0:
		return unreadHost(strings.Join(s.unread, ", "))
	case undecided > 0:
		return unreadHost("some ports could not be decided")
	}
	return nil
}
