package pf

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/firewall"
)

// translate changes packets as a rule's nat-to and rdr-to say.
func (w *walk) translate(p *packet, a *Anchor, r *Rule, set firewall.PacketSet) {
	if r.RDRTo != nil {
		w.redirect(p, a, r, r.RDRTo, r.Destination.Port, set)
	}
	if r.NATTo != nil && r.Action != Binat {
		w.newSource(p, a, r, r.NATTo, set)
	}
}

// redirect changes the destination.
func (w *walk) redirect(p *packet, a *Anchor, r *Rule, pool *Pool, ports Port, set firewall.PacketSet) {
	to, ok := w.fromPool(p, a, r, pool, p.destination)
	if !ok {
		return
	}
	p.destination = w.s.Choose(set, to, p.destination)
	if p.hasPorts() && pool.Low != 0 {
		p.port = w.s.Choose(set, w.newPort(r, pool, ports, p.port), p.port)
	}
	w.note(p, a, r, "destination becomes "+pool.text())
}

// newPort is the port that rdr-to gives: one, or one at the same distance from the
// first (pf_get_transaddr: the distance modulo the range's length).
func (w *walk) newPort(r *Rule, pool *Pool, ports Port, port firewall.Field) firewall.Field {
	low := binary.BigEndian.AppendUint16(nil, pool.Low)
	if pool.High == 0 || pool.High == pool.Low {
		return firewall.FixedField(low)
	}
	first, last := ports.Low, ports.High
	if ports.Op == Equal {
		last = first
	}
	if (ports.Op == Through || ports.Op == Equal) && last-first <= pool.High-pool.Low {
		return w.s.Add(port, binary.BigEndian.AppendUint16(nil, pool.Low-first))
	}
	return w.s.Unsettled(2, firewall.Random, fmt.Sprintf("the port of %d:%d (%s)", pool.Low, pool.High, w.e.place(r)))
}

// newSource changes the source of packets on their way out, or with af-to.
func (w *walk) newSource(p *packet, a *Anchor, r *Rule, pool *Pool, set firewall.PacketSet) {
	from, ok := w.fromPool(p, a, r, pool, p.source)
	if !ok {
		return
	}
	p.source = w.s.Choose(set, from, p.source)
	if p.hasPorts() && !pool.StaticPort {
		port := w.s.Unsettled(2, firewall.Random, "the port of nat-to ("+w.e.place(r)+")")
		p.sourcePort = w.s.Choose(set, port, p.sourcePort)
	}
	w.note(p, a, r, "source becomes "+pool.text())
}

// maxPool is how many addresses of a pool are told apart.
const maxPool = 16

// fromPool is the address that a pool gives in place of another; false where it
// has none of the packet's family: then nothing is translated.
func (w *walk) fromPool(p *packet, a *Anchor, r *Rule, pool *Pool, old firewall.Field) (firewall.Field, bool) {
	prefixes, known := w.poolPrefixes(p, a, pool, old.Bits())
	if !known {
		return w.s.Unsettled(old.Bits()/8, firewall.Unread, "the addresses of "+pool.text()), true
	}
	if len(prefixes) == 0 {
		return old, false
	}
	if len(prefixes) > maxPool {
		return w.s.Unsettled(old.Bits()/8, firewall.Random, "which address of "+pool.text()+" is taken"), true
	}
	to := w.inPrefix(r, pool, prefixes[0], old)
	for i, prefix := range prefixes[1:] {
		taken := w.s.Fact(firewall.Random, fmt.Sprintf("which address of %s is taken (%s, %d)", pool.text(), w.e.place(r), i+1))
		to = w.s.Choose(taken, w.inPrefix(r, pool, prefix, old), to)
	}
	return to, true
}

// inPrefix is an address of a network: bitmask keeps the host part, otherwise any
// may be taken.
func (w *walk) inPrefix(r *Rule, pool *Pool, prefix netip.Prefix, old firewall.Field) firewall.Field {
	switch {
	case prefix.IsSingleIP():
		return firewall.FixedField(prefix.Addr().AsSlice())
	case pool.Type == "bitmask" || pool.binat:
		return w.s.WithPrefix(old, prefix)
	}
	any := w.s.Unsettled(old.Bits()/8, firewall.Random, fmt.Sprintf("which address of %s is taken (%s)", prefix, w.e.place(r)))
	return w.s.WithPrefix(any, prefix)
}

// poolPrefixes are the addresses and networks of a pool; false where some are not
// known.
func (w *walk) poolPrefixes(p *packet, at *Anchor, pool *Pool, bits int) ([]netip.Prefix, bool) {
	var out []netip.Prefix
	add := func(prefix netip.Prefix) {
		if prefix.Addr().BitLen() == bits {
			out = append(out, prefix)
		}
	}
	for _, a := range pool.Addresses {
		switch a.Kind {
		case Masked:
			add(netip.PrefixFrom(a.Addr, a.Bits))
		case Dynamic:
			base, m, _ := splitModifiers(a.Name)
			if len(w.e.links.of(base)) == 0 {
				return nil, !w.groupUnknown(base)
			}
			for _, found := range w.e.links.addresses(base, m) {
				if found.zone == "" {
					add(found.prefix)
				}
			}
		case TableName:
			t := at.table(a.Name)
			if t == nil {
				continue
			}
			if t.Unread != "" {
				return nil, false
			}
			for _, e := range t.Entries {
				if e.Kind == Unresolved {
					return nil, false
				}
				if !e.Not {
					add(netip.PrefixFrom(e.Addr, e.Bits))
				}
			}
		case Unresolved:
			return nil, false
		}
	}
	return out, true
}
