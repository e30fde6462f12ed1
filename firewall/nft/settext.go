package nft

import (
	"strings"

	"github.com/netglance/netglance/firewall"
)

// setText is a set as a rule names it: "@name", or an anonymous set's elements.
// The key's formats come from what is looked up.
func setText(s *firewall.Set, key *operand) string {
	if !s.Anonymous {
		return "@" + s.Name
	}
	formats := keyFormats(key)
	var elements []string
	for i := range s.Elements {
		elements = append(elements, elementText(s, &s.Elements[i], formats))
	}
	if s.CatchAll != nil {
		elements = append(elements, "*"+dataText(s, s.CatchAll))
	}
	return "{ " + strings.Join(elements, ", ") + " }"
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

func elementText(s *firewall.Set, e *firewall.Element, formats []keyPart) string {
	var parts []string
	offset := uint32(0)
	for i, f := range formats {
		end := offset + f.length
		if i == 0 && len(formats) == 1 {
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
	return text + dataText(s, e)
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

// dataText is what an element of a map stands for.
func dataText(s *firewall.Set, e *firewall.Element) string {
	switch {
	case e.Verdict != nil:
		return " : " + verdictText(*e.Verdict)
	case s.ObjectMap:
		return " : " + quote(e.Object)
	case s.Map:
		return " : " + mapDataText(s, e.Data)
	}
	return ""
}

func mapDataText(s *firewall.Set, data []byte) string {
	var parts []string
	rest := data
	for _, name := range strings.Split(s.DataType, " . ") {
		length := int(typeLength(name))
		if length == 0 {
			length = len(rest)
		}
		if length > len(rest) {
			return "[data]"
		}
		f := hostFormat(name)
		parts = append(parts, f.value(rest[:length]))
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	text := strings.Join(parts, " . ")
	if len(rest) > 0 && len(parts) == 1 && 2*len(rest) == len(data) {
		return typeFormat(s.DataType).between(data[:len(rest)], rest)
	}
	return text
}

func verdictText(v firewall.Verdict) string {
	if v.Chain != nil {
		return v.Code.String() + " " + v.Chain.Name
	}
	return v.Code.String()
}
