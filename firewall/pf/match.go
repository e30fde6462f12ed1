package pf

import (
	"encoding/binary"
	"fmt"

	"github.com/netglance/netglance/firewall"
)

// matches is where a rule matches: pf_match_rule of sys/net/pf.c. What no reading
// settles is a fact of the question.
func (w *walk) matches(p *packet, a *Anchor, r *Rule) firewall.PacketSet {
	if !r.plainlyFits(p) || r.Fragment && !w.review {
		return firewall.NoPackets
	}
	set := w.onLink(p, r.Interface, r.NotInterface)
	if r.Fragment {
		set = w.s.And(set, w.s.Fact(firewall.Sender, "whether it is a fragment"))
	}
	if r.RDomain >= 0 && set != firewall.NoPackets {
		in := w.s.Fact(firewall.Unmodelled, fmt.Sprintf("whether %s is in rdomain %d", p.link.Name, r.RDomain))
		set = w.s.And(set, w.unless(r.NotRDomain, in))
	}
	if r.ReceivedOn != "" {
		set = w.s.And(set, w.receivedOn(p, r))
	}
	about := ""
	if p.answer {
		about = "answer's "
	}
	set = w.s.And(set, w.address(p, a, r.Source.Address, p.source, about+"source"))
	set = w.s.And(set, w.address(p, a, r.Destination.Address, p.destination, about+"destination"))
	if set == firewall.NoPackets {
		return set
	}
	if p.hasPorts() {
		set = w.s.And(set, w.portIs(r.Source.Port, p.sourcePort))
		set = w.s.And(set, w.portIs(r.Destination.Port, p.port))
		set = w.owned(p, r, set)
	}
	return w.rest(p, r, set)
}

// plainlyFits is what needs no sets: direction, family, protocol, TCP flags, ICMP
// type.
func (r *Rule) plainlyFits(p *packet) bool {
	switch {
	case r.Direction != BothWays && r.Direction != p.direction:
		return false
	case r.Family != 0 && r.Family != p.family:
		return false
	case r.Protocol > 0 && r.Protocol != p.protocol:
		return false
	case p.protocol == protoTCP && p.flags&r.FlagSet != r.Flags:
		return false
	case r.ICMPType >= 0 && r.ICMPType != p.icmpType:
		return false
	case r.ICMPCode >= 0 && r.ICMPCode != p.icmpCode:
		return false
	}
	return r.Destination.Port.Op == AnyPort || !p.hasPorts() || r.Destination.Port.admits(p.port)
}

// admits is false where a port is known and can't fit: most rules are about others.
func (c Port) admits(port firewall.Field) bool {
	data, constant := port.Constant()
	if !constant || c.Op == NotEqual || c.Op == Outside {
		return true
	}
	first, last := c.bounds()
	n := uint16(data[0])<<8 | uint16(data[1])
	return first <= n && n <= last
}

func (w *walk) unless(not bool, set firewall.PacketSet) firewall.PacketSet {
	if not {
		return w.s.Diff(firewall.AllPackets, set)
	}
	return set
}

// onLink is where the packet crosses an interface of that name, or of that group.
func (w *walk) onLink(p *packet, name string, not bool) firewall.PacketSet {
	if name == "" {
		return firewall.AllPackets
	}
	return w.unless(not, w.isLink(p.link, name))
}

func (w *walk) receivedOn(p *packet, r *Rule) firewall.PacketSet {
	if p.received == nil && w.review {
		return w.s.Fact(firewall.Sender, "whether it was received on "+r.ReceivedOn)
	}
	if p.received == nil {
		return w.unless(r.NotReceivedOn, firewall.NoPackets)
	}
	return w.unless(r.NotReceivedOn, w.isLink(p.received, r.ReceivedOn))
}

// isLink is pfi_kif_match: the interface itself, its groups, or "any", which is
// every one but loopback.
func (w *walk) isLink(link *firewall.Interface, name string) firewall.PacketSet {
	switch {
	case link.Name == name:
		return firewall.AllPackets
	case !w.e.rules.Dialect.groups():
		return firewall.NoPackets
	case name == "any":
		if link.Loopback() {
			return firewall.NoPackets
		}
		return firewall.AllPackets
	}
	for _, group := range append(link.GroupNames, family(link.Name)) {
		if group == name {
			return firewall.AllPackets
		}
	}
	if link.GroupNames == nil && w.e.byName[name] == nil && family(name) == name {
		return w.s.Fact(firewall.Unread, fmt.Sprintf("whether %s is in the group %s", link.Name, name))
	}
	return firewall.NoPackets
}

// family is the group that every interface is in: its name without the number.
func family(name string) string {
	for len(name) > 0 && name[len(name)-1] >= '0' && name[len(name)-1] <= '9' {
		name = name[:len(name)-1]
	}
	return name
}

// portIs is where a port fits a condition (pf_match_port).
func (w *walk) portIs(c Port, port firewall.Field) firewall.PacketSet {
	between := func(low, high int) firewall.PacketSet {
		if low > high {
			return firewall.NoPackets
		}
		return w.s.Between(port, binary.BigEndian.AppendUint16(nil, uint16(low)), binary.BigEndian.AppendUint16(nil, uint16(high)))
	}
	low, high := int(c.Low), int(c.High)
	switch c.Op {
	case Equal:
		return between(low, low)
	case NotEqual:
		return w.unless(true, between(low, low))
	case Less:
		return between(0, low-1)
	case LessEqual:
		return between(0, low)
	case Greater:
		return between(low+1, 0xffff)
	case GreaterEqual:
		return between(low, 0xffff)
	case Between:
		return between(low+1, high-1)
	case Outside:
		return w.s.Or(between(0, low-1), between(high+1, 0xffff))
	case Through:
		return between(low, high)
	}
	return firewall.AllPackets
}

// rest is what else a rule may ask: what the sender chooses, chance, tags.
func (w *walk) rest(p *packet, r *Rule, set firewall.PacketSet) firewall.PacketSet {
	and := func(kind firewall.ConditionKind, format string, args ...any) {
		set = w.s.And(set, w.s.Fact(kind, fmt.Sprintf(format, args...)))
	}
	if r.TOS >= 0 {
		if p.tos < 0 {
			and(firewall.Sender, "the TOS 0x%02x", r.TOS)
		} else if p.tos != r.TOS && !(w.e.rules.Dialect == MacOS && p.tos&r.TOS != 0) {
			return firewall.NoPackets
		}
	}
	if r.OS != "" {
		and(firewall.Sender, "the sender's system %q by its TCP options", r.OS)
	}
	if r.Prio != "" {
		and(firewall.Sender, "the priority %s", r.Prio)
	}
	if r.MaxPacketSize != "" {
		and(firewall.Sender, "a size of at most %s bytes", r.MaxPacketSize)
	}
	if r.MaxPacketRate != "" {
		and(firewall.Rate, "max-pkt-rate %s (%s)", r.MaxPacketRate, w.e.place(r))
	}
	if r.Probability > 0 {
		and(firewall.Random, "probability %g%% (%s)", r.Probability, w.e.place(r))
	}
	if r.Once {
		and(firewall.History, "once (%s)", w.e.place(r))
	}
	if r.Tagged != "" {
		set = w.s.And(set, w.unless(r.NotTagged, p.tags[r.Tagged]))
	}
	return set
}
