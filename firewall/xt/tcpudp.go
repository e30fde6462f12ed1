package xt

import (
	"strings"

	"github.com/netglance/netglance/firewall"
)

// portSpan is an inclusive range of ports in host order.
type portSpan struct {
	low, high uint16
	invert    bool
}

var anyPort = portSpan{high: 0xffff}

func (p portSpan) steps(offset uint32) []firewall.Step {
	if p == anyPort {
		return nil
	}
	return one(between(transport(offset, 2), be16(p.low), be16(p.high), p.invert))
}

func (p portSpan) text(l *line, name string) {
	if p.low != 0 || p.high != 0xffff || p.invert {
		l.add(p.invert, name, span(p.low, p.high, ":"))
	}
}

func (g *given) ports(o Option) portSpan {
	low, high := g.portSpan(o, o.first(), ":")
	return portSpan{low, high, o.Invert}
}

// xt_tcp (xt_tcpudp.h).
type tcp struct {
	source, destination portSpan
	option              uint8
	optionInvert        bool
	mask, compare       uint8
	flagsInvert         bool
}

func decodeTCP(_ uint8, f *fields) extension {
	t := tcp{
		source:      portSpan{low: f.u16(), high: f.u16()},
		destination: portSpan{low: f.u16(), high: f.u16()},
		option:      f.u8(), mask: f.u8(), compare: f.u8(),
	}
	invert := f.u8()
	t.source.invert, t.destination.invert = invert&1 != 0, invert&2 != 0
	t.flagsInvert, t.optionInvert = invert&4 != 0, invert&8 != 0
	return t
}

// TCP flags are byte 13 of the header.
func (t tcp) steps(Decoder) []firewall.Step {
	s := append(t.source.steps(0), t.destination.steps(2)...)
	if t.mask != 0 || t.flagsInvert {
		s = append(s, equal(masked(transport(13, 1), []byte{t.mask}), []byte{t.compare}, t.flagsInvert))
	}
	if t.option != 0 {
		there := firewall.ExtHdr{Op: firewall.ExtHdrTCPOpt, Type: t.option, Length: 1, Present: true}
		s = append(s, equal(there, []byte{1}, t.optionInvert))
	}
	return s
}

func (t tcp) String() string {
	var l line
	t.source.text(&l, "--sport")
	t.destination.text(&l, "--dport")
	if t.option != 0 || t.optionInvert {
		l.add(t.optionInvert, "--tcp-option", number(t.option))
	}
	if t.mask != 0 || t.flagsInvert {
		l.add(t.flagsInvert, "--tcp-flags", tcpFlags(t.mask), tcpFlags(t.compare))
	}
	return l.String()
}

var tcpFlagNames = []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG"}

func tcpFlags(bits uint8) string {
	if bits == 0 {
		return "NONE"
	}
	return bitNames(uint32(bits), tcpFlagNames)
}

// bitNames are the names of the set bits, the lowest first.
func bitNames(bits uint32, names []string) string {
	var set []string
	for i, n := range names {
		if bits>>i&1 != 0 {
			set = append(set, n)
		}
	}
	return strings.Join(set, ",")
}

var tcpFlagBits = map[string]uint32{"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ALL": 63, "NONE": 0}

const tcpOptions = "sport=1 source-port=1 dport=1 destination-port=1 syn=0 tcp-flags=2 tcp-option=1"

func parseTCP(g *given) extension {
	t := tcp{source: anyPort, destination: anyPort}
	for _, o := range g.list {
		switch o.Name {
		case "sport", "source-port":
			t.source = g.ports(o)
		case "dport", "destination-port":
			t.destination = g.ports(o)
		case "syn":
			t.mask, t.compare, t.flagsInvert = 0x17, 2, o.Invert
		case "tcp-flags":
			t.mask, t.compare = uint8(g.bits(o, o.first(), tcpFlagBits)), uint8(g.bits(o, o.second(), tcpFlagBits))
			t.flagsInvert = o.Invert
		case "tcp-option":
			t.option, t.optionInvert = g.u8(o), o.Invert
		}
	}
	return t
}

// xt_udp (xt_tcpudp.h); UDP-Lite uses it too.
type udp struct{ source, destination portSpan }

func decodeUDP(_ uint8, f *fields) extension {
	u := udp{portSpan{low: f.u16(), high: f.u16()}, portSpan{low: f.u16(), high: f.u16()}}
	invert := f.u8()
	u.source.invert, u.destination.invert = invert&1 != 0, invert&2 != 0
	return u
}

func (u udp) steps(Decoder) []firewall.Step {
	return append(u.source.steps(0), u.destination.steps(2)...)
}

func (u udp) String() string {
	var l line
	u.source.text(&l, "--sport")
	u.destination.text(&l, "--dport")
	return l.String()
}

const udpOptions = "sport=1 source-port=1 dport=1 destination-port=1"

func parseUDP(g *given) extension {
	u := udp{anyPort, anyPort}
	for _, o := range g.list {
		switch o.Name {
		case "sport", "source-port":
			u.source = g.ports(o)
		case "dport", "destination-port":
			u.destination = g.ports(o)
		}
	}
	return u
}
