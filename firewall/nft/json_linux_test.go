package nft_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/nft"
	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

// TestDumpsAgreeWithTheirJSON loads the dumps that nftables' own tests keep, and
// compares what is decoded with the JSON that lies beside each: another nft's
// reading of the same ruleset. What it leaves out it names.
func TestDumpsAgreeWithTheirJSON(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "corpora", "nftables-shell-dumps")
	files, _ := filepath.Glob(filepath.Join(root, "*.json-nft"))
	if len(files) == 0 {
		t.Skipf("left out: no dumps with JSON in %s", root)
	}
	ns := kerneltest.New(t, kerneltest.Layout{})
	var c jsonComparison
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json-nft")
		script := strings.TrimSuffix(file, ".json-nft") + ".nft"
		if _, err := ns.Run("nft", "flush", "ruleset"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(script); err != nil {
			c.leaveOut(name, "no dump beside the JSON")
			continue
		}
		if _, err := ns.Run("nft", "-f", script); err != nil {
			c.leaveOut(name, "nft or the kernel refuses it: "+firstLine(err))
			continue
		}
		ruleset, found := nft.Read(platform.LiveIn(ns.Path()), nil)
		for _, gap := range found {
			t.Errorf("%s: gap: %s", name, gap.Reason)
		}
		c.compare(t, name, ruleset, readDumpedJSON(t, file))
	}
	t.Logf("%d dumps agree with their JSON in %d tables, %d chains, %d sets, %d elements, %d objects, %d rules of %d statements; left out:\n%s",
		c.dumps, c.tables, c.chains, c.sets, c.elements, c.objects, c.rules, c.statements, strings.Join(c.left, "\n"))
	if c.dumps < 100 || c.rules < 150 {
		t.Errorf("only %d dumps and %d rules were compared", c.dumps, c.rules)
	}
}

type jsonComparison struct {
	dumps, tables, chains, sets, elements, objects, rules, statements int
	left                                                              []string
}

func (c *jsonComparison) leaveOut(name, reason string) {
	c.left = append(c.left, name+": "+reason)
}

func firstLine(err error) string {
	for _, line := range strings.Split(err.Error(), "\n") {
		if _, reason, ok := strings.Cut(line, "Error: "); ok {
			return reason
		}
	}
	return err.Error()
}

func readDumpedJSON(t *testing.T, file string) []map[string]json.RawMessage {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var top struct {
		NFTables []map[string]json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal(text, &top); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return top.NFTables
}

// A listedEntry is the fields of nft's JSON objects that are compared
// (libnftables-json(5)).
type listedEntry struct {
	Family, Table, Name, Chain string
	Type, Hook, Policy, Dev    json.RawMessage
	Prio                       int32
	Flags                      json.RawMessage
	Map                        json.RawMessage
	Elem                       []json.RawMessage
	Expr                       []map[string]json.RawMessage
}

func (c *jsonComparison) compare(t *testing.T, file string, ruleset *firewall.Ruleset, listed []map[string]json.RawMessage) {
	t.Helper()
	c.dumps++
	c.elements += compareElements(t, file, ruleset, listed)
	rules := map[string][]listedEntry{}
	counts := map[string]int{}
	for _, entry := range listed {
		for kind, body := range entry {
			if kind == "metainfo" {
				continue
			}
			var d listedEntry
			if err := json.Unmarshal(body, &d); err != nil {
				t.Fatalf("%s: %s: %v", file, kind, err)
			}
			counts[kind]++
			switch kind {
			case "table":
				c.table(t, file, ruleset, d)
			case "chain":
				c.chain(t, file, ruleset, d)
			case "set", "map":
				c.set(t, file, ruleset, d)
			case "rule":
				key := d.Family + " " + d.Table + " " + d.Chain
				rules[key] = append(rules[key], d)
			case "flowtable":
				c.leaveOut(file, "flowtable "+d.Name)
			default:
				c.object(t, file, kind, ruleset, d)
			}
		}
	}
	c.decodedCounts(t, file, ruleset, counts)
	eachChain(ruleset, func(chain *firewall.Chain) {
		c.rulesOf(t, file, chain, rules[chain.Table.Family.String()+" "+chain.Table.Name+" "+chain.Name])
	})
}

func eachChain(ruleset *firewall.Ruleset, do func(*firewall.Chain)) {
	for _, table := range ruleset.Tables {
		for _, chain := range table.Chains {
			do(chain)
		}
	}
}

// decodedCounts says that nothing more was decoded than was listed.
func (c *jsonComparison) decodedCounts(t *testing.T, file string, ruleset *firewall.Ruleset, listed map[string]int) {
	t.Helper()
	chains, sets := 0, 0
	for _, table := range ruleset.Tables {
		for _, chain := range table.Chains {
			if !strings.HasPrefix(chain.Name, "__chain") { // part of its rule
				chains++
			}
		}
		for _, set := range table.Sets {
			if !set.Anonymous {
				sets++
			}
		}
	}
	if len(ruleset.Tables) != listed["table"] || chains != listed["chain"] || sets != listed["set"]+listed["map"] {
		t.Errorf("%s: decoded %d tables, %d chains, %d sets; listed %v", file, len(ruleset.Tables), chains, sets, listed)
	}
}

func findTable(ruleset *firewall.Ruleset, family, name string) *firewall.Table {
	for _, table := range ruleset.Tables {
		if table.Family.String() == family && table.Name == name {
			return table
		}
	}
	return nil
}

// words are a JSON string or list of strings.
func words(raw json.RawMessage) (list []string) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	_ = json.Unmarshal(raw, &list) // absent: no words
	slices.Sort(list)
	return list
}

