package pf

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// String prints the configuration as pfctl -nvf does: macros, options, tables and
// rules. Ports are numbers, as pfctl -P prints them.
func (rs *Ruleset) String() string {
	var b strings.Builder
	for _, s := range rs.Statements {
		b.WriteString(s.Text + "\n")
	}
	rs.Main.print(&b, rs.Dialect, "")
	for _, a := range rs.loaded {
		if !rs.Main.calls(a) {
			a.print(&b, rs.Dialect, "")
		}
	}
	return b.String()
}

// print writes an anchor's tables and rules, and what stands inside those that
// it calls.
func (a *Anchor) print(b *strings.Builder, d Dialect, indent string) {
	for _, item := range a.Order {
		if t, ok := item.(*Table); ok {
			b.WriteString(indent + t.text() + "\n")
		}
	}
	for _, item := range a.Order {
		r, ok := item.(*Rule)
		if !ok {
			continue
		}
		b.WriteString(indent + r.text(d))
		if body := a.printed(r); body != nil {
			b.WriteString(" {\n")
			body.print(b, d, indent+"  ")
			b.WriteString(indent + "}")
		}
		b.WriteByte('\n')
	}
}

// printed is the anchor whose rules pfctl prints in braces behind a rule.
func (a *Anchor) printed(r *Rule) *Anchor {
	if r.Body != nil || !r.IsAnchor || r.Action != Pass || strings.HasPrefix(r.Anchor, "/") || strings.Contains(r.Anchor, "..") || strings.HasSuffix(r.Anchor, "*") {
		return r.Body
	}
	for _, called := range a.called(r) {
		if called.loaded {
			return called
		}
	}
	return nil
}

// calls says that a rule here, or in an anchor that is called, calls an anchor.
func (a *Anchor) calls(wanted *Anchor) bool {
	return a.reaches(wanted, make(map[*Anchor]bool))
}

func (a *Anchor) reaches(wanted *Anchor, seen map[*Anchor]bool) bool {
	if a == wanted {
		return true
	}
	if seen[a] {
		return false
	}
	seen[a] = true
	for _, list := range [][]*Rule{a.Filter, a.NAT, a.RDR, a.Binat, a.Scrub, a.Dummynet, a.Ether} {
		for _, r := range list {
			if !r.IsAnchor {
				continue
			}
			for _, called := range a.called(r) {
				if called.reaches(wanted, seen) {
					return true
				}
			}
		}
	}
	return false
}

// text prints a rule as pfctl -sr does: print_rule of pfctl_parser.c.
func (r *Rule) text(d Dialect) string {
	w := &writer{d: d}
	w.start(r)
	w.middle(r)
	if r.Action == Ether {
		w.labels(r)
		return strings.Join(w.parts, " ")
	}
	if d.old() {
		w.oldEnd(r)
	} else {
		w.currentEnd(r)
	}
	return strings.Join(w.parts, " ")
}

// A writer collects the words of a rule.
type writer struct {
	d     Dialect
	parts []string
}

func (w *writer) add(text string) { w.parts = append(w.parts, text) }

func (w *writer) addIf(condition bool, text string) {
	if condition {
		w.parts = append(w.parts, text)
	}
}

// start prints the action, direction, log and quick.
func (w *writer) start(r *Rule) {
	w.addIf(r.No, "no")
	switch {
	case r.Action == Ether:
		w.add("ether")
		if r.IsAnchor {
			w.add(fmt.Sprintf("anchor %q", r.Anchor))
		} else if r.Ethernet.Block {
			w.add("block")
		} else {
			w.add("pass")
		}
	case r.IsAnchor && r.Action == Pass:
		w.add("anchor")
		w.addIf(r.Anchor != "", strconv.Quote(r.Anchor))
	case r.IsAnchor:
		w.add(fmt.Sprintf("%s-anchor %q", r.Action, r.Anchor))
	default:
		w.add(r.Action.String())
	}
	if r.Action == Block {
		w.add(r.returnText(w.d))
	}
	w.addIf(r.NATPass, "pass")
	switch r.Direction {
	case In:
		w.add("in")
	case Out:
		w.add("out")
	}
	if r.Log != nil {
		w.add(r.Log.text())
	}
	w.addIf(r.Quick, "quick")
}

func (r *Rule) returnText(d Dialect) string {
	switch r.Return {
	case ReturnAny:
		return "return"
	case ReturnRST:
		if r.ReturnTTL > 0 {
			return fmt.Sprintf("return-rst(ttl %d)", r.ReturnTTL)
		}
		return "return-rst"
	case ReturnICMP:
		four, _ := icmpCodeName(3, r.ReturnICMP4, 4)
		six, _ := icmpCodeName(1, r.ReturnICMP6, 6)
		if d.old() && r.ReturnICMP6 == 2 {
			six = "notnbr-unr"
		}
		switch r.Family {
		case 4:
			return "return-icmp(" + four + ")"
		case 6:
			return "return-icmp6(" + six + ")"
		}
		return "return-icmp(" + four + ", " + six + ")"
	}
	return "drop"
}

func (l *Log) text() string {
	var options []string
	if l.Matches {
		options = append(options, "matches")
	}
	if l.All {
		options = append(options, "all")
	}
	if l.User {
		options = append(options, "user")
	}
	if l.To != "" && l.To != "pflog0" {
		options = append(options, "to "+l.To)
	}
	if options == nil {
		return "log"
	}
	return "log (" + strings.Join(options, ", ") + ")"
}

