package pf

import (
	"fmt"
	"slices"
)

// settlePools chooses the addresses of pools that are of the rule's family, and
// the family where only the pool tells it.
func (p *parser) settlePools(d *draft, r *Rule) error {
	kinds := []struct {
		pool **Pool
		what string
	}{{&r.NATTo, "nat-to"}, {&r.RDRTo, "rdr-to"}, {&r.BinatTo, "binat-to"}}
	for _, k := range kinds {
		if *k.pool == nil {
			continue
		}
		settled, err := p.settlePool(d, r, *k.pool, k.what)
		if err != nil {
			return err
		}
		*k.pool = settled
	}
	if r.AFTo != nil {
		t := *r.AFTo
		r.AFTo = &t
		if err := p.settleAFTo(d, &t); err != nil {
			return err
		}
	}
	if r.Route != nil && r.Route.Pool != nil {
		leaving := r
		if r.AFTo != nil && r.Route.Kind == "route-to" {
			leaving = &Rule{Family: r.AFTo.Family, Protocol: -1}
		}
		settled, err := p.settlePool(d, leaving, r.Route.Pool, r.Route.Kind)
		if err != nil {
			return err
		}
		r.Route = &Route{Kind: r.Route.Kind, Pool: settled}
	}
	return nil
}

func (p *parser) settleAFTo(d *draft, t *AFTranslation) error {
	for _, pool := range []**Pool{&t.From, &t.To} {
		if *pool == nil {
			continue
		}
		as := Rule{Family: t.Family, Protocol: -1}
		settled, err := p.settlePool(d, &as, *pool, "af-to")
		if err != nil {
			return err
		}
		*pool = settled
	}
	return nil
}

func (p *parser) settlePool(d *draft, r *Rule, pool *Pool, what string) (*Pool, error) {
	out := *pool
	out.Addresses, out.Interfaces = nil, nil
	family := r.Family
	for i, a := range pool.Addresses {
		if a.Family != 0 && family == 0 {
			family = a.Family
		} else if a.Family != 0 && r.Family == 0 && a.Family != family && !p.options.Dialect.old() {
			return nil, d.at.errorf("no address family given, but %s addresses are of both families", what)
		}
		if a.Family != 0 && a.Family != family && !(contains4(pool.Options, "prefer-ipv6-nexthop")) {
			continue
		}
		out.Addresses = append(out.Addresses, a)
		if pool.Interfaces != nil {
			out.Interfaces = append(out.Interfaces, pool.Interfaces[i])
		}
	}
	if len(out.Addresses) == 0 {
		if len(pool.Addresses) > 1 && p.options.Dialect == OpenBSD {
			p.poolTable(pool.Addresses) // pfctl makes its table before it sees that
		}
		return nil, d.at.errorf("no translation or routing address with matching address family found")
	}
	r.Family = family
	if err := p.poolPorts(d, r, &out, what); err != nil {
		return nil, err
	}
	return &out, p.poolType(d, r, &out, what)
}

func contains4(list []string, s string) bool { return slices.Contains(list, s) }

// poolPorts resolves "8000:*" and drops nat's own default range.
func (p *parser) poolPorts(d *draft, r *Rule, pool *Pool, what string) error {
	nat := what == "nat-to" || what == "af-to"
	if !nat && (pool.StaticPort || pool.MapE != "") {
		return d.at.errorf("the 'static-port' option is only valid with nat rules")
	}
	if pool.MapE != "" && (pool.StaticPort || !pool.NoPort) {
		return d.at.errorf("the 'map-e-portset' option can't be used with 'static-port' or a port range")
	}
	if pool.StaticPort && !pool.NoPort {
		return d.at.errorf("the 'static-port' option can't be used when specifying a port range")
	}
	if !pool.NoPort && r.Protocol != protoTCP && r.Protocol != protoUDP && r.Protocol != protoSCTP && !nat {
		return d.at.errorf("port only applies to tcp/udp")
	}
	if pool.Star {
		to := r.Destination.Port
		pool.Star, pool.High = false, 0
		if to.Op == Through {
			high := int(pool.Low) + int(to.High) - int(to.Low)
			if high > 65535 {
				return d.at.errorf("port range %d:* ends after 65535", pool.Low)
			}
			pool.High = uint16(high)
		}
	}
	if nat && pool.Low == 50001 && pool.High == 65535 {
		pool.Low, pool.High, pool.NoPort = 0, 0, true
	}
	return nil
}

