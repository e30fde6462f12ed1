// Package iptables reads the legacy tables of x_tables: from the kernel, by
// getsockopt, and from the text of iptables-save and ip6tables-save.
//
// The tables of iptables-nft live in nf_tables: firewall/nft reads those.
package iptables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/netglance/netglance/firewall"
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
	address    int    // AF_INET, AF_INET6
	level      int    // SOL_IP, SOL_IPV6
	source     string // what gaps name
	names      string
	headerSize int
	entrySize  int
}

var protocolFamilies = []protocolFamily{
	{firewall.FamilyIPv4, 2, 0, "ip_tables", "/proc/net/ip_tables_names", headerSize4, 112},
	{firewall.FamilyIPv6, 10, 41, "ip6_tables", "/proc/net/ip6_tables_names", headerSize6, 168},
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
	for i := range protocolFamilies {
		p := &protocolFamilies[i]
		names, err := tableNames(source, p.names)
		if err != nil {
			found = append(found, p.gap("whether iptables-legacy filters packets could not be seen", err))
			continue
		}
		saved := fallback{source: source, family: p, sets: sets}
		for _, name := range names {
			table, err := readTable(source, p, name, sets)
			if refused(err) {
				table, err = saved.table(name, err)
			}
			if err != nil {
				found = append(found, p.gap(fmt.Sprintf("the %s table %q of iptables-legacy could not be read", p.family, name), err))
				continue
			}
			tables = append(tables, table)
		}
	}
	return tables, found
}

func (p *protocolFamily) gap(reason string, err error) gaps.Gap {
	g := gaps.Gap{Source: p.source, Reason: reason + ": " + err.Error(), Err: err}
	if errors.Is(err, fs.ErrPermission) {
		g.Hint = "run it as root"
	}
	return g
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

func readTable(source Source, p *protocolFamily, name string, sets Sets) (*firewall.Table, error) {
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

// info is struct ipt_getinfo without the name. entry is where each hook enters,
// underflow where its policy stands.
type info struct {
	validHooks       uint32
	entry, underflow [hookCount]uint32
	count, size      uint32
}

func readInfo(b []byte) info {
	word := func(n int) uint32 { return binary.NativeEndian.Uint32(b[4*n:]) }
	i := info{validHooks: word(0), count: word(1 + 2*hookCount), size: word(2 + 2*hookCount)}
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
func getTable(source Source, p *protocolFamily, name string) (info, []byte, error) {
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
