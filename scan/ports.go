package scan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParsePorts reads a list like "22,80,1-1024" or nmap's "-" for every port, of which
// each stands once, in ascending order. named gives the ports with a service's
// name; it may be nil.
func ParsePorts(list string, named func(name string) []uint16) ([]uint16, error) {
	var wanted [1 << 16]bool
	for _, word := range strings.Split(list, ",") {
		word = strings.TrimSpace(word)
		first, last, ok := parseSpan(word)
		if !ok {
			ports := byName(word, named)
			if len(ports) == 0 {
				return nil, fmt.Errorf("%q is no port, no range of ports and no service", word)
			}
			for _, p := range ports {
				wanted[p] = true
			}
			continue
		}
		for p := int(first); p <= int(last); p++ {
			wanted[p] = true
		}
	}
	var out []uint16
	for p := 1; p < len(wanted); p++ {
		if wanted[p] {
			out = append(out, uint16(p))
		}
	}
	return out, nil
}

func byName(word string, named func(string) []uint16) []uint16 {
	if named == nil || word == "" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(named(word)), func(p uint16) bool { return p == 0 })
}

// parseSpan reads "80", "1-1024", "1024-", "-1024" and "-". Port 0 is none.
func parseSpan(word string) (first, last uint16, ok bool) {
	low, high, ranged := strings.Cut(word, "-")
	if !ranged {
		high = low
		if low == "" {
			return 0, 0, false
		}
	}
	from, to := uint64(1), uint64(65535)
	var err error
	if low != "" {
		if from, err = strconv.ParseUint(low, 10, 16); err != nil {
			return 0, 0, false
		}
	}
	if high != "" {
		if to, err = strconv.ParseUint(high, 10, 16); err != nil {
			return 0, 0, false
		}
	}
	return uint16(from), uint16(to), 0 < from && from <= to
}

// askFirst moves the most common ports to the front, so that what matters is known
// first, and a port that answers is found soon.
func askFirst(ports, common []uint16) []uint16 {
	var rank [1 << 16]bool
	for _, p := range common {
		rank[p] = true
	}
	out := make([]uint16, 0, len(ports))
	for _, wanted := range []bool{true, false} {
		for _, p := range ports {
			if rank[p] == wanted {
				out = append(out, p)
			}
		}
	}
	return out
}
