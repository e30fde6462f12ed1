package pf

import (
	"fmt"
	"strings"
)

// A tokenKind is what a token is.
type tokenKind uint8

const (
	endOfFile tokenKind = iota
	newline
	word   // a string without quotes, a keyword or a number
	quoted // a string in quotes: never a keyword
	symbol // ( ) { } < > , / ! = - and the operators != <= >= >< <> ->
)

// A token is the smallest piece of pf.conf.
type token struct {
	kind tokenKind
	text string
	file string
	line int
}

func (t token) String() string {
	switch t.kind {
	case endOfFile:
		return "the end of the file"
	case newline:
		return "the end of the line"
	}
	return fmt.Sprintf("%q", t.text)
}

// An Error names the place in the rules that could not be read.
type Error struct {
	File   string
	Line   int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

func (t token) errorf(format string, args ...any) error {
	return &Error{File: t.file, Line: t.line, Reason: fmt.Sprintf(format, args...)}
}

// Bounds on hostile input. maxString is pfctl's own (yylex's buffer); the others
// are far above what people write.
const (
	maxString    = 8095
	maxExpanding = 1 << 20 // bytes that come out of macros
	maxRules     = 1 << 17
	maxDepth     = 64 // PF_ANCHOR_STACK_MAX of net/pfvar.h
	maxIncludes  = 16
)

// An input is a file, or the value of a macro, that tokens are read from.
type input struct {
	name  string
	text  string
	at    int
	line  int
	macro bool
}

// A lexer cuts pf.conf into tokens as yylex of pfctl/parse.y does: macros are
// replaced by their text, which is cut again.
type lexer struct {
	inputs   []*input
	macros   map[string]string
	expanded int
	// quoting says that a string in quotes is being read.
	quoting bool
}

func newLexer(name, text string, macros map[string]string) *lexer {
	l := &lexer{macros: make(map[string]string)}
	for k, v := range macros {
		l.macros[k] = v
	}
	l.push(&input{name: name, text: text, line: 1})
	return l
}

func (l *lexer) push(in *input) { l.inputs = append(l.inputs, in) }

// get returns the next byte. A backslash before the end of a line continues it;
// outside of quotes one before anything else means nothing (lgetc).
func (l *lexer) get() (byte, bool) {
	in := l.inputs[len(l.inputs)-1]
	for in.at+1 < len(in.text) && in.text[in.at] == '\\' && in.text[in.at+1] == '\n' {
		in.at += 2
		in.line++
	}
	if !l.quoting && in.at+1 < len(in.text) && in.text[in.at] == '\\' {
		in.at++
	}
	if in.at >= len(in.text) {
		return 0, false
	}
	c := in.text[in.at]
	in.at++
	if c == '\n' {
		in.line++
	}
	return c, true
}

// unget takes back the byte that get returned last.
func (l *lexer) unget(ok bool) {
	if !ok {
		return
	}
	in := l.inputs[len(l.inputs)-1]
	in.at--
	if in.text[in.at] == '\n' {
		in.line--
	}
}

// place is where the next token stands: of a macro's text, where it is used.
func (l *lexer) place() (string, int) {
	i := len(l.inputs) - 1
	for i > 0 && l.inputs[i].macro {
		i--
	}
	return l.inputs[i].name, l.inputs[i].line
}

func (l *lexer) token(kind tokenKind, text string) token {
	file, line := l.place()
	return token{kind: kind, text: text, file: file, line: line}
}

// next cuts one token.
func (l *lexer) next() (token, error) {
	for {
		c, ok := l.get()
		switch {
		case !ok && len(l.inputs) > 1:
			ended := l.inputs[len(l.inputs)-1]
			l.inputs = l.inputs[:len(l.inputs)-1]
			if !ended.macro {
				return l.token(newline, "\n"), nil
			}
		case !ok:
			return l.token(endOfFile, ""), nil
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
		case c == '#':
			l.skipComment()
		case c == '\n':
			t := l.token(newline, "\n")
			t.line--
			return t, nil
		case c == '$' && !l.expanding():
			if err := l.expand(); err != nil {
				return token{}, err
			}
		case c == '"' || c == '\'':
			return l.quotedString(c)
		case startsWord(c):
			return l.word(c)
		default:
			return l.operator(c), nil
		}
	}
}

func (l *lexer) skipComment() {
	for c, ok := l.get(); ok; c, ok = l.get() {
		if c == '\n' {
			l.unget(true)
			return
		}
	}
}

func (l *lexer) expanding() bool { return l.inputs[len(l.inputs)-1].macro }

// expand replaces $name by the macro's text.
func (l *lexer) expand() error {
	var name strings.Builder
	c, ok := l.get()
	for ; ok && (isAlnum(c) || c == '_'); c, ok = l.get() {
		name.WriteByte(c)
	}
	l.unget(ok)
	if name.Len() == 0 {
		return l.token(word, "").errorf("the name of a macro is missing behind $")
	}
	value, known := l.macros[name.String()]
	if !known {
		return l.token(word, "").errorf("macro %q is not defined", name.String())
	}
	if l.expanded += len(value); l.expanded > maxExpanding {
		return l.token(word, "").errorf("macros expand to more than %d bytes", maxExpanding)
	}
	l.push(&input{name: "macro", text: value, line: 1, macro: true})
	return nil
}

// quotedString reads to the closing quote. An end of line inside is left out,
// as pfctl does.
func (l *lexer) quotedString(quote byte) (token, error) {
	t := l.token(quoted, "")
	l.quoting = true
	defer func() { l.quoting = false }()
	var text strings.Builder
	for {
		c, ok := l.get()
		if !ok {
			return token{}, t.errorf("a string without its closing %c", quote)
		}
		switch c {
		case quote:
			t.text = text.String()
			return t, nil
		case '\n':
			continue
		case '\\':
			if c, ok = l.get(); !ok || c != quote && c != ' ' && c != '\t' {
				l.unget(ok)
				c = '\\'
			}
		}
		if text.WriteByte(c); text.Len() > maxString {
			return token{}, t.errorf("string too long")
		}
	}
}

func (l *lexer) word(c byte) (token, error) {
	t := l.token(word, "")
	var text strings.Builder
	ok := true
	for ok && inWord(c) {
		if text.WriteByte(c); text.Len() > maxString {
			return token{}, t.errorf("string too long")
		}
		if c, ok = l.get(); !ok && l.expanding() { // "$if:network" is one word
			l.inputs = l.inputs[:len(l.inputs)-1]
			c, ok = l.get()
		}
	}
	l.unget(ok)
	t.text = text.String()
	return t, nil
}

// operator reads a symbol of one or two characters.
func (l *lexer) operator(c byte) token {
	second := map[byte]string{'!': "=", '<': ">=", '>': "<=", '-': ">"}[c]
	next, ok := l.get()
	if ok && strings.IndexByte(second, next) >= 0 {
		return l.token(symbol, string([]byte{c, next}))
	}
	l.unget(ok)
	return l.token(symbol, string([]byte{c}))
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func startsWord(c byte) bool { return isAlnum(c) || c == ':' || c == '_' || c == '*' }

// inWord is allowed_in_string of pfctl/parse.y.
func inWord(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte("(){}<>!=/#,\"'`;", c) < 0
}
