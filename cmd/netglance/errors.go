package main

import (
	"errors"
	"fmt"
	"io/fs"
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
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(hint, format string, arguments ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, arguments...), hint}
}

func internal(err error) error {
	if err == nil {
		return nil
	}
	return &failure{exitInternal, err, ""}
}

// foundLabels ends a run that --fail-on makes fail.
func foundLabels(count int, labels []string) error {
	return &failure{exitFound, fmt.Errorf("%d ports are %s", count, strings.Join(labels, " or ")), ""}
}

func unreadHost(what string) error {
	return &failure{exitUnread, fmt.Errorf("not enough could be read to judge: %s", what), "run it as root, or without --fail-on"}
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
	return &failure{exitUsage, fmt.Errorf("the recording %q can't be read: %w", file, err), hint}
}

func recordFile(file string, err error) error {
	return &failure{exitUsage, fmt.Errorf("the recording %q can't be written: %w", file, err), "name a file in a directory that you may write to"}
}

func unknownInterface(name string, known []string) error {
	return usage("the host has: "+strings.Join(known, ", "), "--via %q: no such interface", name)
}

func batchFailed(bad int) error {
	return &failure{exitUsage, fmt.Errorf("%d lines could not be answered", bad), "their answers hold an \"error\" that says why"}
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
		return &failure{exitUsage, errors.New(text), "did you mean: " + strings.Join(strings.Fields(similar), ", ")}
	}
	return &failure{exitUsage, err, "see: netglance --help"}
}
