package pf

import (
	"net/netip"
	"strconv"
	"strings"
)

// hosts reads one address, or a list of them: xhost and host of pfctl/parse.y.
func (p *parser) hosts() ([]Address, error) {
	var out []Address
	err := p.list(func() error {
		found, err := p.host()
		out = append(out, found...)
		return err
	})
	return p.withoutAny(out), err
}

// withoutAny leaves "any" alone of a list that has it, as pfctl does today.
func (p *parser) withoutAny(list []Address) []Address {
	for _, a := range list {
		if a.Kind == Any && !a.Not && p.options.Dialect != MacOS {
			return []Address{a}
		}
	}
	return list
}

// host reads one address; a name may stand for several.
func (p *parser) host() ([]Address, error) {
	not, err := p.not()
	if err != nil {
		return nil, err
	}
	found, err := p.plainHost()
	for i := range found {
		found[i].Not = not
	}
	return found, err
}

// not takes a "!".
func (p *parser) not() (bool, error) { return p.acceptSymbol("!") }

func (p *parser) plainHost() ([]Address, error) {
	switch {
	case p.isSymbol("<"):
		name, err := p.tableName()
		return []Address{{Kind: TableName, Name: name}}, err
	case p.isSymbol("("):
		a, err := p.dynamic()
		return []Address{a}, err
	case p.is("any"):
		return []Address{{}}, p.advance()
	case p.is("no-route"):
		return []Address{{Kind: NoRoute}}, p.advance()
	case p.is("urpf-failed"):
		return []Address{{Kind: URPFFailed}}, p.advance()
	case p.is("route"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		label, err := p.text()
		return []Address{{Kind: RouteLabel, Name: label}}, err
	}
	return p.namedHost()
}

// namedHost reads an address, a range, an interface or a host name, with or
// without a mask.
func (p *parser) namedHost() ([]Address, error) {
	at := p.tok
	name, err := p.text()
	if err != nil {
		return nil, err
	}
	if name == "-" {
		return nil, at.errorf("syntax error at %v", at)
	}
	if ok, err := p.acceptSymbol("-"); err != nil || ok {
		return p.rangeFrom(at, name, err)
	}
	bits, err := p.mask(at)
	if err != nil {
		return nil, err
	}
	return p.resolve(at, name, bits)
}

func (p *parser) rangeFrom(at token, low string, err error) ([]Address, error) {
	if err != nil {
		return nil, err
	}
	high, err := p.text()
	if err != nil {
		return nil, err
	}
	a, errLow := netip.ParseAddr(low)
	b, errHigh := netip.ParseAddr(high)
	if errLow != nil || errHigh != nil || a.Is4() != b.Is4() {
		return nil, at.errorf("invalid address range %s - %s", low, high)
	}
	return []Address{{Kind: Range, Addr: a.WithZone(""), High: b.WithZone(""), Family: familyOf(a), Bits: -1}}, nil
}

// mask reads "/24"; -1 where there is none.
func (p *parser) mask(at token) (int, error) {
	ok, err := p.acceptSymbol("/")
	if err != nil || !ok {
		return -1, err
	}
	bits, err := strconv.Atoi(p.tok.text)
	if p.tok.kind != word || err != nil {
		return 0, p.unexpected()
	}
	if bits < 0 || bits > 128 {
		return 0, at.errorf("netmask is too large: /%d", bits)
	}
	return bits, p.advance()
}

func familyOf(a netip.Addr) uint8 {
	if a.Is4() {
		return 4
	}
	return 6
}

// resolve turns a name into addresses, in pfctl's order: interface, IPv4
// address, IPv6 address, host name (host() of pfctl_parser.c).
func (p *parser) resolve(at token, name string, bits int) ([]Address, error) {
	base, m, ok := splitModifiers(name)
	if ok && len(p.links.of(base)) > 0 {
		return p.ofLink(base, m, bits), nil
	}
	if a, ok := shortIPv4(name, bits); ok {
		return p.masked(at, a, bits)
	}
	if a, err := netip.ParseAddr(name); err == nil {
		found, err := p.masked(at, a.WithZone(""), bits)
		if err == nil && a.Zone() != "" {
			found[0].zone = a.Zone()
		}
		return found, err
	}
	if strings.Contains(name, "%") {
		if a, err := netip.ParseAddr(strings.Replace(name, "%", "%z", 1)); err == nil {
			return p.masked(at, a.WithZone(""), bits)
		}
	}
	if _, err := netip.ParseAddr(base); err == nil || name == "" || strings.Trim(name, "0123456789.:") == "" || name[0] == ':' {
		return nil, at.errorf("no IP address found for %s", name)
	}
	if name == "localhost" {
		return localhost(bits), nil
	}
	if ok && base != "" {
		p.rules.unread("the addresses of " + name)
		return []Address{{Kind: Unresolved, Name: name, Bits: bits}}, nil
	}
	return nil, at.errorf("no IP address found for %s", name)
}

// localhost is 127.0.0.1 and ::1 on every system's /etc/hosts.
func localhost(bits int) []Address {
	var out []Address
	for _, text := range []string{"127.0.0.1", "::1"} {
		out = append(out, maskedAddress(netip.MustParseAddr(text), bits))
	}
	return out
}

// shortIPv4 reads an IPv4 address; with a mask its last octets may be left out.
func shortIPv4(name string, bits int) (netip.Addr, bool) {
	parts := strings.Split(name, ".")
	if len(parts) > 4 || len(parts) < 4 && bits < 0 {
		return netip.Addr{}, false
	}
	var octets [4]byte
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		octets[i] = byte(n)
	}
	return netip.AddrFrom4(octets), true
}

