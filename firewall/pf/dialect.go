// Package pf reads the packet filter of OpenBSD, FreeBSD and macOS: pf.conf and
// what pfctl prints. It expands rules as pfctl does, prints them as pfctl does,
// and says what they do to a packet.
package pf

import (
	"bytes"
	"fmt"

	"github.com/netglance/netglance/internal/lazyregexp"
)

// Dialect is whose pf the rules are for. The grammar is one; the dialects differ
// in what they print, in interface groups and in a few matches.
type Dialect uint8

// The dialects. Unknown is detected from the rules, and is OpenBSD's where they
// don't tell.
const (
	Unknown Dialect = iota
	OpenBSD
	FreeBSD
	MacOS
)

func (d Dialect) String() string {
	names := [...]string{"unknown", "openbsd", "freebsd", "macos"}
	if int(d) < len(names) {
		return names[d]
	}
	return fmt.Sprintf("dialect(%d)", uint8(d))
}

// ParseDialect reads a dialect's name; "" is Unknown.
func ParseDialect(name string) (Dialect, error) {
	switch name {
	case "":
		return Unknown, nil
	case "openbsd":
		return OpenBSD, nil
	case "freebsd":
		return FreeBSD, nil
	case "macos", "darwin":
		return MacOS, nil
	}
	return Unknown, fmt.Errorf("unknown dialect %q: it is openbsd, freebsd or macos", name)
}

// Words that only one system's rules have.
var (
	appleWords   = lazyregexp.New(`(?m)com\.apple|^\s*dummynet|\bextfilter\b`)
	freeWords    = lazyregexp.New(`(?m)^\s*ether\b|\bridentifier\b|\bdnpipe\b|\bmap-e-portset\b|\bepair\d|\bset fail-policy\b|\bset keepcounters\b`)
	oldWords     = lazyregexp.New(`(?m)^\s*(no\s+)?(nat|rdr|binat)\b.*->|^\s*(no\s+)?(nat|rdr|binat|scrub)\s|^\s*(nat|rdr|binat|scrub)-anchor\b|\bkeep state$|\baltq on\b`)
	currentWords = lazyregexp.New(`\b(nat-to|rdr-to|binat-to|af-to|divert-packet|egress)\b`)
)

// detect guesses the dialect of a text. Old translation rules are FreeBSD's
// unless something Apple's own stands beside them.
func detect(text []byte) Dialect {
	switch {
	case appleWords.Match(text):
		return MacOS
	case freeWords.Match(text):
		return FreeBSD
	case currentWords.Match(text):
		return OpenBSD
	case oldWords.Match(text):
		return FreeBSD
	case bytes.Contains(text, []byte("keep state")) && bytes.Contains(text, []byte("all flags S/SA keep state")):
		return FreeBSD
	}
	return OpenBSD
}

// groups says that interfaces belong to groups, so that a name without digits
// stands for all members. The macOS kernel compares exact names (xnu
// bsd/net/pf_if.c, pfi_kif_match).
func (d Dialect) groups() bool { return d != MacOS }

// old says that rules print "keep state" and pools as lists, as pf did before
// OpenBSD 4.6.
func (d Dialect) old() bool { return d != OpenBSD }

// firstWords are those that a statement of pf.conf, or a line of pfctl's, begins with.
var firstWords = lazyregexp.New(`^\s*(` +
	`(pass|block|match|anchor|antispoof|altq|nat|rdr|binat|scrub|dummynet|ether|(nat|rdr|binat|scrub|dummynet)-anchor)\b` +
	`|no\s+(nat|rdr|binat|scrub)\b|set\s+[a-z]|load\s+anchor\b|queue\s|table\s*<|[A-Za-z_][A-Za-z0-9_]*\s*=` +
	`|@\d+(\(\d+\))? |(TRANSLATION|FILTER|SCRUB|DUMMYNET) RULES:|No ALTQ support in kernel)`)

// LooksLike says that a text is pf.conf's, or pfctl's, by its first line that is
// not a comment. An "include" alone doesn't tell.
func LooksLike(text []byte) bool {
	for line := range bytes.Lines(text) {
		trimmed := bytes.TrimSpace(line)
		if len(trimmed) == 0 || trimmed[0] == '#' || bytes.HasPrefix(trimmed, []byte("include")) {
			continue
		}
		return firstWords.Match(line)
	}
	return false
}
