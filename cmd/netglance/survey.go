package main

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/report"
)

// A survey is what was read of a host.
type survey struct {
	about   report.Host
	sockets []listeners.Listener
	network *firewall.Network
	rules   *firewall.Ruleset
	// unread are what decides about packets and could not be read whole.
	unread []string
	// socketsUnread says that listeners may be missing.
	socketsUnread bool
}

// readSockets reads who listens, and nothing else.
func readSockets(host platform.Host) *survey {
	s := &survey{about: describe(host)}
	if unsupported(host, s) {
		return s
	}
	s.addSockets(host)
	return s
}

// readRules reads the rules and the network, not who listens.
func readRules(host platform.Host) *survey {
	s := &survey{about: describe(host), network: &firewall.Network{}, rules: &firewall.Ruleset{}}
	if unsupported(host, s) {
		return s
	}
	s.addRules(host)
	return s
}

func readAll(host platform.Host) *survey {
	s := &survey{about: describe(host), network: &firewall.Network{}, rules: &firewall.Ruleset{}}
	if unsupported(host, s) {
		return s
	}
	var sockets survey
	var reading sync.WaitGroup
	reading.Go(func() { sockets.addSockets(host) })
	s.addRules(host)
	reading.Wait()
	s.sockets, s.socketsUnread = sockets.sockets, sockets.socketsUnread
	s.about.Gaps = append(s.about.Gaps, sockets.about.Gaps...)
	return s
}

func (s *survey) addSockets(host platform.Host) {
	found, missing := listeners.Read(host)
	s.sockets = listeners.Serving(found)
	s.about.Gaps = append(s.about.Gaps, missing...)
	s.socketsUnread = len(found) == 0 && len(missing) > 0
}

func (s *survey) addRules(host platform.Host) {
	var network *firewall.Network
	var unseen []gaps.Gap
	var reading sync.WaitGroup
	reading.Go(func() { network, unseen = rtnetlink.Read(host) })
	rules, unreadRules := nft.Read(host)
	legacy := legacyTables(host)
	reading.Wait()

	s.network, s.rules = network, rules
	s.about.Gaps = slices.Concat(s.about.Gaps, unseen, unreadRules, legacy)
	for _, g := range slices.Concat(unseen, unreadRules, legacy) {
		if !strings.HasPrefix(g.Source, "/proc/sys/") && !slices.Contains(s.unread, g.Source) { // the evaluator knows of missing settings
			s.unread = append(s.unread, g.Source)
		}
	}
	slices.Sort(s.unread)
	s.about.Backends = correlate.Backends(rules)
	s.about.Managers = correlate.Managers(rules)
	s.about.Interfaces = interfaces(network)
}

// describe reads the host's name and kernel.
func describe(host platform.Host) report.Host {
	h := report.Host{OS: host.OS(), Tool: toolVersion()}
	if host.OS() != "linux" {
		return h
	}
	h.Name = line(host, "/proc/sys/kernel/hostname")
	h.Kernel = line(host, "/proc/sys/kernel/osrelease")
	return h
}

func line(host platform.Host, file string) string {
	content, err := host.ReadFile(file)
	if err != nil {
		return "" // a header without a name is no reason to fail
	}
	return strings.TrimSpace(string(content))
}

// unsupported says what is missing on a system that no decoder reads yet.
func unsupported(host platform.Host, s *survey) bool {
	if host.OS() == "linux" {
		return false
	}
	s.about.Gaps = append(s.about.Gaps, gaps.Gap{
		Source: host.OS(),
		Reason: "netglance does not read this system's sockets and rules",
		Hint:   "look at a Linux host that was recorded: netglance firewall --host FILE",
		Err:    errors.ErrUnsupported,
	})
	s.unread = []string{host.OS()}
	s.socketsUnread = true
	return true
}

// legacyTables says which tables of x_tables filter beside nf_tables. The files
// list those that are loaded (net/netfilter/x_tables.c), and are for root only.
func legacyTables(host platform.Host) []gaps.Gap {
	var out []gaps.Gap
	for _, f := range []struct{ source, file string }{
		{"ip_tables", "/proc/net/ip_tables_names"},
		{"ip6_tables", "/proc/net/ip6_tables_names"},
	} {
		content, err := host.ReadFile(f.file)
		names := strings.Fields(string(content))
		switch {
		case errors.Is(err, fs.ErrNotExist): // the module is not loaded
		case err != nil:
			out = append(out, gaps.Gap{Source: f.source, Reason: "whether iptables-legacy filters packets could not be seen: " + err.Error(), Hint: "run it as root", Err: err})
		case len(names) > 0:
			slices.Sort(names)
			out = append(out, gaps.Gap{Source: f.source, Reason: "tables of iptables-legacy are loaded and were not read: " + strings.Join(names, ", "), Err: errors.ErrUnsupported})
		}
	}
	return out
}

// interfaces are those with addresses, as the header shows them.
func interfaces(n *firewall.Network) []report.Interface {
	var out []report.Interface
	for _, i := range n.Interfaces {
		if i.Loopback() || !i.Up() {
			continue
		}
		shown := report.Interface{Name: i.Name}
		for _, a := range n.Addresses {
			if a.Interface == i.Index {
				shown.Addresses = append(shown.Addresses, a.Prefix.Addr())
			}
		}
		slices.SortFunc(shown.Addresses, netip.Addr.Compare)
		out = append(out, shown)
	}
	return out
}