func (c *jsonComparison) table(t *testing.T, file string, ruleset *firewall.Ruleset, d listedEntry) {
	t.Helper()
	table := findTable(ruleset, d.Family, d.Name)
	if table == nil {
		t.Errorf("%s: table %s %s was not decoded", file, d.Family, d.Name)
		return
	}
	if slices.Contains(words(d.Flags), "dormant") != table.Dormant {
		t.Errorf("%s: table %s: flags %s, decoded as dormant %t", file, d.Name, d.Flags, table.Dormant)
	}
	c.tables++
}

func (c *jsonComparison) chain(t *testing.T, file string, ruleset *firewall.Ruleset, d listedEntry) {
	t.Helper()
	table := findTable(ruleset, d.Family, d.Table)
	if table == nil {
		return
	}
	i := slices.IndexFunc(table.Chains, func(chain *firewall.Chain) bool { return chain.Name == d.Name })
	if i < 0 {
		t.Errorf("%s: chain %s was not decoded", file, d.Name)
		return
	}
	want := fmt.Sprintln(words(d.Type), words(d.Hook), d.Prio, words(d.Policy), words(d.Dev))
	got := fmt.Sprintln([]string(nil), []string(nil), 0, []string(nil), []string(nil))
	if b := table.Chains[i].Base; b != nil {
		devices := slices.Sorted(slices.Values(b.Devices))
		got = fmt.Sprintln([]string{b.Type.String()}, []string{b.Hook.String()}, b.Priority, []string{b.Policy.String()}, devices)
	}
	if want != got {
		t.Errorf("%s: chain %s:\n json    %s decoded %s", file, d.Name, want, got)
	}
	c.chains++
}

func (c *jsonComparison) set(t *testing.T, file string, ruleset *firewall.Ruleset, d listedEntry) {
	t.Helper()
	set := findSet(ruleset, d.Family, d.Table, d.Name)
	if set == nil {
		return // compareElements has said so
	}
	var got []string
	for flag, on := range map[string]bool{"constant": set.Constant, "interval": set.Interval, "dynamic": set.Dynamic} {
		if on {
			got = append(got, flag)
		}
	}
	slices.Sort(got)
	want := slices.DeleteFunc(words(d.Flags), func(flag string) bool { return flag == "timeout" })
	if !slices.Equal(want, got) {
		t.Errorf("%s: set %s has flags %v, decoded %v", file, d.Name, want, got)
	}
	isMap := d.Map != nil
	if isMap != set.Map || slices.Contains(words(d.Map), "verdict") != set.VerdictMap {
		t.Errorf("%s: set %s: json map %s, decoded as map %t, of verdicts %t", file, d.Name, d.Map, set.Map, set.VerdictMap)
	}
	decoded := len(set.Elements)
	if set.CatchAll != nil {
		decoded++
	}
	if !set.Interval && decoded != len(d.Elem) { // neighbouring intervals may be listed as one
		t.Errorf("%s: set %s has %d elements, decoded %d", file, d.Name, len(d.Elem), decoded)
	}
	c.sets++
}

