package platform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// BTF, the types of the running kernel (/sys/kernel/btf/vmlinux;
// Documentation/bpf/btf.rst). Little endian only.
const (
	btfMagic        = 0xeb9f
	btfHeaderLength = 24
	btfTypeLength   = 12 // struct btf_type: name, info, size or type
	btfMemberLength = 12 // struct btf_member: name, type, offset in bits

	btfInt      = 1
	btfArray    = 3
	btfStruct   = 4
	btfUnion    = 5
	btfEnum     = 6
	btfFunc     = 12
	btfProto    = 13
	btfVar      = 14
	btfDataSec  = 15
	btfDeclTag  = 17
	btfEnum64   = 19
	btfLastKind = 19
)

// btfTail is how many bytes follow a type of each kind: fixed, and for each of
// its members.
var btfTail = [btfLastKind + 1]struct{ fixed, each int }{
	btfInt:     {fixed: 4},
	btfArray:   {fixed: 12},
	btfStruct:  {each: btfMemberLength},
	btfUnion:   {each: btfMemberLength},
	btfEnum:    {each: 8},
	btfProto:   {each: 8},
	btfVar:     {fixed: 4},
	btfDataSec: {each: 12},
	btfDeclTag: {fixed: 4},
	btfEnum64:  {each: 12},
}

var errBTF = errors.New("BTF is not understood")

// A kernelType is what is looked for: a struct with the offsets of some of its
// own members in bytes, or a function.
type kernelType struct {
	name    string
	kind    uint32
	id      uint32 // 0 until it is found
	members map[string]int16
}

// findTypes fills in what is wanted, in one pass.
func findTypes(btf []byte, wanted []*kernelType) error {
	types, names, err := btfSections(btf)
	if err != nil {
		return err
	}
	missing := len(wanted)
	for id := uint32(1); len(types) >= btfTypeLength && missing > 0; id++ {
		name, info := binary.LittleEndian.Uint32(types), binary.LittleEndian.Uint32(types[4:])
		kind, count := info>>24&0x1f, int(info&0xffff)
		if kind > btfLastKind {
			return fmt.Errorf("%w: kind %d", errBTF, kind)
		}
		length := btfTypeLength + btfTail[kind].fixed + count*btfTail[kind].each
		if length > len(types) {
			return fmt.Errorf("%w: a type of %d bytes in %d", errBTF, length, len(types))
		}
		if kind == btfStruct || kind == btfFunc {
			if w := named(wanted, kind, names, name); w != nil {
				w.id = id
				missing--
				w.offsets(types[btfTypeLength:length], names)
			}
		}
		types = types[length:]
	}
	return complete(wanted)
}

// named is the one of a kind that has its name at a place in the strings, if it
// is still to be found.
func named(wanted []*kernelType, kind uint32, names []byte, at uint32) *kernelType {
	if at >= uint32(len(names)) {
		return nil
	}
	for _, w := range wanted {
		end := int(at) + len(w.name)
		if w.kind == kind && w.id == 0 && end < len(names) && names[end] == 0 && string(names[at:end]) == w.name {
			return w
		}
	}
	return nil
}

// offsets reads a struct's members. Bit fields, and what lies beyond the reach
// of an instruction, stay unknown.
func (w *kernelType) offsets(members, names []byte) {
	for ; len(members) >= btfMemberLength; members = members[btfMemberLength:] {
		name, bits := binary.LittleEndian.Uint32(members), binary.LittleEndian.Uint32(members[8:])
		if name >= uint32(len(names)) || bits%8 != 0 || bits/8 > 1<<15-1 {
			continue
		}
		text, _, _ := bytes.Cut(names[name:], []byte{0})
		if _, ok := w.members[string(text)]; ok {
			w.members[string(text)] = int16(bits / 8)
		}
	}
}

// unknownOffset marks a member that is wanted.
const unknownOffset = -1

func complete(wanted []*kernelType) error {
	for _, w := range wanted {
		if w.id == 0 {
			return fmt.Errorf("%w: no type %s", errBTF, w.name)
		}
		for name, offset := range w.members {
			if offset == unknownOffset {
				return fmt.Errorf("%w: no member %s in %s", errBTF, name, w.name)
			}
		}
	}
	return nil
}

// btfSections cuts the types and the strings out of the file.
func btfSections(btf []byte) (types, names []byte, err error) {
	if len(btf) < btfHeaderLength || binary.LittleEndian.Uint16(btf) != btfMagic {
		return nil, nil, fmt.Errorf("%w: no header", errBTF)
	}
	field := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(btf[at:])) }
	header, typesAt, typesLength, namesAt, namesLength := field(4), field(8), field(12), field(16), field(20)
	size := uint64(len(btf))
	if header+typesAt+typesLength > size || header+namesAt+namesLength > size {
		return nil, nil, fmt.Errorf("%w: sections beyond the end", errBTF)
	}
	return btf[header+typesAt:][:typesLength], btf[header+namesAt:][:namesLength], nil
}
