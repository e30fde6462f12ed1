package nft

import (
	"encoding/binary"
	"fmt"
	mathbits "math/bits"
	"net/netip"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
)

// An iptablesPrinter writes a rule that iptables-nft compiled as "iptables -S"
// does: it turns the expressions back into options (iptables/nft-shared.c and
// nft-ruleparse.c). failed says that one of them is none that iptables writes.
type iptablesPrinter struct {
	table  *table
	family firewall.Family
	// load is what the register holds, with the mask that was applied to it.
	load *expression
	mask []byte

	source, destination, in, out, protocol, fragment string
	protocolNumber                                   uint8
	// matches are in the order of the rule; ports and flags of one protocol are one match.
	matches []string
	ports   portMatch
	target  string
	// commented says that a match has the rule's comment.
	commented bool
	failed    bool
}

// A portMatch is "-m tcp" with its options; at is its place among the matches, plus 1.
type portMatch struct {
	at                 int
	sport, dport, flag string
}

// iptablesText is the rule in iptables' words; false where it has something that
// iptables doesn't write.
func (r *rule) iptablesText() (string, bool) {
	p := iptablesPrinter{table: r.table, family: r.Rule.Chain.Table.Family}
	whole := each(r.expressions, listElement, func(b []byte) {
		e := new(expression)
		e.parse(b)
		if !p.expression(e) || e.malformed {
			p.failed = true
		}
	})
	if p.failed || !whole {
		return "", false
	}
	text := "-A " + r.Rule.Chain.Name
	for _, option := range []string{p.source, p.destination, p.in, p.out, p.protocol, p.fragment} {
		text += option
	}
	for i, m := range p.matches {
		if i+1 == p.ports.at {
			m = " -m " + xt.ProtocolName(p.protocolNumber) + p.ports.sport + p.ports.dport + p.ports.flag
		}
		text += m
	}
	if r.Comment != "" && !p.commented {
		text += " -m comment --comment " + xt.Quote(r.Comment)
	}
	return text + p.target, true
}

func (p *iptablesPrinter) expression(e *expression) bool {
	switch string(e.name) {
	case "meta", "payload":
		if e.has(metaSreg) && string(e.name) == "meta" {
			p.target = " -j TRACE"
			return firewall.MetaKey(e.uint32(metaKey)) == firewall.MetaNFTrace
		}
		if e.has(payloadSreg) && string(e.name) == "payload" {
			return false
		}
		p.load, p.mask = e, nil
		return true
	case "bitwise":
		p.mask = plainData(e.get(bitwiseMask))
		return p.load != nil && e.uint32(bitwiseOp) == bitwiseMaskXor && uniform(plainData(e.get(bitwiseXor)), 0)
	case "cmp":
		return p.compare(firewall.Comparison(e.uint32(cmpOp)), plainData(e.get(cmpData)))
	case "range":
		return p.portRange(plainData(e.get(rangeFrom)), plainData(e.get(rangeTo)), e.uint32(rangeOp) == 1)
	case "counter":
		return true
	case "match":
		return p.extension(e, false)
	case "target":
		return p.extension(e, true)
	case "limit":
		return p.limit(e)
	case "log":
		return p.log(e)
	case "immediate":
		return p.verdict(e)
	}
	return false
}

func (p *iptablesPrinter) extension(e *expression, target bool) bool {
	x, ok := p.table.extensions()
	if !ok {
		return false
	}
	if target {
		p.target = " " + x.Target(e.text(xtName), uint8(e.uint32(xtRevision)), e.get(xtInfo)).String()
		return true
	}
	p.commented = p.commented || e.text(xtName) == "comment"
	p.matches = append(p.matches, " "+x.Match(e.text(xtName), uint8(e.uint32(xtRevision)), e.get(xtInfo)).String())
	return true
}

// compare is what a comparison with the loaded value means.
func (p *iptablesPrinter) compare(op firewall.Comparison, data []byte) bool {
	if p.load == nil {
		return false
	}
	if op != firewall.Equal && op != firewall.NotEqual {
		return p.bound(op, data)
	}
	invert := ""
	if op == firewall.NotEqual {
		invert = " !"
	}
	if string(p.load.name) == "meta" {
		return p.compareMeta(firewall.MetaKey(p.load.uint32(metaKey)), invert, data)
	}
	base, offset := firewall.HeaderBase(p.load.uint32(payloadBase)), p.load.uint32(payloadOffset)
	switch base {
	case firewall.NetworkHeader:
		return p.compareNetwork(offset, invert, data)
	case firewall.TransportHeader:
		return p.compareTransport(offset, invert, data)
	}
	return false
}

