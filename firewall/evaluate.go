package firewall

import (
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/netglance/netglance/internal/bdd"
)

// An Evaluator answers questions about one host's rules and network. It is safe
// for concurrent use.
//
// A question is a set of packets: the first ones of new flows, by one link to
// one address and port, from every source at once. The walker carries that set
// through the hooks as a Boolean function of what is free (source address and
// port, and every condition that no reading settles); each match splits it. A
// question about one packet is the same walk with nothing free.
type Evaluator struct {
	rules   *Ruleset
	network *Network

	chains map[hookKey][]*Chain
	// nat says for which families any nat chain exists: then NAT's hooks are there.
	nat map[Family]bool
	// tracks says for which families a rule turns connection tracking on; opaque
	// that there are rules of which that can't be told.
	tracks map[Family]bool
	opaque bool
	// helpers says that some rule assigns a conntrack helper.
	helpers bool
	guards  map[*Chain][]guard
	groups  map[*Set][]elementGroup
	updated map[*Set]string // by which rule

	byName  map[string]*Interface
	byIndex map[int]*Interface
	routing map[Family][]RoutingRule
	tables  map[tableKey][]*Route
	sockets *socketIndex // nil if not known
	// outsiders and policies are nil where the host has none.
	outsiders map[Place][]Outsider
	policies  map[Direction][]IPsecPolicy
	// plainRouting says for which families only links and destinations decide.
	plainRouting map[Family]bool
	// ruleCount is how many rules there are.
	ruleCount int
	// customRouting says that the host has routing rules or local routes of its own.
	customRouting bool

	walkers sync.Pool
}

// NewEvaluator prepares the rules for questions.
func NewEvaluator(rules *Ruleset, network *Network) *Evaluator {
	e := &Evaluator{
		rules:   rules,
		network: network,
		chains:  indexChains(rules),
		nat:     make(map[Family]bool),
		tracks:  make(map[Family]bool),
		guards:  make(map[*Chain][]guard),
		groups:  make(map[*Set][]elementGroup),
		updated: make(map[*Set]string),
		byName:  make(map[string]*Interface),
		byIndex: make(map[int]*Interface),
		routing: indexRules(network),
		tables:  indexRoutes(network),
		sockets: indexSockets(network.Sockets),

		outsiders: outsidersAt(network),
		policies:  indexPolicies(network),
	}
	for key := range e.chains {
		if key.nat {
			e.nat[key.family] = true
		}
	}
	for _, t := range rules.Tables {
		e.indexTable(t)
	}
	for i := range network.Interfaces {
		link := &network.Interfaces[i]
		e.byName[link.Name], e.byIndex[link.Index] = link, link
	}
	e.plainRouting = make(map[Family]bool)
	for family, rules := range e.routing {
		e.plainRouting[family] = hasPlainRouting(rules, network.Routes, family)
	}
	e.customRouting = hasCustomRouting(network, e.routing[FamilyIPv4])
	return e
}

func (e *Evaluator) indexTable(t *Table) {
	for _, o := range t.Objects {
		if strings.HasPrefix(o.Kind, "ct ") || o.Kind == "synproxy" {
			// Its being there turns connection tracking on, called or not (nft_ct_timeout_obj_init).
			for _, family := range hookFamilies(t.Family, Input) {
				e.tracks[family] = true
			}
		}
	}
	for _, c := range t.Chains {
		e.guards[c] = guardRules(c)
		e.ruleCount += len(c.Rules)
		for _, r := range c.Rules {
			e.indexSets(r.Steps)
			for _, family := range trackedFamilies(r) {
				e.tracks[family] = true
			}
			for _, step := range r.Steps {
				if _, ok := step.(Opaque); ok {
					e.opaque = true
				}
				if s, ok := step.(ObjectRef); ok && s.Kind == "ct helper" {
					e.helpers = true
				}
				if s, ok := step.(DynSet); ok && s.Set != nil && !t.Dormant {
					e.updated[s.Set] = placeOf(r)
				}
			}
		}
	}
	for _, s := range t.Sets {
		e.groups[s] = groupElements(s)
	}
}

// indexSets prepares the sets that steps name and no table lists: ipsets.
func (e *Evaluator) indexSets(steps []Step) {
	for _, step := range steps {
		switch s := step.(type) {
		case InSet:
			if s.Set != nil && s.Set.Table == nil && e.groups[s.Set] == nil {
				e.groups[s.Set] = groupElements(s.Set)
			}
		case Not:
			e.indexSets(s.Steps)
		case AnyOf:
			for _, alternative := range s.Alternatives {
				e.indexSets(alternative)
			}
		}
	}
}

// hasCustomRouting is fib_has_custom_local_routes or fib4_has_custom_rules: then
// sources are looked up even without rp_filter.
func hasCustomRouting(n *Network, rules []RoutingRule) bool {
	if len(rules) != 3 {
		return true
	}
	own := make(map[netip.Prefix]bool)
	for _, a := range n.Addresses {
		own[host(a.Prefix.Addr())], own[a.Prefix.Masked()] = true, true // and loopback's network
	}
	for _, r := range n.Routes {
		if r.Type == RouteLocal && r.Destination.Addr().Is4() && !own[r.Destination] {
			return true
		}
	}
	return false
}

