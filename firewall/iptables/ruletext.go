package iptables

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
)

// A loaded is a match or target that a rule names, and the options given to it
// so far. arity is nil for one that isn't known: it takes whatever follows.
type loaded struct {
	name    string
	arity   map[string]int
	options []xt.Option
}

// find is the option's full name: options may be shortened as long as they stay
// unambiguous.
func (l *loaded) find(name string) (string, bool) {
	if _, ok := l.arity[name]; ok {
		return name, true
	}
	found := ""
	for full := range l.arity {
		if strings.HasPrefix(full, name) {
			if found != "" {
				return "", false
			}
			found = full
		}
	}
	return found, found != ""
}

// A ruleReader reads one rule's words.
type ruleReader struct {
	*parser
	words []token

	header           header
	sources, targets []network
	matches          []*loaded
	target           *loaded
	jump             string
	otherFamily      bool
}

// network is an address and its mask.
type network struct{ address, mask []byte }

// rules reads a rule. With lists of addresses it is several.
func (p *parser) rules(chain string, words []token) ([]rule, error) {
	r := &ruleReader{parser: p, words: words, header: anyHeader(p.family)}
	for len(r.words) > 0 {
		if err := r.word(); err != nil {
			return nil, err
		}
	}
	if r.otherFamily {
		return nil, nil
	}
	one := rule{chain: chain, header: r.header, jump: r.jump}
	for _, m := range r.matches {
		e, err := r.xt.ParseMatch(m.name, r.header.protocol, m.options)
		if err != nil {
			return nil, err
		}
		one.matches = append(one.matches, e)
	}
	if r.target != nil {
		e, err := r.xt.ParseTarget(r.target.name, r.header.protocol, r.target.options)
		if err != nil {
			return nil, err
		}
		one.target, one.hasTarget = e, true
	}
	return r.spread(one), nil
}

// spread makes a rule for each pair of a source and a destination.
func (r *ruleReader) spread(one rule) []rule {
	var all []rule
	whole := network{one.header.source, one.header.sourceMask}
	for _, s := range orWhole(r.sources, whole) {
		for _, d := range orWhole(r.targets, whole) {
			next := one
			next.header.source, next.header.sourceMask = s.address, s.mask
			next.header.destination, next.header.destinationMask = d.address, d.mask
			all = append(all, next)
		}
	}
	return all
}

func orWhole(list []network, whole network) []network {
	if len(list) == 0 {
		return []network{whole}
	}
	return list
}

func (r *ruleReader) next() (token, bool) {
	if len(r.words) == 0 {
		return token{}, false
	}
	t := r.words[0]
	r.words = r.words[1:]
	return t, true
}

// word reads the next option with its arguments.
func (r *ruleReader) word() error {
	t, _ := r.next()
	invert := false
	if t.is("!") {
		invert = true
		var ok bool
		if t, ok = r.next(); !ok {
			return errors.New("a \"!\" stands at the end")
		}
	}
	if !t.option() {
		return fmt.Errorf("%q stands where an option is due", t.text)
	}
	name, value, hasValue := strings.Cut(t.text, "=")
	if hasValue {
		r.words = append([]token{{text: value, quoted: true}}, r.words...)
	}
	if c := r.loadedWith(name); c != nil {
		return r.give(c, name[2:], invert)
	}
	if handled, err := r.headerOption(name, invert); handled {
		return err
	}
	if !strings.HasPrefix(name, "--") {
		return fmt.Errorf("unknown option %q", name)
	}
	return r.extensionOption(name[2:], invert)
}

// argument is an option's argument; older texts have the "!" before it.
func (r *ruleReader) argument(option string, invert *bool) (string, error) {
	t, ok := r.next()
	if ok && t.is("!") && !*invert {
		*invert = true
		t, ok = r.next()
	}
	if !ok {
		return "", fmt.Errorf("%s without its argument", option)
	}
	return t.text, nil
}

// headerOption reads the options that every rule can have.
func (r *ruleReader) headerOption(name string, invert bool) (bool, error) {
	switch name {
	case "-f", "--fragment", "--fragments":
		r.header.fragment = true
		r.setInvert(invertFragment, invert)
		return true, nil
	case "-4", "--ipv4":
		r.otherFamily = r.otherFamily || r.family != firewall.FamilyIPv4
		return true, nil
	case "-6", "--ipv6":
		r.otherFamily = r.otherFamily || r.family != firewall.FamilyIPv6
		return true, nil
	case "-v", "--verbose", "-n", "--numeric":
		return true, nil
	}
	read, ok := headerOptions[name]
	if !ok {
		return false, nil
	}
	value, err := r.argument(name, &invert)
	if err != nil {
		return true, err
	}
	return true, read(r, value, invert)
}

