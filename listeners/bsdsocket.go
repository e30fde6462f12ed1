package listeners

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// A bsdSocket is a socket as macOS, FreeBSD or OpenBSD tells it: the kernel, or one
// of the programs that show it.
type bsdSocket struct {
	protocol      string // "tcp" or "udp"
	family        int
	state         uint8 // stateListen, stateClose, stateEstablished
	local, remote netip.AddrPort
	v6only        bool
	v6onlyKnown   bool
	binding       portBinding
	// transparent is IP_BINDANY (FreeBSD's ip(4)).
	transparent, optionsKnown bool
	uid                       uint32
	uidKnown                  bool
	// handle is the kernel's address of the socket; 0 where it isn't told.
	handle uint64
	// kernel says that the kernel opened it, for itself.
	kernel bool
	// holders are the processes that the source names; untold says why there may be
	// others or why there are none, and hint what helps.
	holders      []Process
	untold, hint string
}

// A rowKey is what tells rows apart.
type rowKey struct {
	protocol              string
	family                int
	local, remote         netip.AddrPort
	v6only, v6onlyKnown   bool
	uid                   uint32
	uidKnown, transparent bool
}

func (s *bsdSocket) key() rowKey {
	return rowKey{s.protocol, s.family, s.local, s.remote, s.v6only, s.v6onlyKnown, s.uid, s.uidKnown, s.transparent}
}

// bsdRows makes a row of the sockets that differ in nothing but their holders: one
// that several processes hold, or several that share an address.
func bsdRows(sockets []bsdSocket, processes map[int]Process) []Listener {
	rows := make(map[rowKey]*Listener)
	for i := range sockets {
		s := &sockets[i]
		if !s.takesPackets() {
			continue
		}
		row, known := rows[s.key()]
		if !known {
			row = s.listener()
			rows[s.key()] = row
		}
		row.Kernel = s.kernel && (row.Kernel || !known)
		row.hold(s, processes)
	}
	out := make([]Listener, 0, len(rows))
	for _, row := range rows {
		row.Owners = sortedOwners(row.Owners)
		out = append(out, *row)
	}
	slices.SortFunc(out, compareRows)
	return out
}

// takesPackets: a socket without a port is not bound yet, one of TCP that doesn't
// listen is a connection.
func (s *bsdSocket) takesPackets() bool {
	return s.local.Port() != 0 && s.local.IsValid() && (s.protocol == "udp" || s.state == stateListen)
}

func (s *bsdSocket) listener() *Listener {
	l := &Listener{
		Protocol:     s.protocol,
		Family:       s.family,
		State:        stateName(s.state),
		Address:      s.local.Addr(),
		Port:         s.local.Port(),
		Remote:       s.remote,
		V6Only:       s.v6only,
		V6OnlyKnown:  s.v6onlyKnown || s.family == 4,
		Transparent:  s.transparent,
		OptionsKnown: s.optionsKnown,
		UID:          s.uid,
		UIDUnknown:   !s.uidKnown,
	}
	// Where the binding isn't told, a client on a port that the system chose counts as
	// a server.
	l.Role = role(&socket{protocol: s.protocol, state: s.state, local: s.local, binding: s.binding}, portRange{})
	return l
}

// hold adds a socket's holders to its row. What ps knew of a process counts before
// what the source of the sockets says of it.
func (l *Listener) hold(s *bsdSocket, processes map[int]Process) {
	for _, p := range s.holders {
		known, read := processes[p.PID]
		switch {
		case read:
			l.Owners = append(l.Owners, known)
		case p.Name != "":
			l.Owners = append(l.Owners, p)
		case l.Role != ConnectedClient: // whose processes may not be read
			l.OwnerGap = fmt.Sprintf("process %d, which held it, could not be read: it may have ended", p.PID)
		}
	}
	if s.untold != "" {
		l.OwnerGap, l.OwnerHint = s.untold, s.hint
	}
}

func sortedOwners(all []Process) []Process {
	slices.SortFunc(all, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	return slices.CompactFunc(all, func(a, b Process) bool { return a.PID == b.PID })
}

// compareRows is total for rows of different keys.
func compareRows(a, b Listener) int {
	return cmp.Or(
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.Port, b.Port),
		a.Address.Compare(b.Address),
		cmp.Compare(a.Family, b.Family),
		a.Remote.Compare(b.Remote),
		falseFirst(a.V6Only, b.V6Only),
		falseFirst(a.V6OnlyKnown, b.V6OnlyKnown),
		falseFirst(a.UIDUnknown, b.UIDUnknown),
		cmp.Compare(a.UID, b.UID),
		falseFirst(a.Transparent, b.Transparent),
	)
}

// anyAddress is what "*" stands for.
func anyAddress(family int) netip.Addr {
	if family == 4 {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// withoutKAME gives a link-local address the zone that KAME's kernels keep in its
// second 16 bits (macOS: fe80:4::1 for fe80::1%4; RFC 4291 section 2.5.6 has zeros there).
func withoutKAME(a netip.Addr) netip.Addr {
	if !a.Is6() || !a.IsLinkLocalUnicast() {
		return a
	}
	b := a.As16()
	index := int(b[2])<<8 | int(b[3])
	if index == 0 {
		return a
	}
	b[2], b[3] = 0, 0
	return netip.AddrFrom16(b).WithZone(cmp.Or(a.Zone(), strconv.Itoa(index)))
}
