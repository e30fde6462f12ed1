// Package kerneltest asks the running kernel what it does to a packet.
//
// A Namespace is a throwaway network namespace whose interfaces are TAP devices
// (platform.Twin). Tests load a ruleset into it and send crafted first packets
// with any source address (scan/packets); what comes back out, or reaches a
// socket, is the kernel's own verdict. Nothing outside the namespace changes.
// Linux and root only: call Require first.
package kerneltest

import "github.com/netglance/netglance/scan/packets"

// A Layout is the network of a Namespace.
type Layout struct {
	Interfaces []Interface
	// Bridges are the links that Interfaces with a Bridge are ports of.
	Bridges []Interface
	// Setup are lines for "ip -batch" that run once the interfaces are up:
	// "rule add fwmark 1 lookup 7".
	Setup []string
	// Routes are the arguments of "ip route add". A line with an IPv6 address in it
	// goes to the IPv6 table.
	Routes []string
	// Sysctls are settings by their path below /proc/sys/net, set last:
	// "ipv4/ip_forward": "1".
	Sysctls map[string]string
}

// An Interface is a TAP device that the namespace has.
type Interface struct {
	Name string
	// Index is the number that the link gets; 0 lets the kernel choose.
	Index int
	// Addresses are own addresses with the length of their network. The link-local
	// one, fe80::ff:fe00:N for the Nth interface of the layout, is there anyway.
	Addresses []string
	// Bridge is the one of the layout's bridges that the interface is a port of. A
	// port has no address at all.
	Bridge string
	// Gateways are addresses behind a bridge whose link address the kernel shall
	// know: a bridge, unlike a TAP, sends nothing to a neighbour that it doesn't.
	Gateways []string
}

// A Probe is the first packet of a new flow. With Via "lo" a program of the host
// itself sends it, from one of the host's own addresses.
type Probe = packets.Probe

// An Outcome is what the kernel did to a Probe.
type Outcome = packets.Outcome

// Kind is what became of a probe.
type Kind = packets.Kind

// The kinds of outcome.
const (
	Dropped     = packets.Dropped
	Accepted    = packets.Accepted
	Reset       = packets.Reset
	Unreachable = packets.Unreachable
	Forwarded   = packets.Forwarded
)
