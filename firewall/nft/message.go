package nft

import (
	"encoding/binary"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Message types (enum nf_tables_msg_types, include/uapi/linux/netfilter/nf_tables.h)
// below the subsystem NFNL_SUBSYS_NFTABLES. This package sends the GET ones only.
const (
	subsystem  = 10 << 8
	getTable   = subsystem | 1
	getChain   = subsystem | 4
	getRule    = subsystem | 7
	getSet     = subsystem | 10
	getElement = subsystem | 13
	getGen     = subsystem | 16
	getObject  = subsystem | 19

	newTable   = subsystem // message 0
	newChain   = subsystem | 3
	newRule    = subsystem | 6
	newSet     = subsystem | 9
	newElement = subsystem | 12
	newGen     = subsystem | 15
	newObject  = subsystem | 18
)

// netfilterProtocol is NETLINK_NETFILTER.
const netfilterProtocol = 12

// nfgenLength is the size of struct nfgenmsg: family, version, 16 bits of resource id.
const nfgenLength = 4

// request builds a message: the nfgenmsg for a family, then attributes.
func request(messageType, flags uint16, family firewall.Family, attributes []byte) []byte {
	data := make([]byte, nfgenLength, nfgenLength+len(attributes))
	data[0] = byte(family)
	return netlink.Request(messageType, flags, append(data, attributes...))
}

// names builds the two string attributes 1 and 2 that rules, sets and elements
// all are asked for by: the table, and the chain or set in it.
func names(table, member string) []byte {
	return netlink.AppendString(netlink.AppendString(nil, 1, table), 2, member)
}

// maxAttribute is above every attribute number that this package knows.
const maxAttribute = 24

// attributes is one level of attributes by number. It is reused from one
// message to the next: only numbers in present are valid.
type attributes struct {
	present uint32
	value   [maxAttribute][]byte
	// malformed says that the list was cut short, had a number above maxAttribute,
	// or that a getter met a wrong length.
	malformed bool
}

// parse reads a list of attributes. The last one of a number counts.
func (a *attributes) parse(b []byte) {
	a.present, a.malformed = 0, false
	for len(b) > 0 {
		if len(b) < 4 {
			a.malformed = true
			return
		}
		length := int(binary.NativeEndian.Uint16(b))
		number := binary.NativeEndian.Uint16(b[2:]) & 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
		if length < 4 || length > len(b) {
			a.malformed = true
			return
		}
		if number < maxAttribute {
			a.value[number] = b[4:length:length]
			a.present |= 1 << number
		} else {
			a.malformed = true
		}
		b = b[min((length+3)&^3, len(b)):]
	}
}

func (a *attributes) has(number int) bool { return a.present&(1<<number) != 0 }

// get is an attribute's payload, nil if it is absent.
func (a *attributes) get(number int) []byte {
	if !a.has(number) {
		return nil
	}
	return a.value[number]
}

func (a *attributes) sized(number, length int) []byte {
	b := a.get(number)
	if b == nil || len(b) == length {
		return b
	}
	a.malformed = true
	return nil
}

// uint8 and its kin are 0 for an absent attribute. nf_tables' numbers are in network order.
func (a *attributes) uint8(number int) uint8 {
	if b := a.sized(number, 1); b != nil {
		return b[0]
	}
	return 0
}

func (a *attributes) uint16(number int) uint16 {
	if b := a.sized(number, 2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (a *attributes) uint32(number int) uint32 {
	if b := a.sized(number, 4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (a *attributes) uint64(number int) uint64 {
	if b := a.sized(number, 8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// text is a zero-terminated string without its end.
func (a *attributes) text(number int) string { return string(cString(a.get(number))) }

func cString(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// each calls f with every attribute of a list that has the wanted number, in
// order. It tells whether the list was whole.
func each(b []byte, wanted uint16, f func([]byte)) bool {
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		length := int(binary.NativeEndian.Uint16(b))
		if length < 4 || length > len(b) {
			return false
		}
		if binary.NativeEndian.Uint16(b[2:])&0x3fff == wanted {
			f(b[4:length:length])
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return true
}

// userdata finds the value of a type in nftables' own TLV list (libnftnl's
// udata: a byte type, a byte length, the value).
func userdata(b []byte, wanted uint8) ([]byte, bool) {
	for len(b) >= 2 {
		length := int(b[1])
		if 2+length > len(b) {
			return nil, false
		}
		if b[0] == wanted {
			return b[2 : 2+length : 2+length], true
		}
		b = b[2+length:]
	}
	return nil, false
}

// comment is type 0 of the userdata of everything but sets.
func comment(b []byte) string {
	text, _ := userdata(b, 0)
	return string(cString(text))
}
