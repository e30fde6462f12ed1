package xt

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// The flags of a NAT range (nf_nat.h).
const (
	natAddresses = 1 << iota
	natPorts
	natRandom
	natPersistent
	natFullyRandom
	natOffset
	natNetmap
)

// nat is every address translating target. IPv4's first revisions hold an
// nf_nat_ipv4_multi_range_compat, the others an nf_nat_range or nf_nat_range2.
type nat struct {
	kind              firewall.NATKind
	family            firewall.Family
	flags             uint32
	addresses         [2]address
	portLow, portHigh uint16
	base              uint16
}

func decodeDNAT(revision uint8, f *fields) extension {
	return readNAT(revision, f, firewall.DestinationNAT)
}

func decodeSNAT(revision uint8, f *fields) extension {
	return readNAT(revision, f, firewall.SourceNAT)
}

func decodeMasquerade(revision uint8, f *fields) extension {
	return readNAT(oldRange(revision, f), f, firewall.MasqueradeNAT)
}

func decodeRedirect(revision uint8, f *fields) extension {
	return readNAT(oldRange(revision, f), f, firewall.RedirectNAT)
}

func decodeNetmap(revision uint8, f *fields) extension {
	return readNAT(oldRange(revision, f), f, firewall.HookNAT)
}

// oldRange is the revision of DNAT with the same layout: MASQUERADE, REDIRECT
// and NETMAP have revision 0 only, which for IPv6 is an nf_nat_range.
func oldRange(revision uint8, f *fields) uint8 {
	if revision == 0 && f.family == firewall.FamilyIPv6 {
		return 1
	}
	return revision
}

func readNAT(revision uint8, f *fields, kind firewall.NATKind) extension {
	n := nat{kind: kind, family: f.family}
	switch {
	case revision == 0:
		if f.u32() != 1 { // rangesize
			return nil
		}
		n.flags = f.u32()
		n.addresses = [2]address{f.take(4), f.take(4)}
	case revision <= 2:
		n.flags = f.u32()
		n.addresses = [2]address{f.address(), f.address()}
	default:
		return nil
	}
	n.portLow, n.portHigh = f.be16(), f.be16()
	if revision == 2 {
		n.base = f.be16()
	}
	return n
}

func (n nat) steps(Decoder) []firewall.Step {
	s := firewall.NAT{
		Kind: n.kind, Family: n.family,
		NetMap:     n.kind == firewall.HookNAT || n.flags&natNetmap != 0,
		Random:     n.flags&(natRandom|natFullyRandom) != 0,
		Persistent: n.flags&natPersistent != 0,
	}
	if n.flags&natAddresses != 0 {
		s.AddressMin, s.AddressMax = firewall.Constant{Data: n.addresses[0]}, firewall.Constant{Data: n.addresses[1]}
	}
	if n.flags&natPorts != 0 {
		s.PortMin, s.PortMax = firewall.Constant{Data: be16(n.portLow)}, firewall.Constant{Data: be16(n.portHigh)}
	}
	if n.flags&natOffset != 0 {
		s.Offset, s.PortBase = true, n.base
	}
	return one(s)
}

func (n nat) String() string {
	var l line
	switch n.kind {
	case firewall.SourceNAT:
		l.add(false, "--to-source", n.rangeText())
	case firewall.DestinationNAT:
		if n.flags&(natAddresses|natPorts) != 0 {
			l.add(false, "--to-destination", n.rangeText())
		}
	case firewall.HookNAT:
		l.add(false, "--to", n.netmapText())
	default:
		if n.flags&natPorts != 0 {
			l.add(false, "--to-ports", n.portsText())
		}
	}
	if n.flags&natRandom != 0 {
		l.add(false, "--random")
	}
	if n.flags&natFullyRandom != 0 {
		l.add(false, "--random-fully")
	}
	if n.flags&natPersistent != 0 {
		l.add(false, "--persistent")
	}
	return l.String()
}

func (n nat) rangeText() string {
	var b strings.Builder
	if n.flags&natAddresses != 0 {
		brackets := n.family == firewall.FamilyIPv6 && n.flags&natPorts != 0
		text := n.addresses[0].String()
		if string(n.addresses[0]) != string(n.addresses[1]) {
			text += "-" + n.addresses[1].String()
		}
		if brackets {
			text = "[" + text + "]"
		}
		b.WriteString(text)
	}
	if n.flags&natPorts != 0 {
		b.WriteString(":" + n.portsText())
	}
	return b.String()
}

func (n nat) portsText() string {
	text := span(n.portLow, n.portHigh, "-")
	if n.flags&natOffset != 0 {
		text += fmt.Sprintf("/%d", n.base)
	}
	return text
}

func (n nat) netmapText() string {
	mask := make(address, len(n.addresses[0]))
	for i := range mask {
		mask[i] = ^(n.addresses[0][i] ^ n.addresses[1][i])
	}
	return n.addresses[0].String() + shownMask(mask)
}

const natOptions = " random=0 random-fully=0 persistent=0"

func parseDNAT(g *given) extension       { return g.nat(firewall.DestinationNAT) }
func parseSNAT(g *given) extension       { return g.nat(firewall.SourceNAT) }
func parseMasquerade(g *given) extension { return g.nat(firewall.MasqueradeNAT) }
func parseRedirect(g *given) extension   { return g.nat(firewall.RedirectNAT) }
func parseNetmap(g *given) extension     { return g.nat(firewall.HookNAT) }

