package nft_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

// load reads a ruleset that nft has put into a namespace of the test's own.
func load(t *testing.T, script string) (*firewall.Ruleset, *kerneltest.Namespace) {
	t.Helper()
	ns := kerneltest.New(t, kerneltest.Layout{})
	if err := ns.NFT(script); err != nil {
		t.Fatal(err)
	}
	return read(t, ns), ns
}

func read(t *testing.T, ns *kerneltest.Namespace) *firewall.Ruleset {
	t.Helper()
	ruleset, found := nft.Read(platform.LiveIn(ns.Path()), nil)
	for _, gap := range found {
		t.Errorf("gap: %s: %s", gap.Source, gap.Reason)
	}
	return ruleset
}

func ownRuleset(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".nft"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func listing(t *testing.T, ns *kerneltest.Namespace) string {
	t.Helper()
	out, err := ns.Run("nft", "-s", "list", "ruleset")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRecordingsAreTheKernels loads our own rulesets and compares what they
// decode to with what their recorded messages do. With -update it records them anew.
func TestRecordingsAreTheKernels(t *testing.T) {
	for _, name := range recordings {
		t.Run(name, func(t *testing.T) {
			_, ns := load(t, ownRuleset(t, name))
			source := &recorder{source: platform.LiveIn(ns.Path())}
			live, _ := nft.Read(source, nil)
			_ = dump(live) // asks for the interfaces' names
			old, err := os.ReadFile(filepath.Join("testdata", name+".messages"))
			if err == nil {
				replayed, _ := nft.Read(messages(old), nil)
				if dump(replayed) == dump(live) {
					return // counters and times differ from one recording to the next
				}
			}
			golden.Equal(t, name+".messages", source.messages)
		})
	}
}

func TestRulesPrintAsNFTPrintsThem(t *testing.T) {
	for _, name := range recordings {
		ruleset, ns := load(t, ownRuleset(t, name))
		want, got := listedRules(listing(t, ns)), decodedRules(ruleset)
		if len(want) != len(got) || len(want) == 0 {
			t.Errorf("%s: nft lists %d rules, %d were decoded", name, len(want), len(got))
		}
		for i := range min(len(want), len(got)) {
			if want[i] != got[i] {
				t.Errorf("%s %s %s:\n nft  %s\n here %s", want[i].family, want[i].table, want[i].chain, want[i].text, got[i].text)
			}
		}
	}
}

func TestSetsHoldWhatNFTSaysTheyHold(t *testing.T) {
	ruleset, ns := load(t, ownRuleset(t, "sets"))
	if n := compareElements(t, "sets.nft", ruleset, jsonListing(t, ns)); n < 30 {
		t.Errorf("only %d elements were compared", n)
	}
}

func TestBothEndsOfAnIntervalSetsKeySpace(t *testing.T) {
	ruleset, _ := load(t, ownRuleset(t, "sets"))
	for name, want := range map[string]string{
		"neighbours": "0001-0005 0006-000a 0014-0014",
		"edges":      "00000000-00ffffff e0000000-ffffffff",
		"everything": "0000-ffff",
		"last":       "ffff-ffff",
		"adjacent":   "0001-0005 0006-000a",
		"names":      "65746830000000000000000000000000-65746830000000000000000000000000 77670000000000000000000000000000-7767ffffffffffffffffffffffffffff",
		"marks":      "00000100-000001ff",
	} {
		var got []string
		for _, e := range setNamed(t, ruleset, name).Elements {
			got = append(got, fmt.Sprintf("%x-%x", e.Key, e.KeyEnd))
		}
		// nft may keep neighbours as one interval
		if text := strings.Join(got, " "); text != want && text != "0001-000a 0014-0014" {
			t.Errorf("%s: %s, not %s", name, text, want)
		}
	}
}

func TestAConcatenationsFieldsAreTheKernels(t *testing.T) {
	ruleset, _ := load(t, ownRuleset(t, "sets"))
	for name, want := range map[string][]uint32{
		"pairs": {4, 2}, "ranges": {4, 1, 2}, "oddfields": {2, 16}, "neighbours": nil,
	} {
		if got := setNamed(t, ruleset, name).Fields; !slices.Equal(got, want) {
			t.Errorf("%s: fields %v, not %v", name, got, want)
		}
	}
}

func setNamed(t *testing.T, ruleset *firewall.Ruleset, name string) *firewall.Set {
	t.Helper()
	for _, table := range ruleset.Tables {
		for _, set := range table.Sets {
			if set.Name == name {
				return set
			}
		}
	}
	t.Fatalf("no set %s", name)
	return nil
}

// A huge set stays in the kernel, which is asked for single elements.
func TestAHugeSetIsNotDumped(t *testing.T) {
	for name, kind := range map[string]struct {
		declaration, format string
		inside, outside     []byte
		from, to            string
	}{
		"single":  {"type ipv4_addr;", "10.%d.%d.%d,", []byte{10, 0, 0, 4}, []byte{10, 0, 0, 5}, "0a000004", "0a000004"},
		"ranges":  {"type ipv4_addr; flags interval;", "10.%d.%d.%d/31,", []byte{10, 0, 0, 5}, []byte{10, 0, 0, 6}, "0a000004", "0a000005"},
		"several": {"type ipv4_addr . inet_service; flags interval;", "10.%d.%d.%d/31 . 5-10,", []byte{10, 0, 0, 5, 0, 7, 0, 0}, []byte{10, 0, 0, 5, 0, 11, 0, 0}, "0a00000400050000", "0a000005000a0000"},
	} {
		t.Run(name, func(t *testing.T) {
			var elements strings.Builder
			for i := range 66000 {
				fmt.Fprintf(&elements, kind.format, i>>14, i>>6&255, i&63*4)
			}
			ruleset, _ := load(t, "table inet t {\nset s {\n"+kind.declaration+"\nelements = { "+elements.String()+" }\n}\n}\n")
			set := ruleset.Tables[0].Sets[0]
			if set.Loaded || set.Count == 0 && len(set.Elements) != 0 {
				t.Fatalf("loaded %t, count %d, %d elements", set.Loaded, set.Count, len(set.Elements))
			}
			if set.Count != 66000 {
				t.Logf("this kernel counts %d elements", set.Count)
			}
			e, found, err := set.Find(kind.inside)
			if got := fmt.Sprintf("%x-%x", e.Key, e.KeyEnd); err != nil || !found || got != kind.from+"-"+kind.to {
				t.Errorf("inside: %s, found %t, %v", got, found, err)
			}
			if e, found, err := set.Find(kind.outside); err != nil || found {
				t.Errorf("outside: %x, found %t, %v", e.Key, found, err)
			}
		})
	}
}

// A change between two dumps must not give half of each.
func TestAReadDuringChangesIsWholeOrSaysSo(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	script := func(n int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "table inet t { }\ndelete table inet t\ntable inet t {\n")
		for c := range 20 {
			fmt.Fprintf(&b, "chain c%d {\n", c)
			for range 50 {
				fmt.Fprintf(&b, "meta mark %d accept\n", n)
			}
			b.WriteString("}\n")
		}
		return b.String() + "}\n"
	}
	if err := ns.NFT(script(0)); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				_ = ns.NFT(script(n))
			}
		}
	}()
	host := platform.LiveIn(ns.Path())
	for range 30 {
		ruleset, _ := nft.Read(host, nil)
		marks, rules := map[string]bool{}, 0
		eachRule(ruleset, func(r *firewall.Rule) { marks[r.Text()] = true; rules++ })
		if !ruleset.Unstable && (len(marks) != 1 || rules != 1000) {
			t.Errorf("%d rules with %d texts, and not called unstable", rules, len(marks))
		}
		time.Sleep(time.Millisecond)
	}
	close(stop)
	<-stopped
}

