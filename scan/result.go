package scan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netglance/netglance/scan/service"
)

// A Result is what a scan found.
type Result struct {
	Hosts []Host
	// Silent counts the addresses at which nobody was found.
	Silent int
	// Interrupted says that it was ended before all was asked.
	Interrupted bool
	Started     time.Time
	Took        time.Duration
	// Sent counts the probes of ports.
	Sent int
	// TCP is how TCP ports were asked.
	TCP Method
	// Asked are the ports of each host.
	Asked Asked
}

// Asked are ports by protocol, ascending.
type Asked struct{ TCP, UDP []uint16 }

// A Method is how TCP ports are asked.
type Method uint8

// The methods.
const (
	NoTCP   Method = iota
	SYN            // first packets alone, from raw sockets
	Connect        // whole connections
)

func (m Method) String() string {
	switch m {
	case SYN:
		return "syn"
	case Connect:
		return "connect"
	}
	return "none"
}

// A Host is an address that was scanned.
type Host struct {
	Address netip.Addr
	// Name is the one that the user gave; empty for an address.
	Name string
	// Own says that the address is this host's: the packets never left it.
	Own bool
	// Up is how the host was found: "user-set" when it wasn't looked for.
	Up string
	// Hardware is the link address of a neighbour, "02:00:00:00:00:01"; empty for others.
	Hardware string
	Latency  time.Duration
	// Groups are all ports that were asked, by protocol, state and reason.
	Groups []Group
	// Services are those of the open ports that told; nil if they weren't asked.
	Services map[Endpoint]service.Service
	// Err is why probes could not be sent; nil if all were.
	Err error
}

// A Group is the ports of a protocol that have one state for one reason.
type Group struct {
	Protocol string
	State    State
	Reason   Reason
	Ports    []Span // ascending, with gaps between them
}

// A Span is a range of ports, both ends included.
type Span struct{ First, Last uint16 }

func (s Span) String() string {
	if s.First == s.Last {
		return fmt.Sprint(s.First)
	}
	return fmt.Sprintf("%d-%d", s.First, s.Last)
}

// Spans is "22,80-90".
func Spans(spans []Span) string {
	words := make([]string, len(spans))
	for i, s := range spans {
		words[i] = s.String()
	}
	return strings.Join(words, ",")
}

// Ports is "22,80-90" of single ports.
func Ports(ports []uint16) string { return Spans(spans(slices.Clone(ports))) }

// Count is how many ports a group has.
func (g Group) Count() (n int) {
	for _, s := range g.Ports {
		n += int(s.Last-s.First) + 1
	}
	return n
}

// Each calls f for every port of the group.
func (g Group) Each(f func(port uint16)) {
	for _, s := range g.Ports {
		for p := int(s.First); p <= int(s.Last); p++ {
			f(uint16(p))
		}
	}
}

// groups sorts the ports of a sweep; those that weren't asked are left out.
func groups(protocol string, ports []uint16, reasons []Reason) []Group {
	byReason := map[Reason][]uint16{}
	for i, r := range reasons {
		if r != Unasked {
			byReason[r] = append(byReason[r], ports[i])
		}
	}
	var out []Group
	for r, of := range byReason {
		out = append(out, Group{Protocol: protocol, State: r.state(protocol), Reason: r, Ports: spans(of)})
	}
	slices.SortFunc(out, func(a, b Group) int { return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Reason, b.Reason)) })
	return out
}

// spans joins neighbouring ports; it sorts what it is given.
func spans(ports []uint16) []Span {
	slices.Sort(ports)
	var out []Span
	for _, p := range ports {
		if n := len(out); n > 0 && out[n-1].Last+1 == p {
			out[n-1].Last = p
			continue
		}
		out = append(out, Span{p, p})
	}
	return out
}

// Answered says whether any port answered.
func (h Host) Answered() bool {
	return slices.ContainsFunc(h.Groups, func(g Group) bool { return g.Reason.answered() })
}
