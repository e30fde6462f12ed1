package iptables_test

import (
	"os"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/iptables"
)

// FuzzKernelTable reads one table whose layout and entries are the fuzzer's.
func FuzzKernelTable(f *testing.F) {
	host := recorded(f)
	seeds := 0
	for _, v6 := range []bool{false, true} {
		for _, name := range iptables.TableNames {
			info, entries := rawTable(host, v6, name)
			if entries != nil {
				f.Add(info, entries)
				seeds++
			}
		}
	}
	if seeds != 6 {
		f.Fatalf("%d tables are recorded, not 6", seeds)
	}
	f.Fuzz(func(t *testing.T, info, entries []byte) {
		host := &fakeHost{names: "filter", options: func(_ string, option int) ([]byte, error) {
			if option == 64 {
				return info, nil
			}
			return entries, nil
		}}
		tables, found := iptables.Read(host, nil)
		if len(tables)+len(found) != 1 {
			t.Errorf("%d tables and %d gaps", len(tables), len(found))
		}
		describe(tables)
	})
}

// rawTable is what the kernel said of a table.
func rawTable(host iptables.Source, v6 bool, name string) (info, entries []byte) {
	family, level := 2, 0
	if v6 {
		family, level = 10, 41
	}
	argument := make([]byte, 32)
	copy(argument, name)
	info, err := host.Getsockopt(family, level, 64, argument, 84)
	if err != nil {
		return nil, nil
	}
	size := info[80:84]
	length := int(size[0]) | int(size[1])<<8 | int(size[2])<<16
	entries, _ = host.Getsockopt(family, level, 65, append(argument, size...), 40+length)
	return info, entries
}

// FuzzText parses a text; what parses must print as rules that parse to the same.
func FuzzText(f *testing.F) {
	for _, file := range []string{"testdata/rules.v4", "testdata/rules.v6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		table := ""
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "*") {
				table = line
			}
			if strings.HasPrefix(line, "-A") {
				f.Add(table + ":web - [0:0]\n:known - [0:0]\n:guarded - [0:0]\n" + line)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, family := range []firewall.Family{firewall.FamilyIPv4, firewall.FamilyIPv6} {
			tables, err := iptables.ParseFamily("fuzz", []byte(text), family, nil)
			if err != nil {
				continue
			}
			describe(tables)
		}
	})
}
