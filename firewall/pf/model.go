package pf

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/firewall"
)

// list is the ruleset that rules of an action stand in: pass stands for filter.
func (a Action) list() Action {
	if a == Block || a == Match {
		return Pass
	}
	return a
}

// addModel makes chains and rules of an anchor's, for answers to name. Their steps
// are what correlate asks rules about: the ports and sources that they name, and
// whether they block. They are not what is evaluated.
func (e *Evaluator) addModel(a *Anchor) {
	for _, action := range []Action{Ether, Binat, RDR, NAT, Pass} {
		rules := *a.ruleset(action)
		if len(rules) == 0 && !(a.Parent == nil && action == Pass) {
			continue
		}
		c := &firewall.Chain{Table: e.table, Name: chainName(a, action)}
		e.table.Chains = append(e.table.Chains, c)
		e.chains[chainKey{a, action}] = c
		for _, r := range rules {
			m := &firewall.Rule{Chain: c, Number: r.Number, Steps: r.steps(), Source: ruleText{r, e.rules.Dialect}}
			for _, label := range r.Label {
				m.Comment = label
			}
			c.Rules = append(c.Rules, m)
			e.model[r] = m
		}
	}
}

func chainName(a *Anchor, action Action) string {
	name := "filter"
	if action != Pass {
		name = action.String()
	}
	if a.Parent == nil {
		return name
	}
	return fmt.Sprintf("anchor %s %s", a.Path, name)
}

type ruleText struct {
	rule    *Rule
	dialect Dialect
}

func (t ruleText) String() string { return t.rule.text(t.dialect) }

// addCalls lets anchor rules jump to the chains of the anchors that they call.
func (e *Evaluator) addCalls(a *Anchor) {
	for _, action := range []Action{Ether, Binat, RDR, NAT, Pass} {
		for _, r := range *a.ruleset(action) {
			if !r.IsAnchor {
				continue
			}
			m := e.model[r]
			for _, called := range a.called(r) {
				if to := e.chains[chainKey{called, action}]; to != nil {
					m.Steps = append(m.Steps, firewall.Verdict{Code: firewall.Jump, Chain: to})
				}
			}
		}
	}
}

// place is where a rule stands, for conditions.
func (e *Evaluator) place(r *Rule) string {
	m := e.model[r]
	if m == nil {
		return fmt.Sprintf("line %d", r.Line)
	}
	return fmt.Sprintf("%s rule %d", m.Chain.FullName(), m.Number)
}

// steps are the ports and sources that a rule names, and its verdict.
func (r *Rule) steps() []firewall.Step {
	var out []firewall.Step
	if r.Protocol > 0 {
		out = append(out, firewall.Compare{Value: firewall.Meta{Key: firewall.MetaL4Proto}, Data: []byte{byte(r.Protocol)}})
	}
	if step := sourceStep(r.Source.Address); step != nil {
		out = append(out, step)
	}
	if step := portStep(r.Destination.Port); step != nil {
		out = append(out, step)
	}
	switch {
	case r.Action == Block && r.Return == ReturnDrop:
		out = append(out, firewall.Verdict{Code: firewall.Drop})
	case r.Action == Block:
		out = append(out, firewall.Reject{TCPReset: r.Return != ReturnICMP, With: "return"})
	case r.Action == Pass && !r.IsAnchor:
		out = append(out, firewall.Verdict{Code: firewall.Accept})
	}
	return out
}

// sourceStep names the sources of a rule that is only for some.
func sourceStep(a Address) firewall.Step {
	if a.isAny() || a.Not {
		return nil
	}
	value := firewall.Payload{Base: firewall.NetworkHeader, Offset: 12, Length: 4}
	if a.Family == 6 {
		value = firewall.Payload{Base: firewall.NetworkHeader, Offset: 8, Length: 16}
	}
	switch a.Kind {
	case Masked:
		if a.Bits == a.Addr.BitLen() {
			return firewall.Compare{Value: value, Data: a.Addr.AsSlice()}
		}
		return firewall.Range{Value: value, From: a.Addr.AsSlice(), To: lastOf(netip.PrefixFrom(a.Addr, a.Bits))}
	case Range:
		return firewall.Range{Value: value, From: a.Addr.AsSlice(), To: a.High.AsSlice()}
	}
	return nil
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) []byte {
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(last); i++ {
		last[i/8] |= 1 << (7 - i%8)
	}
	return last
}

// portStep names the destination ports of a rule.
func portStep(p Port) firewall.Step {
	value := firewall.Payload{Base: firewall.TransportHeader, Offset: 2, Length: 2}
	data := binary.BigEndian.AppendUint16(nil, p.Low)
	switch p.Op {
	case Equal:
		return firewall.Compare{Value: value, Data: data}
	case NotEqual:
		return firewall.Compare{Value: value, Op: firewall.NotEqual, Data: data}
	case Less:
		return firewall.Compare{Value: value, Op: firewall.Less, Data: data}
	case LessEqual:
		return firewall.Compare{Value: value, Op: firewall.LessEqual, Data: data}
	case Greater:
		return firewall.Compare{Value: value, Op: firewall.Greater, Data: data}
	case GreaterEqual:
		return firewall.Compare{Value: value, Op: firewall.GreaterEqual, Data: data}
	case Through:
		return firewall.Range{Value: value, From: data, To: binary.BigEndian.AppendUint16(nil, p.High)}
	case Between:
		return firewall.Range{Value: value, From: binary.BigEndian.AppendUint16(nil, p.Low+1), To: binary.BigEndian.AppendUint16(nil, p.High-1)}
	}
	return nil
}
