package service

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed common_tcp.txt
var commonTCP string

//go:embed common_udp.txt
var commonUDP string

// Common are the n ports that are most likely to be in use, the likeliest first.
func Common(protocol string, n int) []uint16 {
	list := ranked[protocol]
	if list == nil || n <= 0 {
		return nil
	}
	ports := list()
	return append([]uint16(nil), ports[:min(n, len(ports))]...)
}

var ranked = map[string]func() []uint16{
	"tcp": sync.OnceValue(func() []uint16 { return rank("tcp", commonTCP) }),
	"udp": sync.OnceValue(func() []uint16 { return rank("udp", commonUDP) }),
}

// rank reads ports and ranges in their order, and puts the registered ones behind.
func rank(protocol, text string) []uint16 {
	var out []uint16
	seen := map[uint16]bool{}
	add := func(p uint16) {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			first, last, isRange := strings.Cut(word, "-")
			if !isRange {
				last = first
			}
			for p := mustPort(first); p <= mustPort(last); p++ {
				add(p)
			}
		}
	}
	for p := uint16(1); p < 65535; p++ {
		if Name(protocol, p) != "" {
			add(p)
		}
	}
	return out
}

// mustPort reads the embedded tables, all of which a test reads.
func mustPort(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		panic("not a port: " + s)
	}
	return uint16(n)
}
