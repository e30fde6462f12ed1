// Package alf reads macOS's application firewall: it stands behind pf, before the
// sockets, and lets connections in by the program that listens.
package alf

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/lazyregexp"
)

// A Host is what Read needs of a live or recorded host.
type Host interface {
	Output(command ...string) ([]byte, error)
}

// A Firewall is the application firewall's settings, as socketfilterfw tells them.
type Firewall struct {
	// On says that it filters at all; by default it is off.
	On bool
	// BlockAll says that it lets nothing in but what the system needs itself.
	BlockAll bool
	// AllowBuiltIn says that programs of the system itself are let in without being
	// listed, AllowSigned that signed ones of others are.
	AllowBuiltIn, AllowSigned bool
	// Programs are those with a rule of their own, by path: of a file, or of a bundle.
	Programs []Program
}

// A Program has a rule of its own.
type Program struct {
	Path  string
	Allow bool
}

// Read asks socketfilterfw. It is nil, with a gap, where that could not be told.
func Read(host Host) (*Firewall, []gaps.Gap) {
	var err error
	ask := func(option string) string {
		if err != nil {
			return ""
		}
		var text []byte
		text, err = host.Output("socketfilterfw", option)
		return string(text)
	}
	f := &Firewall{}
	known := f.setState(ask("--getglobalstate"))
	if err == nil && !known {
		err = errors.New("socketfilterfw doesn't say whether it is on")
	}
	if f.On {
		f.BlockAll = f.BlockAll || blocksAll(ask("--getblockall"))
		f.setSigned(ask("--getallowsigned"))
		f.Programs = parsePrograms(ask("--listapps"))
	}
	if err == nil {
		return f, nil
	}
	gap := gaps.Gap{Source: "application firewall", Reason: "its settings could not be read: it may keep out what pf lets in", Err: err}
	if errors.Is(err, fs.ErrPermission) {
		gap.Hint = "run it as root"
	}
	return nil, []gaps.Gap{gap}
}

// state is in "Firewall is enabled. (State = 1)"; 0 is off, 2 blocks all.
var state = lazyregexp.New(`State = ([0-9]+)`)

func (f *Firewall) setState(text string) (known bool) {
	match := state.FindStringSubmatch(text)
	if match == nil {
		return false
	}
	f.On, f.BlockAll = match[1] != "0", match[1] == "2"
	return true
}

// blocksAll reads "Firewall has block all state set to enabled.", and what older
// releases print: "Firewall is set to block all non-essential incoming connections",
// "Block all ENABLED!".
func blocksAll(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "block all") && (strings.Contains(text, "enabled") || strings.Contains(text, "is set to block all"))
}

// setSigned reads a line for built-in and one for downloaded software; older releases
// print one for both.
func (f *Firewall) setSigned(text string) {
	for line := range strings.Lines(strings.ToLower(text)) {
		on := strings.Contains(line, "enabled")
		switch {
		case strings.Contains(line, "downloaded"):
			f.AllowSigned = on
		case strings.Contains(line, "built-in"):
			f.AllowBuiltIn = on
		case strings.Contains(line, "signed"):
			f.AllowBuiltIn, f.AllowSigned = on, on
		}
	}
}

// programLine is "2 : /usr/local/bin/node"; the line below it says "(Block incoming
// connections)".
var programLine = lazyregexp.New(`^\s*[0-9]+ : +(.*\S)\s*$`)

func parsePrograms(text string) (all []Program) {
	path := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if match := programLine.FindStringSubmatch(line); match != nil {
			path = match[1]
			continue
		}
		word := strings.ToLower(strings.Trim(line, " \t()"))
		if path == "" || word == "" {
			continue
		}
		all = append(all, Program{Path: path, Allow: strings.HasPrefix(word, "allow")})
		path = ""
	}
	return all
}

// systemDirs are where the system's own programs are: nobody else may write there
// (System Integrity Protection).
var systemDirs = []string{"/System/", "/usr/bin/", "/usr/sbin/", "/usr/libexec/", "/bin/", "/sbin/"}

// Condition says why a program's sockets may get nothing: it is empty where the
// firewall lets it in. What it really does isn't told: it knows programs by their
// signature, not by their path alone. An empty path is a program that isn't known.
func (f *Firewall) Condition(executable string) string {
	switch {
	case !f.On:
		return ""
	case f.BlockAll:
		return "macOS's application firewall blocks all but what the system needs itself"
	case executable == "":
		return "macOS's application firewall decides by the program, which isn't known"
	}
	if i := slices.IndexFunc(f.Programs, func(p Program) bool { return p.covers(executable) }); i >= 0 {
		if f.Programs[i].Allow {
			return ""
		}
		return fmt.Sprintf("macOS's application firewall is set to block %s", f.Programs[i].Path)
	}
	if f.AllowBuiltIn && slices.ContainsFunc(systemDirs, func(dir string) bool { return strings.HasPrefix(executable, dir) }) {
		return ""
	}
	if f.AllowSigned {
		return fmt.Sprintf("macOS's application firewall lets %s in if it is signed", executable)
	}
	return fmt.Sprintf("macOS's application firewall has no rule for %s", executable)
}

// covers: a bundle stands for the programs in it.
func (p Program) covers(executable string) bool {
	return p.Path == executable || strings.HasSuffix(p.Path, ".app") && strings.HasPrefix(executable, p.Path+"/")
}
