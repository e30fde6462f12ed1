package report

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/internal/addresses"
	"github.com/netglance/netglance/listeners"
)

// PolicySchema is where the schema of netglance.yaml is published.
const PolicySchema = "https://github.com/netglance/netglance/raw/main/report/schema/policy.json"

// PolicyYAML writes a policy that declares what is declared on the host: an entry a
// port, with where it comes from. Ports that nothing declares stand there as
// comments, for somebody to decide.
func PolicyYAML(w io.Writer, h Host, ports []correlate.Exposure) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# yaml-language-server: $schema=%s
# What may be reached on %s. Written by "netglance policy init" from what stands:
# read it, give the reasons, and let "netglance firewall --policy FILE" judge by it.
version: 1

`, PolicySchema, commentText(h.Name))
	meant, open := 0, 0
	var declared, undeclared strings.Builder
	for _, e := range ports {
		switch e.Label {
		case correlate.Intentional:
			meant++
			declared.WriteString(yamlEntry(e, "  "))
		case correlate.Exposed:
			open++
			undeclared.WriteString(yamlEntry(e, "#  "))
		}
	}
	if meant == 0 {
		b.WriteString("allow: []\n")
	} else {
		b.WriteString("allow:\n" + declared.String())
	}
	if open > 0 {
		b.WriteString("\n# Exposed: some source reaches these ports, and nothing declares that. Take the \"#\"\n# away (and the [] of an empty \"allow\") where it is meant, and close the others.\n" + undeclared.String())
	}
	b.WriteString("\n# What no entry allows may not be reachable, even if a rule names it.\nnothing_else: true\n")
	b.WriteString(yamlAssertions(ports))
	_, err := io.WriteString(w, b.String())
	return err
}

// yamlEntry is one item of "allow", each line after a prefix.
func yamlEntry(e correlate.Exposure, indent string) string {
	lines := []string{}
	for _, origin := range origins(e) {
		lines = append(lines, "# "+origin)
	}
	lines = append(lines, "- port: "+portName(e))
	from, via := yamlSources(e)
	if len(from) > 0 {
		lines = append(lines, "  from: ["+strings.Join(from, ", ")+"]")
	}
	if len(via) > 0 {
		lines = append(lines, "  via: ["+strings.Join(via, ", ")+"]")
	}
	if owner := yamlOwner(e); owner != "" {
		lines = append(lines, "  owner: "+owner)
	}
	if reason := yamlReason(e); reason != "" {
		lines = append(lines, "  reason: "+strconv.Quote(reason))
	}
	return indent + strings.Join(lines, "\n"+indent) + "\n"
}

// commentText is text that can't end a comment.
func commentText(s string) string { return Clean(s) }

// origins say where the port's being open comes from, in the owner's words.
func origins(e correlate.Exposure) (out []string) {
	if service := e.Service; service != "" {
		out = append(out, service)
	}
	for _, r := range e.Reasons {
		switch r.Code {
		case "rule_names_port", "rule_names_sources", "policy_accept", "rule_broad", "no_filter", "nat_alone", "automatic_rule", "ipv4_only_closed", "forwarded", "redirected", "bypasses", "loopback_reached":
			out = append(out, commentText(r.Text))
		}
	}
	for _, r := range e.Reach {
		if by := r.DeclaredBy; by != nil && by.Comment != "" {
			out = append(out, "the rule's comment: "+commentText(by.Comment))
		}
	}
	slices.Sort(out[min(1, len(out)):])
	return slices.Compact(out)
}

// yamlSources are the prefixes that get through, and the interfaces where not every
// one lets some in. Both are empty for everybody by every way.
func yamlSources(e correlate.Exposure) (from, via []string) {
	open := waysOf(e)
	all := map[string]bool{}
	var prefixes []netip.Prefix
	space := addresses.New()
	for _, w := range open {
		lets := len(w.open.Prefixes)+len(w.open.Masked)+len(w.open.Sets) > 0
		all[w.iface] = all[w.iface] || lets
		if !lets {
			continue
		}
		if len(w.open.Masked) > 0 {
			prefixes = append(prefixes, family(w.family))
		}
		filler := append(slices.Clone(odd), w.odd...)
		prefixes = append(prefixes, fill(w.open.Prefixes, filler)...)
	}
	for name, lets := range all {
		if lets {
			via = append(via, strconv.Quote(Clean(name)))
		}
	}
	slices.Sort(via)
	if len(via) == len(all) && !e.Redirected {
		via = nil
	}
	set := space.Of(prefixes...)
	if space.Holds(set, addresses.Everything) {
		return nil, via
	}
	list, more := space.Prefixes(set, 1000)
	if more {
		return nil, via
	}
	for _, p := range list {
		word := p.String()
		if p.IsSingleIP() {
			word = p.Addr().String()
		}
		if p.Addr().Is6() {
			word = strconv.Quote(word)
		}
		from = append(from, word)
	}
	return from, via
}

func family(n int) netip.Prefix {
	if n == 4 {
		return netip.MustParsePrefix("0.0.0.0/0")
	}
	return netip.MustParsePrefix("::/0")
}

// yamlOwner names who holds the port by what survives a restart: the one unit, or
// the one program, of all owners.
func yamlOwner(e correlate.Exposure) string {
	switch {
	case e.Kernel:
		return "{process: kernel}"
	case len(e.Owners) == 0:
		return ""
	}
	if unit := one(e.Owners, ownerUnit); unit != "" {
		return "{unit: " + pattern(unit) + "}"
	}
	if program := one(e.Owners, func(p listeners.Process) string { return p.Executable }); program != "" {
		return "{process: " + pattern(program) + "}"
	}
	if name := one(e.Owners, func(p listeners.Process) string { return p.Name }); name != "" {
		return "{process: " + pattern(name) + "}"
	}
	return ""
}

// ownerUnit is empty for units whose names don't survive: sessions, and the scopes
// of containers.
func ownerUnit(p listeners.Process) string {
	switch {
	case p.Container.ID != "" || strings.HasSuffix(p.Unit, ".scope") && p.SocketUnit == "":
		return ""
	case p.SocketUnit != "":
		return p.SocketUnit
	}
	return p.Unit
}

func one(all []listeners.Process, of func(listeners.Process) string) string {
	value := of(all[0])
	for _, p := range all {
		if of(p) != value {
			return ""
		}
	}
	return value
}

// pattern quotes a name for YAML and for path.Match.
func pattern(name string) string {
	return strconv.Quote(strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(Clean(name)))
}

// yamlReason is what a rule's comment says.
func yamlReason(e correlate.Exposure) string {
	for _, r := range e.Reach {
		if r.DeclaredBy != nil && r.DeclaredBy.Comment != "" {
			return Clean(r.DeclaredBy.Comment)
		}
	}
	return ""
}

// yamlAssertions propose to keep closed what is closed now.
func yamlAssertions(ports []correlate.Exposure) string {
	var b strings.Builder
	for _, e := range ports {
		if e.Label == correlate.Filtered && e.LastPort == 0 && !e.ProbableClient {
			fmt.Fprintf(&b, "  - %s from anywhere: closed\n", portName(e))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n# Filtered now, and to stay so.\nassert:\n" + b.String()
}
