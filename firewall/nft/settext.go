package nft

import (
	"cmp"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// setText is a set as a rule names it: "@name", or an anonymous set's elements.
// The key's formats come from what is looked up.
func setText(s *firewall.Set, key *operand, names *interfaceNames) string {
	if !s.Anonymous {
		return "@" + s.Name
	}
	t := elementPrinter{set: s, parts: keyFormats(key), interfaces: names}
	for i := range t.parts {
		t.parts[i].interfaces = names
	}
	var elements []string
	for _, e := range t.sorted() {
		elements = append(elements, t.element(e))
	}
	if s.CatchAll != nil {
		elements = append(elements, "*"+t.data(s.CatchAll))
	}
	return "{ " + strings.Join(elements, ", ") + " }"
}

// An elementPrinter writes the elements of one set.
type elementPrinter struct {
	set        *firewall.Set
	parts      []keyPart
	interfaces *interfaceNames
}

// sorted is the elements in nft's order: by number for a single key, and for a
// concatenation as if its bytes were one number, the last byte highest.
func (t elementPrinter) sorted() []*firewall.Element {
	elements := make([]*firewall.Element, len(t.set.Elements))
	for i := range elements {
		elements[i] = &t.set.Elements[i]
	}
	lastHighest := len(t.parts) > 1 || t.parts[0].host
	if t.set.Interval || !lastHighest {
		return elements
	}
	slices.SortStableFunc(elements, func(a, b *firewall.Element) int {
		for i := min(len(a.Key), len(b.Key)) - 1; i >= 0; i-- {
			if c := cmp.Compare(a.Key[i], b.Key[i]); c != 0 {
				return c
			}
		}
		return 0
	})
	return elements
}

// A keyPart is a part of a set's key.
type keyPart struct {
	format
	length uint32 // bytes, without padding
}

func keyFormats(key *operand) []keyPart {
	if key.kind != kindConcat {
		return []keyPart{{key.format, key.length}}
	}
	var formats []keyPart
	for _, part := range key.parts {
		formats = append(formats, keyPart{part.format, part.length})
	}
	return formats
}

func (t elementPrinter) element(e *firewall.Element) string {
	var parts []string
	offset := uint32(0)
	for i, f := range t.parts {
		end := offset + f.length
		if i == 0 && len(t.parts) == 1 {
			end = uint32(len(e.Key))
		}
		if end > uint32(len(e.Key)) || end > uint32(len(e.KeyEnd)) {
			return "[element]"
		}
		parts = append(parts, f.between(e.Key[offset:end], e.KeyEnd[offset:end]))
		offset += (f.length + 3) &^ 3
	}
	text := strings.Join(parts, " . ")
	for _, step := range e.Steps {
		text += stepText(step)
	}
	if e.Timeout != 0 {
		text += " timeout " + durationText(e.Timeout)
	}
	if e.Comment != "" {
		text += " comment " + quote(e.Comment)
	}
	return text + t.data(e)
}

// stepText is a statement of an element.
func stepText(step firewall.Step) string {
	switch s := step.(type) {
	case firewall.Passive:
		return " " + s.Text
	case firewall.Chance:
		return " " + s.Text
	}
	return ""
}

// data is what an element of a map stands for.
func (t elementPrinter) data(e *firewall.Element) string {
	switch {
	case e.Verdict != nil:
		return " : " + verdictText(*e.Verdict)
	case t.set.ObjectMap:
		return " : " + quote(e.Object)
	case t.set.Map:
		return " : " + t.mapData(e.Data)
	}
	return ""
}

func (t elementPrinter) mapData(data []byte) string {
	var parts []string
	rest := data
	for _, name := range strings.Split(t.set.DataType, " . ") {
		length := int(typeLength(name))
		if length == 0 {
			length = len(rest)
		}
		if length > len(rest) {
			return "[data]"
		}
		f := hostFormat(name)
		f.interfaces = t.interfaces
		parts = append(parts, f.value(rest[:length]))
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	text := strings.Join(parts, " . ")
	if len(rest) > 0 && len(parts) == 1 && 2*len(rest) == len(data) {
		return typeFormat(t.set.DataType).between(data[:len(rest)], rest)
	}
	return text
}

func verdictText(v firewall.Verdict) string {
	if v.Chain != nil && isBinding(v.Chain) {
		return v.Code.String() + " { " + bindingText(v.Chain) + " }"
	}
	if v.Chain != nil {
		return v.Code.String() + " " + v.Chain.Name
	}
	return v.Code.String()
}

// isBinding says that a chain is part of the one rule that jumps to it
// (NFT_CHAIN_BINDING): the kernel names it, and no other may be named so.
func isBinding(c *firewall.Chain) bool { return c.Base == nil && strings.HasPrefix(c.Name, "__chain") }

// bindingText is such a chain's rules. One within another is left out.
func bindingText(c *firewall.Chain) string {
	var rules []string
	for _, r := range c.Rules {
		if jumpsToBinding(r) {
			rules = append(rules, "[nested chain]")
			continue
		}
		rules = append(rules, r.Text())
	}
	return strings.Join(rules, "; ")
}

func jumpsToBinding(r *firewall.Rule) bool {
	for _, step := range r.Steps {
		if v, ok := step.(firewall.Verdict); ok && v.Chain != nil && isBinding(v.Chain) {
			return true
		}
	}
	return false
}