// readHeaderOption takes the argument of an option.
type readHeaderOption func(r *ruleReader, value string, invert bool) error

// headerOptions are those with an argument, by every name that they have.
var headerOptions = func() map[string]readHeaderOption {
	options := make(map[string]readHeaderOption)
	for names, read := range map[string]readHeaderOption{
		"-s --source --src":      (*ruleReader).source,
		"-d --destination --dst": (*ruleReader).destination,
		"-i --in-interface":      (*ruleReader).in,
		"-o --out-interface":     (*ruleReader).out,
		"-p --protocol --proto":  (*ruleReader).protocol,
		"-m --match":             (*ruleReader).match,
		"-j --jump":              (*ruleReader).jumpTo,
		"-g --goto":              (*ruleReader).gotoChain,
		"-c --set-counters":      (*ruleReader).counters,
		"-t --table":             (*ruleReader).sameTable,
	} {
		for _, name := range strings.Fields(names) {
			options[name] = read
		}
	}
	return options
}()

func (r *ruleReader) setInvert(bit uint8, invert bool) {
	if invert {
		r.header.invert |= bit
	}
}

func (r *ruleReader) source(value string, invert bool) (err error) {
	r.setInvert(invertSource, invert)
	r.sources, err = r.networks(value, invert)
	return err
}

func (r *ruleReader) destination(value string, invert bool) (err error) {
	r.setInvert(invertDestination, invert)
	r.targets, err = r.networks(value, invert)
	return err
}

