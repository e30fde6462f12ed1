package outside

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Messages, attributes and handles of traffic control
// (include/uapi/linux/rtnetlink.h, pkt_sched.h).
const (
	protocolRoute = 0

	newQdisc, getQdisc   = 36, 38
	newFilter, getFilter = 44, 46

	tcmsgLength = 20
	tcKind      = 1
	tcOptions   = 2

	// TC_H_CLSACT, the parent of the qdiscs "ingress" and "clsact", whose minor
	// numbers are the two directions of a link
	handleClsact  = 0xfffffff1
	handleIngress = 0xfffffff2
	handleEgress  = 0xfffffff3
)

// readTC finds filters that drop or change what a link's packets are. The
// classes and queues of a link only delay.
func readTC(source Source, n *firewall.Network) (f finding) {
	var hooked []int
	err := dump(source, protocolRoute, netlink.Request(getQdisc, netlink.FlagDump, make([]byte, tcmsgLength)), newQdisc, func(data []byte) error {
		if len(data) < tcmsgLength {
			return fmt.Errorf("qdisc: %w: %d bytes", netlink.ErrTruncated, len(data))
		}
		link := int(int32(binary.NativeEndian.Uint32(data[4:])))
		if binary.NativeEndian.Uint32(data[12:]) == handleClsact && !slices.Contains(hooked, link) {
			hooked = append(hooked, link)
		}
		return nil
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return f // a kernel without traffic control
	}
	for _, link := range hooked {
		for _, way := range []direction{{"ingress", handleIngress, firewall.AtLink}, {"egress", handleEgress, firewall.OffLink}} {
			if err == nil {
				err = f.readFilters(source, n, link, way)
			}
		}
	}
	if err != nil {
		return unreadable("tc filters", err)
	}
	return f
}

// A direction is one of the two lists of filters of a link.
type direction struct {
	name   string
	parent uint32
	place  firewall.Place
}

func (f *finding) readFilters(source Source, n *firewall.Network, link int, way direction) error {
	request := make([]byte, tcmsgLength)
	binary.NativeEndian.PutUint32(request[4:], uint32(link))
	binary.NativeEndian.PutUint32(request[12:], way.parent)
	return dump(source, protocolRoute, netlink.Request(getFilter, netlink.FlagDump, request), newFilter, func(data []byte) error {
		filter, err := decodeFilter(source, data)
		if err != nil || filter.does == nothing {
			return err
		}
		o := firewall.Outsider{Place: way.place, Interface: link, Family: filter.family, Changes: filter.does == changesPackets, Kind: firewall.External,
			Text: fmt.Sprintf("tc filter %s on %s %s", filter.text, linkName(n, link), way.name)}
		if filter.does == limitsRate {
			o.Kind = firewall.Rate
		}
		f.outsiders = append(f.outsiders, o)
		return nil
	})
}

// A filter is one of tc's: what it may do to a packet that it matches.
type filter struct {
	text   string
	family firewall.Family
	does   effect
}

// An effect is the most that a filter or an action may do.
type effect uint8

const (
	nothing effect = iota
	limitsRate
	dropsPackets
	changesPackets
)

// Ethernet types (include/uapi/linux/if_ether.h).
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
)

// decodeFilter decodes struct tcmsg (family 1, pad 3, ifindex 4, handle 4, parent
// 4, priority and Ethernet type 4) and its attributes. A message without a handle
// announces a list of filters.
func decodeFilter(source Source, data []byte) (f filter, err error) {
	if len(data) < tcmsgLength {
		return f, fmt.Errorf("tc filter: %w: %d bytes", netlink.ErrTruncated, len(data))
	}
	info := binary.NativeEndian.Uint32(data[16:])
	ether := number16(binary.NativeEndian.AppendUint16(nil, uint16(info)))
	switch ether {
	case etherIPv4:
		f.family = firewall.FamilyIPv4
	case etherIPv6:
		f.family = firewall.FamilyIPv6
	}
	var kind string
	var options []byte
	a := netlink.NewAttributes(data[tcmsgLength:])
	for a.Next() {
		switch a.Type() {
		case tcKind:
			kind = a.String()
		case tcOptions:
			options = a.Data()
		}
	}
	if err := a.Err(); err != nil {
		return f, fmt.Errorf("tc filter: %w", err)
	}
	if binary.NativeEndian.Uint32(data[8:]) == 0 || ether == etherARP {
		return f, nil
	}
	f.text = kind
	if err := f.decodeOptions(source, kind, options); err != nil {
		return f, fmt.Errorf("tc filter %q: %w", kind, err)
	}
	return f, nil
}

