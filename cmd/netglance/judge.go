package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/report"
)

// judging are the flags of a command that judges what it finds.
type judging struct {
	policyFile string
	profiles   []string
	failOn     []string
	baseline   string
	gates      gates
}

// gates are what ends a run with 1.
type gates struct {
	labels []correlate.Label
	kinds  []correlate.Kind
	// least is the severity from which on every finding counts; nil if none does by that.
	least *correlate.Severity
}

func (j *judging) register(flags *pflag.FlagSet) {
	j.registerPolicy(flags)
	flags.StringSliceVar(&j.failOn, "fail-on", nil, "exit with 1 on these labels, findings or severities: `WORDS` like exposed,expired,high; with 3 if that can't be known")
	flags.StringVar(&j.baseline, "baseline", "", "accept what the report or recording in `FILE` has too: only what is new counts for --fail-on")
}

func (j *judging) registerPolicy(flags *pflag.FlagSet) {
	flags.StringVar(&j.policyFile, "policy", "", "judge by what `FILE` (netglance.yaml) declares")
	flags.StringSliceVar(&j.profiles, "profile", nil, "use these `PROFILES` of the policy, instead of those that it names itself")
}

// parse checks the flags' values. Only a run that verifies can find conflicts.
func (j *judging) parse(verify bool) error {
	for _, word := range j.failOn {
		if !j.gates.add(strings.TrimSpace(word)) {
			return usage("use: "+strings.Join(gateWords(), ", "), "--fail-on %q: no such label, finding or severity", word)
		}
	}
	if slices.Contains(j.gates.kinds, correlate.KindNew) && j.baseline == "" {
		return usage("name an earlier report: --baseline report.json", "--fail-on new needs a --baseline")
	}
	if slices.Contains(j.gates.kinds, correlate.KindConflict) && !verify {
		return usage("ask a kernel too: --verify, or the host itself: --scan", "--fail-on conflict needs --verify or --scan")
	}
	if len(j.profiles) > 0 && j.policyFile == "" {
		return usage("name the file: --policy netglance.yaml", "--profile needs a --policy")
	}
	return nil
}

// add says whether the word means something. Exposed and unknown are findings, the
// other labels are not.
func (g *gates) add(word string) bool {
	if kind := correlate.Kind(word); slices.Contains(correlate.Kinds, kind) {
		g.kinds = append(g.kinds, kind)
		return true
	}
	if label, ok := correlate.ParseLabel(word); ok {
		g.labels = append(g.labels, label)
		return true
	}
	at := slices.Index(correlate.Severities, word)
	if at < 0 {
		return false
	}
	if least := correlate.Severity(at); g.least == nil || least < *g.least {
		g.least = &least
	}
	return true
}

func gateWords() []string {
	var out []string
	for _, k := range correlate.Kinds {
		out = append(out, string(k))
	}
	for _, l := range []correlate.Label{correlate.Intentional, correlate.Filtered, correlate.Local} {
		out = append(out, l.String())
	}
	return append(out, correlate.Severities...)
}

func (g gates) any() bool { return len(g.labels)+len(g.kinds) > 0 || g.least != nil }

// hit says that the finding is of a kind or severity that was asked for.
func (g gates) hit(f correlate.Finding) bool {
	return slices.Contains(g.kinds, f.Kind) || g.least != nil && f.Severity >= *g.least
}

// hits are the findings and labels that end the run with 1, in words.
func (g gates) hits(ports []correlate.Exposure, found []correlate.Finding) (out []string) {
	for _, f := range found {
		if f.Counts() && g.hit(f) {
			out = append(out, string(f.Kind)+": "+report.Message(f))
		}
	}
	for _, e := range ports {
		if slices.Contains(g.labels, e.Label) {
			out = append(out, fmt.Sprintf("%s: %d/%s", e.Label, e.Port, e.Protocol))
		}
	}
	return out
}

// readPolicy is the policy that --policy names; nil if it names none.
func (j *judging) readPolicy() (*policy.Policy, error) {
	if j.policyFile == "" {
		return nil, nil
	}
	p, err := policy.Read(j.policyFile, policy.Options{ReadFile: readSmall, Services: correlate.ServicePorts, Profiles: j.profiles})
	if err != nil {
		return nil, policyFailed(j.policyFile, err)
	}
	return p, nil
}

// readSmall reads no more of a file than a policy may have, and one byte.
func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, policy.MaxFile+1))
}

// input is what correlate needs to know of the host, and the evaluator in it.
func (s *survey) input(p *policy.Policy) (correlate.Input, evaluator) {
	evaluator := s.evaluator()
	now := time.Now()
	if p != nil && s.clock != nil {
		now = s.clock()
	}
	in := s.beside(correlate.Input{
		Listeners: s.sockets, Network: s.network, Rules: s.rules, Unread: s.unread, Policy: p, Now: now, Words: s.words,
		Firewall: evaluator,
	})
	if s.foreign == nil {
		in.Untranslated = sync.OnceValue(func() correlate.Firewall {
			return firewall.NewEvaluator(s.rules.WithoutNAT(), s.network)
		})
	}
	if s.applications != nil {
		in.Applications = func(p listeners.Process) string { return s.applications.Condition(p.Executable) }
	}
	return in, evaluator
}

// judge is what the ports, the policy and the baseline give cause to look at.
func (j *judging) judge(s *survey, in correlate.Input, ports []correlate.Exposure, known *correlate.Snapshot) (report.Judgement, error) {
	out := report.Judgement{}
	if in.Policy != nil {
		out.Policy = in.Policy.File
		out.Asserted = s.asserted(in)
	}
	if j.gates.any() {
		out.Gate = func(f correlate.Finding) bool { return j.gates.hit(f) }
	}
	out.Findings = correlate.Findings(in, ports, out.Asserted)
	if known == nil {
		return out, nil
	}
	var err error
	if out.Findings, err = correlate.Compare(out.Findings, ports, known); err != nil {
		return out, baselineFailed(j.baseline, err)
	}
	return out, nil
}

// asserted answers the policy's assertions. On a host that doesn't run nothing
// listens: there they are about the rules.
func (s *survey) asserted(in correlate.Input) []correlate.Asserted {
	if s.planned {
		in.Policy = in.Policy.AboutRules()
	}
	return correlate.Assert(in)
}

// gate turns findings into an exit code, where that was asked for.
func (j *judging) gate(ports []correlate.Exposure, found report.Judgement, s *survey) error {
	if !j.gates.any() && j.policyFile == "" {
		return nil
	}
	undecided := slices.ContainsFunc(found.Findings, func(f correlate.Finding) bool { return f.Kind == correlate.KindUnknown && f.Counts() })
	switch hits := j.gates.hits(ports, found.Findings); {
	case len(hits) > 0:
		return foundFindings(hits)
	case s.socketsUnread:
		return unreadHost("the sockets")
	case len(s.unforeseen) > 0:
		return unforeseen(s.unforeseen)
	case len(s.unread) > 0 && slices.ContainsFunc(found.Findings, func(f correlate.Finding) bool { return f.Kind == correlate.KindUnknown }):
		return unreadHost(strings.Join(s.unread, ", "))
	case undecided:
		return unreadHost("some ports or assertions could not be decided")
	}
	return nil
}
