// Package rtnetlink decodes the kernel's links, addresses, routes, routing rules
// and the sysctls that bear on them into a firewall.Network.
//
// Numbers in messages are in the order of the machine that sent them, addresses
// and ports in network order (include/uapi/linux/rtnetlink.h).
package rtnetlink

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/netlink"
)

// A Source gives the bytes: a live or a recorded host.
type Source interface {
	// Netlink sends one request and returns all messages of its reply.
	Netlink(protocol int, request []byte) ([]byte, error)
	ReadFile(name string) ([]byte, error)
}

// NETLINK_ROUTE
const protocol = 0

// Message types: what is asked for and what is answered.
const (
	newLink, getLink       = 16, 18
	newAddr, getAddr       = 20, 22
	newRoute, getRoute     = 24, 26
	newRule, getRule       = 32, 34
	newNSID, getNSID       = 88, 90
	newNexthop, getNexthop = 104, 106
)

// Address families.
const (
	familyAny  = 0
	familyIPv4 = 2
	familyIPv6 = 10
)

// A dump that changes while it is read this many times in a row is kept as it is, with a gap.
const attempts = 5

// Read reads everything; what could not be read is a gap, never just missing.
func Read(source Source) (*firewall.Network, []gaps.Gap) {
	r := &reader{source: source}
	network := &firewall.Network{Settings: map[string]string{}}
	links := r.links()
	for _, l := range links {
		network.Interfaces = append(network.Interfaces, l.Interface)
	}
	network.Addresses = r.addresses()
	network.Routes = r.routes()
	network.Rules = r.rules()
	network.Groups = r.groups()
	r.settings(network.Settings, links)
	return network, r.gaps
}

type reader struct {
	source   Source
	gaps     []gaps.Gap
	nexthops map[uint32]nexthop // nil until asked for
}

// dump calls decode with the payload of every message of a type. When the dump
// was torn it starts over: begin is called before every attempt.
func (r *reader) dump(what string, request []byte, answer uint16, begin func(), decode func(data []byte) error) {
	torn, err := true, error(nil)
	for attempt := 0; torn && attempt < attempts; attempt++ {
		begin()
		torn, err = r.dumpOnce(request, answer, decode)
		if err != nil {
			r.failed(what, err)
			return
		}
	}
	if torn {
		r.gap(gaps.Gap{
			Source: source(what),
			Reason: fmt.Sprintf("the %s kept changing while they were read; some may be missing or stale", what),
			Hint:   "run netglance again when the network is quiet",
		})
	}
}

// dumpOnce stops at a message that can't be decoded: what follows is not read as if it were complete.
func (r *reader) dumpOnce(request []byte, answer uint16, decode func(data []byte) error) (torn bool, err error) {
	reply, err := r.source.Netlink(protocol, request)
	if err != nil {
		return false, err
	}
	complete := false
	err = netlink.Each(reply, func(m netlink.Message) error {
		torn = torn || m.Interrupted()
		switch m.Type {
		case answer:
			return decode(m.Data)
		case netlink.TypeDone:
			complete = true
		}
		return nil
	})
	if err == nil && !complete {
		err = errors.New("the reply has no end")
	}
	return torn, err
}

func (r *reader) failed(what string, err error) {
	gap := gaps.Gap{Source: source(what), Reason: fmt.Sprintf("the %s could not be read: %v", what, err), Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		gap.Hint = "run netglance as root"
	case errors.Is(err, fs.ErrNotExist):
		gap.Hint = "the recording lacks them: record the host again with this netglance"
	case errors.Is(err, errors.ErrUnsupported):
		gap.Hint = "this kernel or sandbox does not offer rtnetlink"
	}
	r.gap(gap)
}

func (r *reader) gap(g gaps.Gap) { r.gaps = append(r.gaps, g) }

func source(what string) string { return "rtnetlink " + what }
