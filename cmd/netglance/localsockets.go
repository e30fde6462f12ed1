package main

import (
	"slices"
	"strings"
	"sync"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/outside"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/platform"
)

// readFates reads all that decides about packets: the rules, the network, and the
// sockets that rules may ask about. Sockets that can't be read are no gap by
// themselves: an answer that depends on them says so.
func readFates(host platform.Host) *survey {
	if host.OS() != "linux" {
		s := readRules(host)
		s.network.Sockets = bsdSockets(listeners.ReadBSD(host))
		return s
	}
	var found []firewall.LocalSocket
	var before []firewall.Outsider
	var reading sync.WaitGroup
	reading.Go(func() {
		all, missing := listeners.Read(host)
		found = localSockets(all, missing)
		before, _ = outside.Sockets(host, cgroups(all))
	})
	s := readRules(host)
	reading.Wait()
	s.network.Sockets = found
	s.network.Outsiders = append(s.network.Outsiders, before...)
	return s
}

// localSockets are the sockets as the evaluator wants them; nil where some of them,
// or what decides which of them a packet is for, could not be read.
func localSockets(all []listeners.Listener, missing []gaps.Gap) []firewall.LocalSocket {
	untold := func(g gaps.Gap) bool { return g.Source == "sock_diag" || strings.HasSuffix(g.Source, " sockets") }
	if slices.ContainsFunc(missing, untold) {
		return nil
	}
	sockets := []firewall.LocalSocket{}
	for _, l := range all {
		number := map[string]uint8{"tcp": 6, "udp": 17}[l.Transport()]
		if number == 0 {
			continue
		}
		if !l.OptionsKnown || !l.V6OnlyKnown {
			return nil
		}
		sockets = append(sockets, localSocket(number, l))
	}
	return sockets
}

// cgroups are those that the sockets were made in.
func cgroups(all []listeners.Listener) []uint64 {
	var ids []uint64
	for _, l := range all {
		if !slices.Contains(ids, l.CgroupID) {
			ids = append(ids, l.CgroupID)
		}
	}
	return ids
}

func localSocket(number uint8, l listeners.Listener) firewall.LocalSocket {
	family := firewall.FamilyIPv4
	if l.Family == 6 {
		family = firewall.FamilyIPv6
	}
	return firewall.LocalSocket{
		Protocol:    number,
		Family:      family,
		Address:     l.Address,
		Port:        l.Port,
		Remote:      l.Remote,
		Device:      int(l.DeviceIndex),
		V6Only:      l.V6Only,
		Transparent: l.Transparent,
		Mark:        l.Mark,
		MarkKnown:   l.MarkKnown,
		Cgroup:      l.CgroupID,
		UID:         l.UID,
		Owned:       len(l.Owners) > 0,
	}
}