func TestIPTablesNFTTablesAreKnown(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	for _, command := range []string{
		"iptables-nft -A INPUT -p tcp --dport 22 -j ACCEPT",
		"iptables-nft -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080",
	} {
		if _, err := ns.Run(strings.Fields(command)...); err != nil {
			t.Skipf("iptables-nft: %v", err)
		}
	}
	if err := ns.NFT("table inet filter {\nchain INPUT {\ntype filter hook input priority filter\ntcp dport 22 counter accept\n}\n}\n" +
		"table ip mangle {\nchain mine {\ntype filter hook input priority mangle\ncounter\n}\n}\n"); err != nil {
		t.Fatal(err)
	}
	want := map[string]firewall.Backend{"ip filter": firewall.IptablesNFT, "ip nat": firewall.IptablesNFT, "inet filter": firewall.NFTables, "ip mangle": firewall.NFTables}
	for _, table := range read(t, ns).Tables {
		name := table.Family.String() + " " + table.Name
		if table.Backend != want[name] {
			t.Errorf("%s is %s, not %s", name, table.Backend, want[name])
		}
		delete(want, name)
	}
	if len(want) != 0 {
		t.Errorf("not read: %v", want)
	}
}

func TestIPTablesExtensionsKeepTheirParameters(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{})
	if _, err := ns.Run(strings.Fields("iptables-nft -A INPUT -p tcp --dport 22 -m conntrack --ctstate ESTABLISHED -m comment --comment ssh -j REJECT --reject-with tcp-reset")...); err != nil {
		t.Skipf("iptables-nft: %v", err)
	}
	rules := 0
	eachRule(read(t, ns), func(rule *firewall.Rule) {
		rules++
		for _, want := range []string{"-p tcp -m tcp --dport 22", "--ctstate ESTABLISHED", "-j REJECT --reject-with tcp-reset", "--comment ssh"} {
			if !strings.Contains(rule.Text(), want) {
				t.Errorf("%s lacks %s", rule.Text(), want)
			}
		}
		if rule.Comment != "ssh" {
			t.Errorf("comment %q", rule.Comment)
		}
		for _, step := range rule.Steps {
			if o, ok := step.(firewall.Opaque); ok {
				t.Errorf("opaque: %v", o)
			}
		}
	})
	if rules != 1 {
		t.Errorf("%d rules", rules)
	}
}

// jsonListing is nft's own JSON.
func jsonListing(t *testing.T, ns *kerneltest.Namespace) []map[string]json.RawMessage {
	t.Helper()
	out, err := ns.Run("nft", "-j", "list", "ruleset")
	if err != nil {
		t.Fatal(err)
	}
	var top struct {
		NFTables []map[string]json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(out), &top); err != nil {
		t.Fatal(err)
	}
	return top.NFTables
}
