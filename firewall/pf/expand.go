package pf

import (
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// expand makes the rules of a draft: one for every combination of what its lists
// name, in the order of expand_rule (pfctl/parse.y): interface, protocol,
// icmp-type, source, destination, source port, destination port, OS, user, group.
func (p *parser) expand(d *draft) error {
	if err := p.check(d); err != nil {
		return err
	}
	before := p.rules.rules
	var first error
	keep := func(err error) error {
		if first == nil {
			first = err
		}
		return nil
	}
	err := p.combinations(d, func(r Rule) error {
		rules, err := p.finish(d, r)
		if err != nil {
			return keep(err)
		}
		for _, made := range rules {
			if p.rules.rules++; p.rules.rules > maxRules {
				return d.at.errorf("more than %d rules", maxRules)
			}
			p.anchor.add(made)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.rules.rules == before && !(d.IsAnchor && d.Body != nil) {
		if first != nil {
			return first
		}
		return d.at.errorf("rule expands to no valid combination")
	}
	return nil
}

// each calls f for every item, or once for the zero value if there is none.
func each[T any](list []T, f func(T) error) error {
	if len(list) == 0 {
		var none T
		return f(none)
	}
	for _, item := range list {
		if err := f(item); err != nil {
			return err
		}
	}
	return nil
}

// combinations calls f for every combination of interface, protocol and so on.
func (p *parser) combinations(d *draft, f func(Rule) error) error {
	protocols := d.protocols
	if protocols == nil {
		protocols = []int{-1}
	}
	types := d.icmp
	if types == nil {
		types = []icmpMatch{{kind: -1, code: -1}}
	}
	negated := manyNegated(d)
	tried := 0
	return each(d.interfaces, func(link linkName) error {
		return each(protocols, func(protocol int) error {
			return each(types, func(icmp icmpMatch) error {
				return p.eachFlow(d, func(source, destination Address, from, to Port) error {
					return p.owned(d, func(system string, user, group *Owner) error {
						if tried++; tried > maxRules {
							return d.at.errorf("the rule expands to more than %d rules", maxRules)
						}
						r := d.Rule
						r.Interface, r.NotInterface = link.name, link.not
						r.Protocol, r.ICMPType, r.ICMPCode = protocol, icmp.kind, icmp.code
						r.Source, r.Destination = Endpoint{source, from}, Endpoint{destination, to}
						r.OS, r.User, r.Group = system, user, group
						r.negatedList = negated
						if icmp.kind >= 0 && !icmpFits(icmp, r) {
							return p.mismatch(d, f, r)
						}
						return f(r)
					})
				})
			})
		})
	})
}

// eachFlow calls f for every combination of addresses and ports. Older pfctl put
// the source's ports before the destinations.
func (p *parser) eachFlow(d *draft, f func(source, destination Address, from, to Port) error) error {
	return each(d.sources, func(source Address) error {
		if p.options.Dialect == MacOS {
			return each(d.sourcePorts, func(from Port) error {
				return each(d.destinations, func(destination Address) error {
					return each(d.destinationPorts, func(to Port) error { return f(source, destination, from, to) })
				})
			})
		}
		return each(d.destinations, func(destination Address) error {
			return each(d.sourcePorts, func(from Port) error {
				return each(d.destinationPorts, func(to Port) error { return f(source, destination, from, to) })
			})
		})
	})
}

func (p *parser) owned(d *draft, f func(system string, user, group *Owner) error) error {
	return each(d.systems, func(system string) error {
		return eachOwner(d.users, func(user *Owner) error {
			return eachOwner(d.groups, func(group *Owner) error { return f(system, user, group) })
		})
	})
}

func eachOwner(list []Owner, f func(*Owner) error) error {
	if len(list) == 0 {
		return f(nil)
	}
	for _, o := range list {
		if err := f(&o); err != nil {
			return err
		}
	}
	return nil
}

// errMismatch is given to finish by a rule whose icmp-type is of another protocol.
func (p *parser) mismatch(d *draft, f func(Rule) error, r Rule) error {
	r.ICMPType = -2
	return f(r)
}

func icmpFits(m icmpMatch, r Rule) bool {
	return m.family == 4 && r.Protocol == protoICMP || m.family == 6 && r.Protocol == protoICMPv6
}

// manyNegated names the list of a rule that has several negated members: its
// rules together match everything. Lists of one family each are counted apart.
func manyNegated(d *draft) string {
	count := func(list []Address, family uint8) (text []string) {
		for _, a := range list {
			if a.Not && (a.Family == 0 || a.Family == family) {
				text = append(text, addressText(a))
			}
		}
		return text
	}
	for _, list := range [][]Address{d.sources, d.destinations} {
		for _, family := range []uint8{4, 6} {
			if text := count(list, family); len(text) > 1 {
				return strings.Join(text, ", ")
			}
		}
	}
	var links []string
	for _, l := range d.interfaces {
		if l.not {
			links = append(links, "! "+l.name)
		}
	}
	if len(links) > 1 {
		return strings.Join(links, ", ")
	}
	return ""
}

// check is what holds for a rule before its lists are expanded.
func (p *parser) check(d *draft) error {
	if d.Divert != nil && d.Divert.Kind == "divert-to" && d.Direction == Out && p.options.Dialect == OpenBSD {
		return d.at.errorf("divert-to used with outgoing rule")
	}
	if d.Divert != nil && d.Divert.Kind == "divert-reply" && d.Direction == In {
		return d.at.errorf("divert-reply used with incoming rule")
	}
	if d.AFTo != nil && d.Route != nil && p.options.Dialect == OpenBSD {
		return d.at.errorf("af-to cannot be used together with route-to, reply-to, dup-to")
	}
	if d.AFTo != nil && d.Direction != In {
		return d.at.errorf("af-to can only be used with direction in")
	}
	if d.Route != nil && d.Action == Block && p.options.Dialect != MacOS {
		return d.at.errorf("route-to, reply-to and dup-to are not supported on block rules")
	}
	if d.FlagsGiven && d.FlagSet != 0 && p.options.Dialect != MacOS {
		for _, protocol := range d.protocols {
			if protocol != protoTCP && (len(d.protocols) == 1 || p.options.Dialect == OpenBSD && !contains(d.protocols, protoTCP)) {
				return d.at.errorf("flags only apply to tcp")
			}
		}
	}
	if d.Action == Match && d.State.Kind == KeepState && d.State.given {
		return d.at.errorf("keep state on match rules doesn't make sense")
	}
	if d.BinatTo != nil {
		return p.checkBinat(d)
	}
	return nil
}

func contains(list []int, n int) bool {
	for _, m := range list {
		if m == n {
			return true
		}
	}
	return false
}

// finish completes one combination: family, protocol's demands, pools. Binat-to
// makes two rules of one.
func (p *parser) finish(d *draft, r Rule) ([]*Rule, error) {
	if err := p.settleHosts(d, &r); err != nil {
		return nil, err
	}
	if err := checkProtocol(d, &r); err != nil {
		return nil, err
	}
	p.stateDefaults(d, &r)
	if err := p.settlePools(d, &r); err != nil {
		return nil, err
	}
	if err := p.checkFinal(d, &r); err != nil {
		return nil, err
	}
	if r.BinatTo != nil {
		return p.bothWays(r), nil
	}
	p.expandLabels(&r)
	return []*Rule{&r}, nil
}

// settleHosts derives the family and interface that addresses imply.
func (p *parser) settleHosts(d *draft, r *Rule) error {
	for _, side := range []*Address{&r.Source.Address, &r.Destination.Address} {
		if side.Family != 0 && r.Family == 0 {
			r.Family = side.Family
		}
		if side.Family != 0 && side.Family != r.Family {
			return d.at.errorf("rule expands to no valid combination: addresses of both families")
		}
		if side.zone != "" {
			if r.Interface != "" && (r.Interface != side.zone || r.NotInterface) && !r.NotInterface {
				return d.at.errorf("address of interface %s in a rule on %s", side.zone, r.Interface)
			}
			if r.Interface == "" {
				r.Interface = side.zone
			}
		}
	}
	for _, side := range []*Address{&r.Source.Address, &r.Destination.Address} {
		if side.Kind != Dynamic {
			continue
		}
		if side.Bits > 32 && r.Family == 4 {
			side.Bits = 32
		}
		if side.Bits > 32 && r.Family == 0 {
			r.Family = 6
		}
		if side.Bits >= 0 && r.Family == 0 && side.Bits <= 32 && p.options.Dialect == OpenBSD {
			return d.at.errorf("address family required for a dynamic address with a netmask")
		}
	}
	return nil
}

// checkProtocol is what the protocol allows.
func checkProtocol(d *draft, r *Rule) error {
	switch {
	case r.ICMPType == -2:
		return d.at.errorf("icmp-type mismatch")
	case r.Family == 6 && r.Protocol == protoICMP:
		return d.at.errorf("proto icmp doesn't match address family inet6")
	case r.Family == 4 && r.Protocol == protoICMPv6:
		return d.at.errorf("proto icmp6 doesn't match address family inet")
	}
	ports := r.Source.Port.Op != AnyPort || r.Destination.Port.Op != AnyPort
	if r.Action.translates() {
		return nil // nat_consistent demands nothing
	}
	if ports && r.Protocol != protoTCP && r.Protocol != protoUDP && r.Protocol != protoSCTP {
		return d.at.errorf("port only applies to tcp/udp")
	}
	if r.OS != "" && r.Protocol != protoTCP {
		return d.at.errorf("os only applies to tcp")
	}
	if r.Return == ReturnRST && r.Protocol != protoTCP {
		return d.at.errorf("return-rst only applies to tcp")
	}
	return nil
}

// stateDefaults fills in what pass rules keep: state, and for TCP "flags S/SA"
// (pfctl/parse.y, pfrule).
func (p *parser) stateDefaults(d *draft, r *Rule) {
	if r.Action == Pass && !r.IsAnchor && r.State.Kind == StateDefault {
		r.State.Kind = KeepState
	}
	tcp := r.Protocol == protoTCP || r.Protocol < 0 || r.Protocol == 0
	stateful := r.State.Kind >= KeepState
	if !r.FlagsGiven && stateful && tcp && !r.Fragment && r.Action == Pass && !r.IsAnchor {
		r.Flags, r.FlagSet = 1<<1, 1<<1|1<<4 // S/SA
	}
	if !tcp {
		r.Flags, r.FlagSet = 0, 0
		if r.State.Kind > KeepState {
			r.State.Kind = KeepState
		}
	}
}

// checkFinal is what needs the whole rule.
func (p *parser) checkFinal(d *draft, r *Rule) error {
	if r.AFTo != nil && r.Family == 0 {
		return d.at.errorf("af-to needs an address family")
	}
	if r.AFTo != nil && r.AFTo.Family == r.Family && p.options.Dialect == OpenBSD {
		return d.at.errorf("incorrect address family translation")
	}
	if v := r.Divert; v != nil && v.Kind == "divert-to" && v.Address.IsValid() {
		if p.options.Dialect == OpenBSD {
			if r.Family == 0 {
				r.Family = familyOf(v.Address)
			}
			if r.Family != familyOf(v.Address) {
				return d.at.errorf("divert-to address family mismatch")
			}
		}
	}
	if r.Route != nil && r.State.Kind == NoState && r.Action == Pass && p.options.Dialect == OpenBSD {
		return d.at.errorf("route-to, reply-to and dup-to require keep state")
	}
	return nil
}
