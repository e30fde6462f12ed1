// Package bsdrecords makes the records in which the kernels of macOS, FreeBSD and
// OpenBSD tell their sockets, for tests: no such machine was at hand. The structs are
// whole, field by field as the systems' headers have them, so that their lengths
// hold the offsets of those that decoders read.
package bsdrecords

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// A Socket is one to make a record of.
type Socket struct {
	Protocol      string // "tcp" or "udp"
	Family        int    // 4 or 6
	Local, Remote netip.AddrPort
	// Listening, V6Only, Anonymous (the kernel chose the port) and BindAny are what the
	// records tell of it where they do.
	Listening, V6Only, Anonymous, BindAny bool
	UID                                   uint32
	// Handle is the kernel's address of the socket.
	Handle  uint64
	Holders []Holder
}

// A Holder is a process with a descriptor of a socket.
type Holder struct {
	PID  int32
	UID  uint32
	FD   int32
	Name string
}

func (s Socket) state() int32 {
	if s.Listening {
		return 1
	}
	return 4 // established
}

func (s Socket) vflag() uint8 {
	switch {
	case s.Family == 4 || s.Local.Addr().Is4In6():
		return 1
	case s.V6Only || !s.Local.Addr().IsUnspecified():
		return 2
	}
	return 3
}

// address is 16 bytes, IPv4 in the last four; a link-local one has its zone's number
// in the second two, as KAME's kernels keep it.
func address(a netip.Addr, zone uint8) (b [16]byte) {
	if !a.IsValid() {
		return b
	}
	if a.Unmap().Is4() {
		v4 := a.Unmap().As4()
		copy(b[12:], v4[:])
		return b
	}
	b = a.As16()
	if a.IsLinkLocalUnicast() {
		b[3] = zone
	}
	return b
}

// Zone is the number of the interface that link-local addresses are on.
const Zone = 1

func port(p uint16) (b [2]byte) {
	binary.BigEndian.PutUint16(b[:], p)
	return b
}

// flags are inp_flags: INP_ANONPORT and INP_BINDANY.
func (s Socket) flags() (f uint32) {
	if s.Anonymous {
		f |= 0x40
	}
	if s.BindAny {
		f |= 0x1000
	}
	return f
}

func number(protocol string) int32 {
	return map[string]int32{"tcp": 6, "udp": 17}[protocol]
}

func socketType(protocol string) int16 {
	return map[string]int16{"tcp": 1, "udp": 2}[protocol]
}

func family(f int, inet6 int32) int32 {
	if f == 4 {
		return 2
	}
	return inet6
}

// write appends structs without padding between fields.
func write(b *bytes.Buffer, structs ...any) {
	for _, s := range structs {
		if err := binary.Write(b, binary.NativeEndian, s); err != nil {
			panic(err) // a field without a fixed size
		}
	}
}
