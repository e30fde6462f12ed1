package xt

import (
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// The bits of a conntrack match's flags (xt_conntrack.h).
const (
	ctState = 1 << iota
	ctProto
	ctOrigSrc
	ctOrigDst
	ctReplSrc
	ctReplDst
	ctStatus
	ctExpires
	ctOrigSrcPort
	ctOrigDstPort
	ctReplSrcPort
	ctReplDstPort
	ctDirection
	ctStateAlias
)

// The bits of a state mask. The upper ones are no states: SNAT and DNAT are
// bits of the entry's status, and a packet without entry may be untracked.
const (
	stateInvalid     = 1
	stateEstablished = 2
	stateRelated     = 4
	stateNew         = 8
	stateSNAT        = 64
	stateDNAT        = 128
	stateUntracked   = 256
)

// nf_tables' own bits: NF_CT_STATE_UNTRACKED_BIT, and IPS_SRC_NAT and
// IPS_DST_NAT of the status (nf_conntrack_common.h).
const (
	nftUntracked = 64
	statusSNAT   = 1 << 4
	statusDNAT   = 1 << 5
)

// conntrack is xt_conntrack_mtinfo1, 2 and 3. Revision 1 has one byte for each
// of state and status; 3 has port ranges, in host order.
type conntrack struct {
	flags, invert          uint16
	state, status          uint16
	addresses, masks       [4]address // original source, original destination, reply source, reply destination
	ports                  [4]portSpan
	protocol               uint16
	expiresMin, expiresMax uint32
}

func decodeConntrack(revision uint8, f *fields) extension {
	if revision < 1 || revision > 3 {
		return nil
	}
	var c conntrack
	for i := range 4 {
		c.addresses[i], c.masks[i] = f.address(), f.address()
	}
	c.expiresMin, c.expiresMax = f.u32(), f.u32()
	c.protocol = f.u16()
	for i := range 4 {
		if revision == 3 {
			c.ports[i].low = f.u16()
		} else {
			c.ports[i].low = f.be16()
		}
		c.ports[i].high = c.ports[i].low
	}
	c.flags, c.invert = f.u16(), f.u16()
	if revision == 1 {
		c.state, c.status = uint16(f.u8()), uint16(f.u8())
		return c.normal()
	}
	c.state, c.status = f.u16(), f.u16()
	if revision == 3 {
		for i := range 4 {
			c.ports[i].high = f.u16()
		}
	}
	return c.normal()
}

// normal clears what the flags leave unused.
func (c conntrack) normal() conntrack {
	for i := range 4 {
		c.ports[i].invert = c.invert&(ctOrigSrcPort<<i) != 0
	}
	return c
}

func (c conntrack) has(flag uint16) bool      { return c.flags&flag != 0 }
func (c conntrack) inverted(flag uint16) bool { return c.invert&flag != 0 }

// steps. A packet without an entry meets the state's condition alone, and fails
// everything else where no state is asked for (conntrack_mt).
func (c conntrack) steps(d Decoder) []firewall.Step {
	rest := c.entrySteps(d)
	untracked := anyBit(ct(firewall.CTState), d.word32(stateInvalid|nftUntracked), false)
	if !c.has(ctState) {
		return append(one(anyBit(ct(firewall.CTState), d.word32(stateInvalid|nftUntracked), true)), rest...)
	}
	state := stateSteps(d, c.state, c.inverted(ctState))
	if len(rest) == 0 {
		return state
	}
	return append(state, anyOf(one(untracked), rest))
}

// stateSteps matches a state mask.
func stateSteps(d Decoder, mask uint16, invert bool) []firewall.Step {
	states := uint32(mask) & (stateInvalid | stateEstablished | stateRelated | stateNew)
	if mask&stateUntracked != 0 {
		states |= nftUntracked
	}
	var status uint32
	if mask&stateSNAT != 0 {
		status |= statusSNAT
	}
	if mask&stateDNAT != 0 {
		status |= statusDNAT
	}
	hasState := anyBit(ct(firewall.CTState), d.word32(states), invert)
	if status == 0 {
		return one(hasState)
	}
	hasStatus := anyBit(ct(firewall.CTStatus), d.word32(status), false)
	switch {
	case invert:
		// No entry, no status: then the status has neither bit.
		return []firewall.Step{hasState, not(hasStatus)}
	case states == 0:
		return one(hasStatus)
	}
	return one(anyOf(one(hasState), one(hasStatus)))
}

// entrySteps match the entry itself.
func (c conntrack) entrySteps(d Decoder) []firewall.Step {
	var s []firewall.Step
	if c.has(ctDirection) {
		s = append(s, equal(ct(firewall.CTDirection), []byte{0}, c.inverted(ctDirection)))
	}
	for i := range 4 {
		if c.has(ctOrigSrc << i) {
			s = append(s, equal(masked(d.tupleAddress(i), c.masks[i]), c.addresses[i], c.inverted(ctOrigSrc<<i)))
		}
	}
	if c.has(ctProto) {
		s = append(s, equal(ct(firewall.CTProtocol), []byte{uint8(c.protocol)}, c.inverted(ctProto)))
	}
	for i := range 4 {
		if c.has(ctOrigSrcPort << i) {
			s = append(s, between(tuplePort(i), be16(c.ports[i].low), be16(c.ports[i].high), c.ports[i].invert))
		}
	}
	if c.has(ctStatus) {
		s = append(s, anyBit(ct(firewall.CTStatus), d.word32(uint32(c.status)), c.inverted(ctStatus)))
	}
	if c.has(ctExpires) {
		s = append(s, wordBetween(ct(firewall.CTExpiration), milliseconds(c.expiresMin, 0), milliseconds(c.expiresMax, 999), c.inverted(ctExpires)))
	}
	return s
}

// milliseconds are whole seconds in nf_tables' unit, as far as 32 bits go.
func milliseconds(seconds, more uint32) uint32 {
	if seconds > (1<<32-1-more)/1000 {
		return 1<<32 - 1
	}
	return seconds*1000 + more
}

// tupleAddress is the i-th address: original source and destination, reply
// source and destination.
func (d Decoder) tupleAddress(i int) firewall.Value {
	key := firewall.CTSrcIP
	if d.Family == firewall.FamilyIPv6 {
		key = firewall.CTSrcIP6
	}
	return firewall.CT{Key: key + firewall.CTKey(i%2), Dir: firewall.CTDir(i / 2)}
}

func tuplePort(i int) firewall.Value {
	return firewall.CT{Key: firewall.CTProtoSrc + firewall.CTKey(i%2), Dir: firewall.CTDir(i / 2)}
}

// name is "state" where iptables was told "-m state" and wrote a conntrack match.
func (c conntrack) name() string {
	if c.has(ctStateAlias) {
		return "state"
	}
	return "conntrack"
}

var tupleNames = [...]string{"--ctorigsrc", "--ctorigdst", "--ctreplsrc", "--ctrepldst"}

func (c conntrack) String() string {
	var l line
	if c.has(ctState) {
		name := "--ctstate"
		if c.has(ctStateAlias) {
			name = "--state"
		}
		l.add(c.inverted(ctState), name, stateText(c.state))
	}
	if c.has(ctProto) {
		l.add(c.inverted(ctProto), "--ctproto", number(c.protocol))
	}
	for i := range 4 {
		if c.has(ctOrigSrc << i) {
			l.add(c.inverted(ctOrigSrc<<i), tupleNames[i], c.addresses[i].String()+maskText(c.masks[i]))
		}
	}
	for i := range 4 {
		if c.has(ctOrigSrcPort << i) {
			l.add(c.inverted(ctOrigSrcPort<<i), tupleNames[i]+"port", span(c.ports[i].low, c.ports[i].high, ":"))
		}
	}
	if c.has(ctStatus) {
		l.add(c.inverted(ctStatus), "--ctstatus", statusText(c.status))
	}
	if c.has(ctExpires) {
		l.add(c.inverted(ctExpires), "--ctexpire", span(c.expiresMin, c.expiresMax, ":"))
	}
	if c.has(ctDirection) {
		l.add(false, "--ctdir", [...]string{"ORIGINAL", "REPLY"}[c.invert>>12&1])
	}
	return l.String()
}

// stateNames in the order in which iptables prints them.
var stateNames = []struct {
	name string
	bit  uint16
}{
	{"INVALID", stateInvalid}, {"NEW", stateNew}, {"RELATED", stateRelated}, {"ESTABLISHED", stateEstablished},
	{"UNTRACKED", stateUntracked}, {"SNAT", stateSNAT}, {"DNAT", stateDNAT},
}

func stateText(mask uint16) string {
	var names []string
	for _, s := range stateNames {
		if mask&s.bit != 0 {
			names = append(names, s.name)
		}
	}
	return strings.Join(names, ",")
}

// statusNames are IPS_EXPECTED, IPS_SEEN_REPLY, IPS_ASSURED and IPS_CONFIRMED.
var statusNames = []string{"EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"}

func statusText(mask uint16) string {
	if mask == 0 {
		return "NONE"
	}
	return bitNames(uint32(mask), statusNames)
}

const conntrackOptions = "ctstate=1 state=1 ctproto=1 ctorigsrc=1 ctorigdst=1 ctreplsrc=1 ctrepldst=1 ctorigsrcport=1 ctorigdstport=1 ctreplsrcport=1 ctrepldstport=1 ctstatus=1 ctexpire=1 ctdir=1"

func stateBits() map[string]uint32 {
	m := make(map[string]uint32)
	for _, s := range stateNames {
		m[s.name] = uint32(s.bit)
	}
	return m
}

var statusBits = map[string]uint32{"NONE": 0, "EXPECTED": 1, "SEEN_REPLY": 2, "ASSURED": 4, "CONFIRMED": 8}

func parseConntrack(g *given) extension {
	var c conntrack
	for _, o := range g.list {
		flag := c.option(g, o)
		c.flags |= flag
		if o.Invert {
			c.invert |= flag
		}
	}
	return c.normal()
}

// option reads one option and returns its flag.
func (c *conntrack) option(g *given, o Option) uint16 {
	tuple := strings.TrimSuffix("--"+o.Name, "port")
	if i := slices.Index(tupleNames[:], tuple); i >= 0 {
		if strings.HasSuffix(o.Name, "port") {
			c.ports[i].low, c.ports[i].high = g.portSpan(o, o.first(), ":")
			return ctOrigSrcPort << i
		}
		c.addresses[i], c.masks[i] = g.network(o, o.first())
		return ctOrigSrc << i
	}
	switch o.Name {
	case "ctstate", "state":
		c.state = uint16(g.bits(o, o.first(), stateBits()))
		if o.Name == "state" {
			c.flags |= ctStateAlias
		}
		return ctState
	case "ctproto":
		c.protocol = uint16(g.protocolNumber(o, o.first()))
		return ctProto
	case "ctstatus":
		c.status = uint16(g.bits(o, o.first(), statusBits))
		return ctStatus
	case "ctexpire":
		low, high := g.span(o, o.first(), ":", 32)
		c.expiresMin, c.expiresMax = uint32(low), uint32(high)
		return ctExpires
	case "ctdir":
		switch strings.ToUpper(o.first()) {
		case "REPLY":
			c.invert |= ctDirection
		case "ORIGINAL":
		default:
			g.fail(o, "neither ORIGINAL nor REPLY")
		}
		return ctDirection
	}
	return 0
}

// xt_state_info (xt_state.h): a mask of INVALID, ESTABLISHED, RELATED, NEW and,
// on bit 6, UNTRACKED.
type state struct{ mask uint32 }

func decodeState(_ uint8, f *fields) extension { return state{f.u32()} }

func (s state) conntrackMask() uint16 {
	mask := uint16(s.mask & 15)
	if s.mask&64 != 0 {
		mask |= stateUntracked
	}
	return mask
}

func (s state) steps(d Decoder) []firewall.Step { return stateSteps(d, s.conntrackMask(), false) }

func (s state) String() string { return "--state " + stateText(s.conntrackMask()) }
