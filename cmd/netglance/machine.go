package main

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/platform"
)

// A machine is a host with all its network namespaces. Each is read at most once,
// and only when it is asked for.
type machine struct {
	host platform.Host
	// spaces are the namespaces, and unseen what could not be seen of them.
	spaces func() (all []listeners.Namespace, unseen []gaps.Gap)

	surveys map[uint64]*survey
	// networks have the links and addresses alone of those that are not surveyed.
	networks map[uint64]*firewall.Network
	places   map[doorway]*correlate.Place
	// entries are the ways by which namespaces were entered.
	entries map[uint64]entry
}

// An entry is a path into a namespace, and why it doesn't lead there.
type entry struct {
	path string
	err  error
}

// A doorway is a namespace and the link that packets come in by there.
type doorway struct {
	namespace uint64
	link      string
}

func newMachine(host platform.Host) *machine {
	return &machine{
		host: host,
		spaces: sync.OnceValues(func() ([]listeners.Namespace, []gaps.Gap) {
			if host.OS() != "linux" {
				return nil, nil
			}
			return listeners.ReadNamespaces(host)
		}),
		surveys:  map[uint64]*survey{},
		networks: map[uint64]*firewall.Network{},
		places:   map[doorway]*correlate.Place{},
		entries:  map[uint64]entry{},
	}
}

// in is the host with the network of a namespace.
func (m *machine) in(n listeners.Namespace) platform.Host {
	if n.Name == listeners.HostNamespace || len(n.Paths) == 0 {
		return m.host
	}
	return m.host.In(m.entry(n).path, n.ID)
}

// enterable says why a namespace can't be looked at.
func (m *machine) enterable(n listeners.Namespace) error {
	if n.Name == listeners.HostNamespace {
		return nil
	}
	return m.entry(n).err
}

// entry is the first path that leads into a namespace, or else the first.
func (m *machine) entry(n listeners.Namespace) entry {
	if e, known := m.entries[n.ID]; known {
		return e
	}
	var found entry
	for i, path := range n.Paths {
		err := m.tries(path, n.ID)
		if err == nil {
			found = entry{path: path}
			break
		}
		if i == 0 {
			found = entry{path, err}
		}
	}
	m.entries[n.ID] = found
	return found
}

// ended says that a namespace is gone that was there.
func (m *machine) ended(n listeners.Namespace) bool {
	return n.Name != listeners.HostNamespace && isGone(m.tries(m.entry(n).path, n.ID))
}

func (m *machine) tries(path string, id uint64) error {
	host := m.host.In(path, id)
	defer letGo(host)
	_, err := host.ReadFile("/proc/net/dev")
	return err
}

// read surveys namespaces that have not been surveyed yet, all sockets before the
// descriptors that lead to them.
func (m *machine) read(wanted []listeners.Namespace) {
	var missing []listeners.Namespace
	var hosts []listeners.Host
	for _, n := range wanted {
		if m.surveys[n.ID] == nil {
			missing, hosts = append(missing, n), append(hosts, m.in(n))
		}
	}
	if len(missing) == 0 {
		return
	}
	surveys := make([]*survey, len(missing))
	var reading sync.WaitGroup
	free := make(chan struct{}, namespacesAtOnce)
	for i, r := range listeners.ReadEach(hosts) {
		free <- struct{}{}
		reading.Go(func() {
			surveys[i] = m.survey(hosts[i].(platform.Host), missing[i], r)
			<-free
		})
	}
	reading.Wait()
	for i, n := range missing {
		m.surveys[n.ID] = surveys[i]
	}
}

// namespacesAtOnce is how many are read at a time: a thread that enters one is
// mostly waited for.
const namespacesAtOnce = 4

// survey reads all of a namespace but its sockets, which are given.
func (m *machine) survey(host platform.Host, n listeners.Namespace, sockets listeners.Reading) *survey {
	defer letGo(host)
	s := &survey{about: describe(host), clock: host.Time, network: &firewall.Network{}, rules: &firewall.Ruleset{}, namespace: n, machine: m}
	s.keepSockets(host, sockets.Listeners, sockets.Gaps)
	s.addRules(host)
	s.network.Sockets = s.local
	s.network.Outsiders = append(s.network.Outsiders, s.outsiders...)
	return s
}

// letGo closes what a namespace's host holds open.
func letGo(host platform.Host) {
	if c, ok := host.(io.Closer); ok {
		c.Close()
	}
}

// links are the links and addresses of a namespace.
func (m *machine) links(n listeners.Namespace) *firewall.Network {
	if s := m.surveys[n.ID]; s != nil {
		return s.network
	}
	if known := m.networks[n.ID]; known != nil {
		return known
	}
	host := m.in(n)
	network, _ := rtnetlink.ReadAddresses(host)
	letGo(host)
	m.networks[n.ID] = network
	return network
}

// place is what is known of a namespace to packets that come in by a link.
func (m *machine) place(n listeners.Namespace, link string) *correlate.Place {
	door := doorway{n.ID, link}
	if p := m.places[door]; p != nil {
		return p
	}
	m.read([]listeners.Namespace{n})
	s := m.surveys[n.ID]
	in, _ := s.input(nil)
	p := &correlate.Place{Namespace: n.Name, Title: n.Title, Interface: link, Input: in, Unsure: s.unsure()}
	m.places[door] = p
	return p
}

// beside completes a question with what there is beside the survey's namespace.
func (s *survey) beside(in correlate.Input) correlate.Input {
	if s.machine != nil {
		in.Beyond, in.HandedOn = s.beyond, s.handedOn
	}
	if s.namespace.Name != listeners.HostNamespace {
		in.Namespace = s.namespace.Name
	}
	return in
}

// unsure says why it can't be told that nobody takes a packet in the namespace;
// empty if it can.
func (s *survey) unsure() string {
	if s.socketsUnread || s.local == nil {
		return "its sockets could not be read"
	}
	return ""
}

// gapsOf are the gaps of a namespace, named with it, those left out that are the
// host's as well.
func gapsOf(n listeners.Namespace, of, host []gaps.Gap) []gaps.Gap {
	var out []gaps.Gap
	for _, g := range of {
		if slices.ContainsFunc(host, func(o gaps.Gap) bool { return o.Source == g.Source && o.Reason == g.Reason }) {
			continue
		}
		g.Source = fmt.Sprintf("%s of %s", g.Source, n.Title)
		out = append(out, g)
	}
	return out
}