// actionAttribute is where each kind of filter has its actions
// (include/uapi/linux/pkt_cls.h).
var actionAttribute = map[string]uint16{"u32": 7, "bpf": 1, "flower": 3, "matchall": 2, "basic": 3, "fw": 4, "route": 6, "cgroup": 1, "flow": 9}

// Attributes of a BPF filter.
const (
	bpfName  = 7
	bpfFlags = 8
	bpfID    = 11
	// TCA_BPF_FLAG_ACT_DIRECT: what the program returns is done
	bpfDirect = 1
)

func (f *filter) decodeOptions(source Source, kind string, options []byte) error {
	actions, known := actionAttribute[kind]
	if !known {
		f.does = changesPackets
		return nil
	}
	var direct bool
	var does []string
	id := uint32(0)
	a := netlink.NewAttributes(options)
	for a.Next() {
		switch {
		case a.Type() == actions:
			names, most, err := decodeActions(a.Data())
			does, f.does = names, max(f.does, most)
			a.Fail(err)
		case kind == "bpf" && a.Type() == bpfName:
			f.text += " " + a.String()
		case kind == "bpf" && a.Type() == bpfFlags:
			direct = a.Uint32()&bpfDirect != 0
		case kind == "bpf" && a.Type() == bpfID:
			id = a.Uint32()
		}
	}
	if direct {
		f.does = dropsPackets
		if id != 0 && about(source, id).changes {
			f.does = changesPackets
		}
	}
	if len(does) > 0 {
		f.text += " (" + strings.Join(does, ", ") + ")"
	}
	return a.Err()
}

// decodeActions names a filter's actions, and says the most that they may do.
func decodeActions(data []byte) (names []string, most effect, err error) {
	list := netlink.NewAttributes(data)
	for list.Next() {
		var kind string
		var options []byte
		a := netlink.NewAttributes(list.Data())
		for a.Next() {
			switch a.Type() {
			case tcKind:
				kind = a.String()
			case tcOptions:
				options = a.Data()
			}
		}
		if err := a.Err(); err != nil {
			return nil, 0, err
		}
		does, err := actionEffect(kind, options)
		if err != nil {
			return nil, 0, err
		}
		names, most = append(names, kind), max(most, does)
	}
	return names, most, list.Err()
}

// Actions (include/uapi/linux/tc_act, pkt_cls.h): the parameters begin with struct
// tc_gen, whose third word says what becomes of the packet.
const (
	actionParameters = 2
	genAction        = 8
	genLength        = 20
	actShot          = 2
	// TCA_EGRESS_MIRROR, TCA_INGRESS_MIRROR
	egressMirror, ingressMirror = 2, 4
)

// actionEffect is the most that an action may do. What isn't known here may do anything.
func actionEffect(kind string, options []byte) (effect, error) {
	var parameters []byte
	a := netlink.NewAttributes(options)
	for a.Next() {
		if a.Type() == actionParameters {
			parameters = a.Data()
		}
	}
	if err := a.Err(); err != nil {
		return 0, err
	}
	least := nothing
	if len(parameters) < genLength || binary.NativeEndian.Uint32(parameters[genAction:]) == actShot {
		least = dropsPackets
	}
	switch kind {
	case "police":
		return limitsRate, nil
	case "gact", "sample", "simple":
		return least, nil
	case "mirred":
		if len(parameters) >= genLength+4 {
			if way := binary.NativeEndian.Uint32(parameters[genLength:]); way == egressMirror || way == ingressMirror {
				return least, nil
			}
		}
	}
	return changesPackets, nil
}
