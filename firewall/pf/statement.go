package pf

import (
	"strings"
)

// configuration reads statements to the end.
func (p *parser) configuration() error {
	if err := p.advance(); err != nil {
		return err
	}
	for p.tok.kind != endOfFile {
		if err := p.statement(); err != nil {
			return err
		}
	}
	return nil
}

// statement reads one statement and the end of its line.
func (p *parser) statement() error {
	if p.tok.kind == newline {
		return p.advance()
	}
	next, err := p.peek()
	if err != nil {
		return err
	}
	if p.tok.kind == word && next.kind == symbol && next.text == "=" {
		err = p.macro()
	} else {
		err = p.keyword()
	}
	if err != nil {
		return err
	}
	if p.rules.rules > maxRules {
		return p.tok.errorf("more than %d rules", maxRules)
	}
	return p.endOfStatement()
}

func (p *parser) keyword() error {
	if p.tok.kind != word {
		return p.unexpected()
	}
	switch p.tok.text {
	case "pass", "block", "match":
		return p.filterRule()
	case "anchor":
		return p.anchorRule()
	case "set":
		return p.setOption()
	case "table":
		return p.tableStatement()
	case "antispoof":
		return p.antispoof()
	case "include":
		return p.include()
	case "load":
		return p.loadAnchor()
	case "queue":
		return p.queueStatement()
	case "altq":
		return p.opaque("queue")
	}
	if p.options.Dialect == OpenBSD {
		return p.unexpected()
	}
	return p.oldKeyword()
}

// oldKeyword reads what OpenBSD has left behind, and what others added.
func (p *parser) oldKeyword() error {
	no, err := p.accept("no")
	if err != nil {
		return err
	}
	switch p.tok.text {
	case "nat", "rdr":
		return p.translationRule(no)
	case "binat":
		return p.binatRule(no)
	case "scrub":
		return p.scrubRule(no)
	}
	if no {
		return p.unexpected()
	}
	switch p.tok.text {
	case "nat-anchor", "rdr-anchor", "binat-anchor", "scrub-anchor", "dummynet-anchor":
		return p.oldAnchor()
	case "dummynet":
		return p.dummynetRule()
	case "ether":
		return p.etherRule()
	}
	return p.unexpected()
}

// macro reads NAME = STRING…; several strings become one with spaces between.
func (p *parser) macro() error {
	name := p.tok.text
	for i := range len(name) {
		if !isAlnum(name[i]) && name[i] != '_' {
			return p.tok.errorf("macro name %q may hold letters, digits and _ only", name)
		}
	}
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.advance(); err != nil {
		return err
	}
	var parts []string
	size := 0
	for p.tok.kind == word || p.tok.kind == quoted {
		if size += len(p.tok.text) + 1; size > maxExpanding {
			return p.tok.errorf("macro %q is longer than %d bytes", name, maxExpanding)
		}
		parts = append(parts, p.tok.text)
		if err := p.advance(); err != nil {
			return err
		}
	}
	if parts == nil {
		return p.unexpected()
	}
	value := strings.Join(parts, " ")
	p.rules.Statements = append(p.rules.Statements, Statement{"macro", name + ` = "` + value + `"`})
	if _, fixed := p.options.Macros[name]; !fixed {
		p.macros[name] = value
	}
	return nil
}

// include reads another file in place.
func (p *parser) include() error {
	at := p.tok
	if err := p.advance(); err != nil {
		return err
	}
	name, err := p.text()
	if err != nil {
		return err
	}
	if err := p.endOfStatement(); err != nil {
		return err
	}
	if p.includes++; p.includes > maxIncludes {
		return at.errorf("more than %d files are included", maxIncludes)
	}
	content, ok, err := p.open(name)
	if err != nil {
		return at.errorf("include: %v", err)
	}
	if !ok {
		return at.errorf("include: %s can't be read here, and the rules can't be known without it", name)
	}
	q := newParser(p.rules, p.anchor, name, string(content), p.options)
	q.macros, q.policy, q.automatic, q.includes, q.queues, q.expanded = p.macros, p.policy, p.automatic, p.includes, p.queues, p.expanded
	if err := q.configuration(); err != nil {
		return err
	}
	p.policy, p.queues, p.loads, p.expanded = q.policy, q.queues, append(p.loads, q.loads...), q.expanded
	return nil
}

// loadAnchor reads "load anchor NAME from FILE".
func (p *parser) loadAnchor() error {
	at := p.tok
	if err := p.advance(); err != nil {
		return err
	}
	if ok, err := p.accept("anchor"); err != nil || !ok {
		return orUnexpected(p, err)
	}
	name, err := p.name()
	if err != nil {
		return err
	}
	if ok, err := p.accept("from"); err != nil || !ok {
		return orUnexpected(p, err)
	}
	file, err := p.text()
	if err != nil {
		return err
	}
	a, err := p.anchorAt(p.anchor, name)
	if err != nil {
		return at.errorf("load anchor: %v", err)
	}
	p.loads = append(p.loads, load{a, file, at})
	return nil
}

func orUnexpected(p *parser, err error) error {
	if err != nil {
		return err
	}
	return p.unexpected()
}

// opaque keeps a statement that decides nothing about packets as it is written.
func (p *parser) opaque(kind string) error {
	var parts []string
	for p.tok.kind != newline && p.tok.kind != endOfFile {
		text := p.tok.text
		if p.tok.kind == quoted {
			text = `"` + text + `"`
		}
		if p.isSymbol("{") {
			list, err := p.opaqueList()
			if err != nil {
				return err
			}
			parts = append(parts, list)
			continue
		}
		parts = append(parts, text)
		if err := p.advance(); err != nil {
			return err
		}
	}
	p.rules.Statements = append(p.rules.Statements, Statement{kind, strings.Join(parts, " ")})
	return nil
}

func (p *parser) opaqueList() (string, error) {
	var parts []string
	err := p.between("{", "}", func() error {
		if p.tok.kind == endOfFile {
			return p.unexpected()
		}
		parts = append(parts, p.tok.text)
		return p.advance()
	})
	return "{ " + strings.Join(parts, " ") + " }", err
}
