package main

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/alf"
	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/firewall/managers"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/firewall/outside"
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
	// local are the same for the evaluator; nil if not all is known of them.
	local []firewall.LocalSocket
	// outsiders are what stands before the sockets outside of netfilter.
	outsiders []firewall.Outsider
	network   *firewall.Network
	rules     *firewall.Ruleset
	// words say what rules are to who keeps them.
	words *managers.Words
	// foreign evaluates what isn't Linux's; nil on Linux.
	foreign evaluator
	// applications is macOS's second firewall; nil elsewhere, and where it wasn't read.
	applications *alf.Firewall
	// unread are what decides about packets and could not be read whole.
	unread []string
	// planned says that the host doesn't run: nothing can be said of sockets.
	planned bool
	// unforeseen is what may listen on a host that doesn't run, nobody knows where.
	unforeseen []string
	// clock is the host's; nil for a host made of files.
	clock func() time.Time
	// socketsUnread says that listeners may be missing.
	socketsUnread bool
	// namespace is the network namespace that was read, of the machine; nil where
	// there are no others.
	namespace listeners.Namespace
	machine   *machine
}

// readSockets reads who listens, and nothing else.
func readSockets(host platform.Host) *survey {
	s := &survey{about: describe(host)}
	s.addSockets(host)
	return s
}

// readRules reads the rules and the network, not who listens.
func readRules(host platform.Host) *survey {
	s := &survey{about: describe(host), clock: host.Time, network: &firewall.Network{}, rules: &firewall.Ruleset{}}
	if rulesUnsupported(host, s) {
		return s
	}
	s.addRules(host)
	return s
}

func readAll(host platform.Host) *survey {
	s := &survey{about: describe(host), clock: host.Time, network: &firewall.Network{}, rules: &firewall.Ruleset{}}
	if rulesUnsupported(host, s) {
		s.addSockets(host)
		return s
	}
	var sockets survey
	var reading sync.WaitGroup
	reading.Go(func() { sockets.addSockets(host) })
	s.addRules(host)
	reading.Wait()
	s.sockets, s.socketsUnread = sockets.sockets, sockets.socketsUnread
	s.network.Sockets = sockets.local
	s.network.Outsiders = append(s.network.Outsiders, sockets.outsiders...)
	s.about.Gaps = append(s.about.Gaps, sockets.about.Gaps...)
	return s
}

func (s *survey) addSockets(host platform.Host) {
	found, missing := listen(host)
	s.keepSockets(host, found, missing)
}

func (s *survey) keepSockets(host platform.Host, found []listeners.Listener, missing []gaps.Gap) {
	s.sockets = listeners.Serving(found)
	s.local = localSockets(found, missing)
	if isBSD(host.OS()) {
		s.local = bsdSockets(found, missing)
	}
	if host.OS() == "linux" {
		programs, unseen := outside.Sockets(host, cgroups(found))
		s.outsiders, missing = programs, append(missing, unseen...)
	}
	s.about.Gaps = append(s.about.Gaps, missing...)
	s.socketsUnread = len(found) == 0 && len(missing) > 0 ||
		slices.ContainsFunc(missing, func(g gaps.Gap) bool { return errors.Is(g.Err, listeners.ErrSocketsUnread) })
}

func listen(host platform.Host) ([]listeners.Listener, []gaps.Gap) {
	if host.OS() == "linux" {
		return listeners.Read(host)
	}
	return listeners.ReadBSD(host)
}

func (s *survey) addRules(host platform.Host) {
	if isBSD(host.OS()) {
		s.addBSDRules(host)
		return
	}
	var network *firewall.Network
	var unseen, unseenPrograms []gaps.Gap
	var reading sync.WaitGroup
	reading.Go(func() {
		network, unseen = rtnetlink.Read(host)
		more, programs := outside.Read(host, network)
		unseen, unseenPrograms = append(unseen, more...), programs
	})
	rules, unread, unreadSets := filters(host)
	reading.Wait()

	s.network, s.rules = network, rules
	s.words = managers.Read(host, rules)
	s.about.Gaps = slices.Concat(s.about.Gaps, unseen, unread, unreadSets, unseenPrograms)
	for _, g := range slices.Concat(unseen, unread) {
		if !strings.HasPrefix(g.Source, "/proc/sys/") && !slices.Contains(s.unread, g.Source) { // the evaluator knows of missing settings
			s.unread = append(s.unread, g.Source)
		}
	}
	slices.Sort(s.unread)
	s.describeRules()
}

// filters reads every packet filter of a host into one ruleset: nf_tables, and
// the tables of iptables-legacy that stand beside it. What is unread of ipsets
// leaves those rules undecided that name them, and no others.
func filters(host platform.Host) (rules *firewall.Ruleset, unread, unreadSets []gaps.Gap) {
	sets := ipset.New(host)
	rules, unread = nft.Read(host, sets)
	legacy, more := iptables.Read(host, sets)
	rules.Tables = append(rules.Tables, legacy...)
	return rules, append(unread, more...), sets.Gaps()
}

// describe reads the host's name and kernel.
func describe(host platform.Host) report.Host {
	h := report.Host{OS: host.OS(), Tool: toolVersion()}
	if host.OS() != "linux" {
		h.Name = node(host, "kern.hostname")
		h.Kernel = cmp.Or(node(host, "kern.osproductversion"), node(host, "kern.osrelease")) // the first is macOS's
		return h
	}
	h.Name = line(host, "/proc/sys/kernel/hostname")
	h.Kernel = line(host, "/proc/sys/kernel/osrelease")
	return h
}

// node is a string of a BSD kernel, which ends at a zero byte.
func node(host platform.Host, name string) string {
	value, err := host.Sysctl(name)
	if err != nil {
		return ""
	}
	text, _, _ := strings.Cut(string(value), "\x00")
	return text
}

func line(host platform.Host, file string) string {
	content, err := host.ReadFile(file)
	if err != nil {
		return "" // a header without a name is no reason to fail
	}
	return strings.TrimSpace(string(content))
}

// rulesUnsupported says what is missing on a system whose rules no decoder reads:
// nothing there is called exposed or filtered.
func rulesUnsupported(host platform.Host, s *survey) bool {
	if host.OS() == "linux" || isBSD(host.OS()) {
		return false
	}
	s.about.Gaps = append(s.about.Gaps, gaps.Gap{
		Source: host.OS(),
		Reason: "netglance does not read this system's rules, interfaces and addresses: who reaches a port is unknown",
		Hint:   "look at a host that was recorded: netglance firewall --host FILE",
		Err:    errors.ErrUnsupported,
	})
	s.foreign, s.unread = undecided{}, []string{host.OS()}
	return true
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
