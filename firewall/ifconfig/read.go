// Package ifconfig reads what ifconfig(8) and netstat(1) print on macOS, FreeBSD and
// OpenBSD: links with their groups, addresses and routes.
package ifconfig

import (
	"fmt"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
)

// A Host is what Read needs of a live or recorded host.
type Host interface {
	// Output is what a program prints; the platform's Host says which may be asked for.
	Output(command ...string) ([]byte, error)
	// Sysctl is a node's bytes.
	Sysctl(name string) ([]byte, error)
	OS() string // named like GOOS
}

// Read reads the host's network. Interfaces are numbered as they are listed.
func Read(host Host) (*firewall.Network, []gaps.Gap) {
	n := &firewall.Network{}
	readSettings(host, n)
	links, routes := "-a", "-rnW"
	switch host.OS() {
	case "openbsd":
		links, routes = "-A", "-rn"
	case "darwin":
		routes = "-rnl"
	}
	text, err := host.Output("ifconfig", links)
	if err != nil {
		return n, []gaps.Gap{{Source: "ifconfig", Reason: "interfaces and addresses could not be read", Err: err}}
	}
	bad := parseLinks(n, text)
	if len(n.Interfaces) == 0 {
		return n, []gaps.Gap{{Source: "ifconfig", Reason: "it shows no interface"}}
	}
	found := badLines(nil, "ifconfig", "addresses", bad)
	text, err = host.Output("netstat", routes)
	if err != nil {
		return n, append(found, gaps.Gap{Source: "netstat", Reason: "routes could not be read", Err: err})
	}
	return n, badLines(found, "netstat", "routes", parseRoutes(n, text))
}

func badLines(found []gaps.Gap, source, what string, count int) []gaps.Gap {
	if count == 0 {
		return found
	}
	return append(found, gaps.Gap{Source: source, Reason: fmt.Sprintf("%d lines about %s are not understood", count, what)})
}
