package xt

import (
	"strings"

	"github.com/netglance/netglance/firewall"
)

// owner is xt_owner_match_info (xt_owner.h): of the local socket that sends the
// packet. A packet that comes in has none, so that only conditions that are all
// inverted match it.
type owner struct {
	uidLow, uidHigh, gidLow, gidHigh uint32
	match, invert                    uint8
}

const (
	ownerUID = 1 << iota
	ownerGID
	ownerSocket
	ownerSupplementary
)

func decodeOwner(revision uint8, f *fields) extension {
	if revision != 1 {
		return nil
	}
	return owner{f.u32(), f.u32(), f.u32(), f.u32(), f.u8(), f.u8()}
}

func (o owner) steps(Decoder) []firewall.Step {
	uid, gid := meta(firewall.MetaSKUID), meta(firewall.MetaSKGID)
	var s []firewall.Step
	if o.match&ownerSocket != 0 {
		s = append(s, matchUnless(o.invert&ownerSocket != 0, loads(uid, 4)))
	}
	if o.match&ownerUID != 0 {
		s = append(s, matchUnless(o.invert&ownerUID != 0, wordBetween(uid, o.uidLow, o.uidHigh, false)))
	}
	if o.match&ownerGID == 0 {
		return s
	}
	group := wordBetween(gid, o.gidLow, o.gidHigh, false)
	if o.match&ownerSupplementary != 0 {
		// The other groups of the process are not among the packet's values.
		group = anyOf(one(group), chance(firewall.Unmodelled, "owner", o.String()))
	}
	return append(s, matchUnless(o.invert&ownerGID != 0, group))
}

func (o owner) String() string {
	var l line
	if o.match&ownerSocket != 0 {
		l.add(o.invert&ownerSocket != 0, "--socket-exists")
	}
	if o.match&ownerUID != 0 {
		l.add(o.invert&ownerUID != 0, "--uid-owner", span(o.uidLow, o.uidHigh, "-"))
	}
	if o.match&ownerGID != 0 {
		l.add(o.invert&ownerGID != 0, "--gid-owner", span(o.gidLow, o.gidHigh, "-"))
	}
	if o.match&ownerSupplementary != 0 {
		l.add(o.invert&ownerSupplementary != 0, "--suppl-groups")
	}
	return l.String()
}

const ownerOptions = "uid-owner=1 gid-owner=1 socket-exists=0 suppl-groups=0"

func parseOwner(g *given) extension {
	var m owner
	for _, o := range g.list {
		var flag uint8
		switch o.Name {
		case "uid-owner":
			flag = ownerUID
			m.uidLow, m.uidHigh = g.ids(o)
		case "gid-owner":
			flag = ownerGID
			m.gidLow, m.gidHigh = g.ids(o)
		case "socket-exists":
			flag = ownerSocket
		case "suppl-groups":
			flag = ownerSupplementary
		}
		m.match |= flag
		if o.Invert {
			m.invert |= flag
		}
	}
	return m
}

// ids reads "1000" or "1000-2000". A user's name needs the host's own user
// list, which a text doesn't carry; root alone is the same everywhere.
func (g *given) ids(o Option) (low, high uint32) {
	if o.first() == "root" {
		return 0, 0
	}
	a, b := g.span(o, o.first(), "-", 32)
	return uint32(a), uint32(b)
}

// socket is xt_socket_mtinfo1 to 3 (xt_socket.h); revision 0 has no flags.
type socket struct{ flags uint8 }

const (
	socketTransparent = 1 << iota
	socketNoWildcard
	socketRestoreMark
)

func decodeSocket(revision uint8, f *fields) extension {
	switch revision {
	case 0:
		return socket{}
	case 1, 2, 3:
		return socket{f.u8()}
	}
	return nil
}

func (m socket) steps(Decoder) []firewall.Step {
	wildcard := firewall.Socket{Key: firewall.SocketWildcard}
	s := one(loads(firewall.Socket{Key: firewall.SocketTransparent}, 1))
	if m.flags&socketNoWildcard == 0 {
		s = one(equal(wildcard, []byte{0}, false))
	}
	if m.flags&socketTransparent != 0 {
		s = append(s, equal(firewall.Socket{Key: firewall.SocketTransparent}, []byte{1}, false))
	}
	if m.flags&socketRestoreMark != 0 {
		s = append(s, firewall.Assign{Target: meta(firewall.MetaMark), Value: firewall.Socket{Key: firewall.SocketMark}})
	}
	return s
}

func (m socket) String() string {
	var l line
	if m.flags&socketTransparent != 0 {
		l.add(false, "--transparent")
	}
	if m.flags&socketNoWildcard != 0 {
		l.add(false, "--nowildcard")
	}
	if m.flags&socketRestoreMark != 0 {
		l.add(false, "--restore-skmark")
	}
	return l.String()
}

const socketOptions = "transparent=0 nowildcard=0 restore-skmark=0"

func parseSocket(g *given) extension {
	var m socket
	for _, o := range g.list {
		m.flags |= map[string]uint8{"transparent": socketTransparent, "nowildcard": socketNoWildcard, "restore-skmark": socketRestoreMark}[o.Name]
	}
	return m
}

// cgroup is xt_cgroup_info_v0 to v2 (xt_cgroup.h): of the local socket.
type cgroup struct {
	path                    string
	class                   uint32
	hasPath, hasClass       bool
	invertPath, invertClass bool
}

func decodeCgroup(revision uint8, f *fields) extension {
	if revision == 0 {
		return cgroup{hasClass: true, class: f.u32(), invertClass: f.u32() != 0}
	}
	c := cgroup{hasPath: f.flag(), hasClass: f.flag(), invertPath: f.flag(), invertClass: f.flag()}
	switch revision {
	case 1:
		c.path, c.class = f.name(4096), f.u32()
	case 2:
		if c.hasPath {
			c.path = f.name(512)
		} else {
			c.class = f.u32()
		}
	default:
		return nil
	}
	return c
}

func (c cgroup) steps(d Decoder) []firewall.Step {
	if c.hasPath {
		return []firewall.Step{loads(meta(firewall.MetaSKUID), 4), chance(firewall.External, "cgroup", c.String())[0]}
	}
	return one(equal(meta(firewall.MetaCgroup), d.word32(c.class), c.invertClass))
}

func (c cgroup) String() string {
	var l line
	if c.hasPath {
		l.add(c.invertPath, "--path", quoted(c.path))
	}
	if c.hasClass {
		l.add(c.invertClass, "--cgroup", number(c.class))
	}
	return l.String()
}

func parseCgroup(g *given) extension {
	var c cgroup
	for _, o := range g.list {
		if o.Name == "path" {
			c.path, c.hasPath, c.invertPath = strings.Join(o.Arguments, ""), true, o.Invert
		} else {
			c.class, c.hasClass, c.invertClass = g.u32(o), true, o.Invert
		}
	}
	return c
}
