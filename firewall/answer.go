package firewall

import (
	"net/netip"

	"github.com/netglance/netglance/internal/bdd"
)

// A Query asks what happens to the first packet of a new flow (a TCP SYN, a
// first UDP datagram) that comes in.
type Query struct {
	// Protocol is the IP protocol number: 6 TCP, 17 UDP, 136 UDP-Lite.
	Protocol uint8
	// Interface is the name of the link that the packet comes in by.
	Interface string
	// Destination is where the packet is sent to, before any translation. Its
	// family is the packet's.
	Destination netip.Addr
	// Port is the destination port, before any translation.
	Port uint16
	// Source is where the packet comes from; invalid asks about every address at once.
	Source netip.Addr
	// SourcePort is the packet's source port; 0 leaves it open.
	SourcePort uint16
}

// Fate is what becomes of a packet.
type Fate uint8

// The fates. Conditional and Undecided are not guesses either way: each part
// names what it depends on.
const (
	Undecided   Fate = iota // could not be read
	Accepted                // delivered, and for TCP the answer can leave
	Rejected                // answered with an error
	Dropped                 // vanishes
	Conditional             // depends on what no static reading settles
)

func (f Fate) String() string {
	names := [...]string{"unknown", "accept", "reject", "drop", "conditional"}
	if int(f) < len(names) {
		return names[f]
	}
	return "unknown"
}

// A Decision is what settled a packet's fate.
type Decision struct {
	// Chain is nil where no chain decided but the kernel's own handling did.
	Chain *Chain
	// Rule is nil where the chain's policy decided.
	Rule *Rule
	// Via are the rules that jumped or went to Chain, the base chain's first.
	Via []*Rule
	// Text tells the decision in words: the rule as its owner prints it, "policy
	// drop", "no route back to the source", "no rule drops it".
	Text string
	// Namespace names the network namespace whose rules decided; empty for the one
	// that was asked. An evaluator knows of no other.
	Namespace string
}

// A Delivery is where an accepted packet ends up.
type Delivery struct {
	Address netip.Addr
	Port    uint16
	// Interface is the way out of a forwarded packet; empty for this host itself.
	Interface string
	// SourceHidden says that a forwarded packet's source is translated on the way: who
	// takes it there doesn't see where it comes from.
	SourceHidden bool
}

// SetMembership is a set too large to be listed in an answer.
type SetMembership struct {
	Set *Set
	// Outside says that the sources meant are those that are not in the set.
	Outside bool
}

// Sources is a set of source addresses: those in Prefixes that also fit every one of Sets.
type Sources struct {
	// Prefixes are sorted, disjoint and the fewest possible.
	Prefixes []netip.Prefix
	// Masked stands in place of Prefixes where those would be too many, such as
	// for all odd addresses.
	Masked []MaskedAddress
	Sets   []SetMembership
}

// A MaskedAddress is every address that equals Address in the bits that Mask has set.
type MaskedAddress struct{ Address, Mask netip.Addr }

func oneSource(a netip.Addr) Sources {
	return Sources{Prefixes: []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}}
}

// A Part is the sources that meet one fate for one reason.
type Part struct {
	Sources    Sources
	Fate       Fate
	DecidedBy  Decision
	Conditions []Condition
	// Outcomes are the fates that a Conditional part can have.
	Outcomes []Fate
	// Acceptances are all decisions by which packets of the part are accepted; of a
	// dropped part whose packets get to a socket and whose answer is lost, too.
	Acceptances []Decision
	// DeliveredTo is set for accepted packets, and conditional ones that may be.
	// Nil, with Conditions, where they may end up in several places.
	DeliveredTo *Delivery
	// Here is what these rules make of the sources, where those of the namespace that
	// the packets are forwarded to decide otherwise. An evaluator knows of no other.
	Here *Part

	set   bdd.Node // the sources, until they are listed
	share float64  // of all addresses
}

// A PathStep is one thing that happened to a packet on its way.
type PathStep struct {
	Hook  string
	Chain *Chain // nil for the kernel's own steps (routing, delivery)
	Rule  *Rule  // nil for a policy
	// Effect tells it in words: "accept", "jump to docker", "destination becomes 172.17.0.2:80".
	Effect string
}

// An Explanation is one packet's fate and the way there.
type Explanation struct {
	Part
	Path []PathStep
}

// NoRouteBack follows AnswerLost where no rule is the cause.
const NoRouteBack = "no route back"

// OwnSource follows AnswerLost where the answer would go to this host itself.
const OwnSource = "the source is this host's own address"

// AnswerLost begins a decision's text where the packet gets in and its answer
// doesn't get out.
const AnswerLost = "the answer doesn't get out"
