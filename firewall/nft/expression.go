package nft

import (
	"github.com/netglance/netglance/firewall"
)

// Attributes of an expression in a list (enum nft_expr_attributes).
const (
	expressionName = 1 // NFTA_EXPR_NAME
	expressionData = 2 // NFTA_EXPR_DATA
)

// An expression is one instruction of a rule: a name and its attributes.
type expression struct {
	name []byte
	raw  []byte // the attributes as they came
	attributes
}

// parse reads an NFTA_LIST_ELEM of expressions.
func (e *expression) parse(b []byte) {
	var outer [2][]byte
	whole := each(b, expressionName, func(name []byte) { outer[0] = name }) &&
		each(b, expressionData, func(data []byte) { outer[1] = data })
	e.name, e.raw = cString(outer[0]), outer[1]
	e.attributes.parse(e.raw)
	e.malformed = e.malformed || !whole
}

// only says that the expression has no attribute but these: a bit set by number.
// An attribute that isn't known could change its meaning.
func (e *expression) only(known uint32) bool { return !e.malformed && e.present&^known == 0 }

// bits is a set of attribute numbers, from 1 to last.
func bits(last int) uint32 { return 1<<(last+1) - 2 }

// A decoder turns expressions into steps.
type decoder struct {
	table     *table
	registers registers
	steps     []firewall.Step
	current   expression
	// comment is that of an x_tables match.
	comment string
	// known are values that many rules have, so that they share one.
	known sharedValues
}

// decode translates a rule's list of expressions. Each becomes a step or a value
// in a register that later steps use; one that isn't understood becomes an
// opaque step, and no register is trusted after it.
func (d *decoder) decode(list []byte) []firewall.Step {
	d.registers.reset()
	d.steps = d.steps[:0]
	d.comment = ""
	e := &d.current
	whole := each(list, listElement, func(b []byte) {
		e.parse(b)
		d.expression(e)
	})
	if !whole {
		d.opaque(firewall.Opaque{Name: "malformed expressions", Target: true, Data: list})
	}
	if len(d.steps) == 0 {
		return nil
	}
	return append(make([]firewall.Step, 0, len(d.steps)), d.steps...)
}

// elementSteps are the statements that a set or an element has: one expression
// in older kernels' attribute, or a list of them.
func (t *table) elementSteps(single, list []byte) []firewall.Step {
	if single == nil && list == nil {
		return nil
	}
	d := decoder{table: t}
	if list != nil {
		return d.decode(list)
	}
	var e expression
	e.parse(single)
	d.expression(&e)
	return d.steps
}

func (d *decoder) expression(e *expression) {
	before := len(d.steps)
	translate := translations[string(e.name)]
	if translate != nil && !e.malformed && translate(d, e) && !e.malformed {
		return
	}
	d.steps = d.steps[:before]
	d.opaque(firewall.Opaque{Name: string(e.name), Target: !loads[string(e.name)], Data: e.raw})
}

func (d *decoder) add(s firewall.Step) { d.steps = append(d.steps, s) }

// opaque adds a step that may have written any register.
func (d *decoder) opaque(o firewall.Opaque) {
	d.add(o)
	d.registers.distrust(o.Name)
}

// loads are the expressions that read the packet and neither decide nor change
// its fate, whatever attributes a later kernel gives them.
var loads = map[string]bool{
	"rt": true, "fib": true, "socket": true, "osf": true, "hash": true, "numgen": true,
	"xfrm": true, "tunnel": true, "bitwise": true, "byteorder": true, "cmp": true, "range": true,
	"match": true, "limit": true, "quota": true, "connlimit": true, "counter": true, "last": true, "inner": true,
}

// translations gives an expression's steps or register value; false where it has
// something that isn't known. Filled by init, because inner expressions use it again.
var translations map[string]func(*decoder, *expression) bool

func init() {
	translations = map[string]func(*decoder, *expression) bool{
		"bitwise":      (*decoder).bitwise,
		"byteorder":    (*decoder).byteorder,
		"cmp":          (*decoder).cmp,
		"connlimit":    (*decoder).connlimit,
		"counter":      (*decoder).counter,
		"ct":           (*decoder).ct,
		"dup":          (*decoder).dup,
		"dynset":       (*decoder).dynset,
		"exthdr":       (*decoder).exthdr,
		"fib":          (*decoder).fib,
		"flow_offload": (*decoder).flowOffload,
		"fwd":          (*decoder).fwd,
		"hash":         (*decoder).hash,
		"immediate":    (*decoder).immediate,
		"inner":        (*decoder).inner,
		"last":         (*decoder).last,
		"limit":        (*decoder).limit,
		"log":          (*decoder).log,
		"lookup":       (*decoder).lookup,
		"masq":         (*decoder).masq,
		"match":        (*decoder).match,
		"meta":         (*decoder).meta,
		"nat":          (*decoder).nat,
		"notrack":      (*decoder).notrack,
		"numgen":       (*decoder).numgen,
		"objref":       (*decoder).objref,
		"osf":          (*decoder).osf,
		"payload":      (*decoder).payload,
		"queue":        (*decoder).queue,
		"quota":        (*decoder).quota,
		"range":        (*decoder).rangeMatch,
		"redir":        (*decoder).redir,
		"reject":       (*decoder).reject,
		"rt":           (*decoder).rt,
		"socket":       (*decoder).socket,
		"synproxy":     (*decoder).synproxy,
		"target":       (*decoder).target,
		"tproxy":       (*decoder).tproxy,
		"tunnel":       (*decoder).tunnel,
		"xfrm":         (*decoder).xfrm,
	}
}
