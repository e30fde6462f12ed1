package firewall

import (
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// A Place is where something outside of netfilter meets packets.
type Place uint8

// The places, in the order in which a packet meets them.
const (
	AtLink     Place = iota // it comes in by a link: XDP and tc's ingress, before every hook
	AtLookup                // its socket is chosen (BPF sk_lookup)
	AtSocket                // a socket gets it (cgroup BPF, ingress)
	FromSocket              // a socket's answer leaves (cgroup BPF, egress)
	OffLink                 // it leaves by a link: tc's egress, behind every hook
)

// An Outsider is something outside of netfilter that decides about packets: a BPF
// program, a filter of tc. What it decides isn't read, so an answer that may
// depend on it is conditional, and names it.
type Outsider struct {
	Place Place
	// Interface is the index of the link, for AtLink and OffLink. 0 for every link.
	Interface int
	// Family is whose packets it sees; FamilyUnspecified for all.
	Family Family
	// Cgroup is the one whose sockets it stands before, by its id; for AtSocket and
	// FromSocket. 0 for all sockets.
	Cgroup uint64
	// Changes says that it may also change packets, or lead them around the rules:
	// what those would drop may get in.
	Changes bool
	// Kind is External, Rate (a policer), or Unread.
	Kind ConditionKind
	// Text names it: "XDP program 12 (drop_all) on eth0".
	Text string
}

// outsidersAt are the outsiders by place; nil where the host has none.
func outsidersAt(n *Network) map[Place][]Outsider {
	var at map[Place][]Outsider
	for _, o := range n.Outsiders {
		if at == nil {
			at = make(map[Place][]Outsider)
		}
		at[o.Place] = append(at[o.Place], o)
	}
	return at
}

// comesIn takes packets past what stands at the links that they come in by.
func (w *walker) comesIn(p *packet, live bdd.Node) bdd.Node {
	return w.pastLinks(p, AtLink, w.e.outsiders[AtLink], p.in, live)
}

// goesOut takes packets past what stands at the links that they leave by.
func (w *walker) goesOut(p *packet, live bdd.Node) bdd.Node {
	if p.out == nil {
		return live
	}
	return w.pastLinks(p, OffLink, w.e.outsiders[OffLink], p.out, live)
}

func (w *walker) pastLinks(p *packet, at Place, all []Outsider, link *Interface, live bdd.Node) bdd.Node {
	if len(all) == 0 {
		return live
	}
	links := w.e.linksOf(link)
	for _, o := range all {
		if o.Interface == 0 || slices.Contains(links, o.Interface) {
			live = w.past(p, o, live)
		}
	}
	return live
}

// past settles what the outsider may do to packets, and returns those that it passes.
func (w *walker) past(p *packet, o Outsider, live bdd.Node) bdd.Node {
	if live == bdd.False || o.Family != FamilyUnspecified && o.Family != p.family {
		return live
	}
	w.note(p, nil, nil, "meets "+o.Text)
	takes := w.m.And(live, w.fact(o.Text, o.Kind))
	d := Decision{Text: o.Text}
	if o.Changes {
		w.decide(takes, Undecided, d, nil)
	} else {
		w.decide(takes, Dropped, d, nil)
	}
	return w.m.Diff(live, takes)
}

// linksOf are the indexes of a link, of those below it (a VLAN's, the ports of a
// bridge or bond) and of those that it hands its packets to.
func (e *Evaluator) linksOf(link *Interface) []int {
	links := []int{link.Index}
	add := func(index int) {
		if index != 0 && !slices.Contains(links, index) {
			links = append(links, index)
		}
	}
	for master := link; master != nil && master.Master != 0; master = e.byIndex[master.Master] {
		if slices.Contains(links, master.Master) {
			break
		}
		add(master.Master)
	}
	ups := len(links)
	for i := 0; i < len(links); i++ {
		if i > 0 && i < ups {
			continue // what else is below a master is not on the way
		}
		if below := e.byIndex[links[i]]; below != nil {
			add(below.Parent)
		}
		for j := range e.network.Interfaces {
			if e.network.Interfaces[j].Master == links[i] {
				add(e.network.Interfaces[j].Index)
			}
		}
	}
	return links
}

// toSocket takes packets past what chooses their socket and what stands before it.
func (w *walker) toSocket(p *packet, live bdd.Node) bdd.Node {
	for _, o := range w.e.outsiders[AtLookup] {
		live = w.past(p, o, live)
	}
	return w.pastSockets(p, AtSocket, live)
}

// pastSockets takes packets past what stands before their sockets, or their
// answers past what stands behind them.
func (w *walker) pastSockets(p *packet, at Place, live bdd.Node) bdd.Node {
	all := w.e.outsiders[at]
	if len(all) == 0 {
		return live
	}
	var found []owned
	if w.e.sockets != nil {
		found = w.socketsOf(p)
	}
	for _, o := range all {
		theirs := live
		if o.Cgroup != 0 && w.e.sockets != nil {
			theirs = w.m.And(live, w.inCgroup(found, o.Cgroup))
		}
		live = w.m.Or(w.m.Diff(live, theirs), w.past(p, o, theirs))
	}
	return live
}

// inCgroup is the packets of which a socket in the cgroup may be the receiver.
func (w *walker) inCgroup(found []owned, cgroup uint64) bdd.Node {
	n := bdd.False
	for _, f := range found {
		if slices.ContainsFunc(f.sockets, func(s *LocalSocket) bool { return s.Cgroup == cgroup }) {
			n = w.m.Or(n, f.set)
		}
	}
	return n
}
