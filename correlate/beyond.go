package correlate

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// A Place is another network namespace of the machine: where packets go that the
// host forwards to a container, or that a process hands on there.
type Place struct {
	// Namespace is its name; Title the name with what it is of: "container web".
	Namespace, Title string
	// Interface is the link that the packets come in by there; empty if not known.
	Interface string
	// Input is what is known of it.
	Input
	// Unsure says why it can't be told who takes a packet there; empty if it can.
	Unsure string

	sockets  portIndex
	arrivals map[arrivalKey]*arrival
}

type arrivalKey struct {
	protocol string
	to       firewall.Delivery
}

// An arrival is what becomes of packets that come in to a place.
type arrival struct {
	parts  []firewall.Part
	served []Served
}

// Served is who takes a port's packets in another namespace.
type Served struct {
	Namespace, Title string
	Protocol         string
	// To is where it is; its port is 0 if that isn't known.
	To netip.AddrPort
	// Owners are empty where nobody listens, or the namespace's kernel does, or with
	// OwnerGap.
	Owners   []listeners.Process
	Kernel   bool
	OwnerGap string
	// Unsure says that others than sockets may take them there.
	Unsure bool
}

// maxPlaces is through how many namespaces a packet is followed: Docker in Docker is two.
const maxPlaces = 4

// places are the ways on from a namespace, as they were found at once.
type places map[firewall.Delivery]*Place

func (in Input) placesOf(deliveries []firewall.Delivery) places {
	if in.Beyond == nil || len(deliveries) == 0 {
		return nil
	}
	return in.Beyond(deliveries)
}

// forwards are where the answers lead out of the host, each once.
func forwards(answers ...[]firewall.Part) []firewall.Delivery {
	var out []firewall.Delivery
	seen := map[firewall.Delivery]bool{}
	for _, parts := range answers {
		for _, p := range parts {
			if d := p.DeliveredTo; d != nil && d.Interface != "" && reaches(p) != never && !seen[*d] {
				seen[*d] = true
				out = append(out, *d)
			}
		}
	}
	slices.SortFunc(out, compareDeliveries)
	return out
}

func compareDeliveries(a, b firewall.Delivery) int {
	return netip.AddrPortFrom(a.Address, a.Port).Compare(netip.AddrPortFrom(b.Address, b.Port))
}

// follow takes a part of a partition on into the namespace that it is forwarded to.
func (known places) follow(p firewall.Part, protocol string, depth int) []firewall.Part {
	place := known.of(p)
	if place == nil {
		return []firewall.Part{p}
	}
	return place.join(p, place.arrive(protocol, *p.DeliveredTo, depth).parts)
}

// of is where a part goes on to; nil if nowhere that is known.
func (known places) of(p firewall.Part) *Place {
	if p.DeliveredTo == nil || p.DeliveredTo.Interface == "" || reaches(p) == never {
		return nil
	}
	return known[*p.DeliveredTo]
}

// arrive asks the place's own rules and sockets. That is done once for each way.
func (place *Place) arrive(protocol string, to firewall.Delivery, depth int) *arrival {
	key := arrivalKey{protocol, to}
	if a := place.arrivals[key]; a != nil {
		return a
	}
	a := &arrival{parts: []firewall.Part{undecided(firewall.Part{}, "network namespaces forward it to each other in a circle")}}
	if place.arrivals == nil {
		place.arrivals = map[arrivalKey]*arrival{}
	}
	place.arrivals[key] = a // what is found while it is being answered leads back here
	t := target{iface: place.Interface, addr: to.Address}
	parts := place.Firewall.Reach(query(protocol, to.Port, t))
	next := places(nil)
	if depth < maxPlaces {
		next = place.placesOf(forwards(parts))
	}
	var settled []firewall.Part
	for _, p := range parts {
		if p.DeliveredTo == nil && len(p.Conditions) == 0 {
			p.DeliveredTo = &firewall.Delivery{Address: to.Address, Port: to.Port}
		}
		p.DecidedBy.Namespace = place.Namespace
		a.serve(place, protocol, p, next, depth)
		p = Doubt(p, place.unread())
		if place.closed(p, protocol) {
			p = firewall.Part{Sources: p.Sources, Fate: firewall.Rejected, DecidedBy: firewall.Decision{
				Namespace: place.Namespace,
				Text:      fmt.Sprintf("nobody listens on %d/%s in %s", p.DeliveredTo.Port, protocol, place.Title),
			}}
		}
		settled = append(settled, next.follow(p, protocol, depth+1)...)
	}
	a.parts = settled
	return a
}

// serve notes who takes the packets of a part.
func (a *arrival) serve(place *Place, protocol string, p firewall.Part, next places, depth int) {
	d := p.DeliveredTo
	if d == nil || reaches(p) == never {
		return
	}
	if d.Interface == "" {
		a.served = addServed(a.served, place.Serving(protocol, netip.AddrPortFrom(d.Address, d.Port)))
	} else if further := next.of(p); further != nil {
		for _, s := range further.arrive(protocol, *d, depth+1).served {
			a.served = addServed(a.served, s)
		}
	}
}

