package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/netglance/netglance/internal/lazyregexp"
)

// MaxFile is how large a file may be, and maxFiles how many may include each other.
const (
	MaxFile  = 1 << 20
	maxFiles = 64
)

// Options are what a policy is read with.
type Options struct {
	// ReadFile is the content of a file.
	ReadFile func(name string) ([]byte, error)
	// Services are the ports that a service's name usually stands for; none if it has none.
	Services func(name string) []string
	// Profiles are used instead of those that the file names under "use".
	Profiles []string
}

// Read reads a policy. What is wrong with it is errors.Join of *Error, one for
// each place.
func Read(file string, o Options) (*Policy, error) {
	f := &files{Options: o, sources: map[string][]netip.Prefix{}, services: map[string][]Ports{}, profiles: map[string]*profile{}, read: map[string]bool{}}
	main := f.file(file, nil)
	if main == nil {
		return nil, errors.Join(f.errors...)
	}
	use := main.use
	if o.Profiles != nil {
		use = use[:0]
		for _, name := range o.Profiles {
			use = append(use, reference{name: name, at: Position{File: file, Line: 1}})
		}
	}
	p := &Policy{File: file, Profiles: slices.Sorted(maps.Keys(f.profiles))}
	p.add(&f.all)
	for _, name := range use {
		f.addProfile(p, name, map[string]bool{}, map[string]bool{})
	}
	if len(f.errors) > 0 {
		return nil, errors.Join(f.errors...)
	}
	return p, nil
}

// files are a policy's, while they are read.
type files struct {
	Options
	sources  map[string][]netip.Prefix
	services map[string][]Ports
	profiles map[string]*profile
	// all is what holds without a profile.
	all    profile
	read   map[string]bool
	errors []error
}

// A profile is what a file or a profile says.
type profile struct {
	include      []reference
	use          []reference
	entries      []Entry
	assertions   []Assertion
	suppressions []Suppression
	nothingElse  bool
}

// A reference is a name of a profile, and where it stands.
type reference struct {
	name string
	at   Position
}

func (f *files) file(name string, from *Position) *profile {
	fail := func(err error) *profile {
		if from != nil {
			err = fmt.Errorf("%s: include %w", from, err)
		}
		f.errors = append(f.errors, err)
		return nil
	}
	if f.read[filepath.Clean(name)] {
		return &profile{} // included twice: it says the same once more
	}
	if f.read[filepath.Clean(name)] = true; len(f.read) > maxFiles {
		return fail(fmt.Errorf("%s: more than %d files", name, maxFiles))
	}
	content, err := f.ReadFile(name)
	if err != nil {
		return fail(err)
	}
	if len(content) > MaxFile {
		return fail(fmt.Errorf("%s: larger than %d bytes", name, MaxFile))
	}
	root, err := document(content)
	if err != nil {
		return fail(yamlError(name, err))
	}
	r := &reader{file: name}
	main := &profile{}
	if root == nil {
		return fail(&Error{Position{name, 1}, 1, "the file is empty: start it with \"version: 1\""})
	}
	if r.plain(root) {
		f.top(r, root, main)
	}
	f.errors = append(f.errors, r.errors...)
	return main
}

// document is the one document that a file holds; nil if it is empty.
func document(content []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var doc, second yaml.Node
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, fmt.Errorf("line %d: a second document: a policy is one", second.Line)
	}
	return doc.Content[0], nil
}

var yamlLine = lazyregexp.New(`^(?:yaml: )?line (\d+): (.*)$`)

// yamlError gives the library's errors the form of ours.
func yamlError(file string, err error) error {
	line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	return &Error{Position{file, line}, 1, text}
}

func (f *files) top(r *reader, root *yaml.Node, main *profile) {
	versioned := false
	// What names things is read before what uses the names, wherever it stands.
	r.mapping(root, "the policy", append([]field{
		{"version", func(n *yaml.Node) { versioned = true; f.version(r, n) }},
		{"include", func(n *yaml.Node) { f.includeFiles(r, n) }},
		{"sources", func(n *yaml.Node) { f.readSources(r, n) }},
		{"services", func(n *yaml.Node) { f.readServices(r, n) }},
		{"profiles", ignore}, {"use", ignore},
	}, ignored(f.fields(r, main))...)...)
	if !versioned {
		r.fail(root, "\"version: 1\" is missing")
	}
	if len(r.errors) > 0 || root.Kind != yaml.MappingNode {
		return
	}
	r.mapping(root, "the policy", append([]field{
		{"version", ignore}, {"include", ignore}, {"sources", ignore}, {"services", ignore},
		{"profiles", func(n *yaml.Node) { f.readProfiles(r, n) }},
		{"use", func(n *yaml.Node) { main.use = f.references(r, n) }},
	}, f.fields(r, main)...)...)
	f.all.entries = append(f.all.entries, main.entries...)
	f.all.assertions = append(f.all.assertions, main.assertions...)
	f.all.suppressions = append(f.all.suppressions, main.suppressions...)
	f.all.nothingElse = f.all.nothingElse || main.nothingElse
}

