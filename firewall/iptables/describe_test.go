package iptables_test

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// describe writes tables so that a person can review what the rules mean: each
// rule as iptables prints it, below it what it asks and does.
func describe(tables []*firewall.Table) []byte {
	var b strings.Builder
	for _, table := range tables {
		for _, chain := range table.Chains {
			fmt.Fprintf(&b, "%v %s %s", table.Family, table.Name, chain.Name)
			if chain.Base != nil {
				types := []string{"filter", "nat", "route"}
				fmt.Fprintf(&b, ": %v, priority %d, type %s, policy %v", chain.Base.Hook, chain.Base.Priority, types[chain.Base.Type], chain.Base.Policy)
			}
			b.WriteString("\n")
			for _, rule := range chain.Rules {
				fmt.Fprintf(&b, "\n%d %s\n", rule.Number, rule.Text())
				for _, step := range rule.Steps {
					fmt.Fprintf(&b, "\t%s\n", describeStep(step))
				}
			}
			b.WriteString("\n")
		}
	}
	return []byte(b.String())
}

func describeStep(step firewall.Step) string {
	switch s := step.(type) {
	case firewall.Compare:
		return fmt.Sprintf("%s %s %x", describeValue(s.Value), []string{"==", "!=", "<", "<=", ">", ">="}[s.Op], s.Data)
	case firewall.Range:
		return fmt.Sprintf("%s %s %x-%x", describeValue(s.Value), map[bool]string{false: "in", true: "not in"}[s.Invert], s.From, s.To)
	case firewall.AnyOf:
		var all []string
		for _, a := range s.Alternatives {
			all = append(all, describeSteps(a))
		}
		return "any of (" + strings.Join(all, " | ") + ")"
	case firewall.Not:
		return "not (" + describeSteps(s.Steps) + ")"
	case firewall.Chance:
		return fmt.Sprintf("chance (%v): %s", s.Kind, s.Text)
	case firewall.Passive:
		return "passive: " + s.Text
	case firewall.Verdict:
		text := s.Code.String()
		if s.Chain != nil {
			text += " " + s.Chain.Name
		}
		if s.Code == firewall.Queue {
			text += fmt.Sprintf(" %d bypass %v", s.Number, s.Bypass)
		}
		return text
	case firewall.NAT:
		return describeNAT(s)
	case firewall.Assign:
		return describeValue(s.Target) + " = " + describeValue(s.Value)
	case firewall.Reject:
		return "reject with " + s.With
	case firewall.InSet:
		return fmt.Sprintf("%s in @%s, inverted %v", describeValue(s.Value), s.Set.Name, s.Invert)
	case firewall.TProxy:
		return fmt.Sprintf("tproxy to %s %s, mark %#x/%#x", describeValue(s.Address), describeValue(s.Port), s.Mark, s.MarkMask)
	}
	return fmt.Sprintf("%T%+v", step, step)
}

func describeSteps(steps []firewall.Step) string {
	var all []string
	for _, s := range steps {
		all = append(all, describeStep(s))
	}
	return strings.Join(all, " & ")
}

func describeNAT(s firewall.NAT) string {
	kind := []string{"source", "destination", "masquerade", "redirect", "by hook"}[s.Kind]
	text := "translate " + kind
	if s.AddressMin != nil {
		text += " to " + describeValue(s.AddressMin) + "-" + describeValue(s.AddressMax)
	}
	if s.PortMin != nil {
		text += " port " + describeValue(s.PortMin) + "-" + describeValue(s.PortMax)
	}
	for name, set := range map[string]bool{" netmap": s.NetMap} {
		if set {
			text += name
		}
	}
	if s.Random {
		text += " random"
	}
	if s.Persistent {
		text += " persistent"
	}
	if s.Offset {
		text += fmt.Sprintf(" from %d on", s.PortBase)
	}
	return text
}

func describeValue(value firewall.Value) string {
	switch v := value.(type) {
	case nil:
		return "same"
	case firewall.Constant:
		return fmt.Sprintf("%x", v.Data)
	case firewall.Payload:
		return fmt.Sprintf("%s[%d:%d]", []string{"link", "network", "transport", "inner", "tunnel"}[v.Base], v.Offset, v.Offset+v.Length)
	case firewall.Meta:
		return fmt.Sprintf("meta(%d)", v.Key)
	case firewall.CT:
		return fmt.Sprintf("ct(%d, %d)", v.Key, v.Dir)
	case firewall.FIB:
		return fmt.Sprintf("fib(%d, flags %#x)", v.Result, v.Flags)
	case firewall.Bitwise:
		if v.Op >= firewall.ShiftLeft {
			return fmt.Sprintf("(%s %s %d)", describeValue(v.Left), []string{"<<", ">>"}[v.Op-firewall.ShiftLeft], v.Shift)
		}
		return fmt.Sprintf("(%s %s %s)", describeValue(v.Left), []string{"&", "|", "^"}[v.Op], describeValue(v.Right))
	case firewall.ByteOrder:
		return fmt.Sprintf("%s(%s)", map[bool]string{true: "hton", false: "ntoh"}[v.ToNetwork], describeValue(v.Value))
	case firewall.Slice:
		return fmt.Sprintf("%s[%d:%d]", describeValue(v.Value), v.Offset, v.Offset+v.Length)
	case firewall.ExtHdr:
		if v.Present {
			return fmt.Sprintf("header(%d, %d) there", v.Op, v.Type)
		}
		return fmt.Sprintf("header(%d, %d)[%d:%d]", v.Op, v.Type, v.Offset, v.Offset+v.Length)
	}
	return fmt.Sprintf("%T%+v", value, value)
}
