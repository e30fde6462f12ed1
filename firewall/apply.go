package firewall

import (
	"strconv"

	"github.com/netglance/netglance/internal/bdd"
)

func itoa(n uint16) string { return strconv.Itoa(int(n)) }

// apply takes the packets through one step that doesn't decide, and returns
// those for which the rule goes on.
func (w *walker) apply(p *packet, r *Rule, step Step, set bdd.Node) bdd.Node {
	if p.any != nil && mayFail(step) {
		set = w.m.And(set, w.anyFact())
	}
	switch s := step.(type) {
	case Assign:
		return w.assign(p, r, s, set)
	case NoTrack:
		p.any = p.any.changed()
		p.tracking.untracked = w.m.Or(p.tracking.untracked, w.m.Diff(set, p.tracking.tracked))
		return set
	case ObjectRef:
		return w.objectRef(p, r, s, set)
	case DynSet:
		return w.dynSet(p, r, s, set)
	case FlowOffload:
		if p.any == nil {
			return bdd.False // a flow that has only begun ends the rule (nft_flow_offload_eval)
		}
		return set
	case Passive, Dup:
		return set
	}
	return w.m.And(set, w.match(p, r, step, set))
}

// match is where a match holds. within bounds the question.
func (w *walker) match(p *packet, r *Rule, step Step, within bdd.Node) bdd.Node {
	switch s := step.(type) {
	case Compare:
		return w.compare(p, r, s)
	case Range:
		return w.inRange(p, r, s)
	case InSet:
		return w.inSet(p, r, s, within)
	case Chance:
		return w.unsettled(s.Kind, s.Text+" ("+placeOf(r)+")")
	case Opaque:
		return w.unsettled(Unmodelled, w.opaqueText(r, s.Name))
	case AnyOf:
		return w.anyOf(p, r, s, within)
	case Not:
		return w.m.Not(w.all(p, r, s.Steps, within))
	case Passive:
		return bdd.True
	}
	return w.unsettled(Unmodelled, "a match that netglance doesn't model ("+placeOf(r)+")")
}

func (w *walker) all(p *packet, r *Rule, steps []Step, within bdd.Node) bdd.Node {
	if len(steps) == 0 {
		return bdd.True
	}
	result := bdd.True
	for _, step := range steps {
		if result = w.m.And(result, w.match(p, r, step, within)); result == bdd.False {
			break
		}
	}
	return result
}

func (w *walker) anyOf(p *packet, r *Rule, s AnyOf, within bdd.Node) bdd.Node {
	result := bdd.False
	for _, alternative := range s.Alternatives {
		result = w.m.Or(result, w.all(p, r, alternative, within))
	}
	return result
}

// unknownMatch is a match on a value of which nothing is known.
func (w *walker) unknownMatch(r *Rule, there bdd.Node) bdd.Node {
	if there == bdd.False {
		return bdd.False
	}
	return w.m.And(there, w.unsettled(Unmodelled, "a value that netglance doesn't model ("+placeOf(r)+")"))
}

func (w *walker) compare(p *packet, r *Rule, s Compare) bdd.Node {
	b, there := w.load(p, s.Value)
	if b == nil || 8*len(s.Data) > len(b) {
		return w.unknownMatch(r, there)
	}
	var result bdd.Node
	switch s.Op {
	case Equal:
		result = w.equal(b, s.Data)
	case NotEqual:
		result = w.m.Not(w.equal(b, s.Data))
	case Less:
		result = w.m.Not(w.atLeast(b, s.Data, 0))
	case LessEqual:
		result = w.atMost(b, s.Data, 0)
	case Greater:
		result = w.m.Not(w.atMost(b, s.Data, 0))
	case GreaterEqual:
		result = w.atLeast(b, s.Data, 0)
	default:
		return w.unknownMatch(r, there)
	}
	return w.m.And(there, result)
}

func (w *walker) inRange(p *packet, r *Rule, s Range) bdd.Node {
	b, there := w.load(p, s.Value)
	if b == nil || 8*len(s.From) > len(b) || len(s.From) != len(s.To) {
		return w.unknownMatch(r, there)
	}
	result := w.between(b, s.From, s.To)
	if s.Invert {
		result = w.m.Not(result)
	}
	return w.m.And(there, result)
}

