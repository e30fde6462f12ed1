package main

import (
	"errors"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/alf"
	"github.com/netglance/netglance/firewall/ifconfig"
	"github.com/netglance/netglance/firewall/pf"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/platform"
)

// isBSD says that a system's packet filter is pf.
func isBSD(os string) bool { return slices.Contains([]string{"darwin", "freebsd", "openbsd"}, os) }

// addBSDRules reads pf, and the network, of macOS, FreeBSD and OpenBSD.
func (s *survey) addBSDRules(host platform.Host) {
	s.foreign = undecided{}
	network, unseen := ifconfig.Read(host)
	s.network = network
	rules, unread := pf.Read(host, network)
	if rules != nil {
		s.about.Backends = []string{"pf"}
		s.usePF(rules)
	}
	if host.OS() == "darwin" {
		filter, hidden := alf.Read(host)
		s.applications = filter
		unread = append(unread, hidden...)
		if filter != nil && filter.On {
			s.about.Backends = append(s.about.Backends, "application firewall")
		}
	}
	unread = append(unread, ipfw(host)...)
	s.about.Gaps = slices.Concat(s.about.Gaps, unseen, unread)
	for _, g := range slices.Concat(unseen, unread) {
		if !slices.Contains(s.unread, g.Source) {
			s.unread = append(s.unread, g.Source)
		}
	}
	slices.Sort(s.unread)
	s.about.Interfaces = interfaces(network)
}

// ipfw is FreeBSD's other packet filter. Its nodes are there once its module is
// loaded.
func ipfw(host platform.Host) []gaps.Gap {
	for _, name := range []string{"net.inet.ip.fw.enable", "net.inet6.ip6.fw.enable"} {
		value, err := host.Sysctl(name)
		if err == nil && slices.ContainsFunc(value, func(b byte) bool { return b != 0 }) {
			return []gaps.Gap{{Source: "ipfw", Reason: "it filters too, and netglance doesn't read its rules", Hint: "ipfw list shows them", Err: errors.ErrUnsupported}}
		}
	}
	return nil
}

// bsdSockets are the sockets as pf's rules about users want them; nil where some of
// them, or their users, could not be read.
func bsdSockets(all []listeners.Listener, missing []gaps.Gap) []firewall.LocalSocket {
	if slices.ContainsFunc(missing, func(g gaps.Gap) bool { return errors.Is(g.Err, listeners.ErrSocketsUnread) }) {
		return nil
	}
	sockets := []firewall.LocalSocket{}
	for _, l := range all {
		if l.UIDUnknown || !l.V6OnlyKnown {
			return nil
		}
		sockets = append(sockets, localSocket(map[string]uint8{"tcp": 6, "udp": 17}[l.Transport()], l))
	}
	return sockets
}
