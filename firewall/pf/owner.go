package pf

import (
	"net/netip"

	"github.com/netglance/netglance/firewall"
)

// owned is where a rule's user and group fit the local socket that packets belong
// to: for incoming ones the listener (pf_socket_lookup). Packets without a socket
// have the user "unknown".
func (w *walk) owned(p *packet, r *Rule, set firewall.PacketSet) firewall.PacketSet {
	if set == firewall.NoPackets || r.User == nil && r.Group == nil || p.protocol == protoSCTP {
		return set
	}
	if r.Group != nil {
		set = w.s.And(set, w.s.Fact(firewall.Unread, "whether the socket's group is "+r.Group.text()))
	}
	if r.User == nil {
		return set
	}
	uid, known := w.uid(p)
	if !known || w.review || r.User.Name != "" {
		return w.s.And(set, w.s.Fact(firewall.Unread, "whether the socket's user is "+r.User.text()))
	}
	if !r.User.fits(uid) {
		return firewall.NoPackets
	}
	return set
}

// noUser stands for packets without a socket (UID_MAX).
const noUser = ^uint32(0)

// fits is pf_match_uid: of packets without a socket only "unknown" is said.
func (o *Owner) fits(uid uint32) bool {
	if o.Unknown {
		return (uid == noUser) == (o.Op == Equal)
	}
	if uid == noUser {
		return o.Op == NotEqual
	}
	switch o.Op {
	case Equal:
		return uid == o.Low
	case NotEqual:
		return uid != o.Low
	case Less:
		return uid < o.Low
	case LessEqual:
		return uid <= o.Low
	case Greater:
		return uid > o.Low
	case GreaterEqual:
		return uid >= o.Low
	case Between:
		return o.Low < uid && uid < o.High
	case Outside:
		return uid < o.Low || uid > o.High
	}
	return o.Low <= uid && uid <= o.High
}

// uid is the owner of the socket that incoming packets are for; false where that
// can't be told.
func (w *walk) uid(p *packet) (uint32, bool) {
	address, constant := p.destination.Constant()
	port, portKnown := p.port.Constant()
	if p.answer {
		address, constant = p.source.Constant()
		port, portKnown = p.sourcePort.Constant()
	}
	if w.e.network.Sockets == nil || !constant || !portKnown || p.direction == Out && !p.answer {
		return 0, false
	}
	to, _ := netip.AddrFromSlice(address)
	owner, found := noUser, false
	for _, s := range w.e.network.Sockets {
		if int(s.Protocol) != p.protocol || s.Port != uint16(port[0])<<8|uint16(port[1]) || !takes(s, to) {
			continue
		}
		if !s.Owned || found && s.UID != owner {
			return 0, false // the kernel's own, or one of several users'
		}
		owner, found = s.UID, true
	}
	return owner, true
}

// takes says that a socket is bound to an address, or to all of its family.
func takes(s firewall.LocalSocket, to netip.Addr) bool {
	if !s.Address.IsUnspecified() {
		return s.Address.Unmap() == to
	}
	return s.Address.Is4() == to.Is4() || to.Is4() && !s.V6Only
}
