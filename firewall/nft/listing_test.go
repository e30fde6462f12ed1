package nft_test

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// A listedRule is a line of "nft -s list ruleset" with where it stood.
type listedRule struct{ family, table, chain, text string }

// listedRules takes the rules out of a listing.
func listedRules(listing string) []listedRule {
	var rules []listedRule
	var at listedRule
	pending, depth, inChain := "", 0, false
	for _, line := range strings.Split(listing, "\n") {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case depth == 0 && len(words) == 4 && words[0] == "table":
			at = listedRule{family: words[1], table: words[2]}
			depth = 1
		case depth == 1 && strings.HasSuffix(line, "{"):
			inChain = words[0] == "chain"
			at.chain = words[1]
			depth = 2
		case line == "}" && pending == "":
			depth--
		case depth == 2 && inChain:
			pending = strings.TrimSpace(pending + " " + line)
			if strings.Count(pending, "{") > strings.Count(pending, "}") {
				continue
			}
			if isRule(pending) {
				at.text = pending
				rules = append(rules, at)
			}
			pending = ""
		}
	}
	return rules
}

func isRule(text string) bool {
	return !strings.HasPrefix(text, "type ") && !strings.HasPrefix(text, `comment "`) && !hasOwnChain(text)
}

// hasOwnChain says that a rule has a chain without a name, which nft prints over several lines.
func hasOwnChain(text string) bool {
	return strings.Contains(text, "jump {") || strings.Contains(text, "goto {")
}

// decodedRules are the rules as this package prints them in nft's words, those of
// iptables-nft too.
func decodedRules(ruleset *firewall.Ruleset) []listedRule {
	for _, table := range ruleset.Tables {
		backend := table.Backend
		table.Backend = firewall.NFTables
		defer func() { table.Backend = backend }()
	}
	var rules []listedRule
	eachRule(ruleset, func(rule *firewall.Rule) {
		if !strings.HasPrefix(rule.Chain.Name, "__chain") && !hasOwnChain(rule.Text()) {
			rules = append(rules, listedRule{rule.Chain.Table.Family.String(), rule.Chain.Table.Name, rule.Chain.Name, rule.Text()})
		}
	})
	return rules
}

func eachRule(ruleset *firewall.Ruleset, f func(*firewall.Rule)) {
	for _, table := range ruleset.Tables {
		for _, chain := range table.Chains {
			for _, rule := range chain.Rules {
				f(rule)
			}
		}
	}
}

// dump is a ruleset in words, for golden files.
func dump(ruleset *firewall.Ruleset) string {
	var b strings.Builder
	for _, table := range ruleset.Tables {
		fmt.Fprintf(&b, "table %s %s (%s)\n", table.Family, table.Name, table.Backend)
		for _, object := range table.Objects {
			fmt.Fprintf(&b, "  %s %q over=%t\n", object.Kind, object.Name, object.Over)
		}
		for _, set := range table.Sets {
			fmt.Fprintf(&b, "  set %s\n", dumpSet(set))
			for _, element := range set.Elements {
				fmt.Fprintf(&b, "    %s\n", dumpElement(element))
			}
			if set.CatchAll != nil {
				fmt.Fprintf(&b, "    * %s\n", dumpElement(*set.CatchAll))
			}
		}
		for _, chain := range table.Chains {
			fmt.Fprintf(&b, "  chain %s%s\n", chain.Name, dumpBase(chain.Base))
			for _, rule := range chain.Rules {
				fmt.Fprintf(&b, "    %s\n", rule.Text())
				for _, step := range rule.Steps {
					fmt.Fprintf(&b, "      %s\n", dumpStep(step))
				}
			}
		}
	}
	return b.String()
}

func dumpBase(base *firewall.Base) string {
	if base == nil {
		return ""
	}
	return fmt.Sprintf(" %s %s %d %s %v", base.Type, base.Hook, base.Priority, base.Policy, base.Devices)
}

func dumpSet(s *firewall.Set) string {
	text := fmt.Sprintf("%s key=%q %d bytes fields=%v", s.Name, s.KeyType, s.KeyLength, s.Fields)
	if s.Map {
		text += fmt.Sprintf(" data=%q", s.DataType)
	}
	return text + fmt.Sprintf(" interval=%t dynamic=%t timeout=%s comment=%q", s.Interval, s.Dynamic, s.Timeout, s.Comment)
}

