package pf

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/lazyregexp"
)

// pfctl -vv prints a rule's number, and with it FreeBSD's identifier, before it.
var ruleNumber = lazyregexp.New(`^(\s*)@\d+(\(\d+\))? `)

// Headings of pfctl -sa; rules stand under those of ruleSections.
var (
	heading      = lazyregexp.New(`^[A-Z][A-Z -]+:$`)
	ruleSections = map[string]bool{"TRANSLATION RULES:": true, "FILTER RULES:": true, "DUMMYNET RULES:": true, "SCRUB RULES:": true, "ETHER RULES:": true}
)

// listed makes pf.conf of what pfctl prints: numbers, counters, warnings and
// other sections are blanked out, so that line numbers stay.
func listed(name string, text []byte) (_ []byte, listing bool, err error) {
	var out bytes.Buffer
	out.Grow(len(text))
	number, wanted := 0, true
	for line := range bytes.Lines(text) {
		number++
		trimmed := strings.TrimSpace(string(line))
		switch {
		case strings.HasPrefix(trimmed, "pfctl: "):
			return nil, true, &Error{File: name, Line: number, Reason: fmt.Sprintf("pfctl could not print the rules: %.200q", trimmed)}
		case heading.MatchString(trimmed):
			wanted, listing = ruleSections[trimmed], true
			out.WriteByte('\n')
		case !wanted, trimmed == "No ALTQ support in kernel", trimmed == "ALTQ related functions disabled", strings.HasPrefix(trimmed, "[ "):
			out.WriteByte('\n')
		default:
			rule := ruleNumber.ReplaceAll(line, []byte("$1"))
			listing = listing || len(rule) != len(line)
			out.Write(rule)
		}
	}
	return out.Bytes(), listing, nil
}

// A Loader puts together what pfctl prints of a running system's rulesets, one
// anchor after the other.
type Loader struct {
	rules   *Ruleset
	options Options
}

// NewLoader starts with empty rulesets of a system that has the network.
func NewLoader(d Dialect, n *firewall.Network) *Loader {
	return &Loader{
		rules:   &Ruleset{Dialect: d, Main: &Anchor{Defined: true}, Live: true},
		options: Options{Dialect: d, Network: n},
	}
}

// Rules adds what "pfctl -a PATH -s rules", "-s nat" or "-s ether" prints; path ""
// is the main ruleset. Name stands in errors.
func (l *Loader) Rules(path, name string, text []byte) error {
	a, err := l.anchor(path)
	if err != nil {
		return err
	}
	text, _, err = listed(name, text)
	if err != nil {
		return err
	}
	p := newParser(l.rules, a, name, string(text), l.options)
	p.listing = true
	return p.configuration()
}

// Table adds a table with its entries: addresses and networks, "!" before those
// that are left out.
func (l *Loader) Table(path, table string, entries []string) error {
	a, err := l.anchor(path)
	if err != nil {
		return err
	}
	t := a.ownTable(table)
	p := newParser(l.rules, a, "<"+table+">", "", l.options)
	found, err := p.addressList("<"+table+">", []byte(strings.Join(entries, "\n")))
	t.Entries, t.Loaded = append(t.Entries, found...), true
	return err
}

func (l *Loader) anchor(path string) (*Anchor, error) {
	if path == "" {
		return l.rules.Main, nil
	}
	p := parser{}
	a, err := p.anchorAt(l.rules.Main, path)
	if err == nil {
		a.Defined = true
	}
	return a, err
}

// Ruleset is what was put together. Skip, Disabled and DefaultBlock are the
// caller's to fill in: rules don't tell them.
func (l *Loader) Ruleset() *Ruleset { return l.rules }
