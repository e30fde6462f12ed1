package nft

import (
	"strconv"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// String is the rule as "nft -s list ruleset" prints it (nftables 1.0.6), with
// its comment; one of iptables-nft as "iptables -S" does. What this package can't put in nft's words stands in brackets.
func (r *rule) String() string {
	if r.Rule.Chain.Table.Backend == firewall.IptablesNFT {
		if text, ok := r.iptablesText(); ok {
			return text
		}
	}
	p := printer{table: r.table, interfaces: r.table.interfaces}
	p.start(r.Rule.Chain.Table.Family)
	var e expression
	each(r.expressions, listElement, func(b []byte) {
		e.parse(b)
		p.expression(&e)
	})
	if r.Comment != "" {
		p.add("comment " + quote(r.Comment))
	}
	return p.String()
}

// quote puts a string between quotation marks. nft escapes nothing; here a mark
// or a control character in the text, which would pretend to be something else, is.
func quote(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return c == '"' || c < ' ' || c == 0x7f }) {
		return strconv.Quote(s)
	}
	return `"` + s + `"`
}

// A printer writes a rule's expressions as the statements that they were compiled
// from. It follows which protocol each layer of the packet has been shown to
// have, and takes back matches that nft adds to others by itself, as "meta
// l4proto tcp" to "tcp dport 22".
type printer struct {
	table      *table
	interfaces *interfaceNames
	family     firewall.Family
	pieces     []piece
	registers  [registerWords]slot
	// protocol is the header that each base is known to have.
	protocol [firewall.TunnelHeader + 1]*header
	// vlans are the headers stacked behind the Ethernet header.
	vlans int
	// icmpType is that of the message, plus 1, where a match has settled it.
	icmpType int
	// implied are matches that a later match on the same base may make superfluous.
	implied [firewall.TunnelHeader + 1]implication
	// previous is the last statement, if it was a comparison.
	previous *comparison
}

// A piece is one statement's text.
type piece struct {
	text    string
	removed bool
}

// A slot is a register's word: the operand in it, and how many bytes of it came before.
type slot struct {
	operand *operand
	offset  uint32
}

// An implication is a match on a protocol. piece is its index plus 1, 0 if there is none.
type implication struct {
	piece int
	left  *operand
	value uint64
	plain bool // compared with one value by equality
}

// A comparison is a statement that may be the first half of a range.
type comparison struct {
	op    firewall.Comparison
	left  *operand
	value []byte
	piece int
}

func (p *printer) start(family firewall.Family) {
	p.family = family
	switch family {
	case firewall.FamilyIPv4:
		p.protocol[firewall.NetworkHeader] = ipHeader
	case firewall.FamilyIPv6:
		p.protocol[firewall.NetworkHeader] = ip6Header
	case firewall.FamilyARP:
		p.protocol[firewall.NetworkHeader] = arpHeader
	case firewall.FamilyBridge:
		p.protocol[firewall.LinkLayerHeader] = etherHeader
	}
}

// String joins the statements.
func (p *printer) String() string {
	var b strings.Builder
	for _, piece := range p.pieces {
		if piece.removed || piece.text == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(piece.text)
	}
	return b.String()
}

// match adds a statement that only matches.
func (p *printer) match(text string) int {
	p.pieces = append(p.pieces, piece{text: text})
	p.previous = nil
	return len(p.pieces)
}

// add adds a statement that does something. Matches before it can't be taken
// back: they decide whether it is reached.
func (p *printer) add(text string) {
	p.match(text)
	p.implied = [firewall.TunnelHeader + 1]implication{}
}

func (p *printer) set(number uint32, o *operand) {
	first, ok := register(number)
	if !ok {
		return
	}
	if weighOperand(o, maxWeight) < 0 {
		o = &operand{text: "[value]", length: o.length}
	}
	words := int(min(o.length, 64)+3) / 4
	for i := 0; i < words && first+i < registerWords; i++ {
		p.registers[first+i] = slot{o, uint32(i) * 4}
	}
}

