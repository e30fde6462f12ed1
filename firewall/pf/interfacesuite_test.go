package pf

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// What an interface's name with modifiers stands for, as OpenBSD's suite has it.
func TestInterfacesStandForWhatOpenBSDsSuiteExpects(t *testing.T) {
	folder := needCorpora(t, "pf-openbsd-7.8")
	l := newLinks(suiteNetwork(t), OpenBSD)
	checked := 0
	for _, name := range []string{"pfi1.ok", "pfi3.ok"} {
		for line := range strings.Lines(string(readFile(t, filepath.Join(folder, name)))) {
			at := strings.LastIndex(line, ":")
			if i := strings.Index(line, ": "); i >= 0 {
				at = i
			}
			host := strings.NewReplacer("(", "", ")", "").Replace(line[:at])
			host, mask, masked := strings.Cut(host, "/")
			base, m, ok := splitModifiers(host)
			if !ok {
				t.Fatalf("%q isn't understood", line)
			}
			var got []string
			for _, a := range l.addresses(base, m) {
				bits := a.prefix.Bits()
				if masked {
					bits = len(mask) * 12 // the suite's mask is /24
				}
				got = append(got, maskedAddress(a.prefix.Addr(), bits).text())
			}
			want := strings.Fields(line[at+1:])
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", line[:at], got, want)
			}
			checked++
		}
	}
	if checked < 40 {
		t.Errorf("only %d lines", checked)
	}
}

// Which addresses OpenBSD's suite finds in a table with negated entries.
func TestTablesHoldWhatOpenBSDsSuiteExpects(t *testing.T) {
	folder := needCorpora(t, "pf-openbsd-eval")
	l := NewLoader(OpenBSD, nil)
	if err := l.Table("", "t", strings.Split(string(readFile(t, filepath.Join(folder, "pf_table__table.in"))), "\n")); err != nil {
		t.Fatal(err)
	}
	e := NewEvaluator(l.Ruleset(), &firewall.Network{})
	table := e.rules.Main.table("t")
	for suffix, want := range map[string]firewall.PacketSet{"hit": firewall.AllPackets, "miss": firewall.NoPackets} {
		for _, field := range strings.Fields(string(readFile(t, filepath.Join(folder, "pf_table__table."+suffix)))) {
			a, err := netip.ParseAddr(field)
			if err != nil {
				t.Fatal(err)
			}
			if holds(e.entries[table], a) != want {
				t.Errorf("%s is no %s", a, suffix)
			}
			w := e.walk()
			free := w.s.Source(firewall.Query{Destination: a})
			if got := w.s.And(w.tableSet(table, free, "source"), w.s.Within(free, netip.PrefixFrom(a, a.BitLen()))) != firewall.NoPackets; got != (want == firewall.AllPackets) {
				t.Errorf("%s is no %s of the set", a, suffix)
			}
		}
	}
}
