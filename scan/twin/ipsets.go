package twin

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/netglance/netglance/internal/netlink"
)

// Commands and attributes of ipset (include/uapi/linux/netfilter/ipset/ip_set.h).
const (
	subsystemIPSet = 6 << 8
	ipsetCreate    = subsystemIPSet | 2
	ipsetDestroy   = subsystemIPSet | 3
	ipsetList      = subsystemIPSet | 7
	ipsetAdd       = subsystemIPSet | 9

	ipsetProtocol = 1
	ipsetName     = 2
	ipsetType     = 3
	ipsetRevision = 4
	ipsetFamily   = 5
	ipsetData     = 7
	ipsetMembers  = 8
	ipsetLine     = 9
	ipsetIndex    = 11
	// what only the kernel sets: the number of elements, of references, the memory
	ipsetKernelOnly = 24

	// addresses in the data of a set or a member
	ipsetIP    = 1
	ipsetIPTo  = 2
	ipsetIP2   = 20
	ipsetIP2To = 22

	networkOrder = 0x4000 // NLA_F_NET_BYTEORDER

	ipsetVersion = 7
	// maxSets is the highest number of a set that is reproduced.
	maxSets = 4096
)

// An ipset is one set as the kernel gave it.
type ipset struct {
	index   uint16
	name    string
	kind    string
	create  []byte
	members [][]byte // lists of elements
}

// loadSets makes the ipsets that rules name. Rules name them by number, so each
// gets the number that it has on the host: the kernel gives the lowest free one, and
// what is missing in between is filled, and emptied again.
func (t *Twin) loadSets() error {
	sets := readSets(t.host.Tape)
	if len(sets) == 0 {
		return nil
	}
	var requests, fillers []request
	next := 0
	if highest := sets[len(sets)-1]; int(highest.index) > maxSets {
		t.Useless = fmt.Errorf("the ipset %s has the number %d, higher than any that is reproduced", highest.name, highest.index)
		return nil
	}
	for _, s := range sets {
		for ; next < int(s.index); next++ {
			name := fmt.Sprintf("netglance-%d", next)
			requests = append(requests, ipsetRequest(ipsetCreate, flagCreate|flagExclude, filler(name), "a place before ipset "+s.name))
			fillers = append(fillers, ipsetRequest(ipsetDestroy, 0, netlink.AppendString(nil, ipsetName, name), "a place"))
		}
		requests = append(requests, ipsetRequest(ipsetCreate, flagCreate|flagExclude, s.create, "the ipset "+s.name))
		next++
	}
	lists := slices.Clone(sets)
	slices.SortStableFunc(lists, func(a, b *ipset) int { // members of lists are sets
		return cmp.Compare(boolInt(a.kind == "list:set"), boolInt(b.kind == "list:set"))
	})
	for _, s := range lists {
		for _, members := range s.members {
			b := netlink.AppendString(nil, ipsetName, s.name)
			b = netlink.AppendAttribute(b, ipsetLine, be32(1))
			b = netlink.AppendAttribute(b, ipsetMembers|nested, members)
			requests = append(requests, ipsetRequest(ipsetAdd, 0, b, "members of the ipset "+s.name))
		}
	}
	refused, err := sendEach(t.kernel, protocolNetfilter, append(requests, fillers...))
	for _, r := range refused {
		t.gap(r.what+" is refused by this kernel", r.why)
		t.Useless = fmt.Errorf("this kernel does not take %s: %w", r.what, r.why)
	}
	return err
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func ipsetRequest(messageType, flags uint16, attributes []byte, what string) request {
	b := []byte{familyIPv4, 0, 0, 0}
	b = netlink.AppendAttribute(b, ipsetProtocol, []byte{ipsetVersion})
	return newRequest(messageType, flags, append(b, attributes...), what)
}

// filler is a set that only takes a number.
func filler(name string) []byte {
	b := netlink.AppendString(nil, ipsetName, name)
	b = netlink.AppendString(b, ipsetType, "hash:ip")
	b = netlink.AppendAttribute(b, ipsetRevision, []byte{0})
	b = netlink.AppendAttribute(b, ipsetFamily, []byte{familyIPv4})
	return netlink.AppendAttribute(b, ipsetData|nested, nil)
}

// readSets are the sets of the tape by their number.
func readSets(tape *Tape) []*ipset {
	byName := map[string]*ipset{}
	var sets []*ipset
	for _, data := range tape.messages(protocolNetfilter, ipsetList) {
		if len(data) < nfgenLength {
			continue
		}
		list := data[nfgenLength:]
		name := text(list, ipsetName)
		s := byName[name]
		if s == nil && attribute(list, ipsetType) != nil {
			s = &ipset{name: name, kind: text(list, ipsetType), create: createSet(list)}
			byName[name] = s
			sets = append(sets, s)
		}
		if s == nil {
			continue
		}
		if b := attribute(list, ipsetIndex); len(b) == 2 {
			s.index = binary.BigEndian.Uint16(b)
		}
		var members []byte
		for _, m := range rawAttributes(attribute(list, ipsetMembers)) {
			members = netlink.AppendAttribute(members, m.number|nested, inNetworkOrder(m.data()))
		}
		if members != nil {
			s.members = append(s.members, members)
		}
	}
	slices.SortFunc(sets, func(a, b *ipset) int { return cmp.Compare(a.index, b.index) })
	return sets
}

// createSet makes of what the kernel says of a set what makes one like it.
func createSet(list []byte) []byte {
	b := keep(list, ipsetName, ipsetType, ipsetRevision, ipsetFamily)
	settings := without(attribute(list, ipsetData), func(number uint16) bool { return number >= ipsetKernelOnly })
	return netlink.AppendAttribute(b, ipsetData|nested, inNetworkOrder(settings))
}

// inNetworkOrder marks the addresses of a set's or member's data as being in network
// order: the kernel insists on that and doesn't do it itself (nla_put_ipaddr4,
// ip_set_get_ipaddr4).
func inNetworkOrder(data []byte) (marked []byte) {
	for _, a := range rawAttributes(data) {
		switch a.number {
		case ipsetIP, ipsetIPTo, ipsetIP2, ipsetIP2To:
			var inner []byte
			for _, address := range rawAttributes(a.data()) {
				inner = netlink.AppendAttribute(inner, address.number|networkOrder, address.data())
			}
			marked = netlink.AppendAttribute(marked, a.number|nested, inner)
		default:
			marked = appendRaw(marked, a)
		}
	}
	return marked
}
