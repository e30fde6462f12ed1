package xt

import (
	"strings"

	"github.com/netglance/netglance/firewall"
)

// The flags of xt_sctp_info and xt_dccp_info.
const (
	hasSourcePorts      = 1
	hasDestinationPorts = 2
	hasChunkTypes       = 4
	hasDCCPTypes        = 4
	hasDCCPOption       = 8
)

// portPair are the ports that sctp and dccp ask for; destination comes first.
type portPair struct {
	source, destination portSpan
	flags, invert       uint32
}

func (p portPair) steps() []firewall.Step {
	var s []firewall.Step
	if p.flags&hasSourcePorts != 0 {
		s = append(s, between(transport(0, 2), be16(p.source.low), be16(p.source.high), p.invert&hasSourcePorts != 0))
	}
	if p.flags&hasDestinationPorts != 0 {
		s = append(s, between(transport(2, 2), be16(p.destination.low), be16(p.destination.high), p.invert&hasDestinationPorts != 0))
	}
	return s
}

func (p portPair) text(l *line) {
	if p.flags&hasSourcePorts != 0 {
		l.add(p.invert&hasSourcePorts != 0, "--sport", span(p.source.low, p.source.high, ":"))
	}
	if p.flags&hasDestinationPorts != 0 {
		l.add(p.invert&hasDestinationPorts != 0, "--dport", span(p.destination.low, p.destination.high, ":"))
	}
}

// read takes a port option; false for any other.
func (p *portPair) read(g *given, o Option) bool {
	var flag uint32
	switch o.Name {
	case "sport", "source-port":
		flag, p.source = hasSourcePorts, g.ports(o)
	case "dport", "destination-port":
		flag, p.destination = hasDestinationPorts, g.ports(o)
	default:
		return false
	}
	p.set(flag, o.Invert)
	return true
}

func (p *portPair) set(flag uint32, invert bool) {
	p.flags |= flag
	if invert {
		p.invert |= flag
	}
}

// sctp is xt_sctp_info (xt_sctp.h). Which chunks a packet holds is its sender's
// choice, so they are kept as words.
type sctp struct {
	portPair
	chunks string
}

var chunkTypes = map[int]string{
	0: "DATA", 1: "INIT", 2: "INIT_ACK", 3: "SACK", 4: "HEARTBEAT", 5: "HEARTBEAT_ACK", 6: "ABORT", 7: "SHUTDOWN", 8: "SHUTDOWN_ACK",
	9: "ERROR", 10: "COOKIE_ECHO", 11: "COOKIE_ACK", 12: "ECN_ECNE", 13: "ECN_CWR", 14: "SHUTDOWN_COMPLETE", 64: "I_DATA", 128: "ASCONF_ACK",
	130: "RE_CONFIG", 132: "PAD", 192: "FORWARD_TSN", 193: "ASCONF", 194: "I_FORWARD_TSN",
}

// chunkFlags are the letters of a chunk's flags, the highest bit first.
var chunkFlags = map[int]string{0: "----IUBE", 6: "-------T", 14: "-------T", 64: "----IUBE"}

func decodeSCTP(_ uint8, f *fields) extension {
	var s sctp
	s.destination = portSpan{low: f.u16(), high: f.u16()}
	s.source = portSpan{low: f.u16(), high: f.u16()}
	var chunks [8]uint32
	for i := range 64 { // 256 / sizeof(__u32) words, of which 8 are used
		if w := f.u32(); i < 8 {
			chunks[i] = w
		}
	}
	which := f.u32()
	var flags [4][3]uint8
	for i := range flags {
		flags[i] = [3]uint8{f.u8(), f.u8(), f.u8()}
	}
	count := f.u32()
	s.flags, s.invert = f.u32(), f.u32()
	if s.flags&hasChunkTypes != 0 {
		how, ok := map[uint32]string{1: "any", 2: "all", 4: "only"}[which]
		if !ok || count > 4 {
			return nil
		}
		s.chunks = how + " " + chunkText(chunks, flags[:count])
	}
	return s
}

