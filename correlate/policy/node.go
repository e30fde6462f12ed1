package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// An Error is one thing wrong with a policy file.
type Error struct {
	At     Position
	Column int
	Text   string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.At, e.Column, e.Text) }

// maxErrors bounds what is told of a file that is something else altogether.
const maxErrors = 20

// A reader walks the nodes of one file, and keeps what is wrong with them.
type reader struct {
	file   string
	errors []error
}

func (r *reader) at(n *yaml.Node) Position { return Position{r.file, n.Line} }

func (r *reader) fail(n *yaml.Node, format string, arguments ...any) {
	if len(r.errors) < maxErrors {
		r.errors = append(r.errors, &Error{r.at(n), n.Column, fmt.Sprintf(format, arguments...)})
	}
}

// A field is a key of a mapping that has a meaning.
type field struct {
	name string
	read func(*yaml.Node)
}

// mapping gives every key's value to its field. Keys that have no meaning, or stand
// twice, are errors: a misspelt "form:" would allow everybody.
func (r *reader) mapping(n *yaml.Node, what string, fields ...field) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s must have keys: %s", what, names(fields))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		switch {
		case at < 0:
			r.fail(key, "%q is no key of %s: it has %s", key.Value, what, names(fields))
		case seen[key.Value]:
			r.fail(key, "%q stands twice", key.Value)
		case isNull(value):
			r.fail(key, "%q has no value: give it one, or leave it out", key.Value)
		default:
			fields[at].read(value)
		}
		seen[key.Value] = true
	}
}

func names(fields []field) string {
	var all []string
	for _, f := range fields {
		all = append(all, f.name)
	}
	return strings.Join(all, ", ")
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// list gives the items of a list.
func (r *reader) list(n *yaml.Node, what string, read func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%s must be a list", what)
		return
	}
	for _, item := range n.Content {
		read(item)
	}
}

// words gives the items of a list of words, or one word.
func (r *reader) words(n *yaml.Node, what string, read func(n *yaml.Node, word string)) {
	if n.Kind == yaml.SequenceNode {
		if len(n.Content) == 0 {
			r.fail(n, "%s is an empty list: nothing would match", what)
		}
		for _, item := range n.Content {
			if word, ok := r.word(item, what); ok {
				read(item, word)
			}
		}
		return
	}
	if word, ok := r.word(n, what); ok {
		read(n, word)
	}
}

// named gives the pairs of a mapping whose keys are chosen by the author.
func (r *reader) named(n *yaml.Node, what string, read func(key *yaml.Node, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s must be a mapping of names", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if seen[n.Content[i].Value] {
			r.fail(n.Content[i], "%q stands twice", n.Content[i].Value)
			continue
		}
		seen[n.Content[i].Value] = true
		read(n.Content[i], n.Content[i+1])
	}
}

func (r *reader) word(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) || strings.TrimSpace(n.Value) == "" {
		r.fail(n, "%s must be text", what)
		return "", false
	}
	return strings.TrimSpace(n.Value), true
}

func (r *reader) text(into *string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) { *into, _ = r.word(n, what) }
}

func (r *reader) boolean(into *bool, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			r.fail(n, "%s must be true or false", what)
			return
		}
		*into = strings.EqualFold(n.Value, "true")
	}
}

// plain refuses what would make one place of the file stand for many.
func (r *reader) plain(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.fail(n, "anchors and aliases are not read: name sources under \"sources\", and share entries by profiles")
		return false
	}
	for _, inner := range n.Content {
		if !r.plain(inner) {
			return false
		}
	}
	return true
}