func negated(not bool, name string) string {
	if not {
		return "! " + name
	}
	return name
}

// middle prints the interface, route, family, protocol and addresses.
func (w *writer) middle(r *Rule) {
	if r.Interface != "" {
		w.add("on " + negated(r.NotInterface, r.Interface))
	}
	if r.RDomain >= 0 {
		w.add("on " + negated(r.NotRDomain, "rdomain "+itoa(r.RDomain)))
	}
	if r.Action == Ether {
		w.addIf(r.Ethernet.Protocol != "", "proto "+r.Ethernet.Protocol)
		w.addIf(r.Ethernet.Text != "", r.Ethernet.Text)
		w.add("l3 " + endpointsText(r))
		return
	}
	if w.d.old() && r.Route != nil {
		w.add(r.Route.text(w.d))
	}
	switch r.Family {
	case 4:
		w.add("inet")
	case 6:
		w.add("inet6")
	}
	if r.Protocol >= 0 {
		w.add("proto " + protocolName(r.Protocol))
	}
	w.add(endpointsText(r))
	if r.ReceivedOn != "" {
		w.add(negated(r.NotReceivedOn, "received-on "+r.ReceivedOn))
	}
	if r.User != nil {
		w.add("user " + r.User.text())
	}
	if r.Group != nil {
		w.add("group " + r.Group.text())
	}
	w.flags(r)
	if r.ICMPType >= 0 {
		w.add(icmpText(r))
	}
	if r.TOS >= 0 {
		w.add(fmt.Sprintf("tos 0x%02x", r.TOS))
	}
}

func endpointsText(r *Rule) string {
	if r.Source.isAll() && r.Destination.isAll() && r.OS == "" {
		return "all"
	}
	s := "from " + r.Source.text()
	if r.OS != "" {
		s += fmt.Sprintf(" os %q", r.OS)
	}
	return s + " to " + r.Destination.text()
}

// isAll says that the endpoint matches every packet: also 0.0.0.0/0, which pfctl
// prints as any.
func (e Endpoint) isAll() bool { return e.Address.isAny() && !e.Address.Not && e.Port.Op == AnyPort }

func (a Address) isAny() bool { return a.Kind == Any || a.Kind == Masked && a.Bits == 0 }

func (e Endpoint) text() string {
	s := addressText(e.Address)
	if e.Port.Op != AnyPort {
		s += " port " + e.Port.text()
	}
	return s
}

func (p Port) text() string {
	switch p.Op {
	case Through:
		return fmt.Sprintf("%d:%d", p.Low, p.High)
	case Between, Outside:
		return fmt.Sprintf("%d %s %d", p.Low, portOps[p.Op], p.High)
	}
	return fmt.Sprintf("%s %d", portOps[p.Op], p.Low)
}

func (o *Owner) text() string {
	name := strconv.FormatUint(uint64(o.Low), 10)
	if o.Unknown {
		name = "unknown"
	} else if o.Name != "" {
		name = o.Name
	}
	switch o.Op {
	case Through:
		return fmt.Sprintf("%d:%d", o.Low, o.High)
	case Between, Outside:
		return fmt.Sprintf("%d %s %d", o.Low, portOps[o.Op], o.High)
	}
	return portOps[o.Op] + " " + name
}

// addressText prints an address as pfctl does.
func addressText(a Address) string {
	return negated(a.Not, a.text())
}

func (a Address) text() string {
	switch a.Kind {
	case Masked:
		if a.Bits == 0 {
			return "any"
		}
		if a.Bits == a.Addr.BitLen() {
			return a.Addr.String()
		}
		return netip.PrefixFrom(a.Addr, a.Bits).String()
	case Range:
		return a.Addr.String() + " - " + a.High.String()
	case TableName:
		return "<" + a.Name + ">"
	case Dynamic:
		return "(" + a.Name + ")" + maskText(a)
	case NoRoute:
		return "no-route"
	case URPFFailed:
		return "urpf-failed"
	case RouteLabel:
		return fmt.Sprintf("route %q", a.Name)
	case Unresolved:
		return a.Name + maskText(a)
	}
	return "any"
}

func maskText(a Address) string {
	if a.Bits < 0 || a.Bits == 32 && a.Family != 6 || a.Bits == 128 {
		return ""
	}
	return "/" + itoa(a.Bits)
}

func (w *writer) flags(r *Rule) {
	tcp := r.Protocol == protoTCP || r.Protocol < 0 || r.Protocol == 0
	switch {
	case r.Flags != 0 || r.FlagSet != 0:
		w.add("flags " + flagText(r.Flags) + "/" + flagText(r.FlagSet))
	case tcp && r.Action == Pass && !r.IsAnchor && !r.Fragment && r.State.Kind >= KeepState:
		w.add("flags any")
	}
}

func flagText(set uint8) string {
	var s strings.Builder
	for i := range len(tcpFlags) {
		if set&(1<<i) != 0 {
			s.WriteByte(tcpFlags[i])
		}
	}
	return s.String()
}

func icmpText(r *Rule) string {
	keyword, family := "icmp-type", uint8(4)
	if r.Protocol == protoICMPv6 {
		keyword, family = "icmp6-type", 6
	}
	s := keyword + " " + icmpTypeName(r.ICMPType, family)
	if r.ICMPCode >= 0 {
		code, _ := icmpCodeName(r.ICMPType, r.ICMPCode, family)
		s += " code " + code
	}
	return s
}