func (c *jsonComparison) object(t *testing.T, file, kind string, ruleset *firewall.Ruleset, d listedEntry) {
	t.Helper()
	table := findTable(ruleset, d.Family, d.Table)
	if table == nil {
		return
	}
	if !slices.ContainsFunc(table.Objects, func(o *firewall.Object) bool { return o.Kind == kind && o.Name == d.Name }) {
		t.Errorf("%s: %s %s was not decoded", file, kind, d.Name)
	}
	c.objects++
}

// rulesOf compares a chain's rules: their number, and of each the statements that
// are no matches by name and order. Matches are only counted: nft leaves out of
// its listing those that another one implies, so there may be more of them.
func (c *jsonComparison) rulesOf(t *testing.T, file string, chain *firewall.Chain, listed []listedEntry) {
	t.Helper()
	if strings.HasPrefix(chain.Name, "__chain") {
		c.leaveOut(file, "the rules of "+chain.Name+", which JSON has inside another rule")
		return
	}
	if len(chain.Rules) != len(listed) {
		t.Errorf("%s: chain %s has %d rules, decoded %d", file, chain.Name, len(listed), len(chain.Rules))
		return
	}
	for i, rule := range chain.Rules {
		c.rules++
		want, wantMatches := listedStatements(listed[i].Expr)
		got, gotMatches := decodedStatements(rule.Steps)
		c.statements += len(want) + wantMatches
		if !slices.Equal(want, got) || gotMatches < wantMatches {
			t.Errorf("%s: chain %s: %s:\n json    %v and %d matches\n decoded %v and %d", file, chain.Name, rule.Text(), want, wantMatches, got, gotMatches)
		}
	}
}

func listedStatements(expressions []map[string]json.RawMessage) (statements []string, matches int) {
	for _, e := range expressions {
		for name := range e {
			switch name {
			case "match":
				matches++
			case "set", "map": // a statement that fills a set or map
				statements = append(statements, "dynset")
			default:
				statements = append(statements, name)
			}
		}
	}
	return statements, matches
}

// decodedStatements are the steps of a rule by the names that nft's JSON has.
func decodedStatements(steps []firewall.Step) (statements []string, matches int) {
	for _, step := range steps {
		switch s := step.(type) {
		case firewall.Compare, firewall.Range, firewall.InSet, firewall.AnyOf, firewall.Not:
			matches++
		case firewall.Opaque:
			statements = append(statements, s.Name)
		case firewall.Passive:
			statements = append(statements, s.Name)
		case firewall.Chance:
			statements = append(statements, s.Name)
		case firewall.Verdict:
			statements = append(statements, s.Code.String())
		case firewall.VerdictMap:
			statements = append(statements, "vmap")
		case firewall.Reject:
			statements = append(statements, "reject")
		case firewall.NAT:
			statements = append(statements, [...]string{"snat", "dnat", "masquerade", "redirect", "netmap"}[s.Kind])
		case firewall.Assign:
			statements = append(statements, "mangle")
		case firewall.NoTrack:
			statements = append(statements, "notrack")
		case firewall.TProxy:
			statements = append(statements, "tproxy")
		case firewall.Dup:
			statements = append(statements, "dup")
		case firewall.Forwarding:
			statements = append(statements, "fwd")
		case firewall.SynProxy:
			statements = append(statements, "synproxy")
		case firewall.FlowOffload:
			statements = append(statements, "flow")
		case firewall.ObjectRef:
			statements = append(statements, s.Kind)
		case firewall.DynSet:
			statements = append(statements, "dynset")
		}
	}
	return statements, matches
}
