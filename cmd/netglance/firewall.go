package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/report"
)

func newFirewall(a *app) *cobra.Command {
	var chosen selection
	var judging judging
	var verify, scan, router bool
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
security group, a router) is not looked at.

--format takes one format for standard output, and any number of files beside it:

  --format text --format sarif=netglance.sarif --format junit=netglance.xml

` + formatList(),
		Example: `  sudo netglance firewall
  sudo netglance firewall -v                    all reasons, and what to do
  sudo netglance firewall --fail-on exposed     exit code 1 if a port is exposed
  sudo netglance firewall --policy netglance.yaml --fail-on exposed,assertion,expired
                                                judge by what the policy declares (netglance policy --help)
  sudo netglance firewall --baseline report.json --fail-on new
                                                fail only where more is reachable than in an earlier report
  netglance firewall --host web-1.ng --json
  sudo netglance firewall --all-namespaces      the containers too, each by its own rules
  sudo netglance firewall --netns web           one of them
  netglance firewall --rules rules.v4 --rules rules.v6 --interfaces eth0=192.0.2.1/24,2001:db8::1/64
                                                what rules would do that run nowhere yet
  netglance firewall --rules pf.conf --interfaces links --dialect freebsd
                                                the same for pf; links is a file of lines
                                                  if em0 B em,egress           (L, B or P, then groups)
                                                  addr 192.0.2.10/24 192.0.2.255`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{formatsOf: strings.Join(firewallFormats(), ","), toFiles: "yes"},
		RunE: func(c *cobra.Command, _ []string) error {
			if err := chosen.parse(); err != nil {
				return err
			}
			if verify && scan {
				return usage("use one after the other", "--verify and --scan exclude each other")
			}
			if err := a.checkSpaces(); err != nil {
				return err
			}
			if err := judging.parse(verify || scan); err != nil {
				return err
			}
			probe := func(ports []correlate.Exposure, _ *survey, _ evaluator) ([]correlate.Exposure, error) {
				return ports, nil
			}
			if scan {
				probe = func(ports []correlate.Exposure, s *survey, e evaluator) ([]correlate.Exposure, error) {
					return a.scanPorts(c.Context(), chosen, s, ports, e)
				}
			}
			if router {
				before := probe
				probe = func(ports []correlate.Exposure, s *survey, e evaluator) ([]correlate.Exposure, error) {
					ports, err := before(ports, s, e)
					if err != nil {
						return nil, err
					}
					return a.led(c.Context(), s, ports)
				}
			}
			return a.firewall(chosen, &judging, verify, probe)
		},
	}
	chosen.register(c.Flags())
	a.fileFlags.register(c.PersistentFlags())
	a.registerOne(c.PersistentFlags())
	a.registerAll(c.Flags())
	judging.register(c.Flags())
	c.Flags().BoolVar(&verify, "verify", false, "ask a real kernel too, in a throwaway copy of the host (netglance firewall verify --help)")
	c.Flags().BoolVar(&scan, "scan", false, "ask the ports of this host too, over lo, and say where the answers disagree with the rules")
	c.Flags().BoolVar(&router, "router", false, "ask the router too, and say which of its ports lead to one of this host's")
	c.AddCommand(newExplain(a), newRules(a), newVerify(a))
	return c
}

// A probing asks the ports of a host, and notes at each row what it found.
type probing func(ports []correlate.Exposure, s *survey, e evaluator) ([]correlate.Exposure, error)

func (a *app) firewall(chosen selection, j *judging, verify bool, probe probing) error {
	p, err := j.readPolicy()
	if err != nil {
		return err
	}
	known, err := a.baseline(j)
	if err != nil {
		return err
	}
	read := readAll
	var twinned *verification
	if verify {
		twinned = newVerification()
		read = twinned.read
	}
	surveys, err := a.surveys(read)
	if err != nil {
		return err
	}
	var in correlate.Input // the host's, or the only one's
	var ports []correlate.Exposure
	for i, s := range surveys {
		this, evaluator := s.input(p)
		this.Wanted = chosen.listener
		if i == 0 {
			in = this
		}
		found, err := probe(s.ports(this, evaluator), s, evaluator)
		if err != nil {
			return err
		}
		if verify {
			if err := a.probePorts(twinned, found, evaluator); err != nil {
				return err
			}
		}
		ports = append(ports, found...)
	}
	correlate.Sort(ports)
	s := together(surveys)
	found, err := j.judge(s, in, ports, known)
	if err != nil {
		return err
	}
	if err := a.writeFirewall(report.Firewall{Host: s.about, Ports: ports, Judgement: found}); err != nil {
		return err
	}
	return j.gate(ports, found, s)
}

// ports are the rows of a host: of one that doesn't run, all ports.
func (s *survey) ports(in correlate.Input, evaluator evaluator) []correlate.Exposure {
	if s.planned {
		return correlate.AnalyzePlanned(in, evaluator)
	}
	return correlate.Analyze(in)
}
