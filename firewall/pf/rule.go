package pf

import "net/netip"

// Action is what a rule does.
type Action uint8

// The actions. Scrub, NAT, RDR and Binat rules have rulesets of their own, as
// FreeBSD and macOS keep them.
const (
	Pass Action = iota + 1
	Block
	Match
	Scrub
	NAT
	RDR
	Binat
	Dummynet
	Ether
)

func (a Action) String() string {
	names := [...]string{"", "pass", "block", "match", "scrub", "nat", "rdr", "binat", "dummynet", "ether"}
	if int(a) < len(names) {
		return names[a]
	}
	return "unknown"
}

// translates says that a rule belongs to a ruleset of translations, in which
// the first match decides.
func (a Action) translates() bool { return a == NAT || a == RDR || a == Binat }

// Direction is the way through an interface.
type Direction uint8

// The directions. BothWays is a rule without one.
const (
	BothWays Direction = iota
	In
	Out
)

// Return is how a block rule answers.
type Return uint8

// The answers of a block rule. BlockPolicy is left to "set block-policy", and is
// resolved when the rule is read.
const (
	BlockPolicy Return = iota
	ReturnDrop
	ReturnAny
	ReturnRST
	ReturnICMP
)

// A Rule is one rule as pfctl loads it: lists are expanded, macros replaced,
// interfaces and names turned into addresses.
type Rule struct {
	File string
	Line int
	// Number is the rule's place in its ruleset, from 0, as pfctl -vv prints it;
	// translation, scrub and filter rules are counted apart.
	Number int

	Action Action
	// No says that packets which match are left as they are ("no rdr", "no scrub").
	No bool
	// IsAnchor says that the rule calls the anchor named Anchor; Body is what stands
	// in braces behind it. An inline anchor may have no name.
	IsAnchor bool
	Anchor   string
	Body     *Anchor
	// NATPass is the "pass" of "rdr pass": the filter rules are skipped.
	NATPass bool

	Return      Return
	ReturnTTL   int
	ReturnICMP4 int // code; -1 if not given
	ReturnICMP6 int

	Direction Direction
	Log       *Log
	Quick     bool
	// Interface is a name or a group; "" is any, "any" is "on any".
	Interface       string
	NotInterface    bool
	RDomain         int // -1 if not given
	NotRDomain      bool
	ReceivedOn      string
	NotReceivedOn   bool
	Family          uint8 // 0, 4 or 6
	Protocol        int   // -1 if not given
	Source          Endpoint
	Destination     Endpoint
	OS              string
	User, Group     *Owner
	Flags, FlagSet  uint8 // FlagSet 0 is "flags any"
	FlagsGiven      bool
	ICMPType        int // -1 if not given
	ICMPCode        int // -1 if not given
	TOS             int // -1 if not given
	Fragment        bool
	AllowOpts       bool
	State           State
	Probability     float64 // in percent; 0 if not given
	Once            bool
	MaxPacketRate   string
	MaxPacketSize   string
	Label           []string
	RIdentifier     string
	Tag             string
	Tagged          string
	NotTagged       bool
	RTable          int // -1 if not given
	SetTOS, SetPrio string
	SetDelay        string
	Queue           []string
	// Dummynet is FreeBSD's "dnpipe (1, 2)" or "dnqueue 1".
	Dummynet string
	Prio     string // matched priority
	Scrubs   *ScrubOptions

	NATTo, RDRTo, BinatTo *Pool
	AFTo                  *AFTranslation
	Route                 *Route
	Divert                *Divert
	// StaticPort and the like that stand behind a pool are in the pool.

	Ethernet *EthernetRule

	// negatedList says that the rule is one of a list with several negated members,
	// such as { !a, !b }: together its rules match everything.
	negatedList string
}

// Log are the options of a rule that logs.
type Log struct {
	Matches, All, User bool
	To                 string
}

// An Endpoint is one side of a packet.
type Endpoint struct {
	Address Address
	Port    Port
}

// AddressKind is what an address of a rule is.
type AddressKind uint8

