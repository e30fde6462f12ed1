package pf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/lazyregexp"
)

// A Host is what Collect needs of a live or recorded host; the platform's Host says
// what the methods give.
type Host interface {
	Output(command ...string) ([]byte, error)
	Sysctl(name string) ([]byte, error)
	OS() string // named like GOOS
}

// A Listing is what pfctl(8) prints of a running system's pf.
type Listing struct {
	// Missing says that the system has no pf: FreeBSD without its module.
	Missing bool
	// Disabled says that pf is off: it lets everything pass.
	Disabled bool
	// Skip are the interfaces and groups of "set skip".
	Skip []string
	// DefaultBlock is FreeBSD's sysctl net.pf.default_to_drop.
	DefaultBlock bool
	// Anchors are the main ruleset, whose path is "", and those below it, sorted.
	Anchors []ListedAnchor
}

// A ListedAnchor is one ruleset.
type ListedAnchor struct {
	Path string
	// Rules, NAT and Ether are what -s rules, -s nat and -s ether print; nil of an
	// anchor without a name, whose rules stand in braces in its parent's.
	Rules, NAT, Ether []byte
	Tables            []ListedTable
}

// A ListedTable is a table with all its entries, as -T show prints them.
type ListedTable struct {
	Name    string
	Entries []string
	// Unread says that the entries could not be read.
	Unread bool
}

// reserved is the anchor in which the kernel keeps the addresses of interfaces
// (PF_RESERVED_ANCHOR).
const reserved = "_pf"

// maxAnchors is how many anchors are asked for: each takes several runs of pfctl.
const maxAnchors = 2000

// Collect asks pfctl for everything that decides about packets. Without privilege
// it sees nothing: the gap says so, and the listing is nil.
func Collect(host Host) (*Listing, []gaps.Gap) {
	c := collector{host: host, automatic: map[string][]string{}}
	info, err := host.Output("pfctl", "-s", "info")
	switch {
	case errors.Is(err, syscall.ENOENT) && host.OS() == "freebsd":
		return &Listing{Missing: true}, nil // no /dev/pf: the module isn't loaded
	case err != nil:
		return nil, []gaps.Gap{refusedPF(err)}
	}
	l := &Listing{}
	switch {
	case bytes.Contains(info, []byte("Status: Enabled")):
	case bytes.Contains(info, []byte("Status: Disabled")):
		l.Disabled = true
	default:
		return nil, []gaps.Gap{{Source: "pf", Reason: "pfctl doesn't say whether pf is on", Hint: "look at: pfctl -s info"}}
	}
	l.Skip = skipped(c.need("-v", "-s", "Interfaces"))
	l.DefaultBlock = c.defaultBlock()
	paths := c.anchors()
	c.choosePortNumbers()
	for _, path := range paths {
		l.Anchors = append(l.Anchors, c.anchor(path))
	}
	if c.err != nil {
		return nil, []gaps.Gap{refusedPF(c.err)}
	}
	return l, c.gaps
}

func refusedPF(err error) gaps.Gap {
	gap := gaps.Gap{Source: "pf", Reason: "the rules could not be read", Err: err}
	if errors.Is(err, fs.ErrPermission) {
		gap.Hint = "run it as root"
	}
	return gap
}

// A collector runs pfctl. After the first failure it runs nothing more.
type collector struct {
	host    Host
	numbers []string // the option that makes FreeBSD print ports as numbers
	// automatic are the tables that pfctl made for the rules of each anchor with a name.
	automatic map[string][]string
	gaps      []gaps.Gap
	err       error
}

// need is what pfctl prints, which must be read.
func (c *collector) need(options ...string) []byte {
	if c.err != nil {
		return nil
	}
	text, err := c.host.Output(append([]string{"pfctl"}, options...)...)
	if err != nil {
		c.err = err
	}
	return text
}

// defaultBlock: the node is missing on releases without it, where the default is to
// pass unless the kernel was built otherwise.
func (c *collector) defaultBlock() bool {
	if c.host.OS() != "freebsd" {
		return false
	}
	value, err := c.host.Sysctl("net.pf.default_to_drop")
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		c.gaps = append(c.gaps, gaps.Gap{
			Source: "net.pf.default_to_drop", Reason: "whether pf blocks what no rule matches could not be read: taken to pass", Err: err,
		})
	}
	return bytes.ContainsFunc(value, func(r rune) bool { return r != 0 })
}