func ignore(*yaml.Node) {}

func ignored(fields []field) (out []field) {
	for _, x := range fields {
		out = append(out, field{x.name, ignore})
	}
	return out
}

// fields are what a file and a profile may both say.
func (f *files) fields(r *reader, p *profile) []field {
	return []field{
		{"allow", func(n *yaml.Node) {
			r.list(n, "allow", func(n *yaml.Node) { p.entries = append(p.entries, f.entry(r, n)) })
		}},
		{"nothing_else", r.boolean(&p.nothingElse, "nothing_else")},
		{"assert", func(n *yaml.Node) {
			r.list(n, "assert", func(n *yaml.Node) { p.assertions = append(p.assertions, f.assertion(r, n)...) })
		}},
		{"suppress", func(n *yaml.Node) {
			r.list(n, "suppress", func(n *yaml.Node) { p.suppressions = append(p.suppressions, f.suppression(r, n)) })
		}},
	}
}

func (f *files) version(r *reader, n *yaml.Node) {
	if n.Value != "1" {
		r.fail(n, "version %q: this netglance reads version 1", n.Value)
	}
}

func (f *files) includeFiles(r *reader, n *yaml.Node) {
	r.words(n, "include", func(n *yaml.Node, name string) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(r.file), name)
		}
		at := r.at(n)
		f.file(name, &at)
	})
}

func (f *files) readSources(r *reader, n *yaml.Node) {
	r.named(n, "sources", func(key, value *yaml.Node) {
		if !r.name(key, "source") {
			return
		}
		var all []netip.Prefix
		r.words(value, "sources", func(n *yaml.Node, word string) {
			prefixes, err := f.parseSource(word)
			if err != nil {
				r.fail(n, "%v", err)
			}
			all = append(all, prefixes...)
		})
		f.sources[key.Value] = all
	})
}

func (f *files) readServices(r *reader, n *yaml.Node) {
	r.named(n, "services", func(key, value *yaml.Node) {
		if !r.name(key, "service") {
			return
		}
		r.words(value, "services", func(n *yaml.Node, word string) {
			ports, err := parsePorts(word)
			if err != nil {
				r.fail(n, "%v", err)
			}
			f.services[key.Value] = append(f.services[key.Value], ports)
		})
	})
}

func (f *files) readProfiles(r *reader, n *yaml.Node) {
	r.named(n, "profiles", func(key, value *yaml.Node) {
		if !r.name(key, "profile") {
			return
		}
		p := &profile{}
		r.mapping(value, "a profile", append([]field{{"include", func(n *yaml.Node) { p.include = f.references(r, n) }}}, f.fields(r, p)...)...)
		if f.profiles[key.Value] != nil {
			r.fail(key, "a profile %q stands in another file too", key.Value)
		}
		f.profiles[key.Value] = p
	})
}

func (f *files) references(r *reader, n *yaml.Node) (out []reference) {
	r.words(n, "profiles", func(n *yaml.Node, name string) { out = append(out, reference{name, r.at(n)}) })
	return out
}

func (p *Policy) add(from *profile) {
	p.Entries = append(p.Entries, from.entries...)
	p.Assertions = append(p.Assertions, from.assertions...)
	p.Suppressions = append(p.Suppressions, from.suppressions...)
	p.NothingElse = p.NothingElse || from.nothingElse
}

// addProfile adds a profile after those that it includes, each once.
func (f *files) addProfile(p *Policy, name reference, added, under map[string]bool) {
	from := f.profiles[name.name]
	switch {
	case from == nil:
		f.errors = append(f.errors, &Error{name.at, 1, fmt.Sprintf("no profile %q: there are %s", name.name, strings.Join(slices.Sorted(maps.Keys(f.profiles)), ", "))})
		return
	case under[name.name]:
		f.errors = append(f.errors, &Error{name.at, 1, fmt.Sprintf("the profile %q includes itself", name.name)})
		return
	case added[name.name]:
		return
	}
	under[name.name] = true
	for _, inner := range from.include {
		f.addProfile(p, inner, added, under)
	}
	delete(under, name.name)
	added[name.name] = true
	p.add(from)
}
