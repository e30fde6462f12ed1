package iptables_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/platform"
)

// recorded is a host with testdata/rules.v4 and rules.v6 in its legacy tables;
// TestRulesOfTheRecordingLoadHere records it.
func recorded(t testing.TB) platform.Host {
	t.Helper()
	host, err := platform.OpenRecording("testdata/legacy.ng")
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func TestRecordedTablesMeanWhatWasReviewed(t *testing.T) {
	tables, found := iptables.Read(recorded(t), nil)
	for _, gap := range found {
		t.Errorf("gap: %s: %v", gap.Reason, gap.Err)
	}
	golden.Equal(t, "legacy.golden", describe(tables))
}

func TestTextMeansWhatTheRecordedTablesDo(t *testing.T) {
	kernel, _ := iptables.Read(recorded(t), nil)
	for file, family := range map[string]firewall.Family{"testdata/rules.v4": firewall.FamilyIPv4, "testdata/rules.v6": firewall.FamilyIPv6} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := iptables.Parse(file, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := compareTables(t, ofFamily(kernel, family), parsed); n == 0 {
			t.Errorf("%s: no rule was compared", file)
		}
	}
}

func TestRulesPrintAsTheyWereWritten(t *testing.T) {
	tables, _ := iptables.Read(recorded(t), nil)
	printed := make(map[string]int)
	for _, table := range tables {
		for _, chain := range table.Chains {
			for _, rule := range chain.Rules {
				printed[rule.Text()]++
			}
		}
	}
	for _, file := range []string{"testdata/rules.v4", "testdata/rules.v6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "-A") {
				continue
			}
			if printed[line] == 0 {
				t.Errorf("%s: no rule prints as\n%s", file, line)
			}
			printed[line]--
		}
	}
}

// fakeHost has tables that the test makes up.
type fakeHost struct {
	names   string
	asked   []string
	options func(name string, option int) ([]byte, error)
}

func (h *fakeHost) ReadFile(name string) ([]byte, error) {
	if !strings.HasSuffix(name, "/ip_tables_names") {
		return nil, fs.ErrNotExist
	}
	return []byte(h.names), nil
}

func (h *fakeHost) Getsockopt(_, _, option int, argument []byte, size int) ([]byte, error) {
	name := strings.TrimRight(string(argument[:32]), "\x00")
	h.asked = append(h.asked, fmt.Sprintf("%s %d", name, option))
	return h.options(name, option)
}

func TestOnlyListedTablesAreAskedFor(t *testing.T) {
	failed := errors.New("no")
	host := &fakeHost{names: "nat\nfilter\n", options: func(string, int) ([]byte, error) { return nil, failed }}
	_, found := iptables.Read(host, nil)
	if got := strings.Join(host.asked, ", "); got != "nat 64, filter 64" {
		t.Errorf("asked for %s", got)
	}
	if len(found) != 2 || !errors.Is(found[0].Err, failed) {
		t.Errorf("gaps %v", found)
	}
}

func TestUnreadableListIsAGapAndNotNoTables(t *testing.T) {
	host := &deniedHost{}
	tables, found := iptables.Read(host, nil)
	if len(tables) != 0 || len(found) != 2 || !errors.Is(found[0].Err, fs.ErrPermission) {
		t.Errorf("%d tables, gaps %v", len(tables), found)
	}
}

type deniedHost struct{ fakeHost }

func (*deniedHost) ReadFile(string) ([]byte, error) { return nil, fs.ErrPermission }

func TestHostWithoutLegacyTablesHasNoneAndNoGap(t *testing.T) {
	host := &fakeHost{}
	if tables, found := iptables.Read(host, nil); len(tables) != 0 || len(found) != 0 {
		t.Errorf("%d tables, gaps %v", len(tables), found)
	}
}
