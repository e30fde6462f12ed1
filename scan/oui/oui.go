// Package oui names the makers of network cards by the first three bytes of their
// link addresses.
package oui

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/hex"
	"io"
	"strings"
	"sync"
)

// prefixes is IEEE's list as gopacket's package macs has it, packed: a line
// "00000C Cisco Systems, Inc" a prefix, sorted. That package is a map of 39,000 entries, which
// every start of the program would fill; this is read when it is first asked.
//
//go:embed prefixes.txt.gz
var prefixes []byte

var list = sync.OnceValue(func() map[string]string {
	text, err := unpack(prefixes)
	if err != nil {
		return nil // the test reads it
	}
	out := map[string]string{}
	for line := range strings.Lines(text) {
		prefix, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		out[prefix] = name
	}
	return out
})

func unpack(packed []byte) (string, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(r, 16<<20))
	return string(text), err
}

// Vendor is the maker of a card with a link address like "08:00:30:01:02:03"; empty if
// it isn't known. An address that was made up has none: bit 1 of its first byte is
// set (IEEE 802, locally administered), as phones do for privacy.
func Vendor(hardware string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(hardware, ":", ""))
	if err != nil || len(b) != 6 || b[0]&2 != 0 {
		return ""
	}
	return list()[strings.ToUpper(hex.EncodeToString(b[:3]))]
}
