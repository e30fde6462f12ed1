package firewall

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// A Redirection is a range of destination ports whose packets, at least those of
// some sources, end up elsewhere than they were addressed to.
type Redirection struct {
	First, Last uint16
	// Address and Port are where they end up; Port 0 keeps the port.
	Address netip.Addr
	Port    uint16
}

// Redirections says which ports of the query's destination the rules translate
// for packets that come in by its interface: ports that can be reachable with no
// socket behind them. The query's port and source don't matter. Translations
// that netglance can't follow give no redirection; Reach tells of them.
func (e *Evaluator) Redirections(q Query) []Redirection {
	in := e.byName[q.Interface]
	if in == nil || !in.Up() || !q.Destination.IsValid() {
		return nil
	}
	w := e.walker()
	defer e.walkers.Put(w)
	q.Destination = q.Destination.Unmap().WithZone("")
	q.Port, q.Source = 0, netip.Addr{}
	found := e.balanced(q)
	w.eachArrival(w.firstPacket(q, in), bdd.True, "comes in to", func(p *packet, live bdd.Node) {
		destination, port := p.destination(), p.port()
		live, _ = w.prerouting(p, live)
		changed := w.m.And(live, w.m.Or(w.differs(destination, p.destination()), w.differs(port, p.port())))
		for _, r := range append(w.redirections(p, port, changed), w.toProxies(p, q.Destination, live)...) {
			if !slices.Contains(found, r) {
				found = append(found, r)
			}
		}
	})
	return found
}

func (w *walker) differs(a, b bits) bdd.Node {
	n := bdd.False
	for i := range a {
		n = w.m.Or(n, w.m.Xor(a[i], b[i]))
	}
	return n
}

func (w *walker) redirections(p *packet, oldPort bits, changed bdd.Node) []Redirection {
	var found []Redirection
	destinations, _ := w.values(p.destination(), changed, maxDestinations)
	for _, d := range destinations {
		addr, _ := netip.AddrFromSlice(d.data)
		same := w.m.Diff(d.set, w.differs(oldPort, p.port()))
		for _, r := range w.portRanges(same) {
			found = append(found, Redirection{r[0], r[1], addr, 0})
		}
		ports, _ := w.values(p.port(), w.m.Diff(d.set, same), maxDestinations)
		for _, port := range ports {
			for _, r := range w.portRanges(port.set) {
				found = append(found, Redirection{r[0], r[1], addr, binary.BigEndian.Uint16(port.data)})
			}
		}
	}
	return found
}

// toProxies are the ports whose packets tproxy gives to sockets of other ports.
func (w *walker) toProxies(p *packet, to netip.Addr, live bdd.Node) []Redirection {
	var found []Redirection
	for _, o := range w.ownedWithin(p.sockets, live) {
		end := o.delivery(to)
		for _, r := range w.portRanges(w.m.Diff(o.set, w.equal(p.port(), []byte{byte(end.Port >> 8), byte(end.Port)}))) {
			found = append(found, Redirection{r[0], r[1], end.Address, end.Port})
		}
	}
	return found
}

// portRanges are the destination ports for which the set has packets, ascending.
func (w *walker) portRanges(set bdd.Node) [][2]uint16 {
	ports := w.m.Exists(set, sourceLevel, func(level int) bool { return level < portLevel || level >= portLevel+16 })
	return w.ranges(ports, 0, 0, nil)
}

// ranges appends the numbers of 16 bits from portLevel on that n has.
func (w *walker) ranges(n bdd.Node, depth int, number uint16, list [][2]uint16) [][2]uint16 {
	switch n {
	case bdd.False:
		return list
	case bdd.True:
		last := number | uint16(1<<(16-depth)-1)
		if k := len(list) - 1; k >= 0 && list[k][1]+1 == number && number != 0 {
			list[k][1] = last
			return list
		}
		return append(list, [2]uint16{number, last})
	}
	lo, hi := n, n
	if level, _ := w.m.Level(n); level == portLevel+depth {
		lo, hi = w.m.Low(n), w.m.High(n)
	}
	list = w.ranges(lo, depth+1, number, list)
	return w.ranges(hi, depth+1, number|1<<(15-depth), list)
}