// anchors are the paths of all rulesets, the main one's first. "-v" lists those below
// others, and those without a name.
func (c *collector) anchors() []string {
	paths := []string{""}
	for line := range strings.Lines(string(c.need("-v", "-s", "Anchors"))) {
		if path := strings.TrimSpace(line); path != "" && path != reserved && !strings.HasPrefix(path, reserved+"/") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	if len(paths) > maxAnchors {
		c.err = fmt.Errorf("%d anchors: more than netglance reads", len(paths))
	}
	return paths
}

// choosePortNumbers: FreeBSD's pfctl prints "port = ssh" unless -P is given, which
// old ones don't know.
func (c *collector) choosePortNumbers() {
	if c.host.OS() != "freebsd" {
		return
	}
	if _, err := c.host.Output("pfctl", "-P", "-s", "rules"); err == nil {
		c.numbers = []string{"-P"}
	}
}

// anchor reads one ruleset. macOS can't list all of them at once: "-a '*'" ends
// with "DIOCGETRULES: Invalid argument".
func (c *collector) anchor(path string) ListedAnchor {
	a := ListedAnchor{Path: path}
	var in []string
	if path != "" {
		in = []string{"-a", path}
	}
	if !unnamed(path) {
		a.Rules = c.need(slices.Concat(in, c.numbers, []string{"-s", "rules"})...)
		if c.host.OS() != "openbsd" {
			a.NAT = c.need(slices.Concat(in, c.numbers, []string{"-s", "nat"})...)
		}
		if c.host.OS() == "freebsd" {
			// 14 and later; before, there are no such rules
			a.Ether, _ = c.host.Output(slices.Concat([]string{"pfctl"}, in, []string{"-s", "ether"})...)
		}
	}
	named := withoutUnnamed(path)
	c.automatic[named] = append(c.automatic[named], automaticTables(a.Rules)...)
	names := tableNames(c.need(slices.Concat(in, []string{"-s", "Tables"})...))
	names = append(names, c.automatic[named]...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		a.Tables = append(a.Tables, c.table(in, name))
	}
	return a
}

// tableNames are the first words of the lines: the path of the anchor follows.
func tableNames(text []byte) (names []string) {
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 0 {
			names = append(names, words[0])
		}
	}
	return names
}

// table reads the entries of a table. One that went meanwhile, or that stands in an
// anchor without a name, is unread here.
func (c *collector) table(in []string, name string) ListedTable {
	if c.err != nil {
		return ListedTable{Name: name, Unread: true}
	}
	text, err := c.host.Output(slices.Concat([]string{"pfctl"}, in, []string{"-t", name, "-T", "show"})...)
	if err != nil && !strings.HasPrefix(name, "__automatic_") {
		c.gaps = append(c.gaps, gaps.Gap{Source: "pf", Reason: fmt.Sprintf("the entries of the table <%s> could not be read", name), Err: err})
	}
	return ListedTable{Name: name, Entries: entries(text), Unread: err != nil}
}

// unnamed says that an anchor was written in braces without a name: pfctl calls it
// "_1" and the like, and prints its rules inside its parent's.
func unnamed(path string) bool { return withoutUnnamed(path) != path }

// withoutUnnamed is the path of the anchor in whose rules an unnamed one stands.
func withoutUnnamed(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "_") {
			return strings.Join(parts[:i], "/")
		}
	}
	return path
}

// automatic are the tables that pfctl makes of long lists of addresses; -s Tables
// leaves them out (pfctl_optimize.c).
var automatic = lazyregexp.New(`<(__automatic_[0-9a-f]+_[0-9]+)(?::[0-9*]+)?>`)

func automaticTables(rules []byte) (names []string) {
	for _, match := range automatic.FindAllSubmatch(rules, -1) {
		names = append(names, string(match[1]))
	}
	return names
}

// entries are a table's, one a line: an address or network, "!" before what is left
// out.
func entries(text []byte) (all []string) {
	for line := range strings.Lines(string(text)) {
		if entry := strings.Join(strings.Fields(line), ""); entry != "" {
			all = append(all, entry)
		}
	}
	return all
}

// skipped are the interfaces that "-v -s Interfaces" marks. What tells of an interface
// is indented.
func skipped(text []byte) (names []string) {
	for line := range strings.Lines(string(text)) {
		name, marked := strings.CutSuffix(strings.TrimRight(line, " \n"), " (skip)")
		if marked && name != "" && name[0] != '\t' && name[0] != ' ' {
			names = append(names, name)
		}
	}
	return names
}
