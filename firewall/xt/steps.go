package xt

import (
	"bytes"
	"encoding/binary"

	"github.com/netglance/netglance/firewall"
)

// equal matches where the value is data.
func equal(v firewall.Value, data []byte, invert bool) firewall.Step {
	op := firewall.Equal
	if invert {
		op = firewall.NotEqual
	}
	return firewall.Compare{Op: op, Value: v, Data: data}
}

// between matches where low <= value <= high, all in network order.
func between(v firewall.Value, low, high []byte, invert bool) firewall.Step {
	if bytes.Equal(low, high) {
		return equal(v, low, invert)
	}
	return firewall.Range{Invert: invert, Value: v, From: low, To: high}
}

// masked is the value's bits in mask.
func masked(v firewall.Value, mask []byte) firewall.Value {
	if allBytes(mask, 0xff) {
		return v
	}
	return firewall.Bitwise{Op: firewall.BitAnd, Left: v, Right: firewall.Constant{Data: mask}, Length: uint32(len(mask))}
}

// anyBit matches where the value has one of the bits in mask.
func anyBit(v firewall.Value, mask []byte, invert bool) firewall.Step {
	return equal(masked(v, mask), make([]byte, len(mask)), !invert)
}

// loads matches where the value can be loaded.
func loads(v firewall.Value, length int) firewall.Step {
	return firewall.Range{Value: v, From: make([]byte, length), To: bytes.Repeat([]byte{0xff}, length)}
}

// never is a match that no packet meets.
func never() firewall.Step { return firewall.AnyOf{} }

// one and list shorten alternatives.
func one(s firewall.Step) []firewall.Step      { return []firewall.Step{s} }
func anyOf(a ...[]firewall.Step) firewall.Step { return firewall.AnyOf{Alternatives: a} }
func not(s ...firewall.Step) firewall.Step     { return firewall.Not{Steps: s} }
func matchUnless(invert bool, s firewall.Step) firewall.Step {
	if invert {
		return not(s)
	}
	return s
}

// Numbers in the order in which headers keep them.
func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// Numbers in the machine's own order, as meta data and marks are kept.
func (d Decoder) word16(v uint16) []byte {
	b := make([]byte, 2)
	d.order().PutUint16(b, v)
	return b
}

func (d Decoder) word32(v uint32) []byte {
	b := make([]byte, 4)
	d.order().PutUint32(b, v)
	return b
}

// wordBetween matches a 32-bit word in host order between two numbers.
func wordBetween(v firewall.Value, low, high uint32, invert bool) firewall.Step {
	ordered := firewall.ByteOrder{Value: v, ToNetwork: true, Size: 4, Length: 4}
	return between(ordered, be32(low), be32(high), invert)
}

// Header fields.
func network(offset, length uint32) firewall.Value {
	return firewall.Payload{Base: firewall.NetworkHeader, Offset: offset, Length: length}
}

func transport(offset, length uint32) firewall.Value {
	return firewall.Payload{Base: firewall.TransportHeader, Offset: offset, Length: length}
}

func linkLayer(offset, length uint32) firewall.Value {
	return firewall.Payload{Base: firewall.LinkLayerHeader, Offset: offset, Length: length}
}

func meta(key firewall.MetaKey) firewall.Value { return firewall.Meta{Key: key} }

// ct is a conntrack value that is the same in both directions.
func ct(key firewall.CTKey) firewall.Value {
	return firewall.CT{Key: key, Dir: firewall.CTNoDir}
}

// sourceAddress and destinationAddress are the packet's own.
func (d Decoder) sourceAddress() firewall.Value {
	if d.Family == firewall.FamilyIPv6 {
		return network(8, 16)
	}
	return network(12, 4)
}

func (d Decoder) destinationAddress() firewall.Value {
	if d.Family == firewall.FamilyIPv6 {
		return network(24, 16)
	}
	return network(16, 4)
}

// chance is a match that reading doesn't settle.
func chance(kind firewall.ConditionKind, name string, options string) []firewall.Step {
	text := "-m " + name
	if options != "" {
		text += " " + options
	}
	return one(firewall.Chance{Kind: kind, Name: name, Text: text})
}

// passive is a target that changes no packet's fate.
func passive(name string, options string) []firewall.Step {
	text := "-j " + name
	if options != "" {
		text += " " + options
	}
	return one(firewall.Passive{Name: name, Text: text})
}

func verdict(code firewall.VerdictCode) []firewall.Step {
	return one(firewall.Verdict{Code: code})
}
