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

// loadLegacy appends each rule ("TABLE CHAIN OPTIONS…") that the kernel takes.
func loadLegacy(t *testing.T, ns *kerneltest.Namespace, tool string, rules []string) (loaded int) {
	t.Helper()
	var script strings.Builder
	for _, rule := range rules {
		table, rest, _ := strings.Cut(rule, " ")
		script.WriteString(tool + " -t " + table + " -A " + rest + " 2>/dev/null && echo\n")
	}
	file := filepath.Join(t.TempDir(), "rules.sh")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	output, _ := ns.Run("sh", file)
	return len(output)
}

// lines are the rules of all tables as their chains print them, by table.
func lines(tables []*firewall.Table, family firewall.Family) map[string][]string {
	out := make(map[string][]string)
	for _, table := range tables {
		if table.Family != family {
			continue
		}
		for _, chain := range table.Chains {
			for _, rule := range chain.Rules {
				out[table.Name+" "+chain.Name] = append(out[table.Name+" "+chain.Name], rule.Text())
			}
		}
	}
	return out
}

// saved are the rules that an iptables-save text has, by table and chain.
func saved(text string) map[string][]string {
	out := make(map[string][]string)
	table := ""
	for _, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "*"); ok {
			table = name
		}
		if rest, ok := strings.CutPrefix(line, "-A "); ok {
			chain, _, _ := strings.Cut(rest, " ")
			out[table+" "+chain] = append(out[table+" "+chain], strings.TrimRight(line, " "))
		}
	}
	return out
}

// corpusRules are the rules of iptables' own extension tests, which lie beside the
// project where somebody put them.
func corpusRules(t *testing.T, family string) []string {
	t.Helper()
	text, err := os.ReadFile("../../../shared/corpora/iptables-extensions-t.rules.tsv")
	if err != nil {
		t.Skipf("iptables' extension tests are not beside the project, so only the hand-written tables were decoded: %v", err)
	}
	var rules []string
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Split(line, "\t")
		if len(f) < 7 || f[1] != "legacy" || f[2] != family {
			continue
		}
		rules = append(rules, f[3]+" "+f[4]+" "+f[5])
	}
	return rules
}

func TestEveryExtensionPrintsAsIptablesSave(t *testing.T) {
	for _, c := range []struct {
		tool   string
		family firewall.Family
	}{{"iptables", firewall.FamilyIPv4}, {"ip6tables", firewall.FamilyIPv6}} {
		t.Run(c.tool, func(t *testing.T) {
			rules := corpusRules(t, c.tool)
			ns := kerneltest.New(t, kerneltest.Layout{})
			loaded := loadLegacy(t, ns, c.tool+"-legacy", rules)
			text, err := ns.Run(c.tool + "-legacy-save")
			if err != nil {
				t.Fatal(err)
			}
			tables, found := iptables.Read(platform.LiveIn(ns.Path()), nil)
			for _, gap := range found {
				t.Errorf("gap: %s: %v", gap.Reason, gap.Err)
			}
			got, want := lines(tables, c.family), saved(text)
			same, total := 0, 0
			for chain, lines := range want {
				for i, line := range lines {
					total++
					if i >= len(got[chain]) {
						t.Errorf("%s, rule %d is missing: %s", chain, i+1, line)
						continue
					}
					if got[chain][i] == line || printsLess(line, got[chain][i]) {
						same++
						continue
					}
					t.Errorf("%s, rule %d\n got %s\nwant %s", chain, i+1, got[chain][i], line)
				}
			}
			t.Logf("%d of %d rules loaded, %d of %d print as %s-legacy-save does", loaded, len(rules), same, total, c.tool)
		})
	}
}
