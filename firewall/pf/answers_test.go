package pf

import (
	"encoding/json"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// Answers tell more than one crossing does. Where they differ from the rule loop's
// verdict, this says why.
func whyAnswersDiffer(e *Evaluator, v vector, got firewall.Explanation) string {
	loopback := func(a string) bool { return netip.MustParseAddr(a).IsLoopback() }
	text := got.DecidedBy.Text
	switch {
	case v.Interface != "lo0" && (loopback(v.Source) || loopback(v.Dest)):
		return "the kernel drops loopback addresses from the wire before pf sees them"
	case netip.MustParseAddr(v.Source).IsMulticast():
		return "no host sends from a multicast address"
	case strings.HasPrefix(text, firewall.AnswerLost):
		return "without state the answer is filtered too"
	case got.Fate == firewall.Conditional && slices.ContainsFunc(got.Conditions, func(c firewall.Condition) bool { return c.Kind != firewall.ConditionUnknown }):
		return "conditional: " + got.Conditions[0].Kind.String()
	case got.DeliveredTo != nil && got.DeliveredTo.Interface != "", slices.ContainsFunc(got.Path, func(s firewall.PathStep) bool { return strings.HasPrefix(s.Hook, "out") }):
		return "forwarded: the way out is filtered too"
	}
	return ""
}

func TestAnswersAreTheRuleLoopsOrSayWhyNot(t *testing.T) {
	folder := needCorpora(t, "verdicts")
	files, _ := filepath.Glob(filepath.Join(folder, "*.json"))
	equal := 0
	reasons := map[string]int{}
	for _, file := range files {
		var c struct {
			Source, Rules, Interfaces string
			Packets                   []vector
		}
		if err := json.Unmarshal(readFile(t, file), &c); err != nil {
			t.Fatal(err)
		}
		n, err := ReadInterfaces("interfaces", []byte(c.Interfaces))
		if err != nil {
			t.Fatal(err)
		}
		rs, err := Parse(filepath.Base(file), []byte(c.Rules), Options{Dialect: OpenBSD, Network: n, Open: beside(filepath.Join(corpora, filepath.Dir(c.Source)))})
		if err != nil {
			t.Fatal(err)
		}
		e := NewEvaluator(rs, n)
		for _, v := range c.Packets {
			if v.Direction != "in" || v.Protocol != "tcp" && v.Protocol != "udp" {
				continue
			}
			protocol, _ := protocolNumber(v.Protocol)
			got := e.Explain(firewall.Query{Protocol: uint8(protocol), Interface: v.Interface, Destination: netip.MustParseAddr(v.Dest), Port: v.Port, Source: netip.MustParseAddr(v.Source), SourcePort: v.SrcPort})
			want := []firewall.Fate{firewall.Accepted}
			if v.Verdict == "block" {
				want = []firewall.Fate{firewall.Dropped}
				if v.Return == true {
					want = []firewall.Fate{firewall.Rejected}
				}
			}
			if slices.Contains(want, got.Fate) {
				equal++
				continue
			}
			why := whyAnswersDiffer(e, v, got)
			if why == "" {
				t.Errorf("%s: %s %s %s:%d -> %s:%d: %s, want %s: %s", filepath.Base(file), v.Interface, v.Protocol, v.Source, v.SrcPort, v.Dest, v.Port, got.Fate, v.Verdict, got.DecidedBy.Text)
			}
			reasons[why]++
		}
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		t.Logf("%5d  %s", reasons[why], why)
	}
	t.Logf("%5d  equal", equal)
}
