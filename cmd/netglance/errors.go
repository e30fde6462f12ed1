package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/netglance/netglance/platform"
)

// Exit codes: what a run that gates, or that could not do its work, ends with.
const (
	exitDone     = 0
	exitFound    = 1 // a --fail-on condition holds
	exitUsage    = 2 // a flag, or a file given on the command line, is wrong
	exitUnread   = 3 // asked to judge, and not enough of the host could be read
	exitInternal = 4
)

// A failure is an error with its exit code and what to try next.
type failure struct {
	code int
	err  error
	hint string
	// details follow the error, a line each.
	details []string
}

// endedElsewhere is the exit code of the same command in another process, which has
// said all there is to say.
type endedElsewhere int

func (e endedElsewhere) Error() string { return fmt.Sprintf("ended with %d", int(e)) }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(hint, format string, arguments ...any) error {
	return &failure{code: exitUsage, err: fmt.Errorf(format, arguments...), hint: hint}
}

func internal(err error) error {
	if err == nil {
		return nil
	}
	return &failure{code: exitInternal, err: err}
}

// toldHits is how many findings a failing run tells on standard error.
const toldHits = 20

// foundFindings ends a run that --fail-on makes fail, and says by what.
func foundFindings(hits []string) error {
	details := slices.Clone(hits[:min(toldHits, len(hits))])
	if more := len(hits) - toldHits; more > 0 {
		details = append(details, fmt.Sprintf("and %d more", more))
	}
	noun := "findings"
	if len(hits) == 1 {
		noun = "finding"
	}
	return &failure{code: exitFound, err: fmt.Errorf("%d %s to act on", len(hits), noun), details: details}
}

func policyFailed(file string, err error) error {
	hint := "check it with: netglance policy check " + file
	if errors.Is(err, fs.ErrNotExist) {
		hint = "write one from what stands: netglance policy init > " + file
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var details []string
	for _, e := range all {
		details = append(details, e.Error())
	}
	return &failure{code: exitUsage, err: fmt.Errorf("the policy %q can't be read", file), hint: hint, details: details}
}

func assertionsFail(count int) error {
	noun := "assertions fail"
	if count == 1 {
		noun = "assertion fails"
	}
	return &failure{code: exitFound, err: fmt.Errorf("%d %s", count, noun)}
}

func baselineFailed(file string, err error) error {
	return &failure{code: exitUsage, err: fmt.Errorf("the baseline %q can't be read: %w", file, err), hint: "write one with: netglance firewall --json > baseline.json"}
}

func unreadHost(what string) error {
	return &failure{code: exitUnread, err: fmt.Errorf("not enough could be read to judge: %s", what), hint: "run it as root, or without --fail-on"}
}

func hostFile(file string, err error) error {
	hint := "write a recording with: netglance record FILE"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "--host takes a file that \"netglance record FILE\" wrote"
	case errors.Is(err, fs.ErrPermission):
		hint = "recordings are readable for their owner only: use sudo, or change the owner"
	case errors.Is(err, platform.ErrNewer):
		hint = "use a newer netglance"
	case !errors.Is(err, platform.ErrNotRecording):
		hint = "copy it again, or record the host again"
	}
	return &failure{code: exitUsage, err: fmt.Errorf("the recording %q can't be read: %w", file, err), hint: hint}
}

func recordFile(file string, err error) error {
	return &failure{code: exitUsage, err: fmt.Errorf("the recording %q can't be written: %w", file, err), hint: "name a file in a directory that you may write to"}
}

func spaceUnread(name string, err error) error {
	return usage(spaceHint(err), "--netns %s: its network can't be read: %w", name, err)
}

// spaceHint is what helps against a namespace that can't be entered.
func spaceHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "run it as root: entering a network namespace needs CAP_SYS_ADMIN"
	case errors.Is(err, platform.ErrNotRecorded):
		return "the recording lacks it: record the host again with this netglance"
	}
	return "see which there are: netglance listeners --all-namespaces"
}

func unknownInterface(name string, known []string) error {
	return usage("the host has: "+strings.Join(known, ", "), "--via %q: no such interface", name)
}

func batchFailed(bad int) error {
	return &failure{code: exitUsage, err: fmt.Errorf("%d lines could not be answered", bad), hint: "their answers hold an \"error\" that says why"}
}

// as makes a failure of any error: those without a code come from cobra and are
// about the command line.
func as(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	// Of a command that it doesn't know, cobra says further down which ones are like it.
	text, similar, found := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	if found {
		return &failure{code: exitUsage, err: errors.New(text), hint: "did you mean: " + strings.Join(strings.Fields(similar), ", ")}
	}
	return &failure{code: exitUsage, err: err, hint: "see: netglance --help"}
}

// exitInterrupted is what a shell calls a program that Ctrl-C ended (128 + SIGINT).
const exitInterrupted = 130

var scanInterrupted = &failure{code: exitInterrupted, err: errors.New("interrupted: what is missing was not asked")}

func unforeseen(sources []string) error {
	err := fmt.Errorf("not enough could be predicted to judge: what %s means, or where it listens", strings.Join(sources, ", "))
	return &failure{code: exitUnread, err: err, hint: "judge a host that runs"}
}

func changesFound(count int) error {
	noun := "changes"
	if count == 1 {
		noun = "change"
	}
	return &failure{code: exitFound, err: fmt.Errorf("%d %s to act on", count, noun)}
}

func snapshotFailed(file string, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	return &failure{code: exitUsage, err: fmt.Errorf("%q can't be compared: %w", file, err), hint: "write one with: netglance record FILE, or netglance firewall --json > FILE"}
}

func reportFile(file string, err error) error {
	return &failure{code: exitUsage, err: fmt.Errorf("the report %q can't be written: %w", file, err), hint: "name a file in a directory that you may write to"}
}
