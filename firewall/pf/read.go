package pf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
)

// Read reads the rules that run on a host with the network. Where they could not be
// read whole they are nil, and the gap says why.
func Read(host Host, n *firewall.Network) (*Ruleset, []gaps.Gap) {
	listing, found := Collect(host)
	if listing == nil {
		return nil, found
	}
	rules, err := listing.Load(dialects[host.OS()], n)
	if err != nil {
		first, rest, _ := strings.Cut(err.Error(), "\n")
		if rest != "" {
			first += fmt.Sprintf(" (and %d more)", 1+strings.Count(rest, "\n"))
		}
		return nil, append(found, gaps.Gap{Source: "pf", Reason: "not all rules are understood: " + first, Err: err})
	}
	return rules, found
}

var dialects = map[string]Dialect{"openbsd": OpenBSD, "freebsd": FreeBSD, "darwin": MacOS}

// Load puts a listing's rulesets together.
func (l *Listing) Load(d Dialect, n *firewall.Network) (*Ruleset, error) {
	loader := NewLoader(d, n)
	var errs []error
	for _, a := range l.Anchors {
		if unnamed(a.Path) {
			continue // its rules stand in its parent's
		}
		for _, part := range []struct {
			option string
			text   []byte
		}{{"ether", a.Ether}, {"nat", a.NAT}, {"rules", a.Rules}} {
			errs = append(errs, loader.Rules(a.Path, command(a.Path, part.option), part.text))
		}
	}
	for _, a := range l.Anchors {
		path, ok := l.loaded(loader, a.Path)
		for _, t := range a.Tables {
			if !ok {
				loader.rules.unread("the tables of the anchor " + a.Path)
				break
			}
			errs = append(errs, loader.listedTable(path, t))
		}
	}
	rules := loader.Ruleset()
	rules.Skip, rules.DefaultBlock, rules.Disabled = l.Skip, l.DefaultBlock, l.Disabled || l.Missing
	return rules, errors.Join(errs...)
}

// command is what printed the rules.
func command(path, option string) string {
	if path == "" {
		return "pfctl -s " + option
	}
	return "pfctl -a " + path + " -s " + option
}

func (l *Loader) listedTable(path string, t ListedTable) error {
	if !t.Unread {
		return l.Table(path, t.Name, t.Entries)
	}
	a, err := l.anchor(path)
	if err == nil {
		a.ownTable(t.Name).Unread = "pfctl -t " + t.Name + " -T show"
	}
	return err
}

// loaded is the path that the loader gave an anchor. Those without a name are counted
// anew: pfctl counts those with a name, too, which it doesn't print in braces. False
// where they aren't as many as were printed.
func (l *Listing) loaded(loader *Loader, path string) (string, bool) {
	if !unnamed(path) {
		return path, true
	}
	parent, _ := cutLast(path)
	at := slices.Index(l.unnamedIn(parent), path)
	a, err := loader.anchor(parent)
	if unnamed(parent) || at < 0 || err != nil {
		return "", false // one inside another: it isn't told which
	}
	bodies := a.bodies()
	if len(bodies) != len(l.unnamedIn(parent)) {
		return "", false
	}
	return bodies[at].Path, true
}

// unnamedIn are the listed anchors without a name right below another, in the order
// of their numbers.
func (l *Listing) unnamedIn(parent string) (all []string) {
	for _, a := range l.Anchors {
		up, name := cutLast(a.Path)
		if up == parent && strings.HasPrefix(name, "_") && isNumber(name[1:]) {
			all = append(all, a.Path)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(lastNumber(a), lastNumber(b)) })
	return all
}

func lastNumber(path string) int {
	_, name := cutLast(path)
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "_"))
	return n
}

func cutLast(path string) (parent, name string) {
	at := strings.LastIndexByte(path, '/')
	return path[:max(at, 0)], path[at+1:]
}

// bodies are the anchors in braces whose rules stand in this one, in order.
func (a *Anchor) bodies() (all []*Anchor) {
	for _, item := range a.Order {
		if r, ok := item.(*Rule); ok && r.Body != nil && strings.HasPrefix(r.Body.Name, "_") {
			all = append(all, r.Body)
		}
	}
	return slices.Compact(all) // one call may have been expanded to several rules
}
