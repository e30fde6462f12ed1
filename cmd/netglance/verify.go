package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/report"
	"github.com/netglance/netglance/scan/twin"
)

func newVerify(a *app) *cobra.Command {
	var chosen selection
	var failOn []string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Would a real kernel agree?",
		Long: `verify makes a throwaway copy of the host's packet path in a network namespace of its
own: links, addresses, routes, the rules as the kernel gave them, and sockets like the host's.
It sends the first packets of new flows into that copy and compares what the kernel does with
what netglance firewall says: for every part of every port's sources one from the middle and
from both edges, and random ones.

The host itself sees no packet and is not changed. Nothing of what this kernel can't
reproduce counts as agreement. It needs root, or user namespaces and /dev/net/tun.`,
		Example: `  sudo netglance firewall verify
  sudo netglance firewall verify -p 22,443 --fail-on conflict
  netglance firewall verify --host web-1.ng --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := chosen.parse(); err != nil {
				return err
			}
			for _, name := range failOn {
				if strings.TrimSpace(name) != "conflict" {
					return usage("use --fail-on conflict", "--fail-on %q: verify finds conflicts only", name)
				}
			}
			return a.verify(chosen, len(failOn) > 0)
		},
	}
	chosen.register(c.Flags())
	c.Flags().StringSliceVar(&failOn, "fail-on", nil, "with conflict: exit with 1 if the kernel disagrees, with 3 if it can't be asked")
	return c
}

func (a *app) verify(chosen selection, judge bool) error {
	v, err := a.openVerification()
	if err != nil {
		return err
	}
	in, evaluator := v.survey.input(nil)
	in.Wanted = chosen.listener
	verification, err := a.hold(v, v.survey.ports(in, evaluator), evaluator)
	if err != nil {
		return err
	}
	if a.json {
		err = report.VerifyJSON(a.out, verification)
	} else {
		err = report.VerifyText(a.out, verification, a.style())
	}
	if err != nil {
		return internal(err)
	}
	return gateVerification(verification, judge)
}

func gateVerification(v report.Verification, judge bool) error {
	switch conflicts := v.Conflicts(); {
	case !judge:
		return nil
	case conflicts > 0:
		return &failure{code: exitFound, err: fmt.Errorf("the kernel disagrees with %d answers", conflicts)}
	case v.Agreed() == 0 && len(v.Ports) > 0:
		return &failure{code: exitUnread, err: errors.New("the kernel could not be asked about any answer")}
	}
	return nil
}

// progress tells on standard error how far a long run is.
func (a *app) progress() func(done, all int) {
	if a.quiet {
		return nil
	}
	return func(done, all int) {
		if done < all {
			fmt.Fprintf(a.err, "netglance: %d of %d probes\n", done, all)
		}
	}
}

// A verification is a host, and the bytes that are to make its twin.
type verification struct {
	survey *survey
	host   platform.Host
	tape   *twin.Tape
}

func newVerification() *verification { return &verification{tape: twin.NewTape()} }

// read reads a host so that a twin can be made of it.
func (v *verification) read(host platform.Host) *survey {
	v.host = host
	v.survey = readAll(platform.Keep(host, v.tape))
	return v.survey
}

func (a *app) openVerification() (*verification, error) {
	if len(a.ruleNames) > 0 {
		return nil, errRulesVerified
	}
	v := newVerification()
	if _, err := a.look(v.read); err != nil {
		return nil, err
	}
	return v, v.possible()
}

// possible says why there is nothing to verify; nil if there is.
func (v *verification) possible() error {
	const hint = "run it as root, or name a recording with --host"
	switch {
	case v.host.OS() != "linux":
		return &failure{code: exitUnread, err: fmt.Errorf("only Linux hosts have a twin, not %s: %w", v.host.OS(), errors.ErrUnsupported)}
	case len(v.survey.unread) > 0:
		return &failure{code: exitUnread, err: fmt.Errorf("there is nothing to verify: could not be read: %s", strings.Join(v.survey.unread, ", ")), hint: hint}
	case v.survey.network.Sockets == nil:
		return &failure{code: exitUnread, err: errors.New("there is nothing to verify: who listens could not be read"), hint: hint}
	}
	return nil
}

// hold asks a kernel about the ports: here, or as root of a user namespace.
func (a *app) hold(v *verification, ports []correlate.Exposure, evaluator evaluator) (report.Verification, error) {
	verification, err := v.run(ports, evaluator, a.progress())
	if !errors.Is(err, fs.ErrPermission) || a.again == nil {
		return verification, err
	}
	code, refused := a.again()
	if refused == nil {
		return verification, endedElsewhere(code)
	}
	if !errors.Is(refused, errors.ErrUnsupported) {
		err = noTwin(fmt.Errorf("neither here (%w) nor in a namespace of this user's own: %w", err, refused))
	}
	return verification, err
}

// run makes the twin and holds the ports' answers to it.
func (v *verification) run(ports []correlate.Exposure, evaluator evaluator, progress func(done, all int)) (report.Verification, error) {
	kernel, err := platform.NewTwin()
	if err != nil {
		return report.Verification{}, noTwin(err)
	}
	defer kernel.Close()
	t, err := twin.Build(kernel, twin.Host{Tape: v.tape, Source: v.host, Network: v.survey.network, Rules: v.survey.rules})
	if err != nil {
		return report.Verification{}, noTwin(err)
	}
	judges := twin.Judges{Host: evaluator, Twin: func() twin.Explainer { return readTwin(kernel, v.survey) }}
	result, err := t.Verify(questions(ports), judges, progress)
	if err != nil {
		return report.Verification{}, internal(err)
	}
	about := v.survey.about
	about.Gaps = slices.Concat(about.Gaps, t.Gaps)
	return report.Verification{Host: about, Ports: ports, Result: result}, nil
}

// readTwin is the twin as netglance reads it: its network, with the host's rules.
func readTwin(kernel *platform.Twin, s *survey) *firewall.Evaluator {
	network, _ := rtnetlink.Read(platform.LiveIn(kernel.Path())) // a gap makes its answers differ
	network.Sockets = s.network.Sockets
	return firewall.NewEvaluator(s.rules, network)
}

// questions are the ports with the answers to be held to the kernel.
func questions(ports []correlate.Exposure) []twin.Port {
	list := make([]twin.Port, len(ports))
	for i, e := range ports {
		list[i] = twin.Port{Protocol: correlate.Protocols[e.Protocol], Port: e.Port, LastPort: e.LastPort}
		for _, r := range e.Reach {
			part := r.Part
			if part.Here != nil { // a twin has no containers
				part = *part.Here
			}
			list[i].Ways = append(list[i].Ways, twin.Way{Interface: r.Interface, Destinations: r.Destinations, Part: part})
		}
	}
	return list
}

// noTwin says why there can be no twin here, and what helps.
func noTwin(err error) error {
	hint := ""
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		hint = "verify a recording on Linux: netglance firewall verify --host FILE"
	case errors.Is(err, fs.ErrPermission):
		hint = "run it as root, or where users may make namespaces and open /dev/net/tun"
	case errors.Is(err, fs.ErrNotExist):
		hint = "load the kernel module tun: modprobe tun"
	}
	return &failure{code: exitUnread, err: err, hint: hint}
}

// probePorts notes at each port what a twin's probes found there.
func (a *app) probePorts(v *verification, ports []correlate.Exposure, evaluator evaluator) error {
	switch {
	case len(a.ruleNames) > 0:
		return errRulesVerified
	case a.allNamespaces:
		return usage("verify one at a time: --netns NAME", "--verify and --all-namespaces exclude each other")
	}
	if err := v.possible(); err != nil {
		return err
	}
	found, err := a.hold(v, ports, evaluator)
	if err != nil {
		return err
	}
	v.survey.about.Gaps = found.Host.Gaps
	for i := range ports {
		if decidedElsewhere(ports[i]) {
			continue // the twin has no containers: it saw the packets off
		}
		ports[i].Probe = correlate.Probe{State: string(found.Result.Ports[i].State), Method: "twin"}
		if n := found.Result.Ports[i].Disagreed; n > 0 {
			text := fmt.Sprintf("a kernel disagrees with the answer for %d probes: netglance firewall verify shows them", n)
			ports[i].Reasons = append(ports[i].Reasons, correlate.Reason{Code: "conflict", Text: text})
		}
	}
	if conflicts := found.Conflicts(); conflicts > 0 {
		fmt.Fprintf(a.err, "netglance: the kernel disagrees with %d answers; see: netglance firewall verify\n", conflicts)
	}
	return nil
}

// decidedElsewhere says that it is another namespace that keeps the port's packets out.
func decidedElsewhere(e correlate.Exposure) bool {
	return e.Label == correlate.Filtered && slices.ContainsFunc(e.Reach, func(r correlate.Reach) bool { return r.Here != nil })
}

// errRulesVerified refuses to verify what runs nowhere.
var errRulesVerified = usage("leave --rules out", "only a host that runs or was recorded can be verified")
