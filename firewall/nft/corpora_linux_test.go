package nft_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

// corpora are folders of rulesets that other projects wrote. They lie beside the
// repository where they are at all.
var corpora = []string{
	"nftables-shell-dumps", "nftables-py-loadable", "github-nftables-conf", "github-nft-rulesets",
	"openwrt-fw4", "shorewall-nft", "firewalld-nft-stubbed", "polito-bpf-iptables-rulesets",
}

func corpusFiles(t *testing.T) []string {
	t.Helper()
	root := filepath.Join("..", "..", "..", "shared", "corpora")
	var files []string
	for _, folder := range corpora {
		found, _ := filepath.Glob(filepath.Join(root, folder, "*.nft"))
		if len(found) == 0 {
			t.Logf("left out: %s, which is not there", folder)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Skipf("left out: no rulesets of others in %s", root)
	}
	return files
}

// leastEqual is the share of rules that must print exactly as nft prints them.
// The rest are nft's own slips, and the order of a few anonymous sets.
const leastEqual = 0.997

// TestRulesetsOfOthers loads every ruleset that this nft and kernel take, and
// compares rules' texts and sets' elements with nft's, and the names of
// expressions with the kernel's messages.
func TestRulesetsOfOthers(t *testing.T) {
	files := corpusFiles(t)
	ns := kerneltest.New(t, kerneltest.Layout{})
	var c comparison
	for _, file := range files {
		if _, err := ns.Run("nft", "flush", "ruleset"); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(filepath.Base(filepath.Dir(file)), filepath.Base(file))
		if _, err := ns.Run("nft", "-f", file); err != nil {
			reason, _, _ := strings.Cut(err.Error(), "\n")
			c.refused = append(c.refused, name+": "+reason)
			continue
		}
		c.compare(t, name, ns)
	}
	t.Logf("%d rulesets load, nft or the kernel refuse %d; %d of %d rules print as nft's; %d elements and %d expressions agree",
		c.loaded, len(c.refused), c.equal, c.rules, c.elements, c.expressions)
	if testing.Verbose() {
		t.Logf("refused:\n%s", strings.Join(c.refused, "\n"))
		t.Logf("printed otherwise:\n%s", strings.Join(c.different, "\n"))
	}
	if c.loaded < 500 || float64(c.equal) < leastEqual*float64(c.rules) {
		t.Errorf("%d of %d rules print as nft prints them", c.equal, c.rules)
	}
}

type comparison struct {
	loaded, rules, equal, elements, expressions int
	refused, different                          []string
}

func (c *comparison) compare(t *testing.T, name string, ns *kerneltest.Namespace) {
	source := &recorder{source: platform.LiveIn(ns.Path())}
	ruleset, found := nft.Read(source, nil)
	for _, gap := range found {
		t.Errorf("%s: gap: %s", name, gap.Reason)
	}
	c.loaded++
	c.expressions += checkExpressions(t, name, ruleset, source.messages)
	c.elements += compareElements(t, name, ruleset, jsonListing(t, ns))
	want, got := listedRules(listing(t, ns)), decodedRules(ruleset)
	if len(want) != len(got) {
		t.Errorf("%s: nft lists %d rules, %d were decoded", name, len(want), len(got))
	}
	for i := range min(len(want), len(got)) {
		c.rules++
		if want[i] == got[i] {
			c.equal++
		} else {
			c.different = append(c.different, name+"\n nft  "+want[i].text+"\n here "+got[i].text)
		}
	}
	eachRule(ruleset, func(rule *firewall.Rule) {
		for _, step := range rule.Steps {
			if o, ok := step.(firewall.Opaque); ok && os.Getenv("NETGLANCE_LIST_OPAQUE") != "" {
				t.Logf("%s: opaque %s in %s", name, o.Name, rule.Text())
			}
		}
	})
}
