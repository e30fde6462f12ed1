package iptables_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

func TestSavedTextOfEveryExtensionMeansWhatTheKernelHolds(t *testing.T) {
	for _, c := range []struct {
		tool   string
		family firewall.Family
	}{{"iptables", firewall.FamilyIPv4}, {"ip6tables", firewall.FamilyIPv6}} {
		t.Run(c.tool, func(t *testing.T) {
			rules := corpusRules(t, c.tool)
			ns := kerneltest.New(t, kerneltest.Layout{})
			loadLegacy(t, ns, c.tool+"-legacy", rules)
			text, err := ns.Run(c.tool + "-legacy-save")
			if err != nil {
				t.Fatal(err)
			}
			kernel, _ := iptables.Read(platform.LiveIn(ns.Path()), nil)
			parsed, err := iptables.Parse("saved", []byte(text), nil)
			if err != nil {
				t.Error(err)
			}
			t.Logf("%d rules compared", compareTables(t, ofFamily(kernel, c.family), parsed))
		})
	}
}

// dumpFolders hold other people's iptables-save texts.
var dumpFolders = []string{"diekmann-net-network", "diekmann-normalised", "github-iptables-save", "ufw-generated",
	"ferm-test-results", "iptables-shell-dumps", "docker-golden-iptables", "polito-bpf-iptables-rulesets"}

func TestDumpsMeanWhatTheKernelMakesOfThem(t *testing.T) {
	kerneltest.Require(t)
	root := "../../../shared/corpora"
	if _, err := os.Stat(root); err != nil {
		t.Skipf("other people's dumps are not beside the project, so none was loaded: %v", err)
	}
	for _, folder := range dumpFolders {
		t.Run(folder, func(t *testing.T) {
			files, loaded, parsed, refused, rules := 0, 0, 0, 0, 0
			_ = filepath.WalkDir(filepath.Join(root, folder), func(name string, entry os.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				text, err := os.ReadFile(name)
				if err != nil || !strings.Contains(string(text), "\n*") && !strings.HasPrefix(string(text), "*") {
					return nil
				}
				files++
				tables, parseErr := iptables.Parse(filepath.Base(name), text, nil)
				if parseErr != nil {
					refused++
				} else {
					parsed++
				}
				if len(tables) == 0 {
					return nil
				}
				family, tool := tables[0].Family, "iptables-legacy-restore"
				if family == firewall.FamilyIPv6 {
					tool = "ip6tables-legacy-restore"
				}
				ns := kerneltest.New(t, kerneltest.Layout{})
				if _, err := ns.Run(tool, name); err != nil {
					if parseErr != nil {
						t.Logf("%s: doesn't load, doesn't parse: %v", filepath.Base(name), strings.SplitN(parseErr.Error(), "\n", 2)[0])
					}
					return nil
				}
				loaded++
				if parseErr != nil {
					t.Errorf("%s loads, but: %v", name, parseErr)
					return nil
				}
				kernel, found := iptables.Read(platform.LiveIn(ns.Path()), nil)
				for _, gap := range found {
					t.Errorf("%s: gap: %s: %v", name, gap.Reason, gap.Err)
				}
				rules += compareTables(t, ofFamily(kernel, family), tables)
				return nil
			})
			t.Logf("%d files: %d load here and were compared (%d rules), %d parse, %d are refused with a line", files, loaded, rules, parsed, refused)
		})
	}
}