func (p *parser) masked(at token, a netip.Addr, bits int) ([]Address, error) {
	if a.Is4() && bits > 32 {
		return nil, at.errorf("netmask %d invalid for IPv4 address", bits)
	}
	return []Address{maskedAddress(a.Unmap(), bits)}, nil
}

// maskedAddress is a network; a mask longer than the address is cut, none is the
// whole address.
func maskedAddress(a netip.Addr, bits int) Address {
	if bits < 0 || bits > a.BitLen() {
		bits = a.BitLen()
	}
	return Address{Kind: Masked, Family: familyOf(a), Addr: netip.PrefixFrom(a, bits).Masked().Addr(), Bits: bits}
}

func (p *parser) ofLink(name string, m modifiers, bits int) []Address {
	var out []Address
	for _, found := range p.links.addresses(name, m) {
		length := found.prefix.Bits()
		if bits >= 0 {
			length = bits
		}
		a := maskedAddress(found.prefix.Addr(), length)
		a.zone = found.zone
		if bits >= 0 && m.network {
			a = maskedAddress(found.prefix.Addr(), bits)
		}
		out = append(out, a)
	}
	return out
}

// tableName reads <name>, or <name:12> as pfctl -v prints it.
func (p *parser) tableName() (string, error) {
	if err := p.expectSymbol("<"); err != nil {
		return "", err
	}
	at := p.tok
	name, err := p.text()
	if err != nil {
		return "", err
	}
	name = withoutCount(name)
	if name == "" || len(name) > 31 {
		return "", at.errorf("invalid table name %q", at.text)
	}
	return name, p.expectSymbol(">")
}

// dynamic reads (em0:network)/24: the interface's addresses at run time.
func (p *parser) dynamic() (Address, error) {
	if err := p.expectSymbol("("); err != nil {
		return Address{}, err
	}
	at := p.tok
	name, err := p.text()
	if err != nil {
		return Address{}, err
	}
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return Address{}, at.errorf("invalid interface name %q", name)
	}
	name = withoutCount(name)
	if _, _, ok := splitModifiers(name); !ok {
		return Address{}, at.errorf("illegal interface modifiers in %q", name)
	}
	if err := p.expectSymbol(")"); err != nil {
		return Address{}, err
	}
	bits, err := p.mask(at)
	return Address{Kind: Dynamic, Name: ordered(name), Bits: bits}, err
}

// ordered puts modifiers into pfctl's order: (em0:network:0).
func ordered(name string) string {
	base, m, _ := splitModifiers(name)
	for _, part := range []struct {
		on   bool
		text string
	}{{m.network, ":network"}, {m.broadcast, ":broadcast"}, {m.peer, ":peer"}, {m.noAlias, ":0"}} {
		if part.on {
			base += part.text
		}
	}
	return base
}

// withoutCount takes off the number of addresses, 1 or more, or "*" for none,
// that pfctl -v prints behind an interface's name.
func withoutCount(name string) string {
	at := strings.LastIndexByte(name, ':')
	if at < 0 {
		return name
	}
	if tail := name[at+1:]; tail == "*" || tail != "0" && isNumber(tail) {
		return name[:at]
	}
	return name
}