func addServed(all []Served, s Served) []Served {
	if slices.ContainsFunc(all, func(o Served) bool { return o.Namespace == s.Namespace && o.Protocol == s.Protocol && o.To == s.To }) {
		return all
	}
	return append(all, s)
}

// Serving is who listens in the place at an address and port; an invalid address
// stands for any.
func (place *Place) Serving(protocol string, to netip.AddrPort) Served {
	s := Served{Namespace: place.Namespace, Title: place.Title, Protocol: protocol, To: to, Unsure: place.Unsure != ""}
	for _, l := range place.takers(protocol, to) {
		for _, p := range l.Owners {
			if !slices.ContainsFunc(s.Owners, func(q listeners.Process) bool { return p.PID == q.PID }) {
				s.Owners = append(s.Owners, p)
			}
		}
		s.Kernel = s.Kernel || l.Kernel
		if s.OwnerGap == "" {
			s.OwnerGap = l.OwnerGap
		}
	}
	slices.SortFunc(s.Owners, func(a, b listeners.Process) int { return a.PID - b.PID })
	return s
}

func (place *Place) takers(protocol string, to netip.AddrPort) []listeners.Listener {
	if place.sockets == nil {
		place.sockets = indexPorts(rows(place.Listeners))
	}
	if to.Addr().IsValid() {
		return place.sockets.takers(protocol, to)
	}
	var out []listeners.Listener
	for _, l := range place.sockets[to.Port()] {
		if l.Transport() == protocol {
			out = append(out, l)
		}
	}
	return out
}

// unread are what could not be read of the place, named with it.
func (place *Place) unread() []string {
	var out []string
	for _, source := range place.Unread {
		out = append(out, source+" of "+place.Title)
	}
	return out
}

// closed says that a part gets in and ends where no socket takes it.
func (place *Place) closed(p firewall.Part, protocol string) bool {
	d := p.DeliveredTo
	return place.Unsure == "" && reaches(p) != never && !slices.Contains(p.Outcomes, firewall.Undecided) && d != nil && d.Interface == "" &&
		len(place.takers(protocol, netip.AddrPortFrom(d.Address, d.Port))) == 0
}

// served are who takes a row's packets in other namespaces: where rules lead them,
// and where its owners hand them on.
func served(e Exposure, in Input) []Served {
	var out []Served
	for _, r := range e.Reach {
		d := r.DeliveredTo
		if d == nil || in.places[*d] == nil {
			continue
		}
		for _, s := range in.places[*d].arrive(e.Protocol, *d, 1).served {
			out = addServed(out, s)
		}
	}
	for _, p := range e.Owners {
		if in.HandedOn == nil || !p.Proxies() {
			continue
		}
		proxy := p.ProxyFor(e.Protocol, e.Port)
		place := in.HandedOn(p, proxy)
		switch {
		case place == nil:
		case proxy.Port != 0:
			out = addServed(out, place.Serving(e.Protocol, netip.AddrPortFrom(proxy.Address, proxy.Port)))
		case !slices.ContainsFunc(out, func(s Served) bool { return s.Namespace == place.Namespace }):
			out = append(out, Served{Namespace: place.Namespace, Title: place.Title, Protocol: e.Protocol})
		}
	}
	return out
}

// Nobody says that it is known that nobody listens where the packets end up.
func (s Served) Nobody() bool {
	return s.To.Port() != 0 && len(s.Owners) == 0 && !s.Kernel && s.OwnerGap == "" && !s.Unsure
}

// where is the port with its address, where that is known.
func (s Served) where() string {
	if s.To.Addr().IsValid() {
		return s.To.String()
	}
	return fmt.Sprintf("%d/%s", s.To.Port(), s.Protocol)
}

// served says what there is to know of other namespaces that take the packets.
func (w writer) served() {
	for _, s := range w.e.Served {
		closed := slices.ContainsFunc(w.e.Reasons, func(r Reason) bool { return r.Code == "nobody_listens" })
		if s.Nobody() && !closed {
			w.add("nobody_behind", "nobody listens on %s in %s, where it leads", s.where(), s.Title)
		}
	}
	for _, r := range w.e.Reach {
		if d := r.DecidedBy; reaches(r.Part) == never && d.Namespace != "" && d.Chain != nil && w.e.Label != Filtered {
			w.add("kept_out_there", "%s%s keeps others out", w.inNamespace(d), decisionName(d))
		}
	}
	told := map[string]bool{}
	for _, r := range w.e.Reach {
		if place := w.in.places.of(r.Part); place != nil && place.Unsure != "" && !told[place.Namespace] {
			told[place.Namespace] = true
			w.add("beyond_unsure", "whether it is served in %s can't be told: %s", place.Title, place.Unsure)
		}
	}
}

// inPlace says in which namespace an address is.
func (w writer) inPlace(d firewall.Delivery) string {
	if place := w.in.places[d]; place != nil {
		return " in " + place.Title
	}
	return ""
}

// inNamespace says whose rules decided, where they are another namespace's.
func (w writer) inNamespace(d firewall.Decision) string {
	if d.Namespace == "" {
		return ""
	}
	for _, place := range w.in.places {
		if place.Namespace == d.Namespace {
			return "in " + place.Title + ", "
		}
	}
	return "in " + d.Namespace + ", "
}
