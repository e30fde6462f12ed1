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
