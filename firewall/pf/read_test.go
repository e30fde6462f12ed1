package pf

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// tablesOf is the tables that rules of an anchor mean, by path and name.
func tablesOf(a *Anchor) (all []string) {
	for _, t := range a.Tables {
		var entries []string
		for _, e := range t.Entries {
			not := ""
			if e.Not {
				not = "!"
			}
			entries = append(entries, fmt.Sprintf("%s%v/%d", not, e.Addr, e.Bits))
		}
		all = append(all, fmt.Sprintf("%s <%s> %v %v", a.Path, t.Name, entries, t.Unread != ""))
	}
	for _, c := range a.Children {
		all = append(all, tablesOf(c)...)
	}
	return all
}

func TestAnchorsAndTablesOfARunningPfArePutTogether(t *testing.T) {
	rules, found := Read(freeBSD(), &firewall.Network{})
	if rules == nil {
		t.Fatalf("gaps %+v", found)
	}
	if !rules.Live || !rules.DefaultBlock || rules.Disabled || fmt.Sprint(rules.Skip) != "[lo lo0]" || len(rules.Main.Filter) != 4 {
		t.Errorf("%+v", rules)
	}
	want := ` <__automatic_3f6a_0> [192.0.2.1/32 192.0.2.2/32] false
 <__automatic_3f6a_1> [] true
 <admins> [10.0.0.0/8 !10.0.0.1/32 2001:db8::/32] false
 <gone> [] true
_1 <__automatic_3f6a_0> [] true
_1 <__automatic_3f6a_1> [192.0.2.3/32] false
f2b/sshd <f2b-sshd> [198.51.100.9/32] false`
	if got := strings.Join(tablesOf(rules.Main), "\n"); got != want {
		t.Errorf("tables\n%s\nwant\n%s", got, want)
	}
	if sshd := rules.Main.child("f2b").child("sshd"); len(sshd.Filter) != 1 {
		t.Errorf("f2b/sshd %+v", sshd)
	}
}

// pfctl counts anchors in braces with a name too, and prints their rules apart: the
// second without a name may be "_3".
func TestTablesOfAnchorsWithoutANameAreFoundByTheirOrder(t *testing.T) {
	l := &Listing{Anchors: []ListedAnchor{
		{Rules: []byte("anchor all {\n  pass in from <a> to any\n}\nanchor \"named\" all\nanchor all {\n  pass in from <a> to any\n}\n")},
		{Path: "_10", Tables: []ListedTable{{Name: "a", Entries: []string{"192.0.2.2"}}}},
		{Path: "_2", Tables: []ListedTable{{Name: "a", Entries: []string{"192.0.2.1"}}}},
		{Path: "named", Rules: []byte("pass all\n")},
	}}
	rules, err := l.Load(OpenBSD, &firewall.Network{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tablesOf(rules.Main), "\n"); got != "_1 <a> [192.0.2.1/32] false\n_2 <a> [192.0.2.2/32] false" {
		t.Errorf("tables\n%s", got)
	}
	l.Anchors = l.Anchors[:2] // one was not listed: which of the two it is can't be told
	if rules, err = l.Load(OpenBSD, &firewall.Network{}); err != nil || len(rules.Unread) != 1 || len(tablesOf(rules.Main)) != 0 {
		t.Errorf("%v, unread %q, tables %q", err, rules.Unread, tablesOf(rules.Main))
	}
}

func TestARuleThatIsNotUnderstoodLeavesNoRuleset(t *testing.T) {
	h := freeBSD()
	h.print["pfctl -a f2b/sshd -P -s rules"] = "block drop quick\nblock something new\npass sideways\n"
	rules, found := Read(h, &firewall.Network{})
	last := found[len(found)-1]
	if rules != nil || !strings.Contains(last.Reason, "pfctl -a f2b/sshd -s rules:2") {
		t.Errorf("%+v, gaps %+v", rules, found)
	}
}

func TestAPfThatIsOffOrMissingIsDisabled(t *testing.T) {
	for _, info := range []string{"!missing", "Status: Disabled for 0 days"} {
		h := freeBSD()
		h.print["pfctl -s info"] = info
		if rules, found := Read(h, &firewall.Network{}); rules == nil || !rules.Disabled {
			t.Errorf("%s: %+v, gaps %+v", info, rules, found)
		}
	}
}
