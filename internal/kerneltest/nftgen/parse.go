package nftgen

import (
	"fmt"
	"strings"
)

// Parse reads what "nft list ruleset" printed. Rules and the insides of sets and
// objects stay as they are, in one piece a line.
func Parse(listing string) (Script, error) {
	p := parser{lines: strings.Split(listing, "\n")}
	var s Script
	for {
		line, ok := p.next()
		if !ok {
			return s, nil
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		t, err := p.table(line)
		if err != nil {
			return s, err
		}
		s.Tables = append(s.Tables, t)
	}
}

type parser struct {
	lines []string
	at    int
}

// next is the next line, and those after it until its inner braces are closed. A
// brace that ends the line opens a block instead.
func (p *parser) next() (string, bool) {
	if p.at >= len(p.lines) {
		return "", false
	}
	line := strings.TrimSpace(p.lines[p.at])
	p.at++
	if opensBlock(line) {
		return line, true
	}
	separator := " "
	if strings.HasSuffix(line, "jump {") || strings.HasSuffix(line, "goto {") {
		separator = "; " // the rules of a chain without a name
	}
	for strings.Count(line, "{") > strings.Count(line, "}") && p.at < len(p.lines) {
		line += separator + strings.TrimSpace(p.lines[p.at])
		p.at++
	}
	return strings.ReplaceAll(line, "{;", "{"), true
}

// opensBlock says that the lines that follow are parts of their own.
func opensBlock(line string) bool {
	if !strings.HasSuffix(line, "{") || strings.Count(line, "{") != 1 {
		return false
	}
	for _, word := range []string{"=", "map {", "jump {", "goto {"} {
		if strings.Contains(line, word) {
			return strings.HasPrefix(line, "table ") || strings.HasPrefix(line, "map ")
		}
	}
	return true
}

func (p *parser) table(head string) (Table, error) {
	words := strings.Fields(head)
	if len(words) < 4 || words[0] != "table" {
		return Table{}, fmt.Errorf("want a table: %q", head)
	}
	t := Table{Family: words[1], Name: words[2]}
	for {
		line, ok := p.next()
		switch {
		case !ok:
			return t, fmt.Errorf("table %s is not closed", t.Name)
		case line == "}":
			return t, nil
		case line == "flags dormant":
			t.Dormant = true
		case strings.HasPrefix(line, "chain ") && strings.HasSuffix(line, "{"):
			t.Chains = append(t.Chains, p.chain(strings.Fields(line)[1]))
		case strings.HasSuffix(line, "{"):
			words := strings.Fields(line)
			s := Set{Keyword: strings.Join(words[:len(words)-2], " "), Name: words[len(words)-2]}
			s.Lines = p.block()
			t.Sets = append(t.Sets, s)
		}
	}
}

func (p *parser) chain(name string) Chain {
	c := Chain{Name: name}
	for _, line := range p.block() {
		if strings.HasPrefix(line, "type ") && strings.Contains(line, " hook ") {
			c.Base = line
			continue
		}
		c.Rules = append(c.Rules, Rule{line})
	}
	return c
}

// block is the lines up to the closing brace.
func (p *parser) block() (lines []string) {
	for {
		line, ok := p.next()
		if !ok || line == "}" {
			return lines
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
}
