package xt

import (
	"fmt"
	"math/bits"
	"strings"
)

// line builds a list of options as iptables -S prints them.
type line struct{ words []string }

// add appends "[! ]--name arguments…".
func (l *line) add(invert bool, name string, arguments ...string) {
	if invert {
		l.words = append(l.words, "!")
	}
	l.words = append(l.words, name)
	l.words = append(l.words, arguments...)
}

func (l *line) String() string { return strings.Join(l.words, " ") }

// unquoted are the characters that libxtables leaves without quotes.
const unquoted = "_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Quote writes a string as iptables -S does.
func Quote(s string) string { return quote(s) }

// TCPFlags are the names of a TCP header's flags, as iptables -S prints them.
func TCPFlags(bits uint8) string { return tcpFlags(bits) }

// quote writes a string as libxtables' xtables_save_string does.
func quote(s string) string {
	if s != "" && strings.Trim(s, unquoted) == "" {
		return s
	}
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, `'`, `\'`).Replace(s) + `"`
}

func number[T ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int](v T) string { return fmt.Sprintf("%d", v) }

func hex[T ~uint8 | ~uint16 | ~uint32](v T) string { return fmt.Sprintf("0x%x", v) }

// hexMasked is "0x1/0xff", or "0x1" where the mask is all ones.
func hexMasked(v, mask uint32) string {
	if mask == 0xffffffff {
		return hex(v)
	}
	return hex(v) + "/" + hex(mask)
}

// span is "low:high" or one number.
func span[T ~uint8 | ~uint16 | ~uint32](low, high T, separator string) string {
	if low == high {
		return number(low)
	}
	return number(low) + separator + number(high)
}

// maskText is the "/len" after an address: nothing for a whole address, a
// length where the mask has one, the mask itself otherwise.
func maskText(mask address) string {
	length := 0
	for _, b := range mask {
		ones := bits.LeadingZeros8(^b)
		length += ones
		if ones < 8 {
			break
		}
	}
	if string(prefixMask(length, len(mask))) != string(mask) {
		return "/" + mask.String()
	}
	if length == len(mask)*8 {
		return ""
	}
	return "/" + number(length)
}

// prefixMask is a mask of length ones in size bytes.
func prefixMask(length, size int) address {
	mask := make(address, size)
	for i := range mask {
		ones := min(max(length-8*i, 0), 8)
		mask[i] = 0xff << (8 - ones)
	}
	return mask
}
