// Package report prints what was found: as text for people and as JSON for
// programs. Everything that a process, a rule or a name put into it is cleaned here.
package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/gaps"
)

// Version is the version of the JSON formats, and of the schemas beside them.
const Version = "1"

// A Host is what the answers are about, and what could not be seen of it.
type Host struct {
	Name string
	// OS is named like GOOS, Kernel is the kernel's release.
	OS, Kernel string
	// Backends are the packet filters in use, sorted.
	Backends []string
	// Managers are the programs that wrote rules: ufw, Docker …
	Managers   []string
	Interfaces []Interface
	Gaps       []gaps.Gap
	// Namespace is the network namespace that was looked at, in words; empty for the
	// host's own. Namespaces is how many were, where that is more than one.
	Namespace  string
	Namespaces int
	// Tool is the version of netglance.
	Tool string
}

// An Interface is a link of the host with its addresses.
type Interface struct {
	Name      string
	Addresses []netip.Addr
}

// Style is how text is laid out.
type Style struct {
	Color bool
	// Width is the terminal's, in cells; 0 if the text goes elsewhere and no line is wrapped.
	Width int
	// Quiet leaves header and advice out, Verbose adds every reason.
	Quiet, Verbose bool
}

// shownInterfaces is how many interfaces the header names.
const shownInterfaces = 6

func (h Host) header() string {
	parts := []string{Clean(h.Name), Clean(h.Namespace), h.system()}
	if h.Namespaces > 1 {
		parts = append(parts, fmt.Sprintf("%d network namespaces", h.Namespaces))
	}
	if len(h.Backends) > 0 {
		parts = append(parts, strings.Join(cleanAll(h.Backends), ", "))
	}
	if len(h.Managers) > 0 {
		parts = append(parts, strings.Join(h.Managers, ", "))
	}
	addressed := h.addressed()
	for _, i := range addressed[:min(len(addressed), shownInterfaces)] {
		parts = append(parts, Clean(i.Name)+" "+joinAddresses(i.Addresses))
	}
	if more := len(addressed) - shownInterfaces; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more interfaces", more))
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " · ")
}

// addressed are the interfaces with addresses, those with more than a link-local
// one first: of the ends of containers' links there may be hundreds.
func (h Host) addressed() []Interface {
	out := slices.DeleteFunc(slices.Clone(h.Interfaces), func(i Interface) bool { return len(i.Addresses) == 0 })
	slices.SortStableFunc(out, func(a, b Interface) int { return cmp.Compare(a.linkLocal(), b.linkLocal()) })
	return out
}

// linkLocal is 1 if all addresses are link-local, else 0.
func (i Interface) linkLocal() int {
	if slices.ContainsFunc(i.Addresses, func(a netip.Addr) bool { return !a.IsLinkLocalUnicast() }) {
		return 0
	}
	return 1
}

// system is the system's name with the first two numbers of its release.
func (h Host) system() string {
	names := map[string]string{"linux": "Linux", "darwin": "macOS", "freebsd": "FreeBSD", "openbsd": "OpenBSD"}
	numbers := strings.SplitN(h.Kernel, ".", 3)
	return strings.TrimSpace(cmp.Or(names[h.OS], Clean(h.OS)) + " " + Clean(strings.Join(numbers[:min(2, len(numbers))], ".")))
}

// joinAddresses leaves link-local addresses out where there are others.
func joinAddresses(addresses []netip.Addr) string {
	wide := slices.DeleteFunc(slices.Clone(addresses), netip.Addr.IsLinkLocalUnicast)
	if len(wide) == 0 {
		wide = addresses
	}
	var words []string
	for _, a := range wide[:min(len(wide), 4)] {
		words = append(words, Clean(a.String()))
	}
	if more := len(wide) - 4; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

// sortedGaps are the gaps, each once.
func (h Host) sortedGaps() []gaps.Gap {
	out := slices.Clone(h.Gaps)
	slices.SortFunc(out, func(a, b gaps.Gap) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Reason, b.Reason), strings.Compare(a.Hint, b.Hint))
	})
	return slices.CompactFunc(out, func(a, b gaps.Gap) bool {
		return a.Source == b.Source && a.Reason == b.Reason && a.Hint == b.Hint
	})
}

// odd are the sources that no packet from outside has: blocks that are never on
// a wire, and the host's own addresses.
func (h Host) odd() []netip.Prefix {
	out := slices.Clone(odd)
	for _, i := range h.Interfaces {
		for _, a := range i.Addresses {
			out = append(out, netip.PrefixFrom(a.WithZone(""), a.BitLen()))
		}
	}
	return out
}
