// Package outside finds what decides about packets outside of netfilter's tables:
// XDP programs, filters of tc, BPF programs of links, cgroups and namespaces,
// IPsec policies, IPVS services, the tables of ebtables. Most of them are found and
// named, not followed: answers that may depend on them are conditional.
//
// Nothing is asked that would load a module of the kernel, or make a table.
package outside

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/netlink"
)

// A Source gives the bytes: a live or a recorded host.
type Source interface {
	Netlink(protocol int, request []byte) ([]byte, error)
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]string, error)
	Readlink(name string) (string, error)
	Programs(where string) ([]byte, error)
}

// A finding is what one part of the kernel told.
type finding struct {
	outsiders []firewall.Outsider
	policies  []firewall.IPsecPolicy
	services  []firewall.VirtualService
	settings  map[string]string
	unread    []gaps.Gap
	// unseen are the places whose BPF programs could not be read, and why of the last.
	unseen []string
	why    error
}

// Read adds to the network what stands outside of netfilter, at its links and in
// its namespace. Every answer depends on the unread sources; what the others may
// do is in the network already, as outsiders.
func Read(source Source, network *firewall.Network) (unread, noted []gaps.Gap) {
	parts := []func(Source, *firewall.Network) finding{readXDP, readTC, readLinkPrograms, readNamespacePrograms, readPolicies, readServices, readBridgeTables}
	found := make([]finding, len(parts))
	var reading sync.WaitGroup
	for i, read := range parts {
		reading.Go(func() { found[i] = read(source, network) })
	}
	reading.Wait()
	var unseen []string
	var why error
	for _, f := range found {
		network.Outsiders = append(network.Outsiders, f.outsiders...)
		network.Policies = append(network.Policies, f.policies...)
		network.Services = append(network.Services, f.services...)
		for name, value := range f.settings {
			network.Settings[name] = value
		}
		unread = append(unread, f.unread...)
		unseen = append(unseen, f.unseen...)
		if f.why != nil {
			why = f.why
		}
	}
	if why != nil {
		noted = []gaps.Gap{programGap(strings.Join(unseen, ", "), why)}
	}
	return unread, noted
}

// unreadable is a gap on which every answer depends.
func unreadable(name string, err error) finding {
	return finding{unread: []gaps.Gap{{Source: name, Reason: fmt.Sprintf("the %s could not be read: %v", name, err), Hint: hint(err), Err: err}}}
}

func hint(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "run netglance as root"
	case errors.Is(err, fs.ErrNotExist):
		return "of a recorded host: record it again with this netglance"
	}
	return ""
}

// dump calls decode with the payload of every message of a type.
func dump(source Source, protocol int, request []byte, answer uint16, decode func([]byte) error) error {
	reply, err := source.Netlink(protocol, request)
	if err != nil {
		return err
	}
	return netlink.Each(reply, func(m netlink.Message) error {
		if m.Type == answer {
			return decode(m.Data)
		}
		return nil
	})
}

// links are the interfaces that packets come in by from outside.
func links(n *firewall.Network) []firewall.Interface {
	return slices.DeleteFunc(slices.Clone(n.Interfaces), func(i firewall.Interface) bool { return !i.Up() || i.Loopback() })
}

func linkName(n *firewall.Network, index int) string {
	for _, i := range n.Interfaces {
		if i.Index == index {
			return i.Name
		}
	}
	return fmt.Sprintf("link %d", index)
}

func readXDP(source Source, n *firewall.Network) (f finding) {
	for _, link := range links(n) {
		for _, x := range link.XDP {
			p := about(source, x.ID)
			f.outsiders = append(f.outsiders, firewall.Outsider{Place: firewall.AtLink, Interface: link.Index, Changes: p.changes,
				Kind: firewall.External, Text: fmt.Sprintf("XDP program %s on %s (%s)", p.name, link.Name, x.Mode)})
		}
	}
	return f
}

// words are a line's fields, a quoted one without its quotes.
func words(line string) []string {
	var out []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		word, rest, _ := strings.Cut(line, " ")
		if line[0] == '"' {
			quoted, text := quotedPrefix(line)
			word, rest = text, line[len(quoted):]
		}
		out = append(out, word)
		line = rest
	}
	return out
}

func number16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
