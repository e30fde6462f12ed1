package twin

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
	"github.com/netglance/netglance/scan/packets"
)

// Messages and attributes of links (include/uapi/linux/rtnetlink.h, if_link.h).
const (
	newLink      = 16
	newNeighbour = 28
	newQdisc     = 36

	linkAddress = 1
	linkName    = 3
	linkMTU     = 4
	linkMaster  = 10
	linkQueue   = 13
	linkInfo    = 18
	linkAFSpec  = 26
	linkGroup   = 27

	infoKind       = 1
	infoData       = 2
	bridgeSnooping = 23
	vrfTable       = 1

	inet6AddressMode     = 8
	inet6AddressModeNone = 1

	flagUp    = 1
	flagNoARP = 0x80
)

const (
	familyIPv4 = 2
	familyIPv6 = 10
	// typeEthernet is ARPHRD_ETHER (include/uapi/linux/if_arp.h).
	typeEthernet = 1
	// maxLinks is how many links a host may have.
	maxLinks = 4096
	// usualMTU is what a new link has.
	usualMTU = 1500
)

func linkMessage(index int, flags, change uint32, attributes []byte, createFlags uint16, what string) request {
	data := make([]byte, 16, 16+len(attributes)) // struct ifinfomsg
	binary.NativeEndian.PutUint32(data[4:], uint32(index))
	binary.NativeEndian.PutUint32(data[8:], flags)
	binary.NativeEndian.PutUint32(data[12:], change)
	return newRequest(newLink, createFlags, append(data, attributes...), what)
}

// madeByKernel says that a link is made as what it is; of the others we keep the far end.
func madeByKernel(l firewall.Interface) bool { return l.Kind == "bridge" || l.Kind == "vrf" }

// makeLinks makes the host's links, with its names and numbers. Bridges and VRFs
// are real; everything else is a TAP, or a TUN where it has no Ethernet header.
func (t *Twin) makeLinks() error {
	all := slices.Clone(t.host.Network.Interfaces)
	if len(all) > maxLinks {
		return fmt.Errorf("%d links are more than the %d that a twin may have", len(all), maxLinks)
	}
	slices.SortStableFunc(all, func(a, b firewall.Interface) int { return cmp.Compare(a.Index, b.Index) })
	var make, shape, rise []request
	for _, l := range all {
		if madeByKernel(l) {
			make = append(make, t.kernelLink(l))
		}
	}
	if err := t.send(make); err != nil {
		return err
	}
	for _, l := range all {
		if l.Loopback() {
			rise = append(rise, rising(l, nil))
			continue
		}
		if !madeByKernel(l) {
			if err := t.openLink(l); err != nil {
				return err
			}
		}
		shape = append(shape, shaping(l)...)
		rise = append(rise, rising(l, masterOf(l, all)))
	}
	if err := t.send(append(shape, rise...)); err != nil {
		return err
	}
	return t.addPorts(all)
}

// send sends requests to rtnetlink; what is refused makes the twin unlike the host.
func (t *Twin) send(requests []request) error {
	refused, err := sendEach(t.kernel, protocolRoute, requests)
	for _, r := range refused {
		t.unlike(r.what, r.why)
	}
	return err
}

// kernelLink makes a bridge or a VRF.
func (t *Twin) kernelLink(l firewall.Interface) request {
	info := netlink.AppendString(nil, infoKind, l.Kind)
	data := netlink.AppendAttribute(nil, bridgeSnooping, []byte{0})
	if l.Kind == "vrf" {
		data = netlink.AppendAttribute(nil, vrfTable, ne32(t.vrfTable(l.Index)))
	}
	info = netlink.AppendAttribute(info, infoData, data)
	b := netlink.AppendString(nil, linkName, l.Name)
	if len(l.HardwareAddr) == 6 {
		b = netlink.AppendAttribute(b, linkAddress, l.HardwareAddr)
	}
	b = netlink.AppendAttribute(b, linkInfo, info)
	return linkMessage(l.Index, 0, 0, b, flagCreate|flagExclude, "the link "+l.Name)
}

