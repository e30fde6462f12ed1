package nft

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A format says how the bytes of a value print.
type format struct {
	typ string // nft's datatype
	// host says that a number is in the machine's order, else in network order.
	host bool
	// bits is the length of a field that doesn't fill its bytes; 0 is all of them.
	bits uint32
	// shift is how many bits the field stands above the end of the bytes.
	shift uint32
	// hex says that plain numbers print in hexadecimal.
	hex bool
	// numeric says that numbers print without their names, as in ranges.
	numeric bool
	// interfaces name interface indexes; nil prints them as numbers.
	interfaces *interfaceNames
}

// prefixes are the types whose ranges and masks print as prefixes.
var prefixes = map[string]bool{"ipv4_addr": true, "ipv6_addr": true, "mark": true}

// networkOrder is the bytes with the most significant first.
func (f format) networkOrder(b []byte) []byte {
	if f.host && binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		b = slices.Clone(b)
		slices.Reverse(b)
	}
	return b
}

// number reads the bytes as the unsigned number that they stand for.
func (f format) number(b []byte) *big.Int {
	n := new(big.Int).SetBytes(f.networkOrder(b))
	return n.Rsh(n, uint(f.shift))
}

// value prints one value.
func (f format) value(b []byte) string {
	switch f.typ {
	case "ipv4_addr", "ipv6_addr":
		if a, ok := netip.AddrFromSlice(b); ok {
			return addressText(a)
		}
	case "ether_addr", "ll_addr":
		return macText(b)
	case "string", "ifname":
		return stringText(b, f.typ == "ifname")
	}
	n := f.number(b)
	if !n.IsUint64() {
		return hexText(n)
	}
	return f.small(n, len(b))
}

// addressText prints as inet_ntop(3): an address with 96 zero bits before
// another 32 ends like an IPv4 address.
func addressText(a netip.Addr) string {
	b := a.As16()
	if a.Is6() && isZero(b[:12]) && !isZero(b[12:14]) {
		return "::" + netip.AddrFrom4([4]byte(b[12:])).String()
	}
	return a.String()
}

func isZero(b []byte) bool { return uniform(b, 0) }

func hexText(n *big.Int) string { return "0x" + n.Text(16) }

// small prints a number that fits 64 bits.
func (f format) small(n *big.Int, length int) string {
	v := n.Uint64()
	if flags := flagSymbols[f.typ]; flags != nil {
		return flagText(flags, v, " | ")
	}
	name, known := symbols[f.typ][v]
	known = known && !f.numeric
	switch f.typ {
	case "mark":
		return fmt.Sprintf("0x%08x", v)
	case "dscp", "ecn", "ether_type":
		if !known {
			return fmt.Sprintf("0x%0*x", f.digits(length), v)
		}
	case "bitmask":
		return "0x" + strconv.FormatUint(v, 16)
	case "iface_index":
		if f.interfaces != nil {
			return f.interfaces.name(uint32(v))
		}
	case "realm":
		if v == 0 {
			return `"cosmos"`
		}
	case "day":
		if known {
			return quote(name)
		}
	case "hour":
		return quote(hourText(v))
	case "time":
		if length == 8 {
			return quote(time.Unix(0, int64(v)).Local().Format("2006-01-02 15:04:05"))
		}
		return durationText(time.Duration(v) * time.Millisecond)
	case "tc_handle":
		return tcHandle(uint32(v))
	case "devgroup":
		if v == 0 {
			return `"default"`
		}
	}
	if known {
		return name
	}
	if f.hex {
		return "0x" + strconv.FormatUint(v, 16)
	}
	return strconv.FormatUint(v, 10)
}

// digits is how many hexadecimal digits a value of whole bytes has.
func (f format) digits(length int) int {
	if f.bits != 0 {
		length = int(f.bits+7) / 8
	}
	return length * 2
}

// flagText lists the flags that are set; what has no name is a number at the end.
func flagText(flags []flag, v uint64, between string) string {
	var set []string
	for _, f := range flags {
		if v&f.bit != 0 {
			set = append(set, f.name)
			v &^= f.bit
		}
	}
	if v != 0 || len(set) == 0 {
		set = append(set, "0x"+strconv.FormatUint(v, 16))
	}
	return strings.Join(set, between)
}

func macText(b []byte) string {
	parts := make([]string, len(b))
	for i, c := range b {
		parts[i] = fmt.Sprintf("%02x", c)
	}
	return strings.Join(parts, ":")
}

// stringText prints a string that fills its 16 bytes with zeros. An interface
// name without a zero at its end is a prefix.
func stringText(b []byte, name bool) string {
	s := cString(b)
	if name && len(s) == len(b) && len(b) < 16 {
		return quote(string(s) + "*")
	}
	return quote(string(s))
}

// hourText is a time of the day from seconds since midnight UTC, in the zone of
// the machine that prints it, as nft does.
func hourText(seconds uint64) string {
	_, offset := time.Now().Zone()
	const day = 24 * 60 * 60
	local := ((int64(seconds%day)+int64(offset))%day + day) % day
	text := fmt.Sprintf("%02d:%02d", local/3600, local/60%60)
	if local%60 != 0 {
		text += fmt.Sprintf(":%02d", local%60)
	}
	return text
}

// tcHandle is a traffic class: 16 bits major, 16 bits minor.
func tcHandle(v uint32) string {
	switch v {
	case 0xffffffff:
		return "root"
	case 0:
		return "none"
	}
	return fmt.Sprintf("%x:%x", v>>16, v&0xffff)
}

// durationText prints as nft does: 1d2h3m4s, milliseconds last.
func durationText(d time.Duration) string {
	text := ""
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / unit.length; n > 0 {
			text += strconv.FormatInt(int64(n), 10) + unit.name
			d %= unit.length
		}
	}
	if text == "" {
		return "0s"
	}
	return text
}

// between prints a range, as a prefix where the type has them and it is one.
func (f format) between(from, to []byte) string {
	if string(from) == string(to) {
		return f.value(from)
	}
	if prefixes[f.typ] {
		if n, ok := prefixLength(f.networkOrder(from), f.networkOrder(to)); ok {
			return f.value(from) + "/" + strconv.Itoa(n)
		}
	}
	if f.typ == "ifname" {
		return wildcardText(from)
	}
	return f.ends(from, to)
}

// ends prints the two ends of a range. Names would be ambiguous there.
func (f format) ends(from, to []byte) string {
	f.numeric = true
	return f.value(from) + "-" + f.value(to)
}

// wildcardText is the prefix that a range of names stands for.
func wildcardText(from []byte) string { return quote(string(cString(from)) + "*") }

// prefixLength is the length of the prefix that goes from one address to another.
func prefixLength(from, to []byte) (int, bool) {
	if len(from) != len(to) {
		return 0, false
	}
	n := 0
	for n < len(from)*8 && bit(from, n) == bit(to, n) {
		n++
	}
	for i := n; i < len(from)*8; i++ {
		if bit(from, i) || !bit(to, i) {
			return 0, false
		}
	}
	return n, true
}

// maskLength is the length of a mask of leading ones.
func maskLength(mask []byte) (int, bool) {
	n := 0
	for n < len(mask)*8 && bit(mask, n) {
		n++
	}
	for i := n; i < len(mask)*8; i++ {
		if bit(mask, i) {
			return 0, false
		}
	}
	return n, true
}

// bit is a bit counted from the first byte's highest.
func bit(b []byte, n int) bool { return b[n/8]&(0x80>>(n%8)) != 0 }
