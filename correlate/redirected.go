package correlate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// manyRedirected is how many ports a redirection may have for each of them to be
// a row. Wider ones are one row, if all their ports fare alike.
const manyRedirected = 64

// A redirected is ports that rules lead elsewhere, on the ways that have no socket.
type redirected struct {
	protocol    string
	first, last uint16
	to          firewall.Redirection
	ways        []target
}

// redirections finds the ports that rules translate and that no socket listens
// on: they can be reachable all the same.
func redirections(in Input, listening []*row, ways [][]target) []*redirected {
	served := map[firewall.Query]bool{}
	for i, r := range listening {
		for _, t := range ways[i] {
			served[query(r.Protocol, r.Port, t)] = true
		}
	}
	var found []*redirected
	for _, protocol := range []string{"tcp", "udp"} {
		any4, any6 := socketAt(protocol, "0.0.0.0", 4), socketAt(protocol, "::", 6)
		any6.V6Only = true
		for _, t := range append(targets(any4, in.Network), targets(any6, in.Network)...) {
			for _, to := range in.Firewall.Redirections(query(protocol, 0, t)) {
				for _, span := range split(to) {
					if !served[query(protocol, span[0], t)] {
						found = addWay(found, redirected{protocol: protocol, first: span[0], last: span[1], to: to}, t)
					}
				}
			}
		}
	}
	return found
}

func socketAt(protocol, address string, family int) listeners.Listener {
	return listeners.Listener{Protocol: protocol, Family: family, Address: netip.MustParseAddr(address), V6OnlyKnown: true}
}

func split(to firewall.Redirection) (spans [][2]uint16) {
	if int(to.Last)-int(to.First) >= manyRedirected {
		return [][2]uint16{{to.First, to.Last}}
	}
	for port := int(to.First); port <= int(to.Last); port++ {
		spans = append(spans, [2]uint16{uint16(port), uint16(port)})
	}
	return spans
}

// addWay adds a way to the redirection of the same ports, wherever it leads.
func addWay(all []*redirected, r redirected, t target) []*redirected {
	for _, other := range all {
		if other.protocol == r.protocol && other.first == r.first && other.last == r.last {
			if !slices.Contains(other.ways, t) {
				other.ways = append(other.ways, t)
			}
			return all
		}
	}
	r.ways = []target{t}
	return append(all, &r)
}

// samples are the ports that stand for all of the range.
func (r *redirected) samples() []uint16 {
	if r.first == r.last {
		return []uint16{r.first}
	}
	return []uint16{r.first, r.first + (r.last-r.first)/2, r.last}
}

// exposure is the row of a redirection; false if nothing gets anywhere by it.
func (r *redirected) exposure(in Input, at portIndex, table reachTable) (Exposure, bool) {
	e := Exposure{Protocol: r.protocol, Port: r.first, Namespace: cmp.Or(in.Namespace, listeners.HostNamespace), Service: Service(r.protocol, r.first), Redirected: true}
	if r.last != r.first {
		e.LastPort, e.Service = r.last, ""
	}
	for _, t := range r.ways {
		e.Addresses = append(e.Addresses, t.addr)
	}
	slices.SortFunc(e.Addresses, netip.Addr.Compare)
	e.Addresses = slices.Compact(e.Addresses)
	e.Reach = reach(&row{Exposure: e}, r.ways, table, in, at)
	if !r.alike(in, at, table) {
		for i := range e.Reach {
			e.Reach[i].Part = undecided(e.Reach[i].Part, fmt.Sprintf("the rules treat the ports %d-%d differently: ask about one of them", r.first, r.last))
		}
	}
	for _, l := range ends(e, at) {
		for _, p := range l.Owners {
			if !slices.ContainsFunc(e.Owners, func(q listeners.Process) bool { return p.PID == q.PID }) {
				e.Owners = append(e.Owners, p)
			}
		}
		e.Kernel = e.Kernel || l.Kernel
		e.OwnerGap, e.OwnerHint = cmp.Or(e.OwnerGap, l.OwnerGap), cmp.Or(e.OwnerHint, l.OwnerHint)
	}
	slices.SortFunc(e.Owners, func(a, b listeners.Process) int { return a.PID - b.PID })
	e.Served = served(e, in)
	judge(&e, in)
	if e.Label == Filtered || e.Label == Local {
		return e, false
	}
	e.Fingerprint = fingerprint(e)
	return e, true
}

