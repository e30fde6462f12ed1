package pf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/netglance/netglance/firewall"
)

// ErrElsewhere says of a file that it is on the machine that the rules are for.
var ErrElsewhere = errors.New("the file is not here")

// Options are what a configuration is read with.
type Options struct {
	Dialect Dialect
	// Network gives interfaces their groups and addresses; nil where nothing is known.
	Network *firewall.Network
	// Open reads the files that tables, includes and "load anchor" name. Nil, or
	// ErrElsewhere for one of them, leaves it unread.
	Open func(name string) ([]byte, error)
	// Macros are set before the first line (pfctl -D).
	Macros map[string]string
}

// Parse reads a pf.conf. Name is the file's, for errors, which are *Error.
func Parse(name string, text []byte, o Options) (*Ruleset, error) {
	if o.Dialect == Unknown {
		o.Dialect = detect(text)
	}
	text, listing, err := listed(name, text)
	if err != nil {
		return nil, err
	}
	rs := &Ruleset{Dialect: o.Dialect, Main: &Anchor{Defined: true}}
	p := newParser(rs, rs.Main, name, string(text), o)
	p.listing = listing
	if err := p.configuration(); err != nil {
		return nil, err
	}
	if err := p.queues.check(); err != nil {
		return nil, &Error{File: name, Line: p.tok.line, Reason: err.Error()}
	}
	if err := p.loadAnchors(); err != nil {
		return nil, err
	}
	rs.resolveCalls()
	return rs, nil
}

// A parser reads statements into a ruleset.
type parser struct {
	*lexer
	tok, ahead token
	peeked     bool

	rules   *Ruleset
	anchor  *Anchor
	options Options
	policy  Return
	links   *links
	queues  queueList
	loads   []load
	// includes is how deep include statements stand in each other, automatic how
	// many tables were made of pools.
	includes int
	// listing says that the text is what pfctl prints, not a file that it reads.
	listing   bool
	automatic *int
	depth     int
}

// A load is a "load anchor" statement: its file is read after everything else.
type load struct {
	anchor *Anchor
	file   string
	at     token
}

func newParser(rs *Ruleset, a *Anchor, name, text string, o Options) *parser {
	return &parser{
		lexer: newLexer(name, text, o.Macros), rules: rs, anchor: a, options: o,
		policy: ReturnDrop, links: newLinks(o.Network, o.Dialect), automatic: new(int),
	}
}

// advance reads the next token.
func (p *parser) advance() error {
	if p.peeked {
		p.tok, p.peeked = p.ahead, false
		return nil
	}
	var err error
	p.tok, err = p.next()
	return err
}

// peek is the token after the current one.
func (p *parser) peek() (token, error) {
	if !p.peeked {
		var err error
		if p.ahead, err = p.next(); err != nil {
			return token{}, err
		}
		p.peeked = true
	}
	return p.ahead, nil
}

func (p *parser) unexpected() error { return p.tok.errorf("syntax error at %v", p.tok) }

// is says that the current token is a keyword.
func (p *parser) is(keyword string) bool { return p.tok.kind == word && p.tok.text == keyword }

func (p *parser) isSymbol(s string) bool { return p.tok.kind == symbol && p.tok.text == s }

// accept takes a keyword if it is there.
func (p *parser) accept(keyword string) (bool, error) {
	if !p.is(keyword) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) acceptSymbol(s string) (bool, error) {
	if !p.isSymbol(s) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) expectSymbol(s string) error {
	if !p.isSymbol(s) {
		return p.tok.errorf("syntax error: %q expected at %v", s, p.tok)
	}
	return p.advance()
}

// text takes a string, in quotes or not.
func (p *parser) text() (string, error) {
	if p.tok.kind != word && p.tok.kind != quoted {
		return "", p.unexpected()
	}
	s := p.tok.text
	return s, p.advance()
}