func dumpElement(e firewall.Element) string {
	text := fmt.Sprintf("%x-%x", e.Key, e.KeyEnd)
	if e.Data != nil {
		text += fmt.Sprintf(" : %x", e.Data)
	}
	if e.Verdict != nil {
		text += " : " + dumpStep(*e.Verdict)
	}
	if e.Object != "" {
		text += " : " + e.Object
	}
	for _, step := range e.Steps {
		text += " " + dumpStep(step)
	}
	if e.Timeout != 0 {
		text += " timeout " + e.Timeout.String()
	}
	return text + " " + e.Comment
}

// dumpStep prints a step with names for what it points to.
func dumpStep(step firewall.Step) string {
	switch s := step.(type) {
	case firewall.InSet:
		return fmt.Sprintf("InSet{%t %s %s}", s.Invert, dumpValue(s.Value), s.Set.Name)
	case firewall.Verdict:
		if s.Chain != nil {
			return fmt.Sprintf("%s %s", s.Code, s.Chain.Name)
		}
		return fmt.Sprintf("%s %d %t", s.Code, s.Number, s.Bypass)
	case firewall.VerdictMap:
		return fmt.Sprintf("VerdictMap{%s %s}", dumpValue(s.Key), s.Map.Name)
	case firewall.ObjectRef:
		if s.Map != nil {
			return fmt.Sprintf("ObjectRef{%s %s %s}", s.Kind, dumpValue(s.Key), s.Map.Name)
		}
		return fmt.Sprintf("ObjectRef{%s %s}", s.Kind, s.Object.Name)
	case firewall.DynSet:
		text := fmt.Sprintf("DynSet{%s %s %s %s %t", s.Operation, s.Set.Name, dumpValue(s.Key), dumpValue(s.Data), s.Invert)
		for _, inner := range s.Steps {
			text += " " + dumpStep(inner)
		}
		return text + "}"
	case firewall.Compare:
		return fmt.Sprintf("Compare{%d %s %x}", s.Op, dumpValue(s.Value), s.Data)
	case firewall.Range:
		return fmt.Sprintf("Range{%t %s %x %x}", s.Invert, dumpValue(s.Value), s.From, s.To)
	case firewall.Assign:
		return fmt.Sprintf("Assign{%s %s}", dumpValue(s.Target), dumpValue(s.Value))
	case firewall.NAT:
		return fmt.Sprintf("NAT{%d %s %s-%s %s-%s netmap=%t random=%t persistent=%t}", s.Kind, s.Family, dumpValue(s.AddressMin), dumpValue(s.AddressMax),
			dumpValue(s.PortMin), dumpValue(s.PortMax), s.NetMap, s.Random, s.Persistent)
	case firewall.TProxy:
		return fmt.Sprintf("TProxy{%s %s %s}", s.Family, dumpValue(s.Address), dumpValue(s.Port))
	case firewall.Dup:
		return fmt.Sprintf("Dup{%s %s}", dumpValue(s.Address), dumpValue(s.Device))
	case firewall.Forwarding:
		return fmt.Sprintf("Forwarding{%s %s}", dumpValue(s.Address), dumpValue(s.Device))
	}
	return fmt.Sprintf("%T%v", step, step)
}

func dumpValue(value firewall.Value) string {
	switch v := value.(type) {
	case nil:
		return "-"
	case firewall.Constant:
		return fmt.Sprintf("%x", v.Data)
	case firewall.Bitwise:
		return fmt.Sprintf("Bitwise{%d %s %s %d %d}", v.Op, dumpValue(v.Left), dumpValue(v.Right), v.Shift, v.Length)
	case firewall.ByteOrder:
		return fmt.Sprintf("ByteOrder{%s %t %d %d}", dumpValue(v.Value), v.ToNetwork, v.Size, v.Length)
	case firewall.Slice:
		return fmt.Sprintf("%s[%d:+%d]", dumpValue(v.Value), v.Offset, v.Length)
	case firewall.MapLookup:
		return fmt.Sprintf("%s[%s]", v.Map.Name, dumpValue(v.Key))
	case firewall.Concat:
		var parts []string
		for _, part := range v.Parts {
			parts = append(parts, dumpValue(part))
		}
		return strings.Join(parts, ".")
	}
	return strings.TrimPrefix(fmt.Sprintf("%T%v", value, value), "firewall.")
}