// alike says that the samples of a wide range meet the same fates.
func (r *redirected) alike(in Input, at portIndex, table reachTable) bool {
	ports := r.samples()
	for _, t := range r.ways {
		first := settle(table[query(r.protocol, ports[0], t)], t, r.protocol, ports[0], in, at)
		for _, port := range ports[1:] {
			other := settle(table[query(r.protocol, port, t)], t, r.protocol, port, in, at)
			if !slices.EqualFunc(first, other, func(a, b firewall.Part) bool { return a.Fate == b.Fate && equalSources(a.Sources, b.Sources) }) {
				return false
			}
		}
	}
	return true
}

// A portIndex is all sockets by their port; nil if a socket may be on any port.
type portIndex map[uint16][]listeners.Listener

func indexPorts(listening []*row) portIndex {
	at := portIndex{}
	for _, r := range listening {
		at[r.Port] = append(at[r.Port], r.sockets...)
	}
	return at
}

// takers are the sockets that receive what is sent to the address and port.
func (at portIndex) takers(protocol string, to netip.AddrPort) (out []listeners.Listener) {
	for _, l := range at[to.Port()] {
		if takes(l, protocol, to.Addr()) {
			out = append(out, l)
		}
	}
	return out
}

// ends are the sockets of this host that a row's packets are led to.
func ends(e Exposure, at portIndex) (out []listeners.Listener) {
	for _, r := range e.Reach {
		if d := r.DeliveredTo; d != nil && reaches(r.Part) != never {
			out = append(out, at.takers(e.Protocol, netip.AddrPortFrom(d.Address, d.Port))...)
		}
	}
	return out
}

// takes says that the socket receives packets of the protocol for the address.
func takes(l listeners.Listener, protocol string, to netip.Addr) bool {
	if l.Transport() != protocol {
		return false
	}
	bound := l.Address.Unmap().WithZone("")
	if bound.IsUnspecified() {
		return to.Is4() && l.ServesIPv4() || to.Is6() && l.ServesIPv6()
	}
	return bound == to
}

// nobodyThere says that an accepted part ends at this host where no socket takes
// it: the port is closed.
func nobodyThere(p firewall.Part, t target, protocol string, port uint16, at portIndex) bool {
	to := firewall.Delivery{Address: t.addr, Port: port}
	if p.DeliveredTo != nil {
		to = *p.DeliveredTo
	}
	if slices.Contains(p.Outcomes, firewall.Undecided) {
		return false // something may lead the packets past the sockets
	}
	return at != nil && reaches(p) != never && to.Interface == "" && len(at.takers(protocol, netip.AddrPortFrom(to.Address, to.Port))) == 0
}

// ledTo takes back "local" where a redirection ends at the row's sockets.
func ledTo(e *Exposure, r *row, others []Exposure) {
	if e.Label != Local {
		return
	}
	for _, o := range others {
		if len(ends(o, indexPorts([]*row{r}))) > 0 {
			e.Label, e.LedBy = min(e.Label, o.Label), append(e.LedBy, portsName(o))
			e.Reasons = slices.Insert(e.Reasons, 0, Reason{"led_here", fmt.Sprintf("rules lead packets for %s here", portsName(o))})
		}
	}
}

func portsName(e Exposure) string {
	if e.LastPort != 0 {
		return fmt.Sprintf("%d-%d/%s", e.Port, e.LastPort, e.Protocol)
	}
	return fmt.Sprintf("%d/%s", e.Port, e.Protocol)
}