// get is the operand in a register, length bytes long: one, or a concatenation.
func (p *printer) get(number, length uint32) *operand {
	first, ok := register(number)
	if !ok || p.registers[first].operand == nil {
		return nil
	}
	if o := p.registers[first].operand; o.length >= length {
		return p.whole(first, o, length)
	}
	var parts []*operand
	for at := uint32(0); at < length; {
		if first+int(at/4) >= registerWords {
			return nil
		}
		s := p.registers[first+int(at/4)]
		if s.operand == nil || s.offset != 0 || p.whole(first+int(at/4), s.operand, s.operand.length) == nil {
			return nil
		}
		parts = append(parts, s.operand)
		at += (s.operand.length + 3) &^ 3
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &operand{kind: kindConcat, parts: parts, length: length}
}

// whole is the operand if its first length bytes are still in the registers.
func (p *printer) whole(first int, o *operand, length uint32) *operand {
	for i := 0; i < int(length+3)/4; i++ {
		if first+i >= registerWords || p.registers[first+i] != (slot{o, uint32(i) * 4}) {
			return nil
		}
	}
	return o
}

// weighOperand takes an operand's parts from a budget; what is left is negative
// when it was not enough.
func weighOperand(o *operand, budget int) int {
	budget--
	for _, part := range append([]*operand{o.left, o.right}, o.parts...) {
		if part != nil && budget >= 0 {
			budget = weighOperand(part, budget)
		}
	}
	return budget
}

// unprintable stands for an expression that this package has no words for. What
// it may have loaded has none either.
func (p *printer) unprintable(e *expression) {
	p.add("[" + string(e.name) + "]")
	p.registers = [registerWords]slot{}
}

// expression takes the next expression of the rule.
func (p *printer) expression(e *expression) {
	name := string(e.name)
	if load := printedLoads[name]; load != nil && p.loads(e, name) {
		if o := load(p, e); o != nil && o.length > 0 && !e.malformed {
			p.set(e.uint32(dregOf(name)), o)
			return
		}
		p.unprintable(e)
		return
	}
	if write := printedStatements[name]; write != nil && !e.malformed && write(p, e) {
		return
	}
	p.unprintable(e)
}

// loads says that the expression writes a register, rather than from one.
func (p *printer) loads(e *expression, name string) bool {
	switch name {
	case "payload":
		return !e.has(payloadSreg)
	case "meta":
		return !e.has(metaSreg)
	case "ct":
		return !e.has(ctSreg)
	case "exthdr":
		return e.has(exthdrDreg)
	case "lookup":
		return e.has(lookupDreg) && e.uint32(lookupDreg) != 0
	case "immediate":
		return e.uint32(immediateDreg) != 0
	}
	return true
}

func dregOf(name string) int {
	switch name {
	case "bitwise":
		return bitwiseDreg
	case "byteorder":
		return byteorderDreg
	case "hash":
		return hashDreg
	case "lookup":
		return lookupDreg
	case "socket":
		return socketDreg
	case "tunnel":
		return tunnelDreg
	}
	return 1
}

// printedLoads give the operand that an expression puts into a register; nil
// where there are no words for it.
var printedLoads map[string]func(*printer, *expression) *operand

// printedStatements write a statement; false where there are no words for it.
var printedStatements map[string]func(*printer, *expression) bool

func init() {
	printedLoads = map[string]func(*printer, *expression) *operand{
		"payload": func(_ *printer, e *expression) *operand {
			return payloadOperand(firewall.Payload{Base: firewall.HeaderBase(min(e.uint32(payloadBase), uint32(firewall.TunnelHeader))), Offset: e.uint32(payloadOffset), Length: e.uint32(payloadLength)})
		},
		"meta": func(_ *printer, e *expression) *operand { return metaOperand(firewall.MetaKey(e.uint32(metaKey))) },
		"ct":   (*printer).loadCT,
		"fib": func(_ *printer, e *expression) *operand {
			return fibOperand(firewall.FIB{Result: firewall.FIBResult(e.uint32(fibResult)), Flags: e.uint32(fibFlags)})
		},
		"rt": func(p *printer, e *expression) *operand {
			return rtOperand(firewall.RTKey(e.uint32(rtKey)), p.family)
		},
		"socket": func(_ *printer, e *expression) *operand {
			return socketOperand(firewall.SocketKey(e.uint32(socketKey)), e.uint32(socketLevel))
		},
		"exthdr":    (*printer).loadExtHdr,
		"immediate": loadImmediate,
		"bitwise":   (*printer).loadBitwise,
		"byteorder": (*printer).loadByteorder,
		"lookup":    (*printer).loadLookup,
		"numgen":    loadNumgen,
		"hash":      (*printer).loadHash,
		"osf":       loadOSF,
		"xfrm":      loadXFRM,
	}
	printedStatements = map[string]func(*printer, *expression) bool{
		"cmp":          (*printer).cmp,
		"range":        (*printer).rangeMatch,
		"lookup":       (*printer).lookup,
		"immediate":    (*printer).verdict,
		"payload":      (*printer).setPayload,
		"meta":         (*printer).setMeta,
		"ct":           (*printer).setCT,
		"exthdr":       (*printer).setExtHdr,
		"dynset":       (*printer).dynset,
		"objref":       (*printer).objref,
		"reject":       (*printer).reject,
		"nat":          (*printer).nat,
		"masq":         (*printer).masq,
		"redir":        (*printer).redir,
		"tproxy":       (*printer).tproxy,
		"dup":          (*printer).dup,
		"fwd":          (*printer).fwd,
		"queue":        (*printer).queue,
		"synproxy":     (*printer).synproxy,
		"match":        (*printer).xtMatch,
		"target":       (*printer).xtTarget,
		"counter":      fixed("counter"),
		"last":         fixed("last"),
		"notrack":      fixed("notrack"),
		"log":          func(p *printer, e *expression) bool { p.add(logText(e)); return true },
		"limit":        func(p *printer, e *expression) bool { p.add(limitText(&e.attributes)); return true },
		"quota":        func(p *printer, e *expression) bool { p.add(quotaText(&e.attributes)); return true },
		"connlimit":    func(p *printer, e *expression) bool { p.add(connlimitText(&e.attributes)); return true },
		"flow_offload": func(p *printer, e *expression) bool { p.add("flow add @" + e.text(1)); return true },
	}
}

func fixed(text string) func(*printer, *expression) bool {
	return func(p *printer, _ *expression) bool { p.add(text); return true }
}
