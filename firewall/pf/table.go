package pf

import (
	"fmt"
	"strings"
)

// tableStatement reads: table <name> [persist] [const] [counters] [file "x"] [{ … }].
func (p *parser) tableStatement() error {
	at := p.tok
	if err := p.advance(); err != nil {
		return err
	}
	name, err := p.tableName()
	if err != nil {
		return err
	}
	t := p.anchor.ownTable(name)
	t.Entries, t.Written, t.Unread = nil, nil, ""
	for p.tok.kind == word || p.isSymbol("{") {
		if err := p.tableOption(t); err != nil {
			return err
		}
	}
	if len(t.Entries) > maxRules*8 {
		return at.errorf("table <%s> has more than %d entries", name, maxRules*8)
	}
	p.anchor.Defined = true
	if p.anchor.loaded {
		return nil // nor does pfctl print it
	}
	p.anchor.Order = append(p.anchor.Order, t)
	return nil
}

// ownTable finds or makes the anchor's own table of a name.
func (a *Anchor) ownTable(name string) *Table {
	for _, t := range a.Tables {
		if t.Name == name {
			return t
		}
	}
	t := &Table{Name: name, Anchor: a}
	a.Tables = append(a.Tables, t)
	return t
}

func (p *parser) tableOption(t *Table) error {
	if p.isSymbol("{") {
		part := tablePart{list: true}
		err := p.between("{", "}", func() error {
			found, err := p.tableHost()
			part.entries = append(part.entries, found...)
			return err
		})
		t.Written = append(t.Written, part)
		t.Entries = append(t.Entries, part.entries...)
		return err
	}
	at, keyword := p.tok, p.tok.text
	if err := p.advance(); err != nil {
		return err
	}
	switch keyword {
	case "persist":
		t.Persist = true
	case "const":
		t.Const = true
	case "counters":
		t.Counters = true
	case "file":
		return p.tableFile(t)
	default:
		return at.errorf("unknown table option %q", keyword)
	}
	return nil
}

func (p *parser) tableHost() ([]Address, error) {
	at := p.tok
	found, err := p.host()
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		switch a.Kind {
		case TableName:
			return nil, at.errorf("tables cannot contain tables")
		case Dynamic:
			return nil, at.errorf("dynamic addresses are not permitted inside tables")
		case NoRoute, URPFFailed, Any, RouteLabel, Range:
			return nil, at.errorf("%q is not permitted inside tables", addressText(a))
		}
	}
	return found, nil
}

// tableFile reads a file of addresses, one or more a line.
func (p *parser) tableFile(t *Table) error {
	at := p.tok
	name, err := p.text()
	if err != nil {
		return err
	}
	t.Written = append(t.Written, tablePart{file: name})
	content, ok, err := p.open(name)
	if err != nil {
		return at.errorf("cannot load %q: %v", name, err)
	}
	if !ok {
		t.Unread = name
		p.rules.unread(fmt.Sprintf("table <%s>, loaded from %s", t.Name, name))
		return nil
	}
	found, err := p.addressList(name, content)
	t.Entries = append(t.Entries, found...)
	return err
}

// addressList reads what stands in a table's file, and what "pfctl -T show"
// prints: addresses, with "!" before negated ones, comments behind "#" and ";".
func (p *parser) addressList(name string, content []byte) ([]Address, error) {
	var out []Address
	number := 0
	for line := range strings.Lines(string(content)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		line, _, _ = strings.Cut(line, ";")
		fields := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(line, "!", " !"), ",", " "))
		not := false
		for _, field := range fields {
			if field == "!" {
				not = true
				continue
			}
			field, negated := strings.CutPrefix(field, "!")
			host, mask, masked := strings.Cut(field, "/")
			at := token{kind: word, text: field, file: name, line: number}
			bits, err := maskBits(at, mask, masked)
			if err != nil {
				return out, err
			}
			found, err := p.resolve(at, host, bits)
			if err != nil {
				return out, err
			}
			for i := range found {
				found[i].Not = not || negated
			}
			not = false
			if out = append(out, found...); len(out) > maxRules*8 {
				return out, at.errorf("more than %d addresses", maxRules*8)
			}
		}
	}
	return out, nil
}

func maskBits(at token, mask string, masked bool) (int, error) {
	if !masked {
		return -1, nil
	}
	bits := 0
	if !isNumber(mask) || len(mask) > 3 {
		return 0, at.errorf("invalid netmask %q", mask)
	}
	for _, c := range mask {
		bits = bits*10 + int(c-'0')
	}
	if bits > 128 {
		return 0, at.errorf("netmask is too large: /%d", bits)
	}
	return bits, nil
}

// text prints a table as pfctl -nvf does.
func (t *Table) text() string {
	s := "table <" + t.Name + ">"
	if t.Const {
		s += " const"
	}
	if t.Persist {
		s += " persist"
	}
	if t.Counters {
		s += " counters"
	}
	var lists []string
	flush := func() {
		if lists != nil {
			s += " { " + strings.Join(lists, " ") + " }"
			lists = nil
		}
	}
	for _, part := range t.Written {
		if !part.list {
			flush()
			s += fmt.Sprintf(" file %q", part.file)
			continue
		}
		if lists == nil {
			lists = []string{}
		}
		for _, a := range part.entries {
			text := addressText(a)
			lists = append(lists, strings.Replace(text, "! ", "!", 1))
		}
	}
	flush()
	return s
}
