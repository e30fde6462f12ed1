// Package correlate joins what listens with what the rules say: for every port
// who owns it, who can reach it and by which rule, and whether that is meant.
package correlate

import (
	"net/netip"
	"time"

	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/addresses"
	"github.com/netglance/netglance/listeners"
)

// Label is the verdict on a port.
type Label uint8

// The labels, worst first. Unknown stands for "could not be decided".
const (
	Exposed     Label = iota // an outside source reaches it and nothing declares that
	Unknown                  // could not be decided; what is missing is named
	Intentional              // every source that reaches it is declared
	Filtered                 // no outside source gets through
	Local                    // bound where nothing outside arrives
)

// Labels are all labels, worst first.
var Labels = []Label{Exposed, Unknown, Intentional, Filtered, Local}

func (l Label) String() string {
	names := [...]string{"exposed", "unknown", "intentional", "filtered", "local"}
	if int(l) < len(names) {
		return names[l]
	}
	return "unknown"
}

// ParseLabel reads a label's name.
func ParseLabel(name string) (Label, bool) {
	for _, l := range Labels {
		if l.String() == name {
			return l, true
		}
	}
	return Unknown, false
}

// An Exposure is one port: its owners, who reaches it, and the verdict.
type Exposure struct {
	// Protocol is "tcp", "udp" or "udplite": what the packets have.
	Protocol string
	Port     uint16
	// LastPort is set where the row stands for all ports from Port on to it.
	LastPort uint16
	// Redirected says that no socket listens on the port: rules lead its packets to
	// the owners' sockets, or to another host.
	Redirected bool
	// LedBy are the ports whose packets rules lead to this one's sockets: "8080/tcp".
	LedBy []string
	// Addresses are the bind addresses, sorted; Devices the interfaces that all
	// its sockets are bound to, empty if one is bound to none.
	Addresses []netip.Addr
	Devices   []string
	// Namespace is the network namespace; "host" for the one that was looked at.
	Namespace string
	Label     Label
	// Service is the port's usual name; empty if it has none.
	Service string
	Owners  []listeners.Process
	// OwnerGap says why owners are missing or may be incomplete.
	OwnerGap string
	// OwnerHint says what helps against OwnerGap.
	OwnerHint string
	// Predicted says from what it was told that somebody will listen, on a host that
	// doesn't run; empty where somebody does.
	Predicted string
	// Kernel says that the kernel itself listens.
	Kernel bool
	// Served are who takes the packets in other network namespaces, where rules
	// forward them there or an owner hands them on.
	Served []Served
	// ProbableClient says that the sockets are probably a client's.
	ProbableClient bool
	Reach          []Reach
	// Reasons say why the label is what it is, the most telling first.
	Reasons []Reason
	// Remedy is what to do about it: commands, or advice in words.
	Remedy []string
	// Probe is what packets found there, if any were sent.
	Probe Probe
	// Fingerprint names the port across restarts: 16 hex digits.
	Fingerprint string
}

// Reach is one part of a partition: sources that meet one fate, coming in by an
// interface for any of some destination addresses.
type Reach struct {
	Interface string
	// Family is 4 or 6.
	Family int
	// Destinations are sorted.
	Destinations []netip.Addr
	firewall.Part
	// DeliveredIn is the network namespace that DeliveredTo is in; empty for the
	// row's own, and where it wasn't found.
	DeliveredIn string
	// By is the accepting decision that says least about whether the reach is meant,
	// and Declared what it says; DeclaredBy is the rule that says it, nil if none.
	By         firewall.Decision
	Declared   Declaration
	DeclaredBy *firewall.Rule
	// IPv4Only is what keeps IPv4 sources out that By would let in as it does these
	// IPv6 ones, which is why it declares nothing; nil if there is no such thing.
	IPv4Only *firewall.Decision
	// Entries are those of the policy that allow some of the sources, and Outside the
	// sources that none allows, where there are any: at most 1,000 prefixes.
	Entries []policy.Entry
	Outside []netip.Prefix

	outside addresses.Set
	// ruled is what the rules declare, whatever the policy says.
	ruled Declaration
	// ownerUnseen says that the policy allows it if the owners, which could not be
	// seen, are those that it names.
	ownerUnseen bool
}

// A Probe is what packets found at a port: State is "open", "closed", "filtered" or
// "unconfirmed", empty where none was sent; Method is how they were sent: "twin".
type Probe struct{ State, Method string }

// A Reason says in words why a port has its label.
type Reason struct {
	// Code is a word for programs.
	Code string
	Text string
}

// Firewall answers what the rules do to a packet.
type Firewall interface {
	Reach(firewall.Query) []firewall.Part
	// Redirections are the ports of the query's destination that rules translate.
	Redirections(firewall.Query) []firewall.Redirection
}

// Input is what is known of a host.
type Input struct {
	Listeners []listeners.Listener
	Network   *firewall.Network
	Rules     *firewall.Ruleset
	Firewall  Firewall
	// Words say what rules are to who wrote them; nil where that was not asked.
	Words Words
	// Untranslated gives the firewall as it would be without address translation;
	// nil where that can't be asked.
	Untranslated func() Firewall
	// Unread are what filters packets on the host and could not be read. While
	// there is any, only what the kernel itself drops is certain.
	Unread []string
	// Applications says why a firewall that judges programs, such as macOS's, may keep
	// packets from a process, which is zero if it isn't known; empty if it doesn't.
	// Nil where there is none.
	Applications func(listeners.Process) string
	// Wanted, if set, chooses the sockets to answer for.
	Wanted func(listeners.Listener) bool
	// Policy is what the administrators declare; nil if they don't. Now is the day by
	// which its entries end.
	Policy *policy.Policy
	Now    time.Time
	// Namespace is the name of the network namespace that this is of; empty for the
	// host's own.
	Namespace string
	// Beyond finds the other network namespaces of the machine that packets arrive in
	// which leave this one; those that are not found are not in the map. Nil if they
	// are not looked for.
	Beyond func([]firewall.Delivery) map[firewall.Delivery]*Place
	// HandedOn finds the namespace that a process which holds sockets for somebody
	// else serves; nil if it isn't found.
	HandedOn func(listeners.Process, listeners.Proxy) *Place

	intent *intent
	places places
}