func (r *ruleReader) networks(value string, invert bool) ([]network, error) {
	parts := strings.Split(value, ",")
	if invert && len(parts) > 1 {
		return nil, fmt.Errorf("%q: \"!\" goes with one address only", value)
	}
	var list []network
	for _, part := range parts {
		n, err := readNetwork(r.family, part)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

// readNetwork reads "address", "address/length" and "address/mask". Where the
// mask is empty the address doesn't matter. Names of hosts aren't looked up: their
// addresses are those that the machine finds which loads the rules.
func readNetwork(family firewall.Family, text string) (n network, err error) {
	host, suffix, hasSuffix := strings.Cut(text, "/")
	size := addressSize(family)
	n.mask = slices.Repeat([]byte{0xff}, size)
	if hasSuffix {
		if n.mask, err = readMask(suffix, size); err != nil {
			return n, err
		}
	}
	if length, whole := prefixLength(n.mask); length == 0 && whole {
		n.address = make([]byte, size)
		return n, nil
	}
	address, ok := xt.ParseAddress(host, family)
	if !ok {
		return n, fmt.Errorf("%q is no address of this family (%s)", text, family)
	}
	for i := range address {
		address[i] &= n.mask[i]
	}
	n.address = address
	return n, nil
}

func readMask(text string, size int) ([]byte, error) {
	if m, err := netip.ParseAddr(text); err == nil && m.BitLen() == 8*size {
		return m.AsSlice(), nil
	}
	p, err := netip.ParsePrefix(map[int]string{4: "0.0.0.0/", 16: "::/"}[size] + text)
	if err != nil {
		return nil, fmt.Errorf("%q is no mask", text)
	}
	mask := make([]byte, size)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask, nil
}

func (r *ruleReader) in(value string, invert bool) error {
	r.setInvert(invertIn, invert)
	return readInterface(value, &r.header.in, &r.header.inMask)
}

func (r *ruleReader) out(value string, invert bool) error {
	r.setInvert(invertOut, invert)
	return readInterface(value, &r.header.out, &r.header.outMask)
}

func readInterface(value string, name, mask *[16]byte) error {
	var ok bool
	*name, *mask, ok = xt.InterfaceBytes(value)
	if !ok || value == "" {
		return fmt.Errorf("%q is no interface name", value)
	}
	return nil
}

func (r *ruleReader) protocol(value string, invert bool) error {
	p, ok := xt.Protocol(value)
	if !ok {
		return fmt.Errorf("unknown protocol %q", value)
	}
	if p == 0 && invert {
		return errors.New("\"! -p all\" matches nothing; iptables refuses it")
	}
	r.header.protocol, r.header.hasProtocol = p, p != 0
	r.setInvert(invertProtocol, invert)
	return nil
}

func (r *ruleReader) match(value string, _ bool) error {
	r.load(value)
	return nil
}

func (r *ruleReader) load(name string) *loaded {
	arity, _ := xt.MatchOptions(name, r.family)
	m := &loaded{name: name, arity: arity}
	r.matches = append(r.matches, m)
	return m
}

// jumpTo reads a target's or a chain's name.
func (r *ruleReader) jumpTo(value string, _ bool) error {
	arity, known := xt.TargetOptions(value, r.family)
	if !known && r.chains[value] != nil {
		r.jump = value
		return nil
	}
	r.target = &loaded{name: value, arity: arity}
	return nil
}

func (r *ruleReader) gotoChain(value string, _ bool) error {
	if r.chains[value] == nil {
		return fmt.Errorf("no chain %q", value)
	}
	r.jump, r.header.jumpIsGoto = value, true
	return nil
}

// counters are two numbers, which don't matter.
func (r *ruleReader) counters(value string, _ bool) error {
	if strings.Contains(value, ",") {
		return nil
	}
	if _, ok := r.next(); !ok {
		return errors.New("-c needs two numbers")
	}
	return nil
}

func (r *ruleReader) sameTable(value string, _ bool) error {
	if value != r.table.Name {
		return fmt.Errorf("-t %s in the table %s", value, r.table.Name)
	}
	return nil
}

// extensionOption gives an option to the target or match that knows it, the
// last one first; else to the protocol's own match, which needs no -m; else to
// an extension that isn't known.
func (r *ruleReader) extensionOption(name string, invert bool) error {
	candidates := slices.Clone(r.matches)
	if r.target != nil {
		candidates = append(candidates, r.target)
	}
	for _, c := range slices.Backward(candidates) {
		if full, ok := c.find(name); ok {
			return r.give(c, full, invert)
		}
	}
	if m := r.protocolMatch(); m != nil {
		if full, ok := m.find(name); ok {
			r.matches = append(r.matches, m)
			return r.give(m, full, invert)
		}
	}
	for _, c := range slices.Backward(candidates) {
		if c.arity == nil {
			return r.giveAll(c, name, invert)
		}
	}
	return fmt.Errorf("unknown option \"--%s\"", name)
}

// loadedWith is the match or target that has a long option of exactly this name,
// the last one first: policy has a --proto of its own.
func (r *ruleReader) loadedWith(name string) *loaded {
	long, ok := strings.CutPrefix(name, "--")
	if !ok {
		return nil
	}
	if r.target != nil {
		if _, ok := r.target.arity[long]; ok {
			return r.target
		}
	}
	for _, m := range slices.Backward(r.matches) {
		if _, ok := m.arity[long]; ok {
			return m
		}
	}
	return nil
}

// protocolMatch is the match named like the rule's protocol, nil if it is
// loaded already.
func (r *ruleReader) protocolMatch() *loaded {
	if !r.header.hasProtocol {
		return nil
	}
	name := xt.ProtocolName(r.header.protocol)
	switch name {
	case "ipv6-icmp":
		name = "icmp6"
	case "mobility-header":
		name = "mh"
	}
	if slices.ContainsFunc(r.matches, func(m *loaded) bool { return m.name == name }) {
		return nil
	}
	arity, known := xt.MatchOptions(name, r.family)
	if !known {
		return nil
	}
	return &loaded{name: name, arity: arity}
}

func (r *ruleReader) give(to *loaded, name string, invert bool) error {
	option := xt.Option{Name: name, Invert: invert}
	count := to.arity[name]
	if count == xt.OptionalArgument {
		count = 0
		if len(r.words) > 0 && !r.words[0].option() && !r.words[0].is("!") {
			count = 1
		}
	}
	for range count {
		argument, err := r.argument("--"+name, &option.Invert)
		if err != nil {
			return err
		}
		option.Arguments = append(option.Arguments, argument)
	}
	to.options = append(to.options, option)
	return nil
}

// giveAll gives an unknown extension an option and all that follows up to the next.
func (r *ruleReader) giveAll(to *loaded, name string, invert bool) error {
	option := xt.Option{Name: name, Invert: invert}
	for len(r.words) > 0 && !r.words[0].option() && !r.words[0].is("!") {
		t, _ := r.next()
		option.Arguments = append(option.Arguments, t.text)
	}
	to.options = append(to.options, option)
	return nil
}
