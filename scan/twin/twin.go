// Package twin asks a real kernel whether netglance's answers are right. A twin is
// a throwaway copy of a host's packet path: links named and numbered like the
// host's, with its addresses, routes and settings, its rules loaded from the very
// bytes that were read, and sockets like its own. Crafted first packets go in by
// the links; what comes back, or arrives, is the kernel's verdict.
package twin

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/scan/packets"
)

// A Kernel is a network namespace of our own (platform.Twin). All but Do is called
// by what Do runs.
type Kernel interface {
	packets.Kernel
	Do(f func() error) error
	// OpenLink makes an interface whose far end is ours.
	OpenLink(name string, index int, hardware uint16) (int, error)
	// Transact sends netlink messages and returns what was said against each.
	Transact(protocol int, messages [][]byte) ([]error, error)
	// Request sends one netlink request and returns all messages of its reply.
	Request(protocol int, request []byte) ([]byte, error)
	Follow(protocol, group int) (int, error)
	Heard(followed int, f func(datagram []byte)) error
	// WriteSetting and ReadFile are for sysctls below /proc/sys/net, and any file.
	WriteSetting(name, value string) error
	ReadFile(name string) ([]byte, error)
	ReplaceTable(family, level int, info, entries []byte) error
	Run(input, name string, arguments ...string) (string, error)
	Listen(protocol uint8, at, peer netip.AddrPort, device string, options int, mark, uid uint32) (int, error)
	CloseSockets()
	Join(index int, group netip.Addr) error
	Cramped() bool
}

// Source answers what the tape doesn't hold.
type Source interface {
	Netlink(protocol int, request []byte) ([]byte, error)
}

// A Host is what a twin is made of.
type Host struct {
	Tape    *Tape
	Source  Source
	Network *firewall.Network
	Rules   *firewall.Ruleset
}

// A Twin is a host's likeness. Its methods are for one goroutine at a time.
type Twin struct {
	kernel Kernel
	host   Host
	prober *packets.Prober
	links  []packets.Link
	// ports are those of the datagram sockets, by the kernel's number.
	ports map[int]uint16
	// halfOpen says that a SYN leaves a half-open connection behind, which answers the
	// next one of its flow with a reset.
	halfOpen bool
	// entrances are the links by which packets come in, by the interface that they
	// come in by for the rules: a bridge's ports, or the link itself.
	entrances map[string][]string
	// refused are the rules that the kernel did not take.
	refused map[*firewall.Rule]bool
	// loaded are the rules that it took, in the order of each chain.
	loaded map[chainKey][]*firewall.Rule
	// Gaps are what could not be reproduced.
	Gaps []gaps.Gap
	// Unlike says that links, addresses, routes or settings are not all the host's.
	Unlike bool
	// Useless says why nothing that the twin does can be trusted; nil mostly.
	Useless error
}

// Build makes a namespace the twin of a host. The error says that there is none at all.
func Build(kernel Kernel, host Host) (*Twin, error) {
	t := &Twin{kernel: kernel, host: host, ports: map[int]uint16{}, entrances: map[string][]string{},
		refused: map[*firewall.Rule]bool{}, loaded: map[chainKey][]*firewall.Rule{}}
	err := kernel.Do(func() error {
		for _, step := range []func() error{
			t.quiet, t.makeLinks, t.applySettings, t.addAddresses, t.addRouting, t.loadSets, t.loadTables, t.loadLegacy, t.openSockets, t.awaitAddresses,
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the twin could not be made: %w", err)
	}
	t.prober = packets.NewProber(kernel, t.links, t.ports)
	t.limitProber()
	return t, nil
}

func (t *Twin) gap(what string, err error) {
	t.Gaps = append(t.Gaps, gaps.Gap{Source: "twin", Reason: what + ": " + err.Error(), Err: err})
}

// unlike is a gap that may change the way of any packet.
func (t *Twin) unlike(what string, err error) {
	t.gap(what, err)
	t.Unlike = true
}

// errNotRecorded says that a host's bytes were not read.
var errNotRecorded = errors.New("it was not read")

// Probe sends probes and tells what became of each, every one a new flow's first packet.
func (t *Twin) Probe(probes []packets.Probe) (outcomes []packets.Outcome, err error) {
	var far []netip.Addr
	for _, p := range probes {
		far = append(far, p.From, p.To)
	}
	err = t.kernel.Do(func() error {
		if err := t.meet(far); err != nil {
			return err
		}
		if err := t.prober.Forget(); err != nil {
			return err
		}
		outcomes, err = t.prober.Probe(probes)
		return err
	})
	return outcomes, err
}
