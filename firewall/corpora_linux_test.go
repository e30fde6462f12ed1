package firewall_test

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/internal/kerneltest/nftgen"
)

// corporaDirectory is rulesets that other people wrote; they are not part of the
// repository.
const corporaDirectory = "../../shared/corpora"

// TestRulesetsOfOthersDoWhatTheKernelDoes takes every 20th of the rulesets, all
// of them with NETGLANCE_CORPORA=all.
func TestRulesetsOfOthersDoWhatTheKernelDoes(t *testing.T) {
	files, err := filepath.Glob(corporaDirectory + "/*/*.nft")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("rulesets of others left out: none in %s", corporaDirectory)
	}
	c := comparison{settings: readSettings(t), options: rulesetOptions, agree: judgement.fateAgrees}
	c.tally = tally{kinds: map[kerneltest.Kind]int{}, conditions: map[string]int{}, reported: map[string]int{}}
	o := newOracle(t, worldOfOthers())
	refused := 0
	for i, file := range files {
		if i%20 != 0 && os.Getenv("NETGLANCE_CORPORA") != "all" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.ns.NFT("flush ruleset\n" + string(text)); err != nil {
			refused++
			t.Logf("nft refuses %s: %s", file, firstError(err))
			continue
		}
		c.file(t, o, file)
	}
	t.Logf("%d of the files are refused", refused)
	c.finish(t)
}

// worldOfOthers has links by the names that rulesets often use.
func worldOfOthers() kerneltest.Layout {
	layout := worlds[0].layout
	for _, name := range []string{"eth2", "ens3", "enp1s0", "wan", "lan", "br-lan", "br0", "wg0", "ppp0", "tun0", "wlan0"} {
		layout.Interfaces = append(layout.Interfaces[:len(layout.Interfaces):len(layout.Interfaces)], kerneltest.Interface{Name: name})
	}
	return layout
}

func firstError(err error) string {
	for _, line := range strings.Split(err.Error(), "\n") {
		if strings.Contains(line, "Error") {
			return strings.TrimSpace(line)
		}
	}
	return err.Error()
}

// file compares the loaded ruleset, which is a file's.
func (c *comparison) file(t *testing.T, o *oracle, file string) {
	listing, err := o.ns.Run("nft", "-s", "list", "ruleset")
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return
	}
	script, err := nftgen.Parse(listing)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return
	}
	if reason := untestable(listing); reason != "" {
		t.Logf("left out %s: %s", file, reason)
		return
	}
	name := fnv.New64()
	name.Write([]byte(file))
	host := packetHost
	for _, iface := range worldOfOthers().Interfaces {
		host.Interfaces = append(host.Interfaces[:len(host.Interfaces):len(host.Interfaces)], iface.Name)
	}
	before := c.tally.wrong
	c.compare(t, o, file, script, host, rand.New(rand.NewPCG(name.Sum64(), 1)))
	if c.tally.wrong > before {
		t.Errorf("%s: %d wrong", file, c.tally.wrong-before)
	}
}

// untestable is why no packet can be sent to a ruleset; empty if one can.
func untestable(listing string) string {
	switch {
	case strings.Contains(listing, "set @ih"):
		return "it writes over the payload by which a datagram is known again"
	case strings.Contains(listing, "dup to") && strings.Contains(listing, `"lo"`):
		return "a copy that it sends to lo comes in and is copied again, without end"
	}
	return ""
}
