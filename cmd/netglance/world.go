package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/scan"
)

// A world is what surrounds a run, so that tests can bring their own.
type world struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	// terminal says whether out is one, and how many cells wide.
	terminal func() (width int, ok bool)
	// errTerminal says whether err is a terminal; nil if it is none.
	errTerminal func() bool
	// scanner asks ports from this host's own interfaces.
	scanner func() (*scan.Scanner, error)
	// open gives the host that --host names; "" is this one.
	open func(file string) (platform.Host, error)
	// again runs the same command as root of a user namespace, and returns its exit
	// code; nil where that makes no sense.
	again func() (int, error)
}

func system() world {
	return world{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, terminal: stdoutTerminal, errTerminal: stderrTerminal, scanner: newScanner, open: openHost, again: platform.AgainAsNamespaceRoot}
}

func stdoutTerminal() (int, bool) {
	fd := int(os.Stdout.Fd())
	if !term.IsTerminal(fd) {
		return 0, false
	}
	width, _, err := term.GetSize(fd)
	if err != nil {
		return 0, true
	}
	return width, true
}

func stderrTerminal() bool { return term.IsTerminal(int(os.Stderr.Fd())) }

func openHost(file string) (platform.Host, error) {
	if file == "" {
		return platform.Live(), nil
	}
	return platform.OpenRecording(file)
}
