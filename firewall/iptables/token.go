package iptables

import (
	"errors"
	"strings"
)

// A token is one word of a rule. A quoted one is never an option nor a "!".
type token struct {
	text   string
	quoted bool
}

// is says that the token is this word, unquoted.
func (t token) is(word string) bool { return !t.quoted && t.text == word }

// option says that the token starts an option. A negative number doesn't.
func (t token) option() bool {
	return !t.quoted && len(t.text) > 1 && t.text[0] == '-' && (t.text[1] < '0' || t.text[1] > '9' || t.text == "-4" || t.text == "-6")
}

var errQuote = errors.New("a quote is not closed")

// tokens splits a line as iptables-restore does: at blanks, with double quotes
// around words, and in them a backslash before any character.
func tokens(line string) ([]token, error) {
	var list []token
	var word strings.Builder
	started, quoted, inQuotes := false, false, false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case inQuotes && c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case c == '"':
			inQuotes = !inQuotes
			started, quoted = true, true
		case !inQuotes && (c == ' ' || c == '\t'):
			if started {
				list = append(list, token{word.String(), quoted})
				word.Reset()
				started, quoted = false, false
			}
		default:
			word.WriteByte(c)
			started = true
		}
	}
	if inQuotes {
		return nil, errQuote
	}
	if started {
		list = append(list, token{word.String(), quoted})
	}
	return list, nil
}
