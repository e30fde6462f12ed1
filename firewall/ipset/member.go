package ipset

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Attributes of a header and of members (IPSET_ATTR_*).
const (
	attrIP       = 1
	attrIPTo     = 2
	attrCIDR     = 3
	attrPort     = 4
	attrPortTo   = 5
	attrTimeout  = 6
	attrProto    = 7
	attrCADT     = 8
	attrMark     = 10
	attrMarkMask = 11
	attrNetmask  = 20
	attrElements = 24
	attrBitmask  = 12

	attrEther   = 17
	attrName    = 18
	attrIP2     = 20
	attrCIDR2   = 21
	attrIface   = 23
	attrComment = 26

	addressIPv4 = 1
	addressIPv6 = 2
)

// Flags of a member (IPSET_FLAG_*).
const (
	flagPhysdev  = 1 << 1
	flagNomatch  = 1 << 2
	flagWildcard = 1 << 7
)

// header is what a set was made with, as far as it matters to who is in it.
type header struct {
	count    uint32
	timeout  time.Duration
	netmask  uint8 // length of the prefix that members are cut to; 0 for none
	markMask uint32
	// opaque names what isn't understood.
	opaque string
}

// member is one member as the kernel gives it.
type member struct {
	ip, ip2, ipTo []byte
	cidr, cidr2   uint8
	hasCIDR       bool
	hasCIDR2      bool
	port, portTo  uint16
	protocol      uint8
	mark          uint32
	ether         []byte
	iface         string
	name          string
	comment       string
	expires       time.Duration
	flags         uint32
}

// readSet reads one message of a dump: a set's header, members, or both.
func readSet(a *netlink.Attributes) (*set, []member, error) {
	found := &set{}
	found.header.markMask = 0xffffffff
	var members []member
	for a.Next() {
		switch a.Type() {
		case attrSetName:
			found.Name = a.String()
		case attrTypeName:
			found.Type = a.String()
		case attrFamily:
			found.Family = firewall.Family(a.Uint8())
		case attrIndex:
			found.index = a.Uint16BE()
		case attrData:
			if err := found.header.read(a.Data()); err != nil {
				return nil, nil, err
			}
		case attrADT:
			list, err := readMembers(a.Data())
			if err != nil {
				return nil, nil, err
			}
			members = append(members, list...)
		}
	}
	found.MarkMask = found.header.markMask
	return found, members, a.Err()
}

func (h *header) read(data []byte) error {
	a := netlink.NewAttributes(data)
	for a.Next() {
		switch a.Type() {
		case attrTimeout:
			h.timeout = time.Duration(a.Uint32BE()) * time.Second
		case attrNetmask:
			h.netmask = a.Uint8()
		case attrMarkMask:
			h.markMask = a.Uint32BE()
		case attrElements:
			h.count = a.Uint32BE()
		case attrBitmask:
			h.opaque = "bitmask"
		}
	}
	return a.Err()
}

func readMembers(data []byte) ([]member, error) {
	var list []member
	a := netlink.NewAttributes(data)
	for a.Next() {
		if a.Type() != attrData {
			continue
		}
		m, err := readMember(a.Data())
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, a.Err()
}

func readMember(data []byte) (member, error) {
	var m member
	a := netlink.NewAttributes(data)
	for a.Next() {
		switch a.Type() {
		case attrIP:
			m.ip = readAddress(a)
		case attrIPTo:
			m.ipTo = readAddress(a)
		case attrIP2:
			m.ip2 = readAddress(a)
		case attrCIDR:
			m.cidr, m.hasCIDR = a.Uint8(), true
		case attrCIDR2:
			m.cidr2, m.hasCIDR2 = a.Uint8(), true
		case attrPort:
			m.port = a.Uint16BE()
			m.portTo = max(m.portTo, m.port)
		case attrPortTo:
			m.portTo = a.Uint16BE()
		case attrProto:
			m.protocol = a.Uint8()
		case attrMark:
			m.mark = a.Uint32BE()
		case attrEther:
			m.ether = a.Data()
		case attrIface:
			m.iface = a.String()
		case attrName:
			m.name = a.String()
		case attrComment:
			m.comment = a.String()
		case attrTimeout:
			m.expires = time.Duration(a.Uint32BE()) * time.Second
		case attrCADT:
			m.flags = a.Uint32BE()
		}
	}
	return m, a.Err()
}

// readAddress reads a nested address of 4 or 16 bytes.
func readAddress(outer *netlink.Attributes) []byte {
	a := netlink.NewAttributes(outer.Data())
	for a.Next() {
		want := map[uint16]int{addressIPv4: 4, addressIPv6: 16}[a.Type()]
		if want != 0 && len(a.Data()) == want {
			return a.Data()
		}
	}
	outer.Fail(fmt.Errorf("%w: an address of %d bytes", netlink.ErrTruncated, len(outer.Data())))
	return nil
}

// hostWord is a number in the machine's own order.
func hostWord(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
