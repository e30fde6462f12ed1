// Package iptables reads the legacy tables of x_tables: from the kernel, by
// getsockopt, and from the text of iptables-save and ip6tables-save.
//
// The tables of iptables-nft live in nf_tables: firewall/nft reads those.
package iptables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
	"github.com/netglance/netglance/gaps"
)

// Source answers what the legacy tables are read by: a host, live or recorded.
type Source interface {
	ReadFile(name string) ([]byte, error)
	Getsockopt(family, level, option int, argument []byte, size int) ([]byte, error)
}

// The socket options (ip_tables.h, ip6_tables.h).
const (
	optionInfo    = 64
	optionEntries = 65
)

// protocolFamily is where one family's tables are found.
type protocolFamily struct {
	family     firewall.Family
	address    int // AF_INET, AF_INET6
	level      int // SOL_IP, SOL_IPV6
	names      string
	headerSize int
	entrySize  int
}

var protocolFamilies = []protocolFamily{
	{firewall.FamilyIPv4, 2, 0, "/proc/thread-self/net/ip_tables_names", headerSize4, 112},
	{firewall.FamilyIPv6, 10, 41, "/proc/thread-self/net/ip6_tables_names", headerSize6, 168},
}

const (
	// attempts is how often a table that changes while it is read is tried again.
	attempts = 5
	pause    = 5 * time.Millisecond
	// maxEntries is the largest table read, about two million rules.
	maxEntries = 500 << 20
)

// Read reads every legacy table that is there, and says what could not be read.
// It asks only for tables that ip_tables_names lists: the kernel makes any other
// table that it is asked for. sets may be nil.
func Read(source Source, sets Sets) ([]*firewall.Table, []gaps.Gap) {
	var tables []*firewall.Table
	var found []gaps.Gap
	for _, p := range protocolFamilies {
		names, err := tableNames(source, p.names)
		if err != nil {
			found = append(found, gaps.Gap{Source: p.names, Reason: "which legacy iptables tables there are is unknown", Hint: "run as root", Err: err})
			continue
		}
		for _, name := range names {
			table, err := readTable(source, p, name, sets)
			if err != nil {
				found = append(found, gaps.Gap{Source: p.names, Reason: fmt.Sprintf("the legacy %s table %q could not be read", p.family, name), Hint: "run as root", Err: err})
				continue
			}
			tables = append(tables, table)
		}
	}
	return tables, found
}

