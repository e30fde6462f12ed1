package twin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Socket options of the legacy tables (ip_tables.h), and their structs' sizes.
const (
	optionInfo    = 64
	optionEntries = 65

	nameLength  = 32
	entriesHead = 40 // struct ipt_get_entries before its entries
)

// A legacyTable is one of x_tables' own, as the kernel gave it.
type legacyTable struct {
	family, level int
	name          string
	info, entries []byte
}

// loadLegacy replaces the legacy tables by the host's.
func (t *Twin) loadLegacy() error {
	tape := t.host.Tape
	names := slices.Collect(maps.Keys(tape.tables))
	slices.SortFunc(names, func(a, b tableName) int {
		if a.family != b.family {
			return a.family - b.family
		}
		return strings.Compare(a.name, b.name)
	})
	whole := map[int]bool{} // families whose tables came by getsockopt
	for _, name := range names {
		table := tape.tables[name]
		if len(table.entries) < entriesHead {
			continue // refused, and maybe saved as text
		}
		whole[name.family] = true
		if err := t.kernel.ReplaceTable(table.family, table.level, table.info, table.entries[entriesHead:]); err != nil {
			t.Useless = fmt.Errorf("this kernel does not take the table %s of iptables-legacy: %w", name.name, err)
		}
	}
	for family, program := range map[int]string{familyIPv4: "iptables-legacy-restore", familyIPv6: "ip6tables-legacy-restore"} {
		if len(tape.saved[family]) == 0 || whole[family] {
			continue
		}
		if _, err := t.kernel.Run(string(tape.saved[family]), program); err != nil {
			t.Useless = fmt.Errorf("the tables of iptables-legacy could not be loaded: %w", err)
		}
	}
	return nil
}
