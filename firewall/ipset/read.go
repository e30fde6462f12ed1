// Package ipset reads ipsets over netlink (include/uapi/linux/netfilter/ipset/ip_set.h):
// the sets that rules of iptables name, legacy or nft.
//
// Nothing is asked until a rule names a set: asking loads the kernel's module.
package ipset

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/netlink"
)

// Source answers netlink requests: a host, live or recorded.
type Source interface {
	Netlink(protocol int, request []byte) ([]byte, error)
}

const (
	protocolNetfilter = 12
	subsystem         = 6 << 8 // NFNL_SUBSYS_IPSET
	commandList       = 7      // IPSET_CMD_LIST
	protocolVersion   = 7
	familyIPv4        = 2 // of nfgenmsg; ipset doesn't look at it
	listHeader        = 1 << 2
)

// Attributes of a message (IPSET_ATTR_*).
const (
	attrProtocol = 1
	attrSetName  = 2
	attrTypeName = 3
	attrFamily   = 5
	attrFlags    = 6
	attrData     = 7
	attrADT      = 8
	attrIndex    = 11
)

// maxElements is how many members of a set are read; a larger one stays in the kernel.
const maxElements = 100_000

// Sets are the ipsets of a network namespace. It is safe for concurrent use.
type Sets struct {
	source Source

	mu      sync.Mutex
	listed  bool
	byIndex map[uint16]*set
	byName  map[string]*set
	gaps    []gaps.Gap
}

// New is the ipsets of a host.
func New(source Source) *Sets { return &Sets{source: source} }

// ByIndex finds a set by its number in the kernel, with its members.
func (s *Sets) ByIndex(index uint16) (xt.IPSet, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list()
	return s.read(s.byIndex[index], nil)
}

// ByName finds a set by its name, with its members.
func (s *Sets) ByName(name string) (xt.IPSet, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list()
	return s.read(s.byName[name], nil)
}

// Gaps says what could not be read of the sets that were asked for.
func (s *Sets) Gaps() []gaps.Gap {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gaps
}

func (s *Sets) gap(reason string, err error) {
	hint := ""
	if errors.Is(err, fs.ErrPermission) {
		hint = "run as root"
	}
	s.gaps = append(s.gaps, gaps.Gap{Source: "ipset", Reason: reason, Hint: hint, Err: err})
}

// A set is what the kernel says of one.
type set struct {
	xt.IPSet
	index  uint16
	header header
	loaded bool
}

// list reads the headers of all sets, once.
func (s *Sets) list() {
	if s.listed {
		return
	}
	s.listed = true
	s.byIndex, s.byName = make(map[uint16]*set), make(map[string]*set)
	flags := netlink.AppendAttribute(nil, attrFlags, []byte{0, 0, 0, listHeader})
	err := s.dump(flags, func(a *netlink.Attributes) error {
		found, _, err := readSet(a)
		if err != nil {
			return err
		}
		s.byIndex[found.index], s.byName[found.Name] = found, found
		return nil
	})
	if err != nil {
		s.gap("ipsets could not be listed", err)
	}
}

// dump lists sets; each calls f with the attributes of one message.
func (s *Sets) dump(attributes []byte, f func(*netlink.Attributes) error) error {
	data := []byte{familyIPv4, 0, 0, 0}
	data = netlink.AppendAttribute(data, attrProtocol, []byte{protocolVersion})
	reply, err := s.source.Netlink(protocolNetfilter, netlink.Request(subsystem|commandList, netlink.FlagDump, append(data, attributes...)))
	if err != nil {
		return err
	}
	return netlink.Each(reply, func(m netlink.Message) error {
		if m.Type != subsystem|commandList {
			return nil
		}
		if len(m.Data) < 4 {
			return fmt.Errorf("%w: %d bytes where nfgenmsg needs 4", netlink.ErrTruncated, len(m.Data))
		}
		return f(netlink.NewAttributes(m.Data[4:]))
	})
}

// read reads a set's members, once. above are the lists that it is a member of.
func (s *Sets) read(found *set, above []*set) (xt.IPSet, bool) {
	if found == nil {
		return xt.IPSet{}, false
	}
	if found.loaded {
		return found.IPSet, true
	}
	found.loaded = true
	if found.header.opaque != "" {
		s.gap(fmt.Sprintf("ipset %s has a setting that is not understood: %s", found.Name, found.header.opaque), nil)
		return found.IPSet, true
	}
	if found.header.count > maxElements {
		found.Members = found.empty()
		found.Members.Loaded, found.Members.Count = false, uint64(found.header.count)
		return found.IPSet, true
	}
	members, err := s.members(found.Name)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return xt.IPSet{}, false
	case err != nil:
		s.gap(fmt.Sprintf("the members of ipset %s could not be read", found.Name), err)
		return xt.IPSet{}, false
	}
	s.fill(found, members, above)
	return found.IPSet, true
}

// members reads all members of a set: its dump comes in several messages.
func (s *Sets) members(name string) ([]member, error) {
	var all []member
	err := s.dump(netlink.AppendString(nil, attrSetName, name), func(a *netlink.Attributes) error {
		_, members, err := readSet(a)
		all = append(all, members...)
		return err
	})
	return all, err
}

// fill makes elements of members. A list's members are sets; the kernel holds no
// list in a list.
func (s *Sets) fill(found *set, members []member, above []*set) {
	if found.Type == "list:set" {
		for _, m := range members {
			next := s.byName[m.name]
			if next == nil || next.Type == "list:set" || len(above) > 0 {
				continue
			}
			if member, ok := s.read(next, append(above, found)); ok {
				found.Lists = append(found.Lists, member)
			}
		}
		return
	}
	elements, why := found.elements(members)
	if why != "" {
		s.gap(fmt.Sprintf("the members of ipset %s are not understood: %s", found.Name, why), nil)
		return
	}
	found.Members = found.empty()
	found.Members.Elements, found.Members.Loaded, found.Members.Count = elements, true, uint64(len(elements))
}

// empty is the set without its members.
func (found *set) empty() *firewall.Set {
	fields, length := found.fields()
	if len(fields) < 2 {
		fields = nil
	}
	return &firewall.Set{Name: found.Name, KeyLength: length, Fields: fields, Interval: true, Timeout: found.header.timeout, Comment: found.Type}
}