// vrfTable is the routing table of a VRF, from the bytes about it.
func (t *Twin) vrfTable(index int) uint32 {
	for _, data := range t.host.Tape.messages(protocolRoute, newLink) {
		if len(data) >= 16 && nativeWord(data[4:8]) == uint32(index) {
			return nativeWord(attribute(attribute(attribute(data[16:], linkInfo), infoData), vrfTable))
		}
	}
	return 0
}

// openLink makes a link whose far end is ours.
func (t *Twin) openLink(l firewall.Interface) error {
	number, err := t.kernel.OpenLink(l.Name, l.Index, l.Type)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return err // there is no TUN device, or it is not ours to open
	}
	if err != nil {
		t.unlike("the link "+l.Name, err)
		return nil
	}
	t.links = append(t.links, packets.Link{Name: l.Name, Number: number, MAC: hardwareAddress(l), Bare: l.Type != typeEthernet})
	if l.Up() {
		t.entrances[l.Name] = []string{l.Name}
	}
	return nil
}

func hardwareAddress(l firewall.Interface) (mac packets.MAC) {
	if len(l.HardwareAddr) != len(mac) || packets.MAC(l.HardwareAddr) == mac {
		binary.BigEndian.PutUint32(mac[2:], uint32(l.Index))
		mac[0] = 2
		return mac
	}
	return packets.MAC(l.HardwareAddr)
}

// shaping gives a link what it needs before it is up. NOARP spares address
// resolution: whatever is sent out appears at once. No link makes addresses of its
// own: the host's will come.
func shaping(l firewall.Interface) []request {
	var b []byte
	flags, change := uint32(0), uint32(0)
	what := "the settings of link " + l.Name
	var list []request
	if !madeByKernel(l) {
		list = append(list, linkMessage(l.Index, 0, 0, netlink.AppendAttribute(nil, linkQueue, ne32(ringLength)), 0, what), noQueue(l.Index, what))
		if l.Type == typeEthernet {
			mac := hardwareAddress(l)
			b = netlink.AppendAttribute(b, linkAddress, mac[:])
			flags, change = flagNoARP, flagNoARP
		}
		if l.MTU != usualMTU && l.MTU != 0 {
			b = netlink.AppendAttribute(b, linkMTU, ne32(l.MTU))
		}
	}
	if l.Group != 0 {
		b = netlink.AppendAttribute(b, linkGroup, ne32(l.Group))
	}
	return append(list, linkMessage(l.Index, flags, change, b, 0, what), noOwnAddress(l.Index))
}

// ringLength is how many frames a link holds for us to read: its queue's length.
const ringLength = 8192

// noOwnAddress keeps the kernel from making a link-local address. Without IPv6
// there is none to make.
func noOwnAddress(index int) request {
	mode := netlink.AppendAttribute(nil, inet6AddressMode, []byte{inet6AddressModeNone})
	spec := netlink.AppendAttribute(nil, linkAFSpec, netlink.AppendAttribute(nil, familyIPv6, mode))
	r := linkMessage(index, 0, 0, spec, 0, "")
	r.optional = true
	return r
}

// noQueue has packets leave at once (tc qdisc replace root noqueue).
func noQueue(index int, what string) request {
	data := make([]byte, 20) // struct tcmsg
	binary.NativeEndian.PutUint32(data[4:], uint32(index))
	binary.NativeEndian.PutUint32(data[12:], 0xffffffff) // TC_H_ROOT
	return newRequest(newQdisc, flagCreate|flagReplace, netlink.AppendString(data, 1, "noqueue"), what)
}

// masterOf is the bridge or VRF that a link belongs to.
func masterOf(l firewall.Interface, all []firewall.Interface) *firewall.Interface {
	for i := range all {
		if all[i].Index == l.Master && l.Master != 0 && madeByKernel(all[i]) {
			return &all[i]
		}
	}
	return nil
}

