// Package policy is what a host's administrators declare in netglance.yaml: which
// ports may be reached, from where, by whose hand and until when, and what must
// hold besides. It knows addresses, ports and names; who reaches what is
// correlate's to say.
package policy

import (
	"fmt"
	"net/netip"
	"time"
)

// A Policy is a file with what it includes, for the profiles that were chosen.
type Policy struct {
	// File is the name that it was read by.
	File         string
	Entries      []Entry
	Assertions   []Assertion
	Suppressions []Suppression
	// NothingElse says that what no entry allows may not be reachable, even if a
	// rule names it.
	NothingElse bool
	// Profiles are the names of all profiles that there are, sorted.
	Profiles []string
}

// A Position is a line of a file, for messages.
type Position struct {
	File string
	Line int
}

func (p Position) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Ports is a range of one protocol's.
type Ports struct {
	Protocol    string
	First, Last uint16
}

func (p Ports) String() string {
	if p.First == p.Last {
		return fmt.Sprintf("%d/%s", p.First, p.Protocol)
	}
	return fmt.Sprintf("%d-%d/%s", p.First, p.Last, p.Protocol)
}

// holds says that every port from first on to last is among them.
func (p Ports) holds(protocol string, first, last uint16) bool {
	return p.Protocol == protocol && p.First <= first && last <= p.Last
}

// An Entry allows ports.
type Entry struct {
	At    Position
	Ports []Ports
	// Service is the name that the ports were given by; empty if by number.
	Service string
	// Sources may reach the ports; empty for everybody.
	Sources []netip.Prefix
	// Interfaces are those that packets may come in by; empty for all.
	Interfaces []string
	Owner      Owner
	// Reason says why, Responsible who answers for it; both may be empty.
	Reason, Responsible string
	// Until is the last day on which the entry holds; zero for always.
	Until time.Time
}

// An Owner is what the process behind a port must be. Empty fields ask nothing;
// the others are patterns as of path.Match.
type Owner struct {
	// Process is the name of the program, or the path of its file.
	Process string
	// Unit is the system's unit, or the socket unit that systemd listens for.
	Unit      string
	User      string
	Container string // id, or the first digits of it
	Image     string
}

// Want is what an assertion asks for.
type Want uint8

// What can be asserted. Open and Closed are about connections, Accepted and
// Blocked about the rules alone, whether anything listens or not.
const (
	Open     Want = iota // every one of the sources gets through to a socket
	Closed               // none of them does
	Accepted             // the rules let every one of them in
	Blocked              // the rules let none of them in
)

var wants = []string{"open", "closed", "accepted", "blocked"}

func (w Want) String() string {
	if int(w) < len(wants) {
		return wants[w]
	}
	return fmt.Sprintf("want(%d)", uint8(w))
}

// An Assertion is a question about one port range with the answer that it must have.
type Assertion struct {
	At    Position
	Text  string
	Ports Ports
	// Sources are asked about; empty for everybody.
	Sources []netip.Prefix
	// Interface is the only one asked about; empty for all.
	Interface string
	// To is the only destination asked about; invalid for all of the host's.
	To   netip.Addr
	Want Want
}

// AboutRules is the policy with assertions about the rules alone in place of those
// about connections.
func (p *Policy) AboutRules() *Policy {
	out := *p
	out.Assertions = nil
	for _, a := range p.Assertions {
		switch a.Want {
		case Open:
			a.Want = Accepted
		case Closed:
			a.Want = Blocked
		}
		out.Assertions = append(out.Assertions, a)
	}
	return &out
}

// A Suppression lets a finding pass until a day.
type Suppression struct {
	At Position
	// Finding is the kind of finding; empty for every kind.
	Finding string
	// Ports are what the finding is about, or Fingerprint is its own; one of them is set.
	Ports       []Ports
	Fingerprint string
	Reason      string
	// Until is the last day on which it holds.
	Until time.Time
}

// Expired says that the last day is over at a time; a zero day never is.
func Expired(day, now time.Time) bool {
	return !day.IsZero() && !now.Before(day.AddDate(0, 0, 1))
}
