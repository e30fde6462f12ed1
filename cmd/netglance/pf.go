package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/pf"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/report"
)

// formatPF is the format of pf.conf, and of what pfctl prints.
const formatPF = "pf.conf"

// ofPF says that rules of pf were given.
func ofPF(given []ruleFile) bool {
	return slices.ContainsFunc(given, func(f ruleFile) bool { return f.format() == formatPF })
}

// systems are the dialects' systems, named like GOOS.
var systems = map[pf.Dialect]string{pf.OpenBSD: "openbsd", pf.FreeBSD: "freebsd", pf.MacOS: "darwin"}

// planPF is the host that --rules of pf and --interfaces describe.
func (a *app) planPF(given []ruleFile) (*survey, error) {
	if len(a.interfaceNames) == 0 {
		return nil, usage("--interfaces em0=192.0.2.1/24, or a file of them: netglance firewall --help", "pf's rules need the interfaces that they name")
	}
	links, err := parseLinks(a.interfaceNames)
	if err != nil {
		return nil, err
	}
	s := &survey{about: report.Host{Tool: toolVersion(), Name: "rules of " + fileNames(given)}, planned: true, network: pfNetwork(links)}
	dialect, err := pf.ParseDialect(a.dialect)
	if err != nil {
		return nil, usage("openbsd, freebsd or macos", "--dialect: %w", err)
	}
	return s, s.givePF(given, dialect)
}

// replacePF puts a pf.conf in the place of what a recorded host runs.
func replacePF(s *survey, given []ruleFile, host platform.Host) (*survey, error) {
	if !isBSD(host.OS()) {
		return nil, usage("rules of iptables-save belong to a Linux host", "--rules: %s is a pf.conf, and the host runs %s", given[0].name, host.OS())
	}
	s.about.Name += " with " + fileNames(given)
	return s, s.givePF(given, map[string]pf.Dialect{"openbsd": pf.OpenBSD, "freebsd": pf.FreeBSD, "darwin": pf.MacOS}[host.OS()])
}

// givePF evaluates a pf.conf for the survey's network.
func (s *survey) givePF(given []ruleFile, dialect pf.Dialect) error {
	if len(given) > 1 {
		return usage("one pf.conf, which includes what it needs", "--rules: %d files, and %s is a pf.conf", len(given), given[0].name)
	}
	file := given[0]
	rules, err := pf.Parse(file.name, file.text, pf.Options{Dialect: dialect, Network: s.network, Open: besideFile(file.name)})
	if err != nil {
		return usage("mend that line, or name another system's pf with --dialect", "--rules: %w", err)
	}
	s.about.OS = systems[rules.Dialect]
	s.usePF(rules)
	s.describeRules()
	return nil
}

// usePF evaluates rules of pf, and says what is not known of them.
func (s *survey) usePF(rules *pf.Ruleset) {
	e := pf.NewEvaluator(rules, s.network)
	s.foreign, s.rules = e, e.Model()
	for _, what := range rules.Unread {
		s.about.Gaps = append(s.about.Gaps, gaps.Gap{Source: "pf", Reason: what + ": not known here; what depends on it is conditional"})
	}
	for _, what := range rules.FilledLater {
		s.about.Gaps = append(s.about.Gaps, gaps.Gap{Source: "pf", Reason: what + " is filled by programs at run time: taken as empty",
			Hint: "netglance record on the host keeps what stands in it"})
	}
}

// maxIncluded is how large a file that a pf.conf names may be, in bytes.
const maxIncluded = 64 << 20

// besideFile opens files that a pf.conf names by a relative path, beside it. Others
// are those of the machine that it is for.
func besideFile(name string) func(string) ([]byte, error) {
	return func(included string) ([]byte, error) {
		if name == "-" || !filepath.IsLocal(included) {
			return nil, pf.ErrElsewhere
		}
		f, err := os.Open(filepath.Join(filepath.Dir(name), included))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		content, err := io.ReadAll(io.LimitReader(f, maxIncluded+1))
		if err == nil && len(content) > maxIncluded {
			err = fmt.Errorf("%s is larger than %d bytes", included, maxIncluded)
		}
		return content, err
	}
}

// Flags of interfaces, the same numbers on all systems (net/if.h).
const flagUp, flagBroadcast, flagLoopback, flagPointToPoint = 1, 2, 8, 16

// pfNetwork is what --interfaces tells of interfaces, with what firewall.Assume has
// for Linux where nothing is told: a default route by the first interface with an
// address of the family, one in the group egress before all others, and forwarding.
func pfNetwork(links []givenLink) *firewall.Network {
	n := &firewall.Network{Settings: map[string]string{"net.inet.ip.forwarding": "1", "net.inet6.ip6.forwarding": "1"}}
	for i, l := range links {
		link := firewall.Interface{Index: i + 1, Name: l.Name, Flags: flagUp | flagBroadcast, GroupNames: l.Groups}
		switch {
		case l.Loopback:
			link.Flags = flagUp | flagLoopback
		case l.PointToPoint:
			link.Flags = flagUp | flagPointToPoint
		}
		n.Interfaces = append(n.Interfaces, link)
		for _, a := range l.Addresses {
			a.Interface = link.Index
			n.Addresses = append(n.Addresses, a)
		}
	}
	for _, everything := range []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)} {
		if link := wayToAll(links, everything.Addr().Is4()); link > 0 {
			n.Routes = append(n.Routes, firewall.Route{Destination: everything, Type: firewall.RouteUnicast, Table: mainTable, Interface: link})
		}
	}
	return n
}

// wayToAll is the index of the interface that has the default route; 0 if none can.
func wayToAll(links []givenLink, four bool) (index int) {
	for i, l := range links {
		has := slices.ContainsFunc(l.Addresses, func(a firewall.Address) bool { return a.Prefix.Addr().Is4() == four })
		switch {
		case l.Loopback || !has:
		case slices.Contains(l.Groups, "egress"):
			return i + 1
		case index == 0:
			index = i + 1
		}
	}
	return index
}

// checkDialect refuses --dialect where no rules of pf are given.
func (a *app) checkDialect(given []ruleFile) error {
	if a.dialect == "" || ofPF(given) {
		return nil
	}
	return usage("--dialect says whose pf a pf.conf is for", "--dialect: %s is no pf.conf", fileNames(given))
}

// addPFFindings tells what is odd about rules of pf beside their never deciding.
func (s *survey) addPFFindings(review *correlate.RulesReview) {
	e, ok := s.foreign.(*pf.Evaluator)
	if !ok {
		return
	}
	for _, f := range e.Findings() {
		review.Rules[f.Rule] = append(review.Rules[f.Rule], correlate.Reason{Code: f.Code, Text: f.Text})
	}
}