// setting is a sysctl below /proc/sys/net as a number; 0 where it is not known.
func (e *Evaluator) setting(tree, link, name string) int {
	path := tree + "/" + name
	if link != "" {
		path = tree + "/" + link + "/" + name
	}
	n, err := strconv.Atoi(e.network.Settings[path])
	if err != nil {
		return 0
	}
	return n
}

// switchedOn says that an IPv4 setting is on for a link or for all
// (IN_DEV_ORCONF, include/linux/inetdevice.h).
func (e *Evaluator) switchedOn(link *Interface, name string) bool {
	return e.setting("ipv4/conf", link.Name, name) == 1 || e.setting("ipv4/conf", "all", name) == 1
}

// loopback is the link that this host's packets to itself take.
func (e *Evaluator) loopback() *Interface {
	for i := range e.network.Interfaces {
		if e.network.Interfaces[i].Loopback() {
			return &e.network.Interfaces[i]
		}
	}
	return nil
}

// A walker answers one question at a time.
type walker struct {
	e *Evaluator
	m *bdd.Manager
	// routes are those of all addresses at once, texts those of rules: they stay for
	// the next question.
	routes map[routeKey][]routed
	texts  map[*Rule]string

	// origin is the source address as the packet comes in.
	origin      bits
	variables   []variable
	fields      map[string]bits
	facts       map[string]bdd.Node
	memberships map[*Set]map[string]bdd.Node

	ruling *ruling
	// translated are the packets that the current NAT hook has translated.
	translated bdd.Node
	outcomes   []outcome
	// unanswered is by what packets got to a socket whose answer doesn't get out.
	unanswered []settled
	// answering, when set, says what it means for the packet that an answer is dropped.
	answering string
	// exhausted are packets whose way took more work than one question may.
	exhausted bdd.Node
	// portFree says that the question names no destination port.
	portFree bool
	// lumped says that packets are told together that end up at too many ports.
	lumped bool
	work   int
	path   *[]PathStep
	// review, when set, watches which rules matter.
	review *watch
}

// maxNodes is the size at which a walker's diagrams are thrown away.
const maxNodes = 1 << 21

func (e *Evaluator) walker() *walker {
	w, _ := e.walkers.Get().(*walker)
	if w == nil || w.m.Size() > maxNodes {
		w = &walker{m: bdd.New(), routes: make(map[routeKey][]routed), texts: make(map[*Rule]string)}
	}
	*w = walker{e: e, m: w.m, routes: w.routes, texts: w.texts,
		fields:      make(map[string]bits),
		facts:       make(map[string]bdd.Node),
		memberships: make(map[*Set]map[string]bdd.Node),
	}
	return w
}

// Reach says for every source address what happens to its first packet: a
// partition of all addresses of the query's family, the largest part first.
func (e *Evaluator) Reach(q Query) []Part {
	w := e.walker()
	defer e.walkers.Put(w)
	return w.answer(q)
}

// Explain follows the query's packet.
func (e *Evaluator) Explain(q Query) Explanation {
	w := e.walker()
	defer e.walkers.Put(w)
	var path []PathStep
	w.path = &path
	parts := w.answer(q)
	return Explanation{Part: oneAnswer(parts), Path: path}
}

func (w *walker) answer(q Query) []Part {
	if !q.Destination.IsValid() {
		return []Part{{DecidedBy: Decision{Text: "the question names no destination address"}}}
	}
	q.Destination, q.Source = q.Destination.WithZone(""), q.Source.WithZone("")
	if q.Destination.Is4In6() {
		q.Destination, q.Source = q.Destination.Unmap(), q.Source.Unmap()
	}
	if q.Source.IsValid() && q.Source.BitLen() != q.Destination.BitLen() {
		return []Part{{DecidedBy: Decision{Text: "source and destination are of different families"}}}
	}
	w.inbound(q)
	if w.exhausted != bdd.False {
		w.decide(w.exhausted, Undecided, Decision{Text: "the rules call each other too often to follow"}, nil)
	}
	parts := w.partition(q.Destination.BitLen())
	if q.Source.IsValid() {
		for i := range parts {
			parts[i].Sources = oneSource(q.Source)
		}
	}
	return parts
}

// oneAnswer joins the parts of an explanation: one where the question named a
// source, else what depends on the source is conditional.
func oneAnswer(parts []Part) Part {
	answer := parts[0]
	for _, p := range parts[1:] {
		answer.Sources.Prefixes = append(answer.Sources.Prefixes, p.Sources.Prefixes...)
		if p.Fate != answer.Fate {
			answer.Fate = Conditional
		}
		answer.Conditions = append(answer.Conditions, p.Conditions...)
		if answer.DeliveredTo == nil {
			answer.DeliveredTo = p.DeliveredTo
		}
	}
	if len(parts) > 1 && answer.Fate == Conditional {
		answer.Conditions = append(answer.Conditions, Condition{Sender, "source address"})
		answer.Outcomes = nil
	}
	return answer
}

// note writes down a step of an explanation's path.
func (w *walker) note(p *packet, c *Chain, r *Rule, effect string) {
	if w.path == nil {
		return
	}
	step := PathStep{Chain: c, Rule: r, Effect: effect}
	if p != nil {
		step.Hook = p.hook.String()
		if p.hook == HookUnknown {
			step.Hook = "routing"
		}
		if p.about != "" {
			step.Hook = "answer " + step.Hook
		}
	}
	*w.path = append(*w.path, step)
}
