package xt

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// An Option is one command line option of an extension as written in a rule:
// Name without its dashes, Invert for a "!" before it or before its argument.
type Option struct {
	Name      string
	Invert    bool
	Arguments []string
}

// given is the options of one extension in one rule. The first error stays.
type given struct {
	decoder Decoder
	// protocol is the rule's -p, 0 without.
	protocol uint8
	list     []Option
	err      error
}

func (g *given) fail(o Option, why string) {
	if g.err == nil {
		g.err = fmt.Errorf("--%s %s: %s", o.Name, strings.Join(o.Arguments, " "), why)
	}
}

// first and second are the option's arguments.
func (o Option) first() string  { return o.argument(0) }
func (o Option) second() string { return o.argument(1) }

func (o Option) argument(i int) string {
	if i >= len(o.Arguments) {
		return ""
	}
	return o.Arguments[i]
}

// number reads decimal, 0x… and 0… numbers below 2^size.
func (g *given) number(o Option, s string, size int) uint64 {
	v, err := strconv.ParseUint(s, 0, size)
	if err != nil {
		g.fail(o, "no number of "+strconv.Itoa(size)+" bits")
	}
	return v
}

func (g *given) u8(o Option) uint8   { return uint8(g.number(o, o.first(), 8)) }
func (g *given) u16(o Option) uint16 { return uint16(g.number(o, o.first(), 16)) }
func (g *given) u32(o Option) uint32 { return uint32(g.number(o, o.first(), 32)) }

// span reads "a", "a:b", ":b" and "a:" with numbers below 2^size.
func (g *given) span(o Option, s, separator string, size int) (low, high uint64) {
	from, to, isRange := strings.Cut(s, separator)
	high = 1<<size - 1
	if from != "" || !isRange {
		low = g.number(o, from, size)
	}
	if !isRange {
		return low, low
	}
	if to != "" {
		high = g.number(o, to, size)
	}
	return low, high
}

// valueMask reads "value[/mask]".
func (g *given) valueMask(o Option, s string) (value, mask uint32) {
	v, m, found := strings.Cut(s, "/")
	value, mask = uint32(g.number(o, v, 32)), 0xffffffff
	if found {
		mask = uint32(g.number(o, m, 32))
	}
	return value, mask
}

// namedMask is valueMask for numbers of which 0 has a name in iproute2's files.
func (g *given) namedMask(o Option, zero string) (value, mask uint32) {
	if o.first() == zero {
		return 0, 0xffffffff
	}
	return g.valueMask(o, o.first())
}

// port reads a number or a service's name.
func (g *given) port(o Option, s string) uint16 {
	if p, ok := servicePorts[s]; ok {
		return p
	}
	return uint16(g.number(o, s, 16))
}

// portSpan reads "a", "a:b", ":b" and "a:".
func (g *given) portSpan(o Option, s, separator string) (low, high uint16) {
	from, to, isRange := strings.Cut(s, separator)
	high = 0xffff
	if from != "" || !isRange {
		low = g.port(o, from)
	}
	if !isRange {
		return low, low
	}
	if to != "" {
		high = g.port(o, to)
	}
	return low, high
}

// address reads an address of the rule's family.
func (g *given) address(o Option, s string) address {
	a, ok := ParseAddress(s, g.decoder.Family)
	if !ok {
		g.fail(o, "no address of this family")
		return make(address, addressLength(g.decoder.Family))
	}
	return a
}

// ParseAddress reads an address as iptables does: an IPv4 address may end early
// ("10" is 10.0.0.0), and its parts may be octal (010) or hexadecimal (0x0a).
func ParseAddress(s string, family firewall.Family) ([]byte, bool) {
	if family == firewall.FamilyIPv6 {
		a, err := netip.ParseAddr(s)
		if err != nil || !a.Is6() || a.Zone() != "" {
			return nil, false
		}
		return a.AsSlice(), true
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return nil, false
	}
	a := make([]byte, 4)
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 0, 8)
		if err != nil || strings.ContainsAny(part, "_oObB") && !strings.HasPrefix(strings.ToLower(part), "0x") {
			return nil, false
		}
		a[i] = byte(v)
	}
	return a, true
}

// network reads "address[/length|/mask]"; the address is masked.
func (g *given) network(o Option, s string) (a, mask address) {
	host, suffix, found := strings.Cut(s, "/")
	a = g.address(o, host)
	mask = prefixMask(8*len(a), len(a))
	if found {
		if length, err := strconv.Atoi(suffix); err == nil && length >= 0 && length <= 8*len(a) {
			mask = prefixMask(length, len(a))
		} else {
			mask = g.address(o, suffix)
		}
	}
	for i := range a {
		a[i] &= mask[i]
	}
	return a, mask
}

// bits reads a list of names into the bits that they stand for.
func (g *given) bits(o Option, s string, names map[string]uint32) uint32 {
	var mask uint32
	for _, name := range strings.Split(s, ",") {
		bit, ok := names[strings.ToUpper(name)]
		if !ok {
			g.fail(o, fmt.Sprintf("unknown %q", name))
		}
		mask |= bit
	}
	return mask
}

// Protocol is an IP protocol's number from its number or name.
func Protocol(s string) (uint8, bool) {
	if p, ok := protocolNumbers[strings.ToLower(s)]; ok {
		return p, true
	}
	p, err := strconv.ParseUint(s, 0, 8)
	return uint8(p), err == nil
}

