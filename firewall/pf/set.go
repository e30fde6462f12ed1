package pf

import (
	"fmt"
	"slices"
	"strings"
)

// setOption reads "set …".
func (p *parser) setOption() error {
	if err := p.advance(); err != nil {
		return err
	}
	if p.anchor.Parent != nil || p.anchor != p.rules.Main {
		if !p.is("skip") && !p.is("block-policy") && !p.is("timeout") && !p.is("limit") && !p.is("optimization") && !p.is("state-policy") {
			return p.tok.errorf("%q can't be set in an anchor", p.tok.text)
		}
	}
	at, keyword := p.tok, p.tok.text
	if p.tok.kind != word {
		return p.unexpected()
	}
	if err := p.advance(); err != nil {
		return err
	}
	switch keyword {
	case "skip":
		return p.skip()
	case "block-policy":
		return p.blockPolicy()
	case "timeout", "limit":
		return p.list(func() error { return p.numberOption(keyword) })
	case "reassemble":
		return p.reassemble()
	case "hostid":
		return p.hostID()
	}
	if !slices.Contains(p.setWords(), keyword) {
		return at.errorf("unknown option %q", keyword)
	}
	if keyword == "syncookies" || keyword == "state-defaults" || keyword == "keepcounters" {
		return p.restOfOption(keyword)
	}
	value := p.tok
	text, err := p.text()
	if err != nil {
		return err
	}
	if !known(keyword, text) {
		return value.errorf("unknown %s %q", keyword, text)
	}
	if keyword == "fingerprints" {
		text = `"` + text + `"`
	}
	p.note(keyword + " " + text)
	return nil
}

func (p *parser) setWords() []string {
	words := strings.Fields("optimization ruleset-optimization loginterface state-policy state-defaults fingerprints debug syncookies")
	if p.options.Dialect != OpenBSD {
		words = append(words, "require-order", "keepcounters", "fail-policy")
	}
	return words
}

// known says that a value is one that an option takes.
func known(option, value string) bool {
	values := map[string]string{
		"optimization":         "normal default satellite high-latency conservative aggressive",
		"ruleset-optimization": "none basic profile yes no",
		"state-policy":         "if-bound floating group-bound",
		"require-order":        "yes no",
		"fail-policy":          "drop return",
	}[option]
	return values == "" || slices.Contains(strings.Fields(values), value)
}

func (p *parser) note(text string) {
	p.rules.Statements = append(p.rules.Statements, Statement{"set", "set " + text})
}

// skip reads "set skip on lo", "set skip on { lo em1 }".
func (p *parser) skip() error {
	if ok, err := p.accept("on"); err != nil || !ok {
		return orUnexpected(p, err)
	}
	var names []string
	err := p.list(func() error {
		not, err := p.not()
		if err != nil {
			return err
		}
		name, err := p.text()
		if not {
			return p.tok.errorf("set skip on ! %s: interfaces can't be negated here", name)
		}
		names = append(names, name)
		return err
	})
	p.rules.Skip = append(p.rules.Skip, names...)
	for _, name := range names {
		p.note("skip on { " + name + " }")
	}
	return err
}

func (p *parser) blockPolicy() error {
	at := p.tok
	value, err := p.text()
	if err != nil {
		return err
	}
	switch value {
	case "drop":
		p.policy = ReturnDrop
	case "return":
		p.policy = ReturnAny
	default:
		return at.errorf("unknown block-policy %q", value)
	}
	p.note("block-policy " + value)
	return nil
}

// numberOption reads one "NAME NUMBER" of set timeout and set limit.
func (p *parser) numberOption(keyword string) error {
	at := p.tok
	name, err := p.text()
	if err != nil {
		return err
	}
	if keyword == "timeout" && !isTimeout(name) {
		return at.errorf("unknown timeout %q", name)
	}
	if keyword == "limit" && !slices.Contains(strings.Fields("states frags src-nodes tables table-entries pktdelay-pkts anchors eth-anchors app-states"), name) {
		return at.errorf("unknown limit %q", name)
	}
	n, err := p.integer(name, 0, 1<<32-1)
	if err == nil {
		p.note(fmt.Sprintf("%s %s %d", keyword, name, n))
	}
	return err
}

func (p *parser) reassemble() error {
	at := p.tok
	value, err := p.text()
	if err != nil {
		return err
	}
	if value != "yes" && value != "no" {
		return at.errorf("set reassemble is yes or no")
	}
	noDF, err := p.accept("no-df")
	text := "reassemble " + value + " "
	if noDF {
		text += "no-df"
	}
	p.note(text)
	return err
}

func (p *parser) hostID() error {
	at := p.tok
	n, err := p.integer("hostid", 0, 1<<32-1)
	if err != nil {
		return err
	}
	if n == 0 {
		return at.errorf("hostid must be non-zero")
	}
	p.note(fmt.Sprintf("hostid 0x%08x", n))
	return nil
}

// restOfOption keeps what an option says without its meaning.
func (p *parser) restOfOption(keyword string) error {
	var parts []string
	for p.tok.kind != newline && p.tok.kind != endOfFile {
		parts = append(parts, p.tok.text)
		if err := p.advance(); err != nil {
			return err
		}
	}
	p.note(strings.TrimSpace(keyword + " " + strings.Join(parts, " ")))
	return nil
}
