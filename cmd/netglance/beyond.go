package main

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
)

// beyond finds the namespaces at the other ends of the survey's links that have
// the addresses which packets are forwarded to.
func (s *survey) beyond(deliveries []firewall.Delivery) map[firewall.Delivery]*correlate.Place {
	found := map[firewall.Delivery]*correlate.Place{}
	all, unseen := s.machine.spaces()
	type door struct {
		listeners.Namespace
		link string
	}
	doors := map[firewall.Delivery]door{}
	var wanted []listeners.Namespace
	for _, d := range deliveries {
		n, link, ok := s.owner(all, d.Address, d.Interface)
		if !ok {
			s.notFound(d, unseen)
			continue
		}
		doors[d] = door{n, link}
		wanted = append(wanted, n)
	}
	slices.SortFunc(wanted, func(a, b listeners.Namespace) int { return compareIDs(a.ID, b.ID) })
	wanted = slices.CompactFunc(wanted, func(a, b listeners.Namespace) bool { return a.ID == b.ID })
	s.machine.read(wanted)
	for _, n := range wanted {
		s.about.Gaps = append(s.about.Gaps, gapsOf(n, s.machine.surveys[n.ID].about.Gaps, s.about.Gaps)...)
	}
	for d, to := range doors {
		found[d] = s.machine.place(to.Namespace, to.link)
	}
	return found
}

func compareIDs(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// owner is the namespace that has an address at the other end of one of the
// survey's links, and its link there. via is the way out, a link or the bridge that
// it is part of; empty stands for any.
func (s *survey) owner(all []listeners.Namespace, address netip.Addr, via string) (owner listeners.Namespace, link string, ok bool) {
	ends := s.ends(via)
	if len(ends) == 0 {
		return owner, "", false
	}
	var sure bool
	count := 0
	for _, n := range all {
		if n.Name == s.namespace.Name {
			continue
		}
		inside, outside, fits := joined(s.machine.links(n), ends, address)
		if !fits {
			continue
		}
		known, same := s.sameSpace(outside, n)
		switch {
		case known && !same:
		case known:
			owner, link, sure = n, inside.Name, true
		case !sure:
			owner, link = n, inside.Name
			count++
		}
	}
	return owner, link, sure || count == 1
}

// ends are the links that lead to other namespaces by a way out.
func (s *survey) ends(via string) []firewall.Interface {
	var out []firewall.Interface
	for _, i := range s.network.Interfaces {
		if i.Kind != "veth" || i.Peer == 0 {
			continue
		}
		bridged := slices.ContainsFunc(s.network.Interfaces, func(m firewall.Interface) bool { return m.Index == i.Master && m.Name == via })
		if via == "" || i.Name == via || bridged {
			out = append(out, i)
		}
	}
	return out
}

// joined says whether a namespace has the address on the other end of one of the
// links: a veth's two ends name each other's index.
func joined(there *firewall.Network, ends []firewall.Interface, address netip.Addr) (inside, outside firewall.Interface, ok bool) {
	for _, a := range there.Addresses {
		if a.Prefix.Addr().WithZone("") != address {
			continue
		}
		for _, inside := range there.Interfaces {
			if inside.Index != a.Interface || inside.Kind != "veth" {
				continue
			}
			for _, end := range ends {
				if end.Peer == inside.Index && inside.Peer == end.Index {
					return inside, end, true
				}
			}
		}
	}
	return inside, outside, false
}

// sameSpace says whether a link's other end is in a namespace, by the id that the
// survey's own has for it. Containers of several engines may have the same
// addresses and the same indexes. It isn't known for a namespace without a process.
func (s *survey) sameSpace(end firewall.Interface, n listeners.Namespace) (known, same bool) {
	if end.PeerSpace < 0 {
		return false, false
	}
	host := s.machine.in(s.namespace)
	for _, pid := range n.PIDs[:min(len(n.PIDs), 2)] {
		if id, ok := rtnetlink.SpaceOf(host, pid); ok {
			return true, id == end.PeerSpace
		}
	}
	return false, false
}

// notFound says that it could not be seen who takes packets, where some
// namespaces could not be read.
func (s *survey) notFound(d firewall.Delivery, unseen []gaps.Gap) {
	elsewhere := slices.ContainsFunc(s.ends(d.Interface), func(i firewall.Interface) bool { return i.PeerSpace >= 0 })
	if !elsewhere || len(unseen) == 0 {
		return
	}
	s.about.Gaps = append(s.about.Gaps, gaps.Gap{
		Source: unseen[0].Source,
		Reason: fmt.Sprintf("who serves %s beyond %s could not be seen: %s", netip.AddrPortFrom(d.Address, d.Port), d.Interface, unseen[0].Reason),
		Hint:   unseen[0].Hint,
		Err:    unseen[0].Err,
	})
}

// handedOn finds the namespace that a process which holds sockets for somebody
// else serves.
func (s *survey) handedOn(p listeners.Process, proxy listeners.Proxy) *correlate.Place {
	all, _ := s.machine.spaces()
	switch {
	case proxy.Address.IsValid():
		if n, link, ok := s.owner(all, proxy.Address, ""); ok {
			return s.machine.place(n, link)
		}
		return nil
	case proxy.Path != "":
		if n, err := listeners.Find(all, proxy.Path); err == nil && n.ID != 0 && n.Name != s.namespace.Name {
			return s.machine.place(n, "")
		}
		return nil
	}
	if n, ok := listeners.ServedBy(s.machine.host, all, p, proxy); ok && n.Name != s.namespace.Name {
		return s.machine.place(n, "")
	}
	return nil
}