// poolType checks and fills in how one of several addresses is chosen. OpenBSD's
// pfctl makes a table of a list.
func (p *parser) poolType(d *draft, r *Rule, pool *Pool, what string) error {
	first := pool.Addresses[0]
	many := len(pool.Addresses) > 1
	dynamic := slices.ContainsFunc(pool.Addresses, func(a Address) bool { return a.Kind == Dynamic || a.Kind == TableName })
	if (many || dynamic) && (pool.Type == "bitmask" || pool.Type == "random" && p.options.Dialect == MacOS || pool.Type == "source-hash" && p.options.Dialect == MacOS) {
		return d.at.errorf("tables, interfaces and lists are not supported by pool type %q", pool.Type)
	}
	if what == "binat-to" {
		return nil
	}
	if pool.Type == "" && (many || slices.ContainsFunc(pool.Addresses, severalBehind)) {
		pool.Type = "round-robin"
	}
	if !many || p.options.Dialect != OpenBSD || first.Kind == Unresolved || unresolved(pool.Addresses) {
		return nil
	}
	pool.Addresses = []Address{{Kind: TableName, Name: p.poolTable(pool.Addresses), Bits: -1}}
	if pool.Interfaces != nil {
		pool.Interfaces = []string{""}
	}
	return nil
}

// poolTable makes a table of a pool's addresses and returns its name.
func (p *parser) poolTable(list []Address) string {
	t := &Table{Name: fmt.Sprintf("__automatic_%d", *p.automatic), Const: true, Entries: list, Automatic: true, Anchor: p.anchor}
	t.Written = []tablePart{{list: true, entries: list}}
	*p.automatic++
	p.anchor.Tables = append(p.anchor.Tables, t)
	p.anchor.Order = append(p.anchor.Order, t)
	return t.Name
}

// severalBehind says that an address may turn out to be several ones
// (DYNIF_MULTIADDR of pfctl/parse.y): a table, or an interface unless ":0" and a
// number in its name make it one.
func severalBehind(a Address) bool {
	if a.Kind == Dynamic {
		base, m, _ := splitModifiers(a.Name)
		last := base[len(base)-1]
		return !m.noAlias || last < '0' || last > '9'
	}
	return a.Kind == TableName
}

// checkBinat is what check_binat_redirspec and apply_redirspec want of binat-to.
func (p *parser) checkBinat(d *draft) error {
	fail := func(text string) error { return d.at.errorf("%s", text) }
	if d.Direction != BothWays {
		return fail("binat-to cannot be specified with a direction")
	}
	if len(d.sources) == 0 || len(d.BinatTo.Addresses) == 0 {
		return fail("binat-to requires a specified source and redirect address")
	}
	if len(d.sources) > 1 && p.oneFamily(d, d.sources) > 1 || len(d.destinations) > 1 && p.oneFamily(d, d.destinations) > 1 {
		return fail("binat-to cannot be used with multiple hosts")
	}
	for _, list := range [][]Address{d.sources, d.BinatTo.Addresses} {
		for _, a := range list {
			switch {
			case a.Not:
				return fail("binat-to can't use a negated address")
			case a.Kind == TableName:
				return fail("tables cannot be used as an address of a binat-to rule")
			case a.Kind == Any, a.Kind == NoRoute, a.Kind == URPFFailed:
				return fail("binat-to requires a specified source and redirect address")
			case a.Kind == Dynamic && !noAlias(a.Name):
				return fail("dynamic interfaces must be used with :0 in a binat-to rule")
			}
		}
	}
	source := d.sources[0]
	for _, a := range d.BinatTo.Addresses {
		if a.Kind == Masked && source.Kind == Masked && a.Family == source.Family && a.Bits != source.Bits {
			return fail("source and redirect address must have a matching network mask in a binat rule")
		}
	}
	return nil
}

// oneFamily counts the addresses of the larger family, or of the rule's.
func (p *parser) oneFamily(d *draft, list []Address) int {
	count := map[uint8]int{}
	for _, a := range list {
		count[a.Family]++
	}
	if d.Family != 0 {
		return count[0] + count[d.Family]
	}
	return count[0] + max(count[4], count[6])
}

func noAlias(name string) bool {
	_, m, ok := splitModifiers(name)
	return ok && m.noAlias
}

// bothWays makes the outgoing nat-to and the incoming rdr-to of a binat-to.
func (p *parser) bothWays(r Rule) []*Rule {
	pool := r.BinatTo
	r.BinatTo = nil
	out, in := r, r
	out.Direction = Out
	out.NATTo = &Pool{Addresses: pool.Addresses, StaticPort: true, NoPort: true, Type: pool.Type, binat: true}
	in.Direction = In
	in.RDRTo = &Pool{Addresses: []Address{r.Source.Address}, NoPort: true, binat: true}
	in.Source.Address = r.Destination.Address
	in.Source.Port, in.Destination.Port = r.Destination.Port, r.Source.Port
	in.Destination.Address = pool.Addresses[0]
	p.expandLabels(&out)
	p.expandLabels(&in)
	return []*Rule{&out, &in}
}
