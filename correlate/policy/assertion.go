package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxAsserted is how many ports one assertion may ask about: each is a question
// for every way into the host.
const maxAsserted = 1024

// assertion reads "22/tcp from 10.0.0.0/8 via eth0: open": a mapping with one
// pair, or the same in quotes.
func (f *files) assertion(r *reader, n *yaml.Node) []Assertion {
	question, want := n.Value, ""
	switch {
	case n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[1].Kind == yaml.ScalarNode:
		question, want = n.Content[0].Value, n.Content[1].Value
	case n.Kind == yaml.ScalarNode && strings.Contains(question, ": "):
		at := strings.LastIndex(question, ": ")
		question, want = question[:at], strings.TrimSpace(question[at+2:])
	default:
		r.fail(n, "an assertion is a line like: 22/tcp from 10.0.0.0/8: open")
		return nil
	}
	all, err := f.parseAssertion(question, want)
	if err != nil {
		r.fail(n, "%v", err)
	}
	for i := range all {
		all[i].At = r.at(n)
	}
	return all
}

// parseAssertion gives an assertion for every port range that a service's name stands for.
func (f *files) parseAssertion(question, want string) ([]Assertion, error) {
	verdict := slices.Index(wants, want)
	if verdict < 0 {
		return nil, fmt.Errorf("%q can't be asserted: use %s", want, strings.Join(wants, ", "))
	}
	a := Assertion{Text: question + ": " + want, Want: Want(verdict)}
	fields := strings.Fields(question)
	if len(fields) == 0 {
		return nil, fmt.Errorf("which port? Write a line like: 22/tcp from 10.0.0.0/8: open")
	}
	ports, err := f.portsOrService(fields[0])
	if err != nil {
		return nil, err
	}
	said := map[string]bool{}
	for rest := fields[1:]; len(rest) > 0; {
		keyword, end := rest[0], 1
		for end < len(rest) && !slices.Contains(keywords, rest[end]) {
			end++
		}
		if said[keyword] || end == 1 {
			return nil, fmt.Errorf("%q: %q must stand once, with what it means behind it", question, keyword)
		}
		said[keyword] = true
		if err := f.clause(&a, keyword, strings.Join(rest[1:end], " ")); err != nil {
			return nil, err
		}
		rest = rest[end:]
	}
	var out []Assertion
	for _, p := range ports {
		if int(p.Last)-int(p.First) >= maxAsserted {
			return nil, fmt.Errorf("%s are too many ports to assert: at most %d at once", p, maxAsserted)
		}
		one := a
		one.Ports = p
		out = append(out, one)
	}
	return out, nil
}

var keywords = []string{"from", "via", "to"}

func (f *files) clause(a *Assertion, keyword, value string) error {
	switch keyword {
	case "from":
		for _, word := range strings.Split(value, ",") {
			prefixes, err := f.parseSource(strings.TrimSpace(word))
			if err != nil {
				return err
			}
			a.Sources = append(a.Sources, prefixes...)
		}
	case "via":
		if strings.ContainsAny(value, " ,") {
			return fmt.Errorf("via %q: name one interface", value)
		}
		a.Interface = value
	case "to":
		address, err := netip.ParseAddr(value)
		if err != nil {
			return fmt.Errorf("to %q is no address", value)
		}
		a.To = address.Unmap()
	default:
		return fmt.Errorf("%q means nothing here: write PORT/PROTOCOL from SOURCES via INTERFACE to ADDRESS", keyword)
	}
	return nil
}