// The kinds of address. Unresolved is a host name, or an interface that nothing
// is known of.
const (
	Any AddressKind = iota
	Masked
	Range
	TableName
	Dynamic
	NoRoute
	URPFFailed
	RouteLabel
	Unresolved
)

// An Address is a set of addresses in a rule.
type Address struct {
	Kind AddressKind
	Not  bool
	// Family is 0 where both can match.
	Family uint8
	// Addr is a Masked address, its host bits zero, or the lower end of a Range.
	Addr, High netip.Addr
	// Bits is the mask's length; -1 where a Dynamic address has none.
	Bits int
	// Name is a table, an interface with its modifiers, a route's label or a host.
	Name string
	// zone is the interface that a link-local address belongs to.
	zone string
}

// PortOp is how ports are compared.
type PortOp uint8

// The comparisons. Between is "a >< b" (both ends out), Outside "a <> b",
// Through "a:b" (both ends in).
const (
	AnyPort PortOp = iota
	Equal
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
	Between
	Outside
	Through
)

var portOps = [...]string{"", "=", "!=", "<", "<=", ">", ">=", "><", "<>", ":"}

// A Port is a condition on a port.
type Port struct {
	Op        PortOp
	Low, High uint16
}

// An Owner is a condition on the user or group that owns the local socket.
type Owner struct {
	Op        PortOp
	Low, High uint32
	// Unknown stands for packets that no local socket takes.
	Unknown bool
	// Name is set where the name's number is not known.
	Name string
}

// StateKind is how a rule keeps state.
type StateKind uint8

// The kinds of state. StateDefault is nothing said.
const (
	StateDefault StateKind = iota
	NoState
	KeepState
	ModulateState
	SynproxyState
)

// State are the options of the states that a rule makes.
type State struct {
	Kind                         StateKind
	Max                          int
	NoSync, IfBound, Floating    bool
	Sloppy, PFlow, AllowRelated  bool
	SourceTrack                  string // "", "rule" or "global"
	MaxSrcStates, MaxSrcConn     int
	MaxSrcConnRate               string
	MaxSrcNodes                  int
	Overload                     string
	Flush, FlushGlobal           bool
	Timeouts                     []Timeout
	given                        bool // in parentheses
	srcConnRateSeconds           int
	trackSourceGiven, sourceRule bool
}

// A Timeout is a state timeout in seconds.
type Timeout struct {
	Name    string
	Seconds int
}

// ScrubOptions are what packets are normalised to.
type ScrubOptions struct {
	NoDF, RandomID, ReassembleTCP bool
	MinTTL, MaxMSS                int
	SetTOS                        string
	// Fragment is "reassemble", "no reassemble", "crop" or "drop-ovl" of old scrub rules.
	Fragment string
}

// A Pool is where translated packets are sent, or come from.
type Pool struct {
	Addresses []Address
	// Interfaces stand beside the addresses of routes: (em0 192.0.2.1).
	Interfaces []string
	Low, High  uint16
	// Star says that the port range is as long as the one it translates ("8000:*").
	Star bool
	// Type is "", "bitmask", "random", "source-hash" or "round-robin", "least-states".
	Type       string
	Key        string
	Sticky     bool
	StaticPort bool
	MapE       string
	Options    []string // endpoint-independent, prefer-ipv6-nexthop, extfilter …
	// NoPort says that nothing was said of ports.
	NoPort bool
	// binat says that host parts stay, as binat-to has it.
	binat bool
}

// AFTranslation is af-to.
type AFTranslation struct {
	Family   uint8
	From, To *Pool
}

// A Route is route-to, reply-to, dup-to or fastroute.
type Route struct {
	Kind string
	Pool *Pool
}

// A Divert hands packets to a local socket (divert-to), an outside program
// (divert-packet) or back (divert-reply).
type Divert struct {
	Kind    string
	Address netip.Addr
	Port    uint16
}

// An EthernetRule is the rest of FreeBSD's "ether" rules.
type EthernetRule struct {
	Block    bool
	Text     string
	Protocol string
	// Matched says that addresses or an l3 part narrow it down.
	Matched bool
}