func (g *given) protocolNumber(o Option, s string) uint8 {
	p, ok := Protocol(s)
	if !ok {
		g.fail(o, "unknown protocol")
	}
	return p
}

// ProtocolName is a protocol as iptables prints it: by name where it has one,
// else by number.
func ProtocolName(p uint8) string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return number(p)
}

// protocolNames are those of Debian's /etc/protocols (netbase), which iptables asks.
var protocolNames = map[uint8]string{
	1: "icmp", 2: "igmp", 3: "ggp", 4: "ipencap", 5: "st", 6: "tcp", 8: "egp", 9: "igp", 12: "pup", 17: "udp", 20: "hmp", 22: "xns-idp", 27: "rdp", 29: "iso-tp4", 33: "dccp", 36: "xtp", 37: "ddp", 38: "idpr-cmtp", 41: "ipv6", 43: "ipv6-route", 44: "ipv6-frag", 45: "idrp", 46: "rsvp", 47: "gre", 50: "esp", 51: "ah", 57: "skip", 58: "ipv6-icmp", 59: "ipv6-nonxt", 60: "ipv6-opts", 73: "rspf", 81: "vmtp", 88: "eigrp",
	89: "ospf", 93: "ax.25", 94: "ipip", 97: "etherip", 98: "encap", 103: "pim", 108: "ipcomp", 112: "vrrp", 115: "l2tp", 124: "isis", 132: "sctp", 133: "fc", 135: "mobility-header", 136: "udplite", 137: "mpls-in-ip", 138: "manet", 139: "hip", 140: "shim6", 141: "wesp", 142: "rohc", 143: "ethernet",
}

// protocolNumbers are the names in the other direction, with their aliases.
var protocolNumbers = func() map[string]uint8 {
	numbers := map[string]uint8{"all": 0, "ip": 0, "icmpv6": 58, "icmp6": 58, "ipv6-crypt": 50, "ipv6-auth": 51, "ipv6-mh": 135, "mh": 135, "ip-encap": 4}
	for number, name := range protocolNames {
		numbers[name] = number
	}
	return numbers
}()

// servicePorts are the services that hand-written rules name (IANA).
var servicePorts = map[string]uint16{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "time": 37, "domain": 53, "bootps": 67, "bootpc": 68,
	"tftp": 69, "finger": 79, "http": 80, "www": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "auth": 113, "ident": 113,
	"nntp": 119, "ntp": 123, "epmap": 135, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139, "imap2": 143, "imap": 143,
	"snmp": 161, "snmp-trap": 162, "bgp": 179, "ldap": 389, "https": 443, "microsoft-ds": 445, "isakmp": 500, "syslog": 514,
	"printer": 515, "route": 520, "submission": 587, "ipp": 631, "ldaps": 636, "rsync": 873, "imaps": 993, "pop3s": 995,
	"openvpn": 1194, "l2f": 1701, "nfs": 2049, "mysql": 3306, "sip": 5060, "sip-tls": 5061, "mdns": 5353, "postgresql": 5432, "x11": 6000,
	"ipsec-nat-t": 4500, "webmin": 10000, "http-alt": 8080, "socks": 1080, "svn": 3690, "git": 9418,
}

// Port is a port's number from its number or name.
func Port(s string) (uint16, bool) {
	if p, ok := servicePorts[s]; ok {
		return p, true
	}
	p, err := strconv.ParseUint(s, 0, 16)
	return uint16(p), err == nil
}

// OptionalArgument stands for an option's number of arguments where it has one
// or none.
const OptionalArgument = -1

// optionArity says which options a kind takes and how many arguments each has.
func optionArity(k *kind) map[string]int {
	arity := make(map[string]int)
	for _, field := range strings.Fields(k.options) {
		name, count, _ := strings.Cut(field, "=")
		n, err := strconv.Atoi(count)
		if err != nil {
			n = OptionalArgument
		}
		arity[name] = n
	}
	return arity
}

// MatchOptions are the options of a match, each with the number of its
// arguments; false where the match's text isn't known.
func MatchOptions(name string, family firewall.Family) (map[string]int, bool) {
	return optionsOf(matchKind(name, family))
}

// TargetOptions are those of a target.
func TargetOptions(name string, family firewall.Family) (map[string]int, bool) {
	return optionsOf(targetKind(name, family))
}

func optionsOf(k *kind) (map[string]int, bool) {
	if k == nil || k.parse == nil {
		return nil, false
	}
	return optionArity(k), true
}

// ParseMatch reads a match's options as a rule gives them. protocol is the
// rule's -p, 0 without.
func (d Decoder) ParseMatch(name string, protocol uint8, options []Option) (Extension, error) {
	return d.parse("-m", matchKind(name, d.Family), name, protocol, options)
}

// ParseTarget reads a target's options.
func (d Decoder) ParseTarget(name string, protocol uint8, options []Option) (Extension, error) {
	return d.parse("-j", targetKind(name, d.Family), name, protocol, options)
}

func (d Decoder) parse(option string, k *kind, name string, protocol uint8, options []Option) (Extension, error) {
	e := Extension{Name: name, option: option, decoder: d}
	if k == nil || k.parse == nil {
		text := writtenText(options)
		e.body = unknown{extensionName: name, target: option == "-j", text: text, data: []byte(text)}
		return e, nil
	}
	g := &given{decoder: d, protocol: protocol, list: options}
	e.body, e.Known = k.parse(g), true
	if g.err != nil {
		return e, fmt.Errorf("%s %s: %w", option, name, g.err)
	}
	return e, nil
}
