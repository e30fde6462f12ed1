//go:build linux

package nftgen

import (
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
)

func TestEveryRulesetLoads(t *testing.T) {
	var layout kerneltest.Layout
	for _, name := range testOptions.Interfaces {
		layout.Interfaces = append(layout.Interfaces, kerneltest.Interface{Name: name})
	}
	ns := kerneltest.New(t, layout)
	seeds := uint64(150)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		options := testOptions
		options.Undecided = seed%4 == 3
		script := Generate(seed, options)
		if err := ns.NFT("flush ruleset\n" + script.String()); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func TestAListingReadsBackAsTheSameRuleset(t *testing.T) {
	var layout kerneltest.Layout
	for _, name := range testOptions.Interfaces {
		layout.Interfaces = append(layout.Interfaces, kerneltest.Interface{Name: name})
	}
	ns := kerneltest.New(t, layout)
	list := func(script string) string {
		t.Helper()
		if err := ns.NFT("flush ruleset\n" + script); err != nil {
			return err.Error()
		}
		listing, err := ns.Run("nft", "-s", "list", "ruleset")
		if err != nil {
			t.Fatal(err)
		}
		return listing
	}
	compared := 0
	for seed := range uint64(30) {
		want := list(Generate(seed, testOptions).String())
		if list(want) != want {
			continue // nft doesn't take its own listing: it loses the type of "ct reply proto-src"
		}
		compared++
		parsed, err := Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := list(parsed.String()); got != want {
			t.Errorf("seed %d: parsed and loaded again:\n%s\nwant\n%s", seed, got, want)
		}
	}
	if compared < 10 {
		t.Errorf("only %d listings load again", compared)
	}
}