func (p *iptablesPrinter) compareMeta(key firewall.MetaKey, invert string, data []byte) bool {
	switch {
	case key == firewall.MetaIifName && p.mask == nil:
		p.in = interfaceOption("-i", invert, data)
	case key == firewall.MetaOifName && p.mask == nil:
		p.out = interfaceOption("-o", invert, data)
	case key == firewall.MetaL4Proto && p.mask == nil && len(data) == 1:
		p.protocolNumber = data[0]
		p.protocol = invert + " -p " + xt.ProtocolName(data[0])
	case key == firewall.MetaMark && len(data) == 4 && (p.mask == nil || len(p.mask) == 4):
		text := fmt.Sprintf("%#x", binary.NativeEndian.Uint32(data))
		if p.mask != nil {
			text += fmt.Sprintf("/%#x", binary.NativeEndian.Uint32(p.mask))
		}
		p.matches = append(p.matches, " -m mark"+invert+" --mark "+text)
	default:
		return false
	}
	return true
}

// interfaceOption has an interface's name; without its zero byte it is a prefix.
// No link is called "INVAL/D", which stands for "any but any" (add_iniface).
func interfaceOption(option, invert string, data []byte) string {
	name := cString(data)
	switch {
	case string(name) == "INVAL/D":
		return " ! " + option + " +"
	case len(name) < len(data):
		return invert + " " + option + " " + string(name)
	}
	return invert + " " + option + " " + string(data) + "+"
}

// compareNetwork handles addresses, whose prefixes of whole bytes are loaded
// shorter, and the protocol and fragment of IPv4 (struct iphdr, struct ipv6hdr).
func (p *iptablesPrinter) compareNetwork(offset uint32, invert string, data []byte) bool {
	source, destination, size := uint32(12), uint32(16), 4
	if p.family == firewall.FamilyIPv6 {
		source, destination, size = 8, 24, 16
	}
	switch {
	case offset == source || offset == destination:
		text, ok := addressOption(data, p.mask, size)
		if !ok {
			return false
		}
		if offset == source {
			p.source = invert + " -s " + text
		} else {
			p.destination = invert + " -d " + text
		}
		return true
	case p.family == firewall.FamilyIPv4 && offset == 9 && len(data) == 1 && p.mask == nil:
		p.protocolNumber = data[0]
		p.protocol = invert + " -p " + xt.ProtocolName(data[0])
		return true
	case p.family == firewall.FamilyIPv4 && offset == 6 && len(data) == 2 && uniform(data, 0):
		p.fragment = " -f"
		if invert == "" {
			p.fragment = " ! -f"
		}
		return true
	}
	return false
}

// addressOption is "10.0.0.0/8", or an address with a mask that is no prefix.
func addressOption(data, mask []byte, size int) (string, bool) {
	if len(data) == 0 || len(data) > size || mask != nil && len(mask) != len(data) {
		return "", false
	}
	whole := append(append([]byte(nil), data...), make([]byte, size-len(data))...)
	a, _ := netip.AddrFromSlice(whole)
	if mask == nil {
		return fmt.Sprintf("%s/%d", a, 8*len(data)), true
	}
	ones, ended := 0, false
	for _, b := range mask {
		if ended && b != 0 || mathbits.LeadingZeros8(^b) != mathbits.OnesCount8(b) {
			m, _ := netip.AddrFromSlice(append(append([]byte(nil), mask...), make([]byte, size-len(mask))...))
			return fmt.Sprintf("%s/%s", a, m), true
		}
		ones += mathbits.OnesCount8(b)
		ended = b != 0xff
	}
	return fmt.Sprintf("%s/%d", a, ones), true
}

// portOptions is the match that the ports belong to.
func (p *iptablesPrinter) portOptions() *portMatch {
	if p.ports.at == 0 {
		p.matches = append(p.matches, "")
		p.ports.at = len(p.matches)
	}
	return &p.ports
}

func (p *iptablesPrinter) compareTransport(offset uint32, invert string, data []byte) bool {
	switch {
	case offset == 13 && p.protocolNumber == 6 && len(data) == 1:
		mask := byte(0xff)
		if len(p.mask) == 1 {
			mask = p.mask[0]
		}
		p.portOptions().flag = invert + " --tcp-flags " + xt.TCPFlags(mask) + " " + xt.TCPFlags(data[0])
		return true
	case p.mask != nil || p.protocolNumber != 6 && p.protocolNumber != 17 && p.protocolNumber != 136:
		return false
	case offset == 0 && len(data) == 4 && invert == "":
		m := p.portOptions()
		m.sport = fmt.Sprintf(" --sport %d", binary.BigEndian.Uint16(data))
		m.dport = fmt.Sprintf(" --dport %d", binary.BigEndian.Uint16(data[2:]))
		return true
	case len(data) == 2:
		return p.port(offset, invert, fmt.Sprint(binary.BigEndian.Uint16(data)))
	}
	return false
}

