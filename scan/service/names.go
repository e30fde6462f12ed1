package service

import (
	_ "embed"
	"strings"
	"sync"
)

//go:generate go run names_gen.go /usr/share/wireshark/services /etc/services

// A line a port: number, then the name for both protocols, or "name/tcp" and
// "name/udp" for one.
//
//go:embed names.txt
var namesText string

type port struct {
	protocol string
	number   uint16
}

var names = sync.OnceValue(func() map[port]string {
	table := map[port]string{}
	for line := range strings.Lines(namesText) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		number := mustPort(fields[0])
		for _, f := range fields[1:] {
			name, protocol, one := strings.Cut(f, "/")
			for _, p := range []string{"tcp", "udp"} {
				if !one || p == protocol {
					table[port{p, number}] = name
				}
			}
		}
	}
	return table
})

// Name is the usual service of a port, after IANA's registry, and empty when it has none.
func Name(protocol string, number uint16) string {
	return names()[port{protocol, number}]
}