func (g *given) nat(kind firewall.NATKind) extension {
	n := nat{kind: kind, family: g.decoder.Family}
	for _, o := range g.list {
		switch o.Name {
		case "to-source", "to-destination":
			n.readTo(g, o)
		case "to-ports":
			n.readPorts(g, o, o.first())
		case "to":
			n.readNetmap(g, o)
		case "random":
			n.flags |= natRandom
		case "random-fully":
			n.flags |= natFullyRandom
		case "persistent":
			n.flags |= natPersistent
		}
	}
	return n
}

// readTo reads "address[-address][:port[-port[/base]]]", an IPv6 address before
// ports in brackets.
func (n *nat) readTo(g *given, o Option) {
	addresses, ports := o.first(), ""
	if rest, ok := strings.CutPrefix(addresses, "["); ok {
		before, after, closed := strings.Cut(rest, "]")
		if !closed {
			g.fail(o, "no closing bracket")
		}
		addresses, ports = before, strings.TrimPrefix(after, ":")
		if strings.HasPrefix(after, "-[") {
			addresses += "-" + strings.Trim(after[1:], "[]")
			ports = ""
		}
	} else if g.decoder.Family != firewall.FamilyIPv6 {
		addresses, ports, _ = strings.Cut(addresses, ":")
	} else if strings.HasPrefix(addresses, ":") && !strings.HasPrefix(addresses, "::") {
		addresses, ports = "", addresses[1:]
	}
	if addresses != "" {
		low, high, isRange := strings.Cut(addresses, "-")
		if !isRange {
			high = low
		}
		n.addresses = [2]address{g.address(o, low), g.address(o, high)}
		n.flags |= natAddresses
	}
	if ports != "" {
		n.readPorts(g, o, ports)
	}
}

func (n *nat) readPorts(g *given, o Option, s string) {
	ports, base, shifted := strings.Cut(s, "/")
	n.portLow, n.portHigh = g.portSpan(o, ports, "-")
	n.flags |= natPorts
	if shifted {
		n.base = g.port(o, base)
		n.flags |= natOffset
	}
}

func (n *nat) readNetmap(g *given, o Option) {
	a, mask := g.network(o, o.first())
	last := make(address, len(a))
	for i := range a {
		last[i] = a[i] | ^mask[i]
	}
	n.addresses = [2]address{a, last}
	n.flags |= natAddresses
}

// tproxy is xt_tproxy_target_info and _v1 (xt_TPROXY.h).
type tproxy struct {
	family      firewall.Family
	value, mask uint32
	address     address
	port        uint16
}

func decodeTproxy(revision uint8, f *fields) extension {
	t := tproxy{family: f.family, mask: f.u32(), value: f.u32()}
	switch revision {
	case 0:
		t.address = f.take(4)
	case 1:
		t.address = f.address()
	default:
		return nil
	}
	t.port = f.be16()
	return t
}

// steps. Where a socket is found the packet is accepted, otherwise dropped.
func (t tproxy) steps(Decoder) []firewall.Step {
	s := firewall.TProxy{Family: t.family, Mark: t.value, MarkMask: t.mask, HasMark: t.value != 0 || t.mask != 0, DropWithoutSocket: true}
	if !t.address.zero() {
		s.Address = firewall.Constant{Data: t.address}
	}
	if t.port != 0 {
		s.Port = firewall.Constant{Data: be16(t.port)}
	}
	return []firewall.Step{s, firewall.Verdict{Code: firewall.Accept}}
}

func (t tproxy) String() string {
	return fmt.Sprintf("--on-port %d --on-ip %s --tproxy-mark 0x%x/0x%x", t.port, t.address, t.value, t.mask)
}

const tproxyOptions = "on-port=1 on-ip=1 tproxy-mark=1"

func parseTproxy(g *given) extension {
	t := tproxy{family: g.decoder.Family, address: make(address, addressLength(g.decoder.Family))}
	for _, o := range g.list {
		switch o.Name {
		case "on-port":
			t.port = g.port(o, o.first())
		case "on-ip":
			t.address = g.address(o, o.first())
		case "tproxy-mark":
			t.value, t.mask = g.valueMask(o, o.first())
		}
	}
	return t
}

// netprefix is ip6t_npt_tginfo, of SNPT and DNPT (ip6t_NPT.h).
type netprefix struct {
	destination          bool
	from, to             address
	fromLength, toLength uint8
}

func decodeSNPT(_ uint8, f *fields) extension { return readNPT(f, false) }
func decodeDNPT(_ uint8, f *fields) extension { return readNPT(f, true) }

func readNPT(f *fields, destination bool) extension {
	return netprefix{destination: destination, from: f.address(), to: f.address(), fromLength: f.u8(), toLength: f.u8()}
}

// steps. The translation is without state, and one that keeps checksums changes
// the address beyond the prefix (RFC 6296): the result isn't computed here.
func (n netprefix) steps(d Decoder) []firewall.Step {
	a, name := d.sourceAddress(), "SNPT"
	if n.destination {
		a, name = d.destinationAddress(), "DNPT"
	}
	return one(firewall.Assign{Target: a, Value: firewall.OpaqueValue{Name: name, Length: 16}})
}

func (n netprefix) String() string {
	return fmt.Sprintf("--src-pfx %s/%d --dst-pfx %s/%d", n.from, n.fromLength, n.to, n.toLength)
}

func parseSNPT(g *given) extension { return g.npt(netprefix{}) }
func parseDNPT(g *given) extension { return g.npt(netprefix{destination: true}) }

func (g *given) npt(n netprefix) extension {
	for _, o := range g.list {
		host, length, _ := strings.Cut(o.first(), "/")
		if o.Name == "src-pfx" {
			n.from, n.fromLength = g.address(o, host), uint8(g.number(o, length, 8))
		} else {
			n.to, n.toLength = g.address(o, host), uint8(g.number(o, length, 8))
		}
	}
	return n
}
