package listeners

import (
	"cmp"
	"slices"
	"strings"
)

// group makes rows of sockets, sorted: what differs in nothing but the inode is
// one SO_REUSEPORT group (or, for UDP, sockets that share by SO_REUSEADDR). The
// kernel shows neither option.
func group(sockets []socket, devices map[uint32]string, chosen portRange) []Listener {
	sorted := make([]*socket, len(sockets))
	for i := range sockets {
		sorted[i] = &sockets[i]
	}
	slices.SortFunc(sorted, func(a, b *socket) int { return order(a, b, devices) })
	listeners := make([]Listener, 0, len(sorted))
	inodes := make([]uint64, 0, len(sorted)) // one array for all rows
	for start := 0; start < len(sorted); {
		end := start + 1
		for end < len(sorted) && sameGroup(sorted[start], sorted[end]) {
			end++
		}
		from := len(inodes)
		for i := start; i < end; i++ {
			// a dump may tell a socket twice when the table moves below it
			if i == start || sorted[i].inode != sorted[i-1].inode {
				inodes = append(inodes, sorted[i].inode)
			}
		}
		l := listener(sorted[start], devices, chosen)
		l.Inodes = inodes[from:len(inodes):len(inodes)]
		listeners = append(listeners, l)
		start = end
	}
	return listeners
}

func listener(s *socket, devices map[uint32]string, chosen portRange) Listener {
	l := Listener{
		Protocol:    s.protocol,
		Family:      int(s.family),
		State:       stateName(s.state),
		Role:        role(s, chosen),
		Address:     s.local.Addr(),
		Port:        s.local.Port(),
		Remote:      s.remote,
		DeviceIndex: s.device,
		Device:      devices[s.device],
		V6Only:      s.v6only,
		V6OnlyKnown: s.v6onlyKnown,
		Mark:        s.mark,
		MarkKnown:   s.markKnown,
		CgroupID:    s.cgroup,

		Transparent:  s.transparent,
		OptionsKnown: s.optsKnown,
		UID:          s.uid,
	}
	if s.family == 4 {
		l.V6Only, l.V6OnlyKnown = false, true
	}
	if s.family == 6 && s.protocol == "raw" {
		// A raw socket gets what the IPv6 input path hands it, whatever its option says.
		l.V6Only, l.V6OnlyKnown = true, true
	}
	if l.Address.IsLinkLocalUnicast() && l.Address.Is6() {
		// The scope of a bind is the device that the socket is bound to.
		l.Address = l.Address.WithZone(l.Device)
	}
	return l
}

// sameGroup leaves out the inode, the cookie, and the cgroup, which is where the
// socket was opened.
func sameGroup(a, b *socket) bool {
	return a.protocol == b.protocol && a.family == b.family && a.state == b.state &&
		a.local == b.local && a.remote == b.remote && a.device == b.device &&
		a.v6only == b.v6only && a.v6onlyKnown == b.v6onlyKnown &&
		a.uid == b.uid && a.mark == b.mark && a.transparent == b.transparent && a.binding == b.binding
}

// order is by protocol, port, address and device, and then by all else, so that it
// is total.
func order(a, b *socket, devices map[uint32]string) int {
	if n := strings.Compare(a.protocol, b.protocol); n != 0 {
		return n
	}
	if n := cmp.Compare(a.local.Port(), b.local.Port()); n != 0 {
		return n
	}
	if n := a.local.Addr().Compare(b.local.Addr()); n != 0 {
		return n
	}
	if a.device != b.device {
		if n := strings.Compare(devices[a.device], devices[b.device]); n != 0 {
			return n
		}
	}
	return orderAtAddress(a, b)
}

func orderAtAddress(a, b *socket) int {
	return cmp.Or(
		cmp.Compare(a.device, b.device),
		cmp.Compare(a.family, b.family),
		cmp.Compare(a.state, b.state),
		a.remote.Compare(b.remote),
		falseFirst(a.v6only, b.v6only),
		falseFirst(a.v6onlyKnown, b.v6onlyKnown),
		cmp.Compare(a.uid, b.uid),
		cmp.Compare(a.mark, b.mark),
		falseFirst(a.transparent, b.transparent),
		cmp.Compare(a.binding, b.binding),
		cmp.Compare(a.inode, b.inode),
	)
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