func chunkText(chunks [8]uint32, flags [][3]uint8) string {
	var names []string
	all := true
	for t := range 256 {
		if chunks[t/32]>>(t%32)&1 == 0 {
			all = false
			continue
		}
		if name, ok := chunkTypes[t]; ok {
			names = append(names, name+chunkFlagText(t, flags))
		}
	}
	switch {
	case all:
		return "ALL"
	case len(names) == 0:
		return "NONE"
	}
	return strings.Join(names, ",")
}

// chunkFlagText is ":Be" for a chunk whose flag B must be set and E must not.
func chunkFlagText(chunk int, flags [][3]uint8) string {
	letters := chunkFlags[chunk]
	for _, f := range flags {
		if int(f[0]) != chunk || len(letters) != 8 {
			continue
		}
		text := ":"
		for i := range 8 {
			bit := uint8(0x80) >> i
			if f[2]&bit == 0 {
				continue
			}
			letter := letters[i : i+1]
			if f[1]&bit == 0 {
				letter = strings.ToLower(letter)
			}
			text += letter
		}
		return text
	}
	return ""
}

func (s sctp) steps(Decoder) []firewall.Step {
	steps := s.portPair.steps()
	if s.flags&hasChunkTypes != 0 {
		steps = append(steps, chance(firewall.Sender, "sctp", s.String())...)
	}
	return steps
}

func (s sctp) String() string {
	var l line
	s.text(&l)
	if s.flags&hasChunkTypes != 0 {
		l.add(s.invert&hasChunkTypes != 0, "--chunk-types", s.chunks)
	}
	return l.String()
}

const sctpOptions = udpOptions + " chunk-types=2"

func parseSCTP(g *given) extension {
	var s sctp
	for _, o := range g.list {
		if s.read(g, o) {
			continue
		}
		s.chunks = strings.Join(o.Arguments, " ")
		s.set(hasChunkTypes, o.Invert)
	}
	return s
}

// dccp is xt_dccp_info (xt_dccp.h).
type dccp struct {
	portPair
	types  uint16
	option uint8
}

func decodeDCCP(_ uint8, f *fields) extension {
	var d dccp
	d.destination = portSpan{low: f.u16(), high: f.u16()}
	d.source = portSpan{low: f.u16(), high: f.u16()}
	d.flags, d.invert = uint32(f.u16()), uint32(f.u16())
	d.types, d.option = f.u16(), f.u8()
	return d
}

// steps. The type is bits 1 to 4 of byte 8 of the header.
func (d dccp) steps(Decoder) []firewall.Step {
	s := d.portPair.steps()
	if d.flags&hasDCCPTypes != 0 {
		kind := masked(transport(8, 1), []byte{0x1e})
		var types []firewall.Step
		for t := range uint8(16) {
			if d.types>>t&1 != 0 {
				types = append(types, equal(kind, []byte{t << 1}, false))
			}
		}
		s = append(s, matchUnless(d.invert&hasDCCPTypes != 0, alternatives(types)))
	}
	if d.flags&hasDCCPOption != 0 {
		there := firewall.ExtHdr{Op: firewall.ExtHdrDCCP, Type: d.option, Length: 1, Present: true}
		s = append(s, equal(there, []byte{1}, d.invert&hasDCCPOption != 0))
	}
	return s
}

// dccpTypes by bit; INVALID is every type from 10 on.
var dccpTypes = []string{"REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID"}

func (d dccp) String() string {
	var l line
	d.text(&l)
	if d.flags&hasDCCPTypes != 0 {
		l.add(d.invert&hasDCCPTypes != 0, "--dccp-types", bitNames(uint32(d.types), dccpTypes))
	}
	if d.flags&hasDCCPOption != 0 {
		l.add(d.invert&hasDCCPOption != 0, "--dccp-option", number(d.option))
	}
	return l.String()
}

const dccpOptions = udpOptions + " dccp-types=1 dccp-option=1"

func parseDCCP(g *given) extension {
	var d dccp
	for _, o := range g.list {
		switch {
		case d.read(g, o):
		case o.Name == "dccp-types":
			names := upperBits(dccpTypes)
			names["INVALID"] = 0xfc00
			d.types = uint16(g.bits(o, o.first(), names))
			d.set(hasDCCPTypes, o.Invert)
		default:
			d.option = g.u8(o)
			d.set(hasDCCPOption, o.Invert)
		}
	}
	return d
}
