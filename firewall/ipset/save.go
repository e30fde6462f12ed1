package ipset

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
)

// maxErrors is how many bad lines of a text are named.
const maxErrors = 10

// savedMembers is how many members of all sets of a text are read.
const savedMembers = 4_000_000

var errTooMany = fmt.Errorf("more than %d members", savedMembers)

// Parse reads the text of "ipset save" or a file for "ipset restore" (ipset(8)).
// Errors name the text and the line.
func Parse(name string, text []byte) (*Sets, error) {
	p := &parser{sets: &Sets{listed: true, byIndex: map[uint16]*set{}, byName: map[string]*set{}}, members: map[*set][]member{}}
	var problems []error
	for number := 1; len(text) > 0 && len(problems) < maxErrors; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		if err := p.line(string(line)); err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %w", name, number, err))
			if errors.Is(err, errTooMany) {
				break
			}
		}
	}
	p.fill()
	return p.sets, errors.Join(problems...)
}

// A parser reads one text. Members are kept until all sets are known.
type parser struct {
	sets    *Sets
	order   []*set
	members map[*set][]member
	count   int
}

func (p *parser) line(line string) error {
	words, err := split(line)
	if err != nil || len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return err
	}
	switch words[0] {
	case "create", "-N", "--create":
		return p.create(words[1:])
	case "add", "-A", "--add":
		return p.add(words[1:])
	case "COMMIT", "-!", "-exist":
		return nil
	}
	return fmt.Errorf("%q is neither create nor add", words[0])
}

// split is a line's words; double quotes hold a word with blanks together.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " \t") {
		end := strings.IndexAny(line, " \t")
		if line[0] == '"' {
			end = strings.IndexByte(line[1:], '"')
			if end < 0 {
				return nil, errors.New("a quote is not closed")
			}
			words, line = append(words, line[1:1+end]), line[end+2:]
			continue
		}
		if end < 0 {
			end = len(line)
		}
		words, line = append(words, line[:end]), line[end:]
	}
	return words, nil
}

// settings are the options of create that have a value and matter to nobody's
// membership; switches those without one.
var (
	settings = map[string]bool{"hashsize": true, "maxelem": true, "bucketsize": true, "initval": true, "range": true, "size": true}
	switches = map[string]bool{"counters": true, "comment": true, "skbinfo": true, "forceadd": true, "wildcard": true, "-exist": true}
)

func (p *parser) create(words []string) error {
	if len(words) < 2 {
		return errors.New("create needs a name and a type")
	}
	found := &set{IPSet: xt.IPSet{Name: words[0], Type: words[1], MarkMask: 0xffffffff}, loaded: true}
	found.header.markMask = 0xffffffff
	if !known[found.Type] && found.Type != "list:set" {
		return fmt.Errorf("the set type %q is not known", found.Type)
	}
	if p.sets.byName[found.Name] != nil {
		return fmt.Errorf("the set %q stands here twice", found.Name)
	}
	if hasAddresses(found.Type) {
		found.Family = firewall.FamilyIPv4
	}
	for options := words[2:]; len(options) > 0; {
		if switches[options[0]] {
			options = options[1:]
			continue
		}
		if len(options) < 2 {
			return fmt.Errorf("the option %q has no value, or is not known", options[0])
		}
		if err := found.option(options[0], options[1]); err != nil {
			return err
		}
		options = options[2:]
	}
	p.sets.byName[found.Name] = found
	p.order = append(p.order, found)
	return nil
}

func hasAddresses(kind string) bool {
	return strings.Contains(kind, "ip") || strings.Contains(kind, "net")
}

// option is one of create's, with its value.
func (found *set) option(name, value string) (err error) {
	switch {
	case name == "family" && (value == "inet6" || value == "-6"):
		found.Family = firewall.FamilyIPv6
	case name == "family" && value == "inet":
	case name == "timeout":
		found.header.timeout, err = seconds(value)
	case name == "netmask":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 8)
		found.header.netmask = uint8(n)
	case name == "markmask":
		var n uint64
		n, err = strconv.ParseUint(value, 0, 32)
		found.header.markMask, found.MarkMask = uint32(n), uint32(n)
	case !settings[name]:
		return fmt.Errorf("the option %q is not understood", name+" "+value)
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", name, value, errors.Unwrap(err))
	}
	return nil
}

func seconds(word string) (time.Duration, error) {
	n, err := strconv.ParseUint(word, 10, 32)
	return time.Duration(n) * time.Second, err
}

// add reads a member and its options.
func (p *parser) add(words []string) error {
	if len(words) < 2 {
		return errors.New("add needs a set and an entry")
	}
	found := p.sets.byName[words[0]]
	if found == nil {
		return fmt.Errorf("the set %q was not created before", words[0])
	}
	if p.count++; p.count > savedMembers {
		return errTooMany
	}
	entries, err := found.entry(words[1])
	if err != nil {
		return fmt.Errorf("%q: %w", words[1], err)
	}
	var options member
	if err := options.options(words[2:]); err != nil {
		return err
	}
	for _, m := range entries {
		m.flags |= options.flags
		m.comment, m.expires = options.comment, options.expires
		p.members[found] = append(p.members[found], m)
	}
	return nil
}

// counted are the options of add that tell of packets seen, or of what happens
// to those that match: of nobody's membership.
var counted = map[string]bool{"packets": true, "bytes": true, "skbmark": true, "skbprio": true, "skbqueue": true, "before": true, "after": true}

func (m *member) options(words []string) (err error) {
	for len(words) > 0 {
		switch words[0] {
		case "nomatch":
			m.flags |= flagNomatch
			words = words[1:]
			continue
		case "wildcard":
			m.flags |= flagWildcard
			words = words[1:]
			continue
		case "-exist":
			words = words[1:]
			continue
		}
		if len(words) < 2 {
			return fmt.Errorf("the option %q has no value, or is not known", words[0])
		}
		switch {
		case words[0] == "comment":
			m.comment = words[1]
		case words[0] == "timeout":
			if m.expires, err = seconds(words[1]); err != nil {
				return fmt.Errorf("timeout %q: %w", words[1], errors.Unwrap(err))
			}
		case !counted[words[0]]:
			return fmt.Errorf("the option %q is not understood", words[0])
		}
		words = words[2:]
	}
	return nil
}

// fill gives each set its members; lists last, for they hold other sets.
func (p *parser) fill() {
	for _, lists := range []bool{false, true} {
		for _, found := range p.order {
			if lists == (found.Type == "list:set") {
				p.sets.fill(found, p.members[found], nil)
			}
		}
	}
}