func (w *walker) inSet(p *packet, r *Rule, s InSet, within bdd.Node) bdd.Node {
	key, there := w.load(p, s.Value)
	if key == nil {
		return w.unknownMatch(r, there)
	}
	found := bdd.False
	for _, c := range w.lookup(s.Set, key, w.m.And(within, there)) {
		found = w.m.Or(found, w.elementSteps(p, r, s.Set, c.element, c.set))
	}
	if s.Invert {
		found = w.m.Not(found)
	}
	return w.m.And(there, found)
}

// elementSteps is where an element's own steps match too (nft_set_elem_expr_eval).
// An element that was not read may have any.
func (w *walker) elementSteps(p *packet, r *Rule, s *Set, e *Element, set bdd.Node) bdd.Node {
	if e == nil {
		return set
	}
	steps := e.Steps
	if len(steps) == 0 {
		steps = s.Steps
	}
	for _, step := range steps {
		if _, ok := step.(Passive); !ok {
			set = w.m.And(set, w.match(p, r, step, set))
		}
	}
	return set
}

// objectRef applies a named object. A limit or quota may end the rule.
func (w *walker) objectRef(p *packet, r *Rule, s ObjectRef, set bdd.Node) bdd.Node {
	if s.Map != nil {
		key, there := w.load(p, s.Key)
		if key == nil {
			return w.m.And(set, there)
		}
		found := bdd.False
		for _, c := range w.lookup(s.Map, key, w.m.And(set, there)) {
			found = w.m.Or(found, c.set)
		}
		set = w.m.And(set, w.m.And(there, found))
	}
	switch s.Kind {
	case "counter", "ct helper", "ct timeout", "ct expectation", "secmark", "tunnel":
		return set
	case "limit":
		return w.m.And(set, w.unsettled(Rate, "a named limit ("+placeOf(r)+")"))
	case "quota":
		return w.m.And(set, w.unsettled(History, "a named quota ("+placeOf(r)+")"))
	}
	return w.m.And(set, w.unsettled(Unmodelled, "a named "+s.Kind+" ("+placeOf(r)+")"))
}

// dynSet adds, updates or deletes an element. The rule goes on unless the set is
// full or the element's own steps don't match (nft_dynset_eval).
func (w *walker) dynSet(p *packet, r *Rule, s DynSet, set bdd.Node) bdd.Node {
	_, there := w.load(p, s.Key)
	set = w.m.And(set, there)
	if s.Operation == "delete" {
		return w.m.And(set, w.unsettled(History, "what is in @"+s.Set.Name+" ("+placeOf(r)+")"))
	}
	if s.Invert {
		return w.m.And(set, w.unsettled(History, "room in @"+s.Set.Name+" ("+placeOf(r)+")"))
	}
	for _, step := range s.Steps {
		if _, ok := step.(Passive); !ok {
			set = w.m.And(set, w.match(p, r, step, set))
		}
	}
	return set
}

// assign writes to a packet's meta data, entry or header.
func (w *walker) assign(p *packet, r *Rule, s Assign, set bdd.Node) bdd.Node {
	value, there := w.load(p, s.Value)
	set = w.m.And(set, there)
	if set == bdd.False {
		return set
	}
	if value == nil {
		value = w.unsettledBits(16, Unmodelled, "a value that netglance doesn't model ("+placeOf(r)+")")
	}
	if p.any != nil {
		set = w.m.And(set, w.changesAny(p, s.Target))
	}
	switch target := s.Target.(type) {
	case Meta:
		w.setMeta(p, target.Key, value, set)
	case CT:
		w.setCT(p, target.Key, value, set)
	case Payload:
		w.setPayload(p, target, value, set)
	}
	return set
}

func (w *walker) setMeta(p *packet, key MetaKey, value bits, set bdd.Node) {
	switch key {
	case MetaMark:
		p.mark = w.choose(set, value.padded(4), p.mark)
	case MetaPriority:
		p.priority = w.choose(set, value.padded(4), p.priority)
	case MetaPktType:
		p.pktType = w.choose(set, value.padded(1), p.pktType)
	}
}

func (w *walker) setPayload(p *packet, target Payload, value bits, set bdd.Node) {
	offset, length := int(target.Offset), int(target.Length)
	old, ok := w.header(p, target.Base, offset, length)
	if !ok {
		return
	}
	changed := w.choose(set, value.padded(length), old)
	switch target.Base {
	case NetworkHeader:
		p.network = replaced(p.network, 8*offset, changed)
	case TransportHeader:
		p.transport = replaced(p.transport, 8*offset, changed)
	case LinkLayerHeader:
		p.link = replaced(p.link, 8*offset, changed)
	}
}
