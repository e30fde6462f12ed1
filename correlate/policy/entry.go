package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/netglance/netglance/internal/lazyregexp"
)

// entry reads an item of "allow".
func (f *files) entry(r *reader, n *yaml.Node) Entry {
	e := Entry{At: r.at(n)}
	r.mapping(n, "an entry of allow",
		field{"port", func(n *yaml.Node) { e.Ports = append(e.Ports, r.ports(n)...) }},
		field{"service", func(n *yaml.Node) { f.service(r, n, &e) }},
		field{"from", func(n *yaml.Node) {
			r.words(n, "from", func(n *yaml.Node, word string) {
				prefixes, err := f.parseSource(word)
				if err != nil {
					r.fail(n, "%v", err)
				}
				e.Sources = append(e.Sources, prefixes...)
			})
		}},
		field{"via", func(n *yaml.Node) {
			r.words(n, "via", func(_ *yaml.Node, word string) { e.Interfaces = append(e.Interfaces, word) })
		}},
		field{"owner", func(n *yaml.Node) { e.Owner = r.owner(n) }},
		field{"reason", r.text(&e.Reason, "reason")},
		field{"responsible", r.text(&e.Responsible, "responsible")},
		field{"until", r.day(&e.Until)},
	)
	if n.Kind == yaml.MappingNode && len(e.Ports) == 0 && len(r.errors) == 0 {
		r.fail(n, "which port? Give the entry a port, or a service")
	}
	return e
}

func (r *reader) ports(n *yaml.Node) (out []Ports) {
	r.words(n, "port", func(n *yaml.Node, word string) {
		p, err := parsePorts(word)
		if err != nil {
			r.fail(n, "%v", err)
			return
		}
		out = append(out, p)
	})
	return out
}

func (f *files) service(r *reader, n *yaml.Node, e *Entry) {
	r.words(n, "service", func(n *yaml.Node, name string) {
		ports, err := f.servicePorts(name)
		if err != nil {
			r.fail(n, "%v", err)
			return
		}
		e.Ports = append(e.Ports, ports...)
		e.Service = strings.TrimSpace(e.Service + " " + name)
	})
}

// servicePorts are those that the policy gives the name, or that it usually stands for.
func (f *files) servicePorts(name string) ([]Ports, error) {
	if ports := f.services[name]; len(ports) > 0 {
		return ports, nil
	}
	var out []Ports
	if f.Services != nil {
		for _, word := range f.Services(name) {
			p, err := parsePorts(word)
			if err != nil {
				return nil, err
			}
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no service %q: name it under \"services\", or give the port", name)
	}
	return out, nil
}

func (f *files) portsOrService(word string) ([]Ports, error) {
	if nameWord.MatchString(word) {
		return f.servicePorts(word)
	}
	p, err := parsePorts(word)
	return []Ports{p}, err
}

func (r *reader) owner(n *yaml.Node) (o Owner) {
	pattern := func(into *string, what string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			*into, _ = r.word(n, what)
			if _, err := path.Match(*into, ""); err != nil {
				r.fail(n, "%q is no pattern: * stands for any characters, [ opens a set of them", *into)
			}
		}
	}
	r.mapping(n, "owner",
		field{"process", pattern(&o.Process, "process")},
		field{"unit", pattern(&o.Unit, "unit")},
		field{"user", pattern(&o.User, "user")},
		field{"container", pattern(&o.Container, "container")},
		field{"image", pattern(&o.Image, "image")},
	)
	return o
}

// Suppressible are the kinds of findings that may be suppressed. An expired entry
// may not: its date is there to be noticed.
var Suppressible = []string{"exposed", "unknown", "conditional", "conflict", "assertion", "new"}

var fingerprintWord = lazyregexp.New(`^[0-9a-f]{16}$`)

// suppression reads an item of "suppress": whoever lets a finding pass says why, and how long.
func (f *files) suppression(r *reader, n *yaml.Node) Suppression {
	s := Suppression{At: r.at(n)}
	r.mapping(n, "an entry of suppress",
		field{"finding", func(n *yaml.Node) {
			if s.Finding, _ = r.word(n, "finding"); !slices.Contains(Suppressible, s.Finding) {
				r.fail(n, "%q is no finding that can be suppressed: %s", s.Finding, strings.Join(Suppressible, ", "))
			}
		}},
		field{"port", func(n *yaml.Node) { s.Ports = r.ports(n) }},
		field{"fingerprint", func(n *yaml.Node) {
			if s.Fingerprint, _ = r.word(n, "fingerprint"); !fingerprintWord.MatchString(s.Fingerprint) {
				r.fail(n, "%q is no fingerprint: copy the 16 digits from the report", s.Fingerprint)
			}
		}},
		field{"reason", r.text(&s.Reason, "reason")},
		field{"until", r.day(&s.Until)},
	)
	if n.Kind != yaml.MappingNode || len(r.errors) > 0 {
		return s
	}
	switch {
	case (len(s.Ports) == 0) == (s.Fingerprint == ""):
		r.fail(n, "what is suppressed? Give it a port or a fingerprint, one of them")
	case s.Reason == "":
		r.fail(n, "a suppression needs a reason")
	case s.Until.IsZero():
		r.fail(n, "a suppression needs a date: until, the last day on which it holds")
	}
	return s
}
