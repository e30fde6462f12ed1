package predict

import "strings"

// A directive is a line of a configuration: a key and what stands behind it.
type directive struct {
	file string
	key  string // in lower case
	args []string
	rest string // all behind the key
}

// directives are the lines of a text, without comments. Words may be quoted.
func directives(file, text, separators string) (out []directive) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		at := strings.IndexAny(line, separators)
		key, rest := line, ""
		if at >= 0 {
			key, rest = line[:at], strings.TrimSpace(strings.TrimLeft(line[at:], separators))
		}
		out = append(out, directive{file, strings.ToLower(key), words(rest), rest})
	}
	return out
}

// words splits at blanks; a quoted part is one word, and # starts a comment.
func words(text string) (out []string) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " \t") {
		switch quote := text[0]; quote {
		case '#':
			return out
		case '"', '\'':
			inner, rest, _ := strings.Cut(text[1:], string(quote))
			out, text = append(out, inner), rest
		default:
			end := strings.IndexAny(text, " \t")
			if end < 0 {
				end = len(text)
			}
			out, text = append(out, text[:end]), text[end:]
		}
	}
	return out
}