// rising brings a link up if the host's is.
func rising(l firewall.Interface, master *firewall.Interface) request {
	var b []byte
	if master != nil {
		b = netlink.AppendAttribute(b, linkMaster, ne32(uint32(master.Index)))
	}
	return linkMessage(l.Index, l.Flags&flagUp, flagUp, b, 0, "the link "+l.Name+" being up")
}

// addPorts notes which links are ports of which bridge, and gives a bridge with
// addresses and no port one, so that packets can come in by it.
func (t *Twin) addPorts(all []firewall.Interface) error {
	for _, bridge := range all {
		if bridge.Kind != "bridge" {
			continue
		}
		var ports []string
		for i := range t.links {
			l := &t.links[i]
			port := all[slices.IndexFunc(all, func(o firewall.Interface) bool { return o.Name == l.Name })]
			if port.Master != bridge.Index {
				continue
			}
			l.Bridge, l.MAC = bridge.Name, hardwareAddress(bridge)
			delete(t.entrances, l.Name)
			if port.Up() {
				ports = append(ports, l.Name)
			}
		}
		if len(ports) == 0 && t.addressed(bridge) {
			name, err := t.addPort(bridge, all)
			if err != nil {
				return err
			}
			ports = append(ports, name)
		}
		if bridge.Up() && len(ports) > 0 {
			t.entrances[bridge.Name] = ports
		}
	}
	return nil
}

// addressed says that a link has an address that is not link-local.
func (t *Twin) addressed(l firewall.Interface) bool {
	return slices.ContainsFunc(t.host.Network.Addresses, func(a firewall.Address) bool {
		return a.Interface == l.Index && !a.Prefix.Addr().IsLinkLocalUnicast()
	})
}

func (t *Twin) addPort(bridge firewall.Interface, all []firewall.Interface) (string, error) {
	index := all[len(all)-1].Index + 1 + len(t.links)
	name := fmt.Sprintf("port%d", index)
	number, err := t.kernel.OpenLink(name, index, typeEthernet)
	if err != nil {
		return "", err
	}
	t.links = append(t.links, packets.Link{Name: name, Number: number, Bridge: bridge.Name, MAC: hardwareAddress(bridge)})
	port := firewall.Interface{Name: name, Index: index, Type: typeEthernet, Flags: flagUp, Master: bridge.Index}
	return name, t.send(append(shaping(port), rising(port, &bridge)))
}

// meet tells the kernel of neighbours on bridges, which it would ask for by
// broadcast: whoever has one of the addresses is at the far end.
func (t *Twin) meet(addresses []netip.Addr) error {
	bridges := map[int]bool{}
	for _, l := range t.host.Network.Interfaces {
		if l.Kind == "bridge" && l.Up() {
			bridges[l.Index] = true
		}
	}
	known := map[neighbour]bool{}
	var requests []request
	add := func(index int, a netip.Addr) {
		if n := (neighbour{index, a}); !known[n] && a.IsValid() {
			known[n] = true
			requests = append(requests, n.request())
		}
	}
	for _, r := range t.host.Network.Routes {
		if r.Type != firewall.RouteUnicast || !bridges[r.Interface] {
			continue
		}
		if r.Gateway.IsValid() {
			add(r.Interface, r.Gateway)
			continue
		}
		for _, a := range addresses {
			if r.Destination.Contains(a) {
				add(r.Interface, a)
			}
		}
	}
	_, err := sendEach(t.kernel, protocolRoute, requests) // the kernel refuses its own addresses
	return err
}

type neighbour struct {
	index   int
	address netip.Addr
}

func (n neighbour) request() request {
	data := make([]byte, 12) // struct ndmsg
	data[0] = familyIPv6
	if n.address.Is4() {
		data[0] = familyIPv4
	}
	binary.NativeEndian.PutUint32(data[4:], uint32(n.index))
	binary.NativeEndian.PutUint16(data[8:], 0x80) // NUD_PERMANENT
	data = netlink.AppendAttribute(data, 1, n.address.AsSlice())
	return newRequest(newNeighbour, flagCreate|flagReplace, netlink.AppendAttribute(data, 2, packets.FarEnd[:]), "")
}
