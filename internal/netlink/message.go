// Package netlink walks and builds netlink messages as bytes. It opens no
// socket and runs on every system; lengths are checked, nothing panics on input.
package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Header flags and message types (include/uapi/linux/netlink.h).
const (
	FlagRequest     = 0x1
	FlagMulti       = 0x2
	FlagAck         = 0x4
	FlagDumpIntr    = 0x10
	FlagRoot        = 0x100
	FlagMatch       = 0x200
	FlagDump        = FlagRoot | FlagMatch
	TypeNoop        = 1
	TypeError       = 2
	TypeDone        = 3
	TypeOverrun     = 4
	HeaderLength    = 16
	attributeHeader = 4
	// attribute type bits that are not part of the number
	flagNested    = 0x8000
	flagByteOrder = 0x4000
)

// ErrTruncated says that a message or attribute is longer than its buffer.
var ErrTruncated = errors.New("netlink: truncated")

// A Message is one netlink message. Data is what follows the header.
type Message struct {
	Type  uint16
	Flags uint16
	Data  []byte
}

// Interrupted says that the dump is torn: what was dumped changed meanwhile.
func (m Message) Interrupted() bool { return m.Flags&FlagDumpIntr != 0 }

// Each calls f with every message in buffer until f fails.
func Each(buffer []byte, f func(Message) error) error {
	for len(buffer) > 0 {
		if len(buffer) < HeaderLength {
			return fmt.Errorf("%w: %d bytes where a header needs 16", ErrTruncated, len(buffer))
		}
		length := binary.NativeEndian.Uint32(buffer)
		if length < HeaderLength || uint64(length) > uint64(len(buffer)) {
			return fmt.Errorf("%w: message of %d bytes in %d", ErrTruncated, length, len(buffer))
		}
		m := Message{
			Type:  binary.NativeEndian.Uint16(buffer[4:]),
			Flags: binary.NativeEndian.Uint16(buffer[6:]),
			Data:  buffer[HeaderLength:length:length],
		}
		if err := f(m); err != nil {
			return err
		}
		buffer = buffer[min(align(int(length)), len(buffer)):]
	}
	return nil
}

// Request builds a message with the header's sequence and port left zero.
func Request(messageType, flags uint16, data []byte) []byte {
	b := make([]byte, HeaderLength, HeaderLength+align(len(data)))
	binary.NativeEndian.PutUint32(b, uint32(HeaderLength+len(data)))
	binary.NativeEndian.PutUint16(b[4:], messageType)
	binary.NativeEndian.PutUint16(b[6:], flags|FlagRequest)
	b = append(b, data...)
	return pad(b)
}

// An Attribute is a type and its payload. Type has no flag bits.
type Attribute struct {
	Type uint16
	Data []byte
}

// Attributes walks a list of attributes:
//
//	for a := netlink.NewAttributes(data); a.Next(); { switch a.Type() … }
//
// and a.Err() afterwards.
type Attributes struct {
	rest    []byte
	current Attribute
	err     error
}

// NewAttributes starts a walk over data.
func NewAttributes(data []byte) *Attributes { return &Attributes{rest: data} }

// Next goes to the next attribute; false at the end or at an error.
func (a *Attributes) Next() bool {
	if a.err != nil || len(a.rest) == 0 {
		return false
	}
	if len(a.rest) < attributeHeader {
		a.err = fmt.Errorf("%w: %d bytes where an attribute needs 4", ErrTruncated, len(a.rest))
		return false
	}
	length := int(binary.NativeEndian.Uint16(a.rest))
	if length < attributeHeader || length > len(a.rest) {
		a.err = fmt.Errorf("%w: attribute of %d bytes in %d", ErrTruncated, length, len(a.rest))
		return false
	}
	a.current = Attribute{
		Type: binary.NativeEndian.Uint16(a.rest[2:]) &^ (flagNested | flagByteOrder),
		Data: a.rest[attributeHeader:length:length],
	}
	a.rest = a.rest[min(align(length), len(a.rest)):]
	return true
}

// Type is the current attribute's number.
func (a *Attributes) Type() uint16 { return a.current.Type }

// Data is the current attribute's payload.
func (a *Attributes) Data() []byte { return a.current.Data }

// Err is the first error of the walk.
func (a *Attributes) Err() error { return a.err }

// Fail records an error about the current attribute, and ends the walk.
func (a *Attributes) Fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

func (a *Attributes) sized(n int) ([]byte, bool) {
	if len(a.current.Data) != n {
		a.Fail(fmt.Errorf("netlink: attribute %d has %d bytes, not %d", a.current.Type, len(a.current.Data), n))
		return nil, false
	}
	return a.current.Data, true
}

// Uint8 is the payload as a byte.
func (a *Attributes) Uint8() uint8 {
	if d, ok := a.sized(1); ok {
		return d[0]
	}
	return 0
}

// Uint16 is the payload in host order.
func (a *Attributes) Uint16() uint16 {
	if d, ok := a.sized(2); ok {
		return binary.NativeEndian.Uint16(d)
	}
	return 0
}

// Uint32 is the payload in host order.
func (a *Attributes) Uint32() uint32 {
	if d, ok := a.sized(4); ok {
		return binary.NativeEndian.Uint32(d)
	}
	return 0
}

// Uint16BE is the payload in network order.
func (a *Attributes) Uint16BE() uint16 {
	if d, ok := a.sized(2); ok {
		return binary.BigEndian.Uint16(d)
	}
	return 0
}

// Uint32BE is the payload in network order.
func (a *Attributes) Uint32BE() uint32 {
	if d, ok := a.sized(4); ok {
		return binary.BigEndian.Uint32(d)
	}
	return 0
}

// Uint64BE is the payload in network order.
func (a *Attributes) Uint64BE() uint64 {
	if d, ok := a.sized(8); ok {
		return binary.BigEndian.Uint64(d)
	}
	return 0
}

// String is the payload up to its first zero byte.
func (a *Attributes) String() string {
	for i, c := range a.current.Data {
		if c == 0 {
			return string(a.current.Data[:i])
		}
	}
	return string(a.current.Data)
}

// AppendAttribute appends an attribute to b.
func AppendAttribute(b []byte, attributeType uint16, data []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(attributeHeader+len(data)))
	b = binary.NativeEndian.AppendUint16(b, attributeType)
	return pad(append(b, data...))
}

// AppendString appends a zero-terminated string attribute to b.
func AppendString(b []byte, attributeType uint16, s string) []byte {
	return AppendAttribute(b, attributeType, append([]byte(s), 0))
}

func align(n int) int { return (n + 3) &^ 3 }

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
