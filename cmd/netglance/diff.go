package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/report"
)

func newDiff(a *app) *cobra.Command {
	var j judging
	var failOn []string
	c := &cobra.Command{
		Use:   "diff OLD [NEW]",
		Short: "What changed: ports opened or closed, who reaches them, who holds them, rules",
		Long: `diff compares two hosts, or one at two times: each is a recording ("netglance record") or
a report ("netglance firewall --json"). Without NEW it is this host as it is now.

  opened, closed      something listens on a port, or a rule leads there, that didn't
  started, stopped    the same of ports that nobody outside reaches
  widened, narrowed   more sources reach a port, or fewer: exactly which
  unsettled, settled  of some sources it can't be told any more, or again
  owner, bound        another program holds the port, or it is bound elsewhere
  label               only the label changed
  rules               rules were added, removed or moved

Process ids and start times don't count: a restart is no change. Of two recordings, diff
also tells whether changed rules change the answer for any port where nothing listens.`,
		Example: `  sudo netglance diff before.ng
  netglance diff before.ng after.ng --format markdown
  sudo netglance diff report.json --fail-on opened,widened`,
		Args:        cobra.RangeArgs(1, 2),
		Annotations: map[string]string{formatsOf: "text,json,markdown"},
		RunE: func(_ *cobra.Command, args []string) error {
			for _, word := range failOn {
				if word != "any" && !slices.Contains(report.Changes(), word) {
					return usage("use: any, "+strings.Join(report.Changes(), ", "), "--fail-on %q: no such change", word)
				}
			}
			return a.diff(args, &j, failOn)
		},
	}
	j.registerPolicy(c.Flags())
	c.Flags().StringSliceVar(&failOn, "fail-on", nil, "exit with 1 on these `CHANGES`, or on any that can be told; with 3 if one of the two left something unread")
	return c
}

func (a *app) diff(args []string, j *judging, failOn []string) error {
	before, err := a.snapshotFile(args[0], j)
	if err != nil {
		return snapshotFailed(args[0], err)
	}
	var after *correlate.Snapshot
	if len(args) == 2 {
		after, err = a.snapshotFile(args[1], j)
		if err != nil {
			return snapshotFailed(args[1], err)
		}
	} else {
		s, err := a.look(readAll)
		if err != nil {
			return err
		}
		name := "this host"
		if a.host != "" {
			name = a.host
		}
		if after, err = a.snapshot([]*survey{s}, name, j); err != nil {
			return err
		}
	}
	changed, err := correlate.Diff(before, after)
	if err != nil {
		return snapshotFailed(args[0], err)
	}
	d := report.Diff{Before: before.Name, After: after.Name, Difference: changed}
	switch {
	case a.json:
		err = report.DiffJSON(a.out, d, toolVersion())
	case a.prints("markdown"):
		err = report.DiffMarkdown(a.out, d)
	default:
		err = report.DiffText(a.out, d, a.style())
	}
	if err != nil {
		return internal(err)
	}
	return diffGate(d.Difference, failOn)
}

// diffGate turns changes into an exit code, where that was asked for.
func diffGate(d correlate.Difference, failOn []string) error {
	if len(failOn) == 0 {
		return nil
	}
	asked := func(word string) bool { return slices.Contains(failOn, "any") || slices.Contains(failOn, word) }
	count := 0
	for _, c := range d.Ports {
		if asked(string(c.Change)) {
			count++
		}
	}
	if asked("rules") {
		count += len(d.Rules)
	}
	switch {
	case count > 0:
		return changesFound(count)
	case d.Incomplete:
		return unreadHost("one of the two left something unread")
	case slices.Contains(failOn, "rules") && d.RulesUntold:
		return unreadHost("a JSON report doesn't hold the rules: compare recordings")
	}
	return nil
}
