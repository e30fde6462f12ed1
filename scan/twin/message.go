package twin

import (
	"encoding/binary"
	"errors"

	"github.com/netglance/netglance/internal/netlink"
)

// Netlink protocols.
const (
	protocolRoute     = 0
	protocolNetfilter = 12
)

// Flags of requests that make something (include/uapi/linux/netlink.h).
const (
	flagReplace = 0x100
	flagExclude = 0x200
	flagCreate  = 0x400
	flagAppend  = 0x800
)

const attributeHeader = 4

// rawAttribute is one attribute with its header, and its number without flags.
type rawAttribute struct {
	number uint16
	whole  []byte
}

func (a rawAttribute) data() []byte { return a.whole[attributeHeader:] }

// rawAttributes are the attributes of a list. One that is cut off ends it.
func rawAttributes(list []byte) (all []rawAttribute) {
	for len(list) >= attributeHeader {
		length := int(binary.NativeEndian.Uint16(list))
		if length < attributeHeader || length > len(list) {
			break
		}
		all = append(all, rawAttribute{binary.NativeEndian.Uint16(list[2:]) & 0x3fff, list[:length:length]})
		list = list[min((length+3)&^3, len(list)):]
	}
	return all
}

// attribute is the payload of the first attribute of a number; nil if there is none.
func attribute(list []byte, number uint16) []byte {
	for _, a := range rawAttributes(list) {
		if a.number == number {
			return a.data()
		}
	}
	return nil
}

func text(list []byte, number uint16) string { return cString(attribute(list, number)) }

// keep are those attributes of a list that have one of the numbers, as they stand.
func keep(list []byte, numbers ...uint16) []byte {
	return without(list, func(number uint16) bool {
		for _, n := range numbers {
			if n == number {
				return false
			}
		}
		return true
	})
}

// without are the attributes of a list that leave does not name.
func without(list []byte, leave func(number uint16) bool) []byte {
	var kept []byte
	for _, a := range rawAttributes(list) {
		if !leave(a.number) {
			kept = appendRaw(kept, a)
		}
	}
	return kept
}

func appendRaw(b []byte, a rawAttribute) []byte {
	b = append(b, a.whole...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
func ne32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// word is a number in network order; 0 if the bytes are not 4.
func word(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// nativeWord is a number in the machine's order; 0 if the bytes are not 4.
func nativeWord(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// A request is a message with what it is about, for the one who reads that it was refused.
type request struct {
	bytes []byte
	what  string
	// fine is an error that means that all is well; optional, that every error does.
	fine     error
	optional bool
}

func newRequest(messageType, flags uint16, data []byte, what string) request {
	return request{bytes: netlink.Request(messageType, flags, data), what: what}
}

// datagramBytes is about how much goes to the kernel at a time: every socket may
// send that much.
const datagramBytes = 64 << 10

// sendEach sends requests that stand for themselves, and returns those refused
// with the reason.
func sendEach(kernel Kernel, protocol int, requests []request) (refused []refusal, err error) {
	for len(requests) > 0 {
		var messages [][]byte
		size := 0
		for _, r := range requests {
			if size > 0 && size+len(r.bytes) > datagramBytes {
				break
			}
			messages = append(messages, r.bytes)
			size += len(r.bytes)
		}
		said, err := kernel.Transact(protocol, messages)
		if err != nil {
			return refused, err
		}
		for i, complaint := range said {
			if complaint != nil && !requests[i].optional && !(requests[i].fine != nil && errors.Is(complaint, requests[i].fine)) {
				refused = append(refused, refusal{requests[i], complaint})
			}
		}
		requests = requests[len(messages):]
	}
	return refused, nil
}

// A refusal is a request that the kernel refused.
type refusal struct {
	request
	why error
}
