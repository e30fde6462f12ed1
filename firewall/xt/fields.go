package xt

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/netglance/netglance/firewall"
)

// fields reads a blob front to back. Reading past its end gives zeros and sets
// short.
type fields struct {
	data   []byte
	at     int
	order  binary.ByteOrder
	family firewall.Family
	short  bool
}

func (f *fields) take(n int) []byte {
	if n < 0 || f.at+n > len(f.data) {
		f.short = true
		f.at = len(f.data)
		return make([]byte, max(n, 0))
	}
	b := f.data[f.at : f.at+n : f.at+n]
	f.at += n
	return b
}

func (f *fields) skip(n int)        { f.take(n) }
func (f *fields) u8() uint8         { return f.take(1)[0] }
func (f *fields) flag() bool        { return f.u8() != 0 }
func (f *fields) u16() uint16       { return f.order.Uint16(f.take(2)) }
func (f *fields) u32() uint32       { return f.order.Uint32(f.take(4)) }
func (f *fields) u64() uint64       { return f.order.Uint64(f.take(8)) }
func (f *fields) be16() uint16      { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) name(n int) string { return cString(f.take(n)) }

// align skips to the next multiple of n from the blob's start.
func (f *fields) align(n int) { f.skip((n - f.at%n) % n) }

// address reads a union nf_inet_addr: 16 bytes, of which IPv4 uses the first 4.
func (f *fields) address() address {
	return f.address16()[:addressLength(f.family)]
}

func (f *fields) address16() address { return f.take(16) }

// address is 4 or 16 bytes in network order.
type address []byte

func (a address) String() string {
	addr, ok := netip.AddrFromSlice(a)
	if !ok {
		return ""
	}
	return addr.String()
}

func (a address) zero() bool { return allBytes(a, 0) }

func addressLength(family firewall.Family) int {
	if family == firewall.FamilyIPv6 {
		return 16
	}
	return 4
}

func allBytes(data []byte, b byte) bool {
	for _, x := range data {
		if x != b {
			return false
		}
	}
	return true
}

// cString is the text up to the first zero byte.
func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