func (p *iptablesPrinter) port(offset uint32, invert, text string) bool {
	switch offset {
	case 0:
		p.portOptions().sport = invert + " --sport " + text
	case 2:
		p.portOptions().dport = invert + " --dport " + text
	default:
		return false
	}
	return true
}

func (p *iptablesPrinter) portRange(from, to []byte, outside bool) bool {
	if p.load == nil || string(p.load.name) != "payload" || p.mask != nil || len(from) != 2 || len(to) != 2 ||
		firewall.HeaderBase(p.load.uint32(payloadBase)) != firewall.TransportHeader {
		return false
	}
	invert := ""
	if outside {
		invert = " !"
	}
	return p.port(p.load.uint32(payloadOffset), invert, fmt.Sprintf("%d:%d", binary.BigEndian.Uint16(from), binary.BigEndian.Uint16(to)))
}

// bound is one end of a range of ports, as iptables before 1.8.8 wrote it: the
// lower one first.
func (p *iptablesPrinter) bound(op firewall.Comparison, data []byte) bool {
	if string(p.load.name) != "payload" || p.mask != nil || len(data) != 2 || firewall.HeaderBase(p.load.uint32(payloadBase)) != firewall.TransportHeader {
		return false
	}
	number := fmt.Sprint(binary.BigEndian.Uint16(data))
	m := p.portOptions()
	option := map[uint32]*string{0: &m.sport, 2: &m.dport}[p.load.uint32(payloadOffset)]
	switch {
	case option == nil:
		return false
	case op == firewall.GreaterEqual && *option == "":
		return p.port(p.load.uint32(payloadOffset), "", number+":65535")
	case op == firewall.LessEqual && *option == "":
		return p.port(p.load.uint32(payloadOffset), "", "0:"+number)
	case op == firewall.LessEqual && strings.HasSuffix(*option, ":65535"):
		*option = strings.TrimSuffix(*option, "65535") + number
		return true
	}
	return false
}

// limitUnits are xt_limit's, by seconds.
var limitUnits = map[uint64]string{1: "sec", 60: "min", 3600: "hour", 86400: "day"}

func (p *iptablesPrinter) limit(e *expression) bool {
	unit, ok := limitUnits[e.uint64(limitUnit)]
	if !ok || e.uint32(limitType) != 0 || e.uint32(limitFlags) != 0 {
		return false
	}
	text := fmt.Sprintf(" -m limit --limit %d/%s", e.uint64(limitRate), unit)
	if burst := e.uint32(limitBurst); burst != defaultBurst {
		text += fmt.Sprintf(" --limit-burst %d", burst)
	}
	p.matches = append(p.matches, text)
	return true
}

func (p *iptablesPrinter) log(e *expression) bool {
	if !e.has(logGroup) {
		return false
	}
	p.target = " -j NFLOG"
	if e.has(logPrefix) {
		p.target += " --nflog-prefix " + xt.Quote(e.text(logPrefix))
	}
	if group := e.uint16(logGroup); group != 0 {
		p.target += fmt.Sprintf(" --nflog-group %d", group)
	}
	if e.has(logSnaplen) {
		p.target += fmt.Sprintf(" --nflog-size %d", e.uint32(logSnaplen))
	}
	if threshold := e.uint16(logThreshold); e.has(logThreshold) && threshold != 0 {
		p.target += fmt.Sprintf(" --nflog-threshold %d", threshold)
	}
	return true
}

func (p *iptablesPrinter) verdict(e *expression) bool {
	if e.uint32(immediateDreg) != 0 {
		return true // the 1 that TRACE sets
	}
	var data attributes
	data.parse(e.get(immediateData))
	v, ok := p.table.decodeVerdict(data.get(dataVerdict)).(firewall.Verdict)
	if !ok {
		return false
	}
	switch v.Code {
	case firewall.Accept:
		p.target = " -j ACCEPT"
	case firewall.Drop:
		p.target = " -j DROP"
	case firewall.Return:
		p.target = " -j RETURN"
	case firewall.Jump:
		p.target = " -j " + v.Chain.Name
	case firewall.Goto:
		p.target = " -g " + v.Chain.Name
	default:
		return false
	}
	return true
}
