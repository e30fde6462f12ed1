package nft_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/internal/golden"
)

// recorded are the messages of one of our own rulesets, testdata/NAME.nft, as a
// 6.18 kernel sent them. TestRecordingsAreTheKernels makes them.
func recorded(t testing.TB, name string) messages {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".messages"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var recordings = []string{"rules", "sets"}

func TestRecordedMessagesDecodeAnywhere(t *testing.T) {
	for _, name := range recordings {
		t.Run(name, func(t *testing.T) {
			ruleset, found := nft.Read(recorded(t, name), nil)
			for _, gap := range found {
				t.Errorf("gap: %s", gap.Reason)
			}
			golden.Equal(t, name+".txt", []byte(dump(ruleset)))
		})
	}
}

// FuzzRead reads arbitrary messages and prints what came of them.
func FuzzRead(f *testing.F) {
	for _, name := range recordings {
		f.Add([]byte(recorded(f, name)))
	}
	f.Fuzz(func(t *testing.T, heap []byte) {
		if len(heap) > 1<<20 {
			return
		}
		ruleset, _ := nft.Read(messages(heap), nil)
		eachRule(ruleset, func(rule *firewall.Rule) {
			_ = rule.Text()
			_ = nft.ExpressionNames(rule)
		})
		for _, table := range ruleset.Tables {
			for _, set := range table.Sets {
				_, _, _ = set.Find(make([]byte, min(set.KeyLength, 64)))
			}
		}
	})
}