// tableNames are the tables that exist, in the order in which a packet meets
// them. Without the kernel's support for legacy tables there are none.
func tableNames(source Source, file string) ([]string, error) {
	text, err := source.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := strings.Fields(string(text))
	order := func(name string) int {
		if i := slices.Index(TableNames, name); i >= 0 {
			return i
		}
		return len(TableNames)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := order(a) - order(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(names), nil
}

func readTable(source Source, p protocolFamily, name string, sets Sets) (*firewall.Table, error) {
	for attempt := 1; ; attempt++ {
		info, entries, err := getTable(source, p, name)
		if errors.Is(err, syscall.EAGAIN) && attempt < attempts {
			time.Sleep(pause << attempt)
			continue
		}
		if err != nil {
			return nil, err
		}
		return decodeTable(p, name, info, entries, sets)
	}
}

// info is struct ipt_getinfo without the name and the number of entries. entry
// is where each hook enters, underflow where its policy stands.
type info struct {
	validHooks       uint32
	entry, underflow [hookCount]uint32
	size             uint32
}

func readInfo(b []byte) info {
	word := func(n int) uint32 { return binary.NativeEndian.Uint32(b[4*n:]) }
	i := info{validHooks: word(0), size: word(2 + 2*hookCount)}
	for hook := range hookCount {
		i.entry[hook], i.underflow[hook] = word(1+hook), word(1+hookCount+hook)
	}
	return i
}

const (
	nameSize    = 32
	infoSize    = 84
	entriesHead = 40 // struct ipt_get_entries before its entries
)

// getTable asks for a table's layout, then for its entries. The kernel gives
// EAGAIN where the size changed in between.
func getTable(source Source, p protocolFamily, name string) (info, []byte, error) {
	var i info
	if len(name) >= nameSize {
		return i, nil, fmt.Errorf("table name of %d bytes", len(name))
	}
	argument := make([]byte, nameSize)
	copy(argument, name)
	b, err := source.Getsockopt(p.address, p.level, optionInfo, argument, infoSize)
	if err != nil {
		return i, nil, err
	}
	if len(b) < infoSize {
		return i, nil, fmt.Errorf("IPT_SO_GET_INFO: %d bytes where %d are due", len(b), infoSize)
	}
	i = readInfo(b[nameSize:])
	if i.size > maxEntries {
		return i, nil, fmt.Errorf("table of %d bytes, more than is ever read", i.size)
	}
	argument = binary.NativeEndian.AppendUint32(argument, i.size)
	b, err = source.Getsockopt(p.address, p.level, optionEntries, argument, entriesHead+int(i.size))
	if err != nil {
		return i, nil, err
	}
	if len(b) < entriesHead {
		return i, nil, fmt.Errorf("IPT_SO_GET_ENTRIES: %d bytes", len(b))
	}
	return i, b[entriesHead:], nil
}

// An entry is one struct ipt_entry or ip6t_entry.
type entry struct {
	offset, end int // of this entry and the next, from the table's start
	header      header
	// matches and target point into the table.
	matches []extension
	target  extension
}

// extension is one xt_entry_match or xt_entry_target.
type extension struct {
	name     string
	revision uint8
	data     []byte
}

const extensionHeader = 32

func readExtension(b []byte) (extension, int, error) {
	if len(b) < extensionHeader {
		return extension{}, 0, fmt.Errorf("%d bytes where an extension's header needs %d", len(b), extensionHeader)
	}
	size := int(binary.NativeEndian.Uint16(b))
	if size < extensionHeader || size > len(b) {
		return extension{}, 0, fmt.Errorf("extension of %d bytes in %d", size, len(b))
	}
	name, _, _ := bytes.Cut(b[2:31], []byte{0})
	return extension{string(name), b[31], b[extensionHeader:size:size]}, size, nil
}

// readEntries walks the entries.
func readEntries(p protocolFamily, b []byte) ([]entry, error) {
	var entries []entry
	for at := 0; at < len(b); {
		e, size, err := readEntry(p, b[at:])
		if err != nil {
			return nil, fmt.Errorf("entry at byte %d: %w", at, err)
		}
		e.offset, e.end = at, at+size
		entries = append(entries, e)
		at += size
	}
	return entries, nil
}

func readEntry(p protocolFamily, b []byte) (entry, int, error) {
	if len(b) < p.entrySize {
		return entry{}, 0, fmt.Errorf("%d bytes where an entry needs %d", len(b), p.entrySize)
	}
	target := int(binary.NativeEndian.Uint16(b[p.headerSize+4:]))
	next := int(binary.NativeEndian.Uint16(b[p.headerSize+6:]))
	if target < p.entrySize || next < target || next > len(b) {
		return entry{}, 0, fmt.Errorf("target at %d, end at %d of %d bytes", target, next, len(b))
	}
	e := entry{header: readHeader(p.family, b[:p.headerSize])}
	for at := p.entrySize; at < target; {
		m, size, err := readExtension(b[at:target])
		if err != nil {
			return entry{}, 0, err
		}
		e.matches = append(e.matches, m)
		at += size
	}
	var err error
	if e.target, _, err = readExtension(b[target:next]); err != nil {
		return entry{}, 0, err
	}
	return e, next, nil
}

// decodeTable makes chains of a table's entries. A built-in chain starts where
// its hook enters, another behind an ERROR target with its name; each ends with
// the entry before the next one's start: a built-in one's policy, or a RETURN.
func decodeTable(p protocolFamily, name string, i info, b []byte, sets Sets) (*firewall.Table, error) {
	entries, err := readEntries(p, b)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", name, err)
	}
	d := &tableDecoder{
		protocolFamily: p,
		table:          &firewall.Table{Backend: firewall.IptablesLegacy, Family: p.family, Name: name},
		info:           i,
		chainAt:        make(map[int]*firewall.Chain),
		chainNamed:     make(map[string]*firewall.Chain),
		xt:             decoder(p.family, sets),
	}
	if err := d.chains(entries); err != nil {
		return nil, fmt.Errorf("table %s: %w", name, err)
	}
	if err := d.rules(); err != nil {
		return nil, fmt.Errorf("table %s: %w", name, err)
	}
	return d.table, nil
}

// decoder is the one for this machine's byte order.
func decoder(family firewall.Family, sets Sets) xt.Decoder {
	d := xt.Decoder{Family: family, BigEndian: binary.NativeEndian.Uint16([]byte{0, 1}) == 1}
	if sets != nil {
		d.SetByIndex, d.SetByName = sets.ByIndex, sets.ByName
	}
	return d
}

type tableDecoder struct {
	protocolFamily
	table *firewall.Table
	info  info
	// bodies are the entries of each chain, without its head and tail.
	bodies     [][]entry
	chainAt    map[int]*firewall.Chain // by the offset of its first rule
	chainNamed map[string]*firewall.Chain
	xt         xt.Decoder
}

func (d *tableDecoder) chains(entries []entry) error {
	var current *firewall.Chain
	var body []entry
	end := func() error {
		if current == nil {
			return nil
		}
		if len(body) == 0 {
			return fmt.Errorf("chain %q has no end", current.Name)
		}
		tail := body[len(body)-1]
		if err := d.endChain(current, tail); err != nil {
			return err
		}
		d.bodies = append(d.bodies, body[:len(body)-1])
		return nil
	}
	for n, e := range entries {
		hook := d.hookAt(e.offset)
		isHead := e.target.name == "ERROR"
		if hook < 0 && !isHead {
			body = append(body, e)
			continue
		}
		if err := end(); err != nil {
			return err
		}
		current, body = nil, nil
		switch {
		case hook >= 0 && d.chainNamed[builtIn[hook]] != nil:
			return fmt.Errorf("two chains %q", builtIn[hook])
		case hook >= 0:
			current = d.newChain(builtIn[hook], e.offset)
			current.Base = base(d.table.Name, hook, firewall.Drop)
			body = []entry{e}
		case n < len(entries)-1: // the last ERROR ends the table
			name, _, _ := bytes.Cut(e.target.data, []byte{0})
			if d.chainNamed[string(name)] != nil {
				return fmt.Errorf("two chains %q", name)
			}
			current = d.newChain(string(name), entries[n+1].offset)
		}
	}
	if current != nil {
		return fmt.Errorf("chain %q is cut off", current.Name)
	}
	return nil
}

func (d *tableDecoder) newChain(name string, offset int) *firewall.Chain {
	c := &firewall.Chain{Table: d.table, Name: name}
	d.table.Chains = append(d.table.Chains, c)
	d.chainAt[offset] = c
	d.chainNamed[name] = c
	return c
}

// hookAt is the hook that enters at an offset, -1 if none does.
func (d *tableDecoder) hookAt(offset int) int {
	for hook := range hookCount {
		if d.info.validHooks>>hook&1 != 0 && d.info.entry[hook] == uint32(offset) {
			return hook
		}
	}
	return -1
}

// hookOf is the hook of a built-in chain.
func (d *tableDecoder) hookOf(c *firewall.Chain) int { return slices.Index(hooks[:], c.Base.Hook) }

// endChain takes a built-in chain's policy from its last entry.
func (d *tableDecoder) endChain(c *firewall.Chain, tail entry) error {
	verdict, ok := standardVerdict(d.xt, tail)
	if c.Base == nil {
		if !ok || verdict != firewall.Return {
			return fmt.Errorf("chain %q doesn't end with RETURN", c.Name)
		}
		return nil
	}
	hook := d.hookOf(c)
	if !ok || verdict != firewall.Accept && verdict != firewall.Drop || d.info.underflow[hook] != uint32(tail.offset) {
		return fmt.Errorf("chain %q doesn't end with a policy", c.Name)
	}
	c.Base.Policy = verdict
	return nil
}

// standardVerdict is the verdict of an entry that matches everything.
func standardVerdict(d xt.Decoder, e entry) (firewall.VerdictCode, bool) {
	if len(e.matches) != 0 || !e.header.unconditional() || e.target.name != "" {
		return 0, false
	}
	steps := d.Target(e.target.name, e.target.revision, e.target.data).Steps()
	if len(steps) != 1 {
		return 0, false
	}
	v, ok := steps[0].(firewall.Verdict)
	return v.Code, ok
}

func (d *tableDecoder) rules() error {
	for i, c := range d.table.Chains {
		rules := make([]rule, 0, len(d.bodies[i]))
		for n, e := range d.bodies[i] {
			r, err := d.rule(c, e)
			if err != nil {
				return fmt.Errorf("chain %q, rule %d: %w", c.Name, n+1, err)
			}
			rules = append(rules, r)
		}
		finish(c, rules, func(name string) *firewall.Chain { return d.chainNamed[name] })
	}
	return nil
}

// rule. A standard target that jumps to the next entry is none at all: iptables
// writes rules without a target so.
func (d *tableDecoder) rule(c *firewall.Chain, e entry) (rule, error) {
	r := rule{chain: c.Name, header: e.header, hasTarget: true}
	for _, m := range e.matches {
		r.matches = append(r.matches, d.xt.Match(m.name, m.revision, m.data))
	}
	offset, jumps := d.xt.JumpOffset(e.target.data)
	if e.target.name != "" || !jumps {
		r.target = d.xt.Target(e.target.name, e.target.revision, e.target.data)
		return r, nil
	}
	r.hasTarget = false
	if int(offset) == e.end {
		return r, nil
	}
	chain := d.chainAt[int(offset)]
	if chain == nil {
		return r, fmt.Errorf("jump to byte %d, where no chain starts", offset)
	}
	r.jump = chain.Name
	return r, nil
}
