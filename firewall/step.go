package firewall

// A Step is one match or statement of a rule, in the rule's order.
type Step interface{ step() }

// Comparison is the operator of a Compare, numbered like enum nft_cmp_ops.
type Comparison uint8

// The comparisons. All compare bytes, first byte first, as memcmp does.
const (
	Equal Comparison = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// Compare matches where the value stands in relation Op to Data. Only the
// first len(Data) bytes of the value count (nft_cmp.c), so an interface name
// with a wildcard is a shorter Data.
type Compare struct {
	Op    Comparison
	Value Value
	Data  []byte
}

// Range matches where From <= value <= To, or with Invert, where not (nft_range.c).
type Range struct {
	Invert   bool
	Value    Value
	From, To []byte
}

// InSet matches where the set has the value, or with Invert, where it has not.
// An element's own steps (a limit, a quota) must match too.
type InSet struct {
	Invert bool
	Value  Value
	Set    *Set
}

// Chance matches depending on what no reading of the rules settles.
type Chance struct {
	Kind ConditionKind
	// Name is the format's name of the match: "limit", "quota", "recent", "numgen" …
	Name string
	// Text tells it in the words of the owner's tool: "limit rate 10/minute".
	Text string
}

// Opaque is a match or statement that netglance doesn't know, kept whole. It
// may match or not, and may do anything to the packet when Target is set.
type Opaque struct {
	Name string
	// Target says that it may decide or change the packet (an xtables target, an
	// unknown expression), not just match.
	Target bool
	Data   []byte
}

// Passive is a statement without effect on the packet's fate: counter, log, last.
type Passive struct {
	Name string
	Text string
}

// VerdictCode is what a rule or policy decides.
type VerdictCode uint8

// The verdict codes. Break (a match failed) is not among them: a step that
// doesn't match ends the rule.
const (
	Continue VerdictCode = iota
	Accept
	Drop
	Return
	Jump
	Goto
	// Queue hands the packet to a program.
	Queue
	// Stolen ends the packet's way here: it was sent elsewhere (fwd, synproxy).
	Stolen
)

func (c VerdictCode) String() string {
	names := [...]string{"continue", "accept", "drop", "return", "jump", "goto", "queue", "stolen"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

// A Verdict is a step and a verdict map's value. Chain is set for Jump and Goto.
type Verdict struct {
	Code  VerdictCode
	Chain *Chain
	// Number and Bypass are Queue's: the queue, and whether a packet passes when no
	// program listens there.
	Number uint16
	Bypass bool
}

// VerdictMap looks the key up in a verdict map. Without an element the rule ends.
type VerdictMap struct {
	Key Value
	Map *Set
}

// Reject drops the packet and answers with an error.
type Reject struct {
	// TCPReset says that the answer is a TCP RST; otherwise it is an ICMP error.
	TCPReset bool
	// With is the error in the words of the owner's tool: "icmp port-unreachable", "tcp reset".
	With string
}

// NATKind tells the four address translations apart.
type NATKind uint8

// The kinds of NAT.
const (
	SourceNAT NATKind = iota
	DestinationNAT
	MasqueradeNAT
	RedirectNAT
	// HookNAT is xtables' NETMAP: the destination at prerouting and output, the
	// source at input and postrouting (xt_NETMAP.c).
	HookNAT
)

// NAT translates the first packet of a flow. Nil values leave that part as it is.
type NAT struct {
	Kind   NATKind
	Family Family
	// AddressMin and AddressMax are 4 or 16 bytes in network order.
	AddressMin, AddressMax Value
	// PortMin and PortMax are 2 bytes in network order.
	PortMin, PortMax Value
	// NetMap keeps the host part of the address (NF_NAT_RANGE_NETMAP).
	NetMap bool
	// Random says that the port is chosen at random (random, fully-random).
	Random     bool
	Persistent bool
	// Offset says that the port keeps its distance from PortBase (NF_NAT_RANGE_PROTO_OFFSET).
	Offset   bool
	PortBase uint16
}

// Assign writes a value to a packet's meta data, conntrack entry or header.
type Assign struct {
	// Target is Meta, CT, Payload or ExtHdr.
	Target Value
	Value  Value
}

// NoTrack takes the packet out of connection tracking.
type NoTrack struct{}

// TProxy hands the packet to a local socket without changing it. Nil values
// stand for "the same". Where no such socket exists the rule ends (nft_tproxy.c).
type TProxy struct {
	Family        Family
	Address, Port Value
	// Mark and MarkMask are xtables' TPROXY target's own mark assignment.
	Mark, MarkMask uint32
	HasMark        bool
	// Drop is xtables' verdict where no such socket exists.
	DropWithoutSocket bool
}

// Dup sends a copy elsewhere and goes on.
type Dup struct{ Address, Device Value }

// Forwarding (nft's "fwd") sends the packet out of another device.
type Forwarding struct{ Address, Device Value }

// SynProxy answers TCP SYNs itself (nft_synproxy.c).
type SynProxy struct{}

// FlowOffload moves an established flow into a flow table; a flow's first packet
// and its answer end the rule.
type FlowOffload struct{ Table string }

// ObjectRef applies a named object, or the one that a map has for the key.
type ObjectRef struct {
	// Kind is nft's word for the object type.
	Kind   string
	Object *Object
	Key    Value
	Map    *Set
}

// DynSet adds, updates or deletes a set element from the packet path. The rule
// goes on where that succeeded and Steps, the element's own, match.
type DynSet struct {
	// Operation is "add", "update" or "delete".
	Operation string
	Set       *Set
	Key, Data Value
	Invert    bool
	Steps     []Step
}

// AnyOf matches where every step of at least one alternative does. Without an
// alternative it never matches. The steps are matches: they neither decide nor
// change anything. A value that can't be loaded fails its own alternative only.
type AnyOf struct{ Alternatives [][]Step }

// Not matches where at least one of the steps, all of them matches, does not.
// Without a step it never matches. A value that can't be loaded counts as a step
// that does not match, so Not then matches.
type Not struct{ Steps []Step }

func (Compare) step()     {}
func (Range) step()       {}
func (InSet) step()       {}
func (Chance) step()      {}
func (Opaque) step()      {}
func (Passive) step()     {}
func (Verdict) step()     {}
func (VerdictMap) step()  {}
func (Reject) step()      {}
func (NAT) step()         {}
func (Assign) step()      {}
func (NoTrack) step()     {}
func (TProxy) step()      {}
func (Dup) step()         {}
func (Forwarding) step()  {}
func (SynProxy) step()    {}
func (FlowOffload) step() {}
func (ObjectRef) step()   {}
func (DynSet) step()      {}
func (AnyOf) step()       {}
func (Not) step()         {}
