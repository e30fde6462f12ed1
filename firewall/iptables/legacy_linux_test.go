package iptables_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

func TestRulesOfTheRecordingLoadHere(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	for tool, file := range map[string]string{"iptables-legacy-restore": "testdata/rules.v4", "ip6tables-legacy-restore": "testdata/rules.v6"} {
		if _, err := ns.Run(tool, file); err != nil {
			t.Fatal(err)
		}
	}
	recorder := platform.NewRecorder(platform.LiveIn(ns.Path()), "test")
	tables, found := iptables.Read(recorder, nil)
	for _, gap := range found {
		t.Errorf("gap: %s: %v", gap.Reason, gap.Err)
	}
	golden.Equal(t, "legacy.golden", describe(tables))
	if flag.Lookup("update").Value.String() == "true" {
		if err := recorder.Recording().Save("testdata/legacy.ng"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadingMakesNoTable(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	listed := func() string {
		t.Helper()
		names, err := ns.Run("cat", "/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(names), " ")
	}
	host := platform.LiveIn(ns.Path())
	if tables, _ := iptables.Read(host, nil); len(tables) != 0 || listed() != "" {
		t.Errorf("reading nothing gave %d tables and left %q", len(tables), listed())
	}
	if _, err := ns.Run("iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-j", "ACCEPT"); err != nil {
		t.Fatal(err)
	}
	if tables, _ := iptables.Read(host, nil); len(tables) != 1 || listed() != "nat" {
		t.Errorf("reading one table gave %d tables and left %q", len(tables), listed())
	}
}

func TestTablesAreReadWholeWhileTheyAreReplaced(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	short := "*filter\n:INPUT ACCEPT [0:0]\n" + strings.Repeat("-A INPUT -s 192.0.2.1/32 -j DROP\n", 3) + "COMMIT\n"
	long := "*filter\n:INPUT DROP [0:0]\n" + strings.Repeat("-A INPUT -p tcp -m tcp --dport 1 -j ACCEPT\n", 4000) + "COMMIT\n"
	var files []string
	for name, text := range map[string]string{"short": short, "long": long} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	stop, stopped := make(chan bool), make(chan error)
	if _, err := ns.Run("iptables-legacy", "-A", "INPUT"); err != nil {
		t.Fatal(err)
	}
	host := platform.LiveIn(ns.Path())
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if _, err := ns.Run("iptables-legacy-restore", files[i%2]); err != nil {
				stopped <- err
				return
			}
		}
	}()
	seen := make(map[int]int)
	for end := time.Now().Add(10 * time.Second); (seen[3] < 20 || seen[4000] < 20) && time.Now().Before(end); {
		tables, found := iptables.Read(host, nil)
		for _, gap := range found {
			t.Errorf("gap: %s: %v", gap.Reason, gap.Err)
		}
		for _, table := range tables {
			seen[len(table.Chains[0].Rules)]++
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if seen[3] == 0 || seen[4000] == 0 {
		t.Errorf("one of the two tables was never seen: %v", seen)
	}
	for n := range seen {
		if n != 1 && n != 3 && n != 4000 {
			t.Errorf("a table of %d rules was read: %v", n, seen)
		}
	}
	t.Logf("tables read, by number of rules: %v", seen)
}
