package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// A givenLink is an interface as --interfaces tells of it.
type givenLink struct {
	firewall.AssumedLink
	// Groups are interface groups (ifconfig(8) of the BSDs).
	Groups []string
}

// assumedLinks stand where --interfaces says nothing: an interface with addresses
// for documentation (RFC 5737, RFC 3849).
const assumedLinks = "eth0=192.0.2.1/24,2001:db8::1/64"

// parseLinks reads the values of --interfaces: "eth0=192.0.2.1/24,2001:db8::1/64",
// or a file's name.
func parseLinks(values []string) ([]givenLink, error) {
	var list []givenLink
	for _, value := range values {
		name, addresses, found := strings.Cut(value, "=")
		if !found {
			links, err := readLinks(value)
			if err != nil {
				return nil, err
			}
			list = append(list, links...)
			continue
		}
		l := givenLink{AssumedLink: firewall.AssumedLink{Name: name, Loopback: strings.HasPrefix(name, "lo")}}
		for _, word := range strings.Split(addresses, ",") {
			a, err := parseOwn(word, "")
			if err != nil {
				return nil, usage("write it like "+assumedLinks, "--interfaces %q: %w", value, err)
			}
			l.Addresses = append(l.Addresses, a)
		}
		list = append(list, l)
	}
	return list, checkLinks(list)
}

// maxLinkName is what a kernel takes (IFNAMSIZ, include/uapi/linux/if.h).
const maxLinkName = 15

func checkLinks(list []givenLink) error {
	seen := map[string]bool{}
	for _, l := range list {
		if l.Name == "" || len(l.Name) > maxLinkName || strings.ContainsAny(l.Name, "/ \t\n") {
			return usage("name it like the host does: eth0", "--interfaces: %q is no name of an interface", l.Name)
		}
		if seen[l.Name] {
			return usage("give all its addresses at once, with commas between them", "--interfaces: %s stands there twice", l.Name)
		}
		seen[l.Name] = true
	}
	return nil
}

// parseOwn reads an own address with the length of its network, and with the
// other end's address or the broadcast address behind it.
func parseOwn(word, other string) (firewall.Address, error) {
	p, err := netip.ParsePrefix(word)
	if err != nil {
		return firewall.Address{}, fmt.Errorf("%q is no address with the length of its network", word)
	}
	a := firewall.Address{Prefix: p}
	if other == "" {
		return a, nil
	}
	if a.Broadcast, err = netip.ParseAddr(other); err != nil {
		return a, fmt.Errorf("%q is no address", other)
	}
	return a, nil
}

// maxLinksFile is how large a file of interfaces may be, in bytes.
const maxLinksFile = 1 << 20

// readLinks reads a file of interfaces, a table or JSON.
func readLinks(file string) ([]givenLink, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("--interfaces takes "+assumedLinks+" or a file", "%w", err)
	}
	if len(content) > maxLinksFile {
		return nil, usage("give a file of interfaces", "%s is larger than %d bytes", file, maxLinksFile)
	}
	read := parseLinkTable
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte("[")) {
		read = parseLinkJSON
	}
	list, err := read(content)
	if err != nil {
		return nil, usage("see: netglance firewall --help", "%s:%w", file, err)
	}
	return list, nil
}

// parseLinkTable reads lines "if NAME FLAG GROUP,…" (L loopback, B broadcast, P
// point to point), each with its lines "addr PREFIX [BROADCAST|PEER]" behind it.
func parseLinkTable(content []byte) ([]givenLink, error) {
	var list []givenLink
	for i, line := range strings.Split(string(content), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch {
		case words[0] == "if" && (len(words) == 3 || len(words) == 4) && strings.Contains("LBP", words[2]):
			l := givenLink{AssumedLink: firewall.AssumedLink{Name: words[1], Loopback: words[2] == "L", PointToPoint: words[2] == "P"}}
			if len(words) == 4 {
				l.Groups = strings.Split(words[3], ",")
			}
			list = append(list, l)
		case words[0] == "addr" && (len(words) == 2 || len(words) == 3) && len(list) > 0:
			other := ""
			if len(words) == 3 {
				other = words[2]
			}
			l := &list[len(list)-1]
			a, err := parseOwn(words[1], other)
			if err != nil {
				return nil, fmt.Errorf("%d: %w", i+1, err)
			}
			if l.PointToPoint {
				a.Peer, a.Broadcast = a.Broadcast, netip.Addr{}
			}
			l.Addresses = append(l.Addresses, a)
		default:
			return nil, fmt.Errorf("%d: %q is neither \"if NAME L|B|P [GROUP,…]\" nor, below one, \"addr PREFIX [BROADCAST|PEER]\"", i+1, line)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("1: it names no interface")
	}
	return list, nil
}

// parseLinkJSON reads [{"name":"eth0","addresses":[{"prefix":"192.0.2.1/24"}]}].
func parseLinkJSON(content []byte) ([]givenLink, error) {
	var given []struct {
		Name         string   `json:"name"`
		Loopback     bool     `json:"loopback"`
		PointToPoint bool     `json:"point_to_point"`
		Groups       []string `json:"groups"`
		Addresses    []struct {
			Prefix    netip.Prefix `json:"prefix"`
			Broadcast netip.Addr   `json:"broadcast"`
			Peer      netip.Addr   `json:"peer"`
		} `json:"addresses"`
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&given); err != nil {
		line := 1 + bytes.Count(content[:min(int(d.InputOffset()), len(content))], []byte("\n"))
		return nil, fmt.Errorf("%d: %w", line, err)
	}
	var list []givenLink
	for _, g := range given {
		l := givenLink{AssumedLink: firewall.AssumedLink{Name: g.Name, Loopback: g.Loopback, PointToPoint: g.PointToPoint}, Groups: g.Groups}
		for _, a := range g.Addresses {
			if !a.Prefix.IsValid() {
				return nil, fmt.Errorf("1: an address of %q has no \"prefix\"", g.Name)
			}
			l.Addresses = append(l.Addresses, firewall.Address{Prefix: a.Prefix, Broadcast: a.Broadcast, Peer: a.Peer})
		}
		list = append(list, l)
	}
	return list, nil
}

// network is what a kernel makes of the links.
func network(links []givenLink) *firewall.Network {
	var assumed []firewall.AssumedLink
	for _, l := range links {
		assumed = append(assumed, l.AssumedLink)
	}
	return firewall.Assume(assumed)
}
