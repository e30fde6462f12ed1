// Package firewall models what a host's packet filters say, and answers what
// they do to a packet. It knows no rule format: firewall/nft, firewall/iptables
// and firewall/pf decode theirs into a Ruleset.
package firewall

import (
	"fmt"
	"strings"
)

// A Ruleset is every table that filters packets in one network namespace.
type Ruleset struct {
	Tables []*Table
	// BigEndian says that the recorded machine keeps 32-bit words most
	// significant byte first: marks and interface indexes are kept in its order.
	BigEndian bool
	// Unstable says that the rules kept changing while they were read.
	Unstable bool
}

// Backend is the packet filter that a table belongs to.
type Backend uint8

// The backends. IptablesNFT tables live in nf_tables and were written by
// iptables-nft; IptablesLegacy tables are x_tables' own.
const (
	BackendUnknown Backend = iota
	NFTables
	IptablesNFT
	IptablesLegacy
	PF
)

func (b Backend) String() string {
	switch b {
	case NFTables:
		return "nftables"
	case IptablesNFT:
		return "iptables-nft"
	case IptablesLegacy:
		return "iptables-legacy"
	case PF:
		return "pf"
	}
	return "unknown"
}

// Family is the netfilter protocol family of a table, numbered like NFPROTO_*
// (include/uapi/linux/netfilter.h).
type Family uint8

// The families.
const (
	FamilyUnspecified Family = 0
	FamilyInet        Family = 1
	FamilyIPv4        Family = 2
	FamilyARP         Family = 3
	FamilyNetdev      Family = 5
	FamilyBridge      Family = 7
	FamilyIPv6        Family = 10
)

func (f Family) String() string {
	switch f {
	case FamilyInet:
		return "inet"
	case FamilyIPv4:
		return "ip"
	case FamilyARP:
		return "arp"
	case FamilyNetdev:
		return "netdev"
	case FamilyBridge:
		return "bridge"
	case FamilyIPv6:
		return "ip6"
	}
	return fmt.Sprintf("family(%d)", uint8(f))
}

// Hook is the place on a packet's way where a base chain is called.
type Hook uint8

// The hooks, in the order in which a packet for this host meets them; the
// answer meets Output and Postrouting. Egress is netdev's.
const (
	HookUnknown Hook = iota
	Ingress
	Prerouting
	Input
	Forward
	Output
	Postrouting
	Egress
)

func (h Hook) String() string {
	names := [...]string{"unknown", "ingress", "prerouting", "input", "forward", "output", "postrouting", "egress"}
	if int(h) < len(names) {
		return names[h]
	}
	return fmt.Sprintf("hook(%d)", uint8(h))
}

// ChainType is the type of a base chain. A nat chain sees only the first
// packet of a flow, and runs at the NAT priority of its hook whatever its own
// priority is (net/netfilter/nf_nat_core.c, nf_nat_register_fn); a route chain
// routes an outgoing packet again when it changed it.
type ChainType uint8

// The chain types.
const (
	FilterChain ChainType = iota
	NATChain
	RouteChain
)

func (t ChainType) String() string {
	return [...]string{"filter", "nat", "route"}[t%3]
}

// A Table groups chains and sets.
type Table struct {
	Backend Backend
	Family  Family
	Name    string
	Handle  uint64
	// Dormant tables are loaded and do nothing.
	Dormant bool
	// Owner is the netlink port of the process that owns the table; 0 if none.
	Owner   uint32
	Comment string
	Chains  []*Chain
	Sets    []*Set
	Objects []*Object
}

// A Chain is a list of rules. Base is nil unless a hook calls the chain.
type Chain struct {
	Table   *Table
	Name    string
	Handle  uint64
	Base    *Base
	Comment string
	Rules   []*Rule
}

// FullName is the chain as people write it: "inet filter input". The rulesets of pf
// have no family: "pf", "pf rdr", "pf anchor f2b/sshd".
func (c *Chain) FullName() string {
	switch {
	case c.Table == nil:
		return c.Name
	case c.Table.Backend == PF:
		return strings.TrimSuffix("pf "+c.Name, " filter")
	}
	return c.Table.Family.String() + " " + c.Table.Name + " " + c.Name
}

// Base is what makes a chain a base chain.
type Base struct {
	Hook     Hook
	Priority int32
	Type     ChainType
	// Policy is Accept or Drop.
	Policy VerdictCode
	// Devices are the interfaces that a netdev or inet ingress chain hooks into.
	// A trailing '*' is a wildcard (kernel 6.16).
	Devices []string
}

// A Rule is a list of steps; a match that fails ends it.
type Rule struct {
	Chain  *Chain
	Handle uint64
	// Number is the rule's place in its chain, from 1.
	Number  int
	Comment string
	Steps   []Step
	// Source prints the rule as the owner's own tool does.
	Source fmt.Stringer
}

// Text is the rule as the owner's own tool prints it.
func (r *Rule) Text() string {
	if r.Source == nil {
		return ""
	}
	return r.Source.String()
}

// An Object is a named stateful object: a counter, a limit, a quota, a ct
// helper, timeout or expectation, a secmark, a synproxy, a tunnel.
type Object struct {
	Table *Table
	Name  string
	// Kind is nft's word for the type: "counter", "limit", "quota", "ct helper" …
	Kind string
	// Over, for a limit or quota, says that it matches above the limit.
	Over   bool
	Handle uint64
	Data   []byte
}
