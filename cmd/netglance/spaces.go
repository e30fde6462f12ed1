package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/platform"
)

// spaceFlags name the network namespaces that are looked at.
type spaceFlags struct {
	netns         string
	allNamespaces bool
}

func (f *spaceFlags) registerOne(flags *pflag.FlagSet) {
	flags.StringVar(&f.netns, "netns", "", "look at another network namespace: a `NAME` of ip netns, a container's name or id, a pid or a path")
}

func (f *spaceFlags) registerAll(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "look at every network namespace, each with its own rules and interfaces")
}

func (f *spaceFlags) checkSpaces() error {
	if f.netns != "" && f.allNamespaces {
		return usage("use one of them", "--netns and --all-namespaces exclude each other")
	}
	return nil
}

// enter is the host with the network of the namespace that --netns names.
func (a *app) enter(host platform.Host) (platform.Host, error) {
	a.namespace = listeners.Namespace{Name: listeners.HostNamespace}
	if a.netns == "" {
		return host, nil
	}
	if host.OS() != "linux" {
		return nil, usage("leave it out", "--netns: %s has no network namespaces", host.OS())
	}
	all, unseen := a.machine.spaces()
	n, err := listeners.Find(all, a.netns)
	if err != nil {
		return nil, usage(knownSpaces(all, unseen), "--netns: %w", err)
	}
	if err := a.machine.enterable(n); err != nil {
		return nil, spaceUnread(a.netns, err)
	}
	a.namespace = n
	return a.machine.in(n), nil
}

// shownSpaces is how many namespaces an error names.
const shownSpaces = 20

func knownSpaces(all []listeners.Namespace, unseen []gaps.Gap) string {
	if len(unseen) > 0 && len(all) < 2 {
		return unseen[0].Hint
	}
	var names []string
	for _, n := range all[:min(len(all), shownSpaces)] {
		names = append(names, n.Name)
	}
	text := "there are: " + strings.Join(names, ", ")
	if more := len(all) - shownSpaces; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if len(unseen) > 0 {
		text += "; some could not be seen: " + unseen[0].Hint
	}
	return text
}

// placed says of a survey which namespace it is of.
func (a *app) placed(s *survey) *survey {
	if s.about.OS != "linux" || a.machine == nil {
		return s
	}
	s.namespace, s.machine = a.namespace, a.machine
	if s.namespace.Name != listeners.HostNamespace {
		s.about.Namespace = s.namespace.Title
	}
	return s
}

// lookEverywhere surveys every network namespace, the host's own first.
func (a *app) lookEverywhere() ([]*survey, error) {
	all, unseen, err := a.everywhere()
	if err != nil {
		return nil, err
	}
	a.machine.read(all)
	var surveys []*survey
	for i, n := range all {
		s := a.machine.surveys[n.ID]
		if i > 0 && len(s.about.Gaps) > 0 && a.machine.ended(n) {
			continue
		}
		surveys = append(surveys, s)
	}
	surveys[0].about.Gaps = append(surveys[0].about.Gaps, unseen...)
	return surveys, nil
}

// isGone says that a namespace has ended meanwhile, as a process may.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) && !errors.Is(err, platform.ErrNotRecorded)
}

// everywhere are the namespaces that can be looked at, and what is in the way of others.
func (a *app) everywhere() ([]listeners.Namespace, []gaps.Gap, error) {
	if len(a.ruleNames) > 0 {
		return nil, nil, usage("use one of them", "--rules and --all-namespaces exclude each other")
	}
	host, err := a.openHost()
	if err != nil {
		return nil, nil, err
	}
	if host.OS() != "linux" {
		return nil, nil, usage("leave it out", "--all-namespaces: %s has no network namespaces", host.OS())
	}
	all, unseen := a.machine.spaces()
	if len(all) == 0 {
		return []listeners.Namespace{a.namespace}, unseen, nil
	}
	within := all[:1:1]
	for _, n := range all[1:] {
		if err := a.machine.enterable(n); isGone(err) {
			continue
		} else if err != nil {
			unseen = append(unseen, gaps.Gap{Source: n.Title, Reason: fmt.Sprintf("its network could not be read: %v", err), Hint: spaceHint(err), Err: err})
			continue
		}
		within = append(within, n)
	}
	return within, unseen, nil
}

// surveys are those that the flags ask for; a single host is read with read.
func (a *app) surveys(read func(platform.Host) *survey) ([]*survey, error) {
	if a.allNamespaces {
		return a.lookEverywhere()
	}
	s, err := a.look(read)
	return []*survey{s}, err
}

// surveysOf are those of a host that is no flag's: the recording of a baseline.
func (a *app) surveysOf(host platform.Host) ([]*survey, error) {
	other := *a
	other.open = func(string) (platform.Host, error) { return host, nil }
	other.netns, other.fileFlags = "", fileFlags{}
	return other.surveys(readAll)
}

// together is what is said of several namespaces at once: of the first, with what
// could not be seen of the others.
func together(surveys []*survey) *survey {
	if len(surveys) == 1 {
		return surveys[0]
	}
	all := *surveys[0]
	all.about.Namespaces = len(surveys)
	for _, s := range surveys[1:] {
		all.about.Gaps = append(slices.Clip(all.about.Gaps), gapsOf(s.namespace, s.about.Gaps, surveys[0].about.Gaps)...)
		all.about.Backends = merged(all.about.Backends, s.about.Backends)
		all.about.Managers = merged(all.about.Managers, s.about.Managers)
		all.unread = merged(all.unread, s.unread)
		all.socketsUnread = all.socketsUnread || s.socketsUnread
	}
	return &all
}

func merged(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