// name takes a string that is no number: pfctl reads bare numbers as such.
func (p *parser) name() (string, error) {
	if p.tok.kind == word && isNumber(p.tok.text) {
		return "", p.unexpected()
	}
	return p.text()
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// number takes a number in from..to.
func (p *parser) number(what string, from, to int) (int, error) {
	n, err := p.integer(what, int64(from), int64(to))
	return int(n), err
}

// integer is number for those that fill 32 bits.
func (p *parser) integer(what string, from, to int64) (int64, error) {
	if p.tok.kind != word && p.tok.kind != quoted {
		return 0, p.unexpected()
	}
	n, err := strconv.ParseInt(p.tok.text, 0, 64)
	if err != nil {
		return 0, p.tok.errorf("%s expected at %v", what, p.tok)
	}
	if n < from || n > to {
		return 0, p.tok.errorf("illegal %s value %d: it is %d to %d", what, n, from, to)
	}
	return n, p.advance()
}

// list reads item, or items in braces, which may stand on several lines with or
// without commas between.
func (p *parser) list(item func() error) error {
	if !p.isSymbol("{") {
		return item()
	}
	return p.between("{", "}", item)
}

// between reads items in brackets.
func (p *parser) between(open, shut string, item func() error) error {
	if err := p.expectSymbol(open); err != nil {
		return err
	}
	if err := p.skipNewlines(); err != nil {
		return err
	}
	for !p.isSymbol(shut) {
		// a list in a list, such as a macro's own braces, is one list
		if open == "{" && p.isSymbol("{") {
			if err := p.nested(func() error { return p.between(open, shut, item) }); err != nil {
				return err
			}
		} else if err := item(); err != nil {
			return err
		}
		if err := p.skipSeparators(); err != nil {
			return err
		}
	}
	return p.advance()
}

// nested guards against lists and anchors that stand too deep in each other.
func (p *parser) nested(f func() error) error {
	if p.depth++; p.depth > maxDepth {
		return p.tok.errorf("braces stand more than %d deep in each other", maxDepth)
	}
	defer func() { p.depth-- }()
	return f()
}

func (p *parser) skipSeparators() error {
	if _, err := p.acceptSymbol(","); err != nil {
		return err
	}
	return p.skipNewlines()
}

func (p *parser) skipNewlines() error {
	for p.tok.kind == newline {
		if err := p.advance(); err != nil {
			return err
		}
	}
	return nil
}

// endOfStatement wants the end of the line.
func (p *parser) endOfStatement() error {
	if p.tok.kind != newline && p.tok.kind != endOfFile {
		return p.unexpected()
	}
	return nil
}

// open reads a file that the rules name; without Open, or where it can't be
// read, it is noted as unread.
func (p *parser) open(name string) ([]byte, bool, error) {
	if p.options.Open == nil {
		return nil, false, nil
	}
	content, err := p.options.Open(name)
	if errors.Is(err, ErrElsewhere) {
		return nil, false, nil
	}
	return content, err == nil, err
}

// unread notes what could not be read, once.
func (rs *Ruleset) unread(what string) {
	if !slices.Contains(rs.Unread, what) {
		rs.Unread = append(rs.Unread, what)
	}
}

// filledLater notes what programs fill at run time, once.
func (rs *Ruleset) filledLater(what string) {
	if !slices.Contains(rs.FilledLater, what) {
		rs.FilledLater = append(rs.FilledLater, what)
	}
}

// loadAnchors reads the files of "load anchor", which may load more.
func (p *parser) loadAnchors() error {
	for n := 0; len(p.loads) > 0; n++ {
		next := p.loads[0]
		p.loads = p.loads[1:]
		if n > maxDepth {
			return next.at.errorf("more than %d anchors are loaded from files", maxDepth)
		}
		content, ok, err := p.open(next.file)
		if err != nil {
			return next.at.errorf("load anchor: %v", err)
		}
		if !ok {
			next.anchor.Unread = true
			p.rules.unread(fmt.Sprintf("anchor %q, loaded from %s", next.anchor.Path, next.file))
			continue
		}
		q := newParser(p.rules, next.anchor, next.file, string(content), p.options)
		q.automatic, q.queues = p.automatic, p.queues
		next.anchor.Defined, next.anchor.loaded = true, true
		p.rules.loaded = append(p.rules.loaded, next.anchor)
		statements := len(p.rules.Statements)
		if err := q.configuration(); err != nil {
			return err
		}
		p.rules.Statements = p.rules.Statements[:statements] // pfctl prints the main file's only
		p.loads = append(p.loads, q.loads...)
	}
	return nil
}
