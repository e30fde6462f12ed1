package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/report"
)

// baseline is the snapshot that --baseline names; nil if it names none.
func (a *app) baseline(j *judging) (*correlate.Snapshot, error) {
	if j.baseline == "" {
		return nil, nil
	}
	s, err := a.snapshotFile(j.baseline, j)
	if err != nil {
		return nil, baselineFailed(j.baseline, err)
	}
	return s, nil
}

// snapshotFile reads a recording, or a JSON report of "netglance firewall".
func (a *app) snapshotFile(file string, j *judging) (*correlate.Snapshot, error) {
	host, err := a.open(file)
	if err == nil {
		surveys, err := a.surveysOf(host)
		if err != nil {
			return nil, err
		}
		return a.snapshot(surveys, file, j)
	}
	if !errors.Is(err, platform.ErrNotRecording) {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := report.ReadFirewall(f, file)
	if errors.Is(err, report.ErrNotReport) {
		return nil, fmt.Errorf("it is neither a recording nor a report: %w", err)
	}
	return s, err
}

// snapshot is what can be compared of a host.
func (a *app) snapshot(surveys []*survey, name string, j *judging) (*correlate.Snapshot, error) {
	p, err := j.readPolicy()
	if err != nil {
		return nil, err
	}
	s := surveys[0]
	in, evaluator := s.input(p)
	ports := s.ports(in, evaluator)
	for _, other := range surveys[1:] {
		this, evaluator := other.input(p)
		ports = append(ports, other.ports(this, evaluator)...)
	}
	correlate.Sort(ports)
	s = together(surveys)
	out := &correlate.Snapshot{Name: name, Ports: ports, Findings: map[string]bool{}, Complete: len(s.about.Gaps) == 0}
	if len(s.unread) == 0 {
		out.Rules = correlate.RulesOf(s.rules)
		out.EveryPort = func() []correlate.Exposure { return correlate.AnalyzePlanned(in, evaluator) }
	}
	found, err := j.judge(s, in, ports, nil)
	if err != nil {
		return nil, err
	}
	for _, f := range found.Findings {
		if f.SuppressedBy == nil {
			out.Findings[f.Fingerprint] = true
		}
	}
	return out, nil
}
