package iptables_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/ipset"
	"github.com/netglance/netglance/firewall/iptables"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/internal/kerneltest/nftgen"
	"github.com/netglance/netglance/platform"
)

// everyFilter is the evaluator of a namespace's rules of every kind.
func everyFilter(t *testing.T, ns *kerneltest.Namespace) *firewall.Evaluator {
	t.Helper()
	host := platform.LiveIn(ns.Path())
	sets := ipset.New(host)
	rules, unread := nft.Read(host, sets)
	tables, more := iptables.Read(host, sets)
	network, unseen := rtnetlink.Read(host)
	for _, gap := range slices.Concat(unread, more, unseen, sets.Gaps()) {
		t.Errorf("gap: %s: %s: %v", gap.Source, gap.Reason, gap.Err)
	}
	rules.Tables = append(rules.Tables, tables...)
	return firewall.NewEvaluator(rules, network)
}

// loadText gives a tool its rules in a file.
func loadText(t *testing.T, ns *kerneltest.Namespace, text string, command ...string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ns.Run(append(command, file)...)
	return err
}

var nftOptions = nftgen.Options{
	Interfaces: []string{"eth0", "eth1", "docker0"},
	Own4:       []string{"203.0.113.7", "203.0.113.8", "192.168.7.1"},
	Own6:       []string{"2001:db8::7", "fd00:7::1"},
	Behind4:    []string{"172.17.0.2", "192.168.7.9"},
	Behind6:    []string{"fd00:17::2", "fd00:7::9"},
}

// Legacy tables of one family or both, beside rules of nft or of iptables-nft,
// now these loaded first and now those.
func TestLegacyTablesBesideNFTDoTogetherWhatTheKernelDoes(t *testing.T) {
	answers := answers{fates: map[firewall.Fate]int{}}
	first, last := seeds(t)
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { compareMixed(t, seed, &answers) })
	}
	t.Log(&answers)
	if int(last-first)+1 < 2*answers.refused {
		t.Errorf("%d rulesets of %d were refused", answers.refused, last-first+1)
	}
	if 10*answers.conditional > answers.total {
		t.Errorf("%d of %d answers are conditional", answers.conditional, answers.total)
	}
}

func compareMixed(t *testing.T, seed uint64, answers *answers) {
	ns := kerneltest.New(t, layout)
	if err := loadText(t, ns, randomSets, "ipset", "restore", "-file"); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 11))
	v6 := r.IntN(2) == 0
	tool := map[bool]string{false: "iptables-", true: "ip6tables-"}[v6]
	legacy := (&generator{r, v6}).ruleset()
	other, command := nftgen.Generate(seed, nftOptions).String(), []string{"nft", "-f"}
	if r.IntN(3) == 0 {
		other, command = (&generator{r, v6}).ruleset(), []string{tool + "nft-restore"}
	}
	loads := []func() error{
		func() error { return loadText(t, ns, legacy, tool+"legacy-restore") },
		func() error { return loadText(t, ns, other, command...) },
	}
	if r.IntN(2) == 0 {
		slices.Reverse(loads)
	}
	for _, load := range loads {
		if err := load(); err != nil {
			// iptables-nft has no way to write down a network of every address, inverted
			answers.refused++
			return
		}
	}
	answers.compare(t, ns, everyFilter(t, ns), packets(r, v6, packetCount()), fmt.Sprintf("seed %d", seed), legacy+"\n"+other)
}
