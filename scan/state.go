// Package scan is the check: it sends first packets and tells what came back. It
// knows targets, ports, pacing and what an answer means; the sockets are
// platform's, which it reaches through small interfaces.
package scan

import "fmt"

// A State is what a probe found of a port, in nmap's meaning.
type State uint8

// The states.
const (
	StateUnknown State = iota // not asked, or the question couldn't be sent
	Open
	Closed
	Filtered
	OpenFiltered // silence where an open port may be silent too: UDP
)

func (s State) String() string {
	names := [...]string{"unknown", "open", "closed", "filtered", "open|filtered"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// A Reason is why a port has its state, worded as nmap's portreasons.
type Reason uint8

// The reasons. Those from PortUnreach on are ICMP errors.
const (
	Unasked    Reason = iota
	NotSent           // the host itself couldn't send the probe
	NoResponse        // silence, asked at least twice
	SynAck
	Reset
	ConnRefused // a reset, as connect(2) tells it
	UDPResponse
	OwnProbe       // the port is one that the scan itself asks from
	NeighborAbsent // nobody on the link has the address
	PortUnreach
	HostUnreach
	NetUnreach
	ProtoUnreach
	AdminProhibited
	HostProhibited
	NetProhibited
	RejectRoute
	SourcePolicy
	TimeExceeded
	OtherICMP
)

var reasonNames = [...]string{
	"not-asked", "not-sent", "no-response", "syn-ack", "reset", "conn-refused", "udp-response", "own-probe", "neighbor-absent", "port-unreach", "host-unreach",
	"net-unreach", "proto-unreach", "admin-prohibited", "host-prohibited", "net-prohibited", "reject-route", "policy", "time-exceeded", "icmp",
}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// ParseReason is the reason with a name.
func ParseReason(name string) (Reason, bool) {
	for r, n := range reasonNames {
		if n == name {
			return Reason(r), true
		}
	}
	return Unasked, false
}

// state is what a reason means for a port of a protocol. An ICMP error about a TCP
// port comes from a filter: a host resets a port where nobody listens (RFC 9293,
// 3.10.7.1). About a UDP port only "port unreachable" comes from the host (RFC 1122, 4.1.3.1).
func (r Reason) state(protocol string) State {
	switch {
	case r == Unasked || r == NotSent:
		return StateUnknown
	case r == SynAck || r == UDPResponse:
		return Open
	case r == Reset || r == ConnRefused || r == OwnProbe:
		return Closed
	case r == PortUnreach && protocol == "udp":
		return Closed
	case r == NoResponse && protocol == "udp":
		return OpenFiltered
	}
	return Filtered
}

// answered says that something came back, whoever sent it.
func (r Reason) answered() bool { return r > NoResponse && r != NeighborAbsent }

// icmpReason names an ICMP error (RFC 792, RFC 1812, 5.2.7.1; RFC 4443, 3).
func icmpReason(six bool, kind, code uint8) Reason {
	if six {
		return icmp6Reason(kind, code)
	}
	if kind == 11 {
		return TimeExceeded
	}
	if kind != 3 {
		return OtherICMP
	}
	switch code {
	case 0, 6:
		return NetUnreach
	case 1, 7:
		return HostUnreach
	case 2:
		return ProtoUnreach
	case 3:
		return PortUnreach
	case 9:
		return NetProhibited
	case 10:
		return HostProhibited
	case 13:
		return AdminProhibited
	}
	return OtherICMP
}

func icmp6Reason(kind, code uint8) Reason {
	switch {
	case kind == 3:
		return TimeExceeded
	case kind == 4 && code == 1:
		return ProtoUnreach
	case kind != 1:
		return OtherICMP
	}
	switch code {
	case 0:
		return NetUnreach
	case 1:
		return AdminProhibited
	case 3:
		return HostUnreach
	case 4:
		return PortUnreach
	case 5:
		return SourcePolicy
	case 6:
		return RejectRoute
	}
	return OtherICMP
}
