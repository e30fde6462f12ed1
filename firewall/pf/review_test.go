package pf

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// never is the rules that can't decide, with what takes their packets.
func never(t *testing.T, d Dialect, rules string) string {
	t.Helper()
	e := NewEvaluator(parseHome(t, d, rules), home(t))
	var out []string
	for rule, found := range e.Review().Rules {
		if !found.Use.Dead() {
			continue
		}
		text := found.Use.String() + " " + rule.Text()
		for _, by := range found.By {
			text += " by " + by.Text
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func TestRulesThatNeverDecide(t *testing.T) {
	for _, c := range []struct{ name, rules, want string }{
		{"behind a quick rule that covers it", "block in quick on em0 proto udp\npass in on em0 proto udp to port 53",
			"shadowed pass in on em0 proto udp from any to any port = 53 by block drop in quick on em0 proto udp all"},
		{"behind two that cover it together", "block in quick on em0 inet proto udp\nblock in quick on em0 inet6 proto udp\npass in on em0 proto udp to port 53",
			"shadowed pass in on em0 proto udp from any to any port = 53 by block drop in quick on em0 inet proto udp all by block drop in quick on em0 inet6 proto udp all"},
		{"before one that matches all that it does", "pass in proto udp to port 53\nblock", "shadowed pass in proto udp from any to any port = 53 by block drop all"},
		{"but not where it is quick itself", "pass in quick proto udp to port 53\nblock", ""},
		{"a pass rule's flags leave other segments", "block in proto tcp\npass in proto tcp", ""},
		{"flags any leave none", "block in proto tcp\npass in proto tcp flags any", "shadowed block drop in proto tcp all by pass in proto tcp all flags any"},
		{"a table may be filled later", "table <bad> persist\npass\nblock in quick from <bad>", ""},
		{"a tag is an act", "pass in tag T no state\npass no state\nblock in tagged T", ""},
		{"nobody sets the tag", "pass no state\nblock in tagged T", "contradictory block drop in all tagged T"},
		{"unless a packet came in with it", "pass in tag T no state\npass out no state\nblock out tagged T", ""},
		{"an interface that isn't here may come", "pass no state\nblock in on em9", ""},
		{"only what comes in by the anchor's interface", "pass no state\nanchor in on em0 {\nblock in on em1\n}", "contradictory block drop in on em1 all"},
		{"fragments are another kind of packet", "block in quick proto udp to port 53\nblock in proto udp fragment", ""},
		{"ICMP types that nobody names", "block in proto icmp\npass in inet proto icmp icmp-type echoreq", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := never(t, OpenBSD, c.rules); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAnAnchorThatNobodyCalls(t *testing.T) {
	l := NewLoader(FreeBSD, home(t))
	for path, text := range map[string]string{"": "anchor \"f2b/*\" all", "f2b/sshd": "block drop in all", "lost": "block drop in all", "f2b/sshd/deeper": "block drop in all"} {
		if err := l.Rules(path, "pfctl", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for c, found := range NewEvaluator(l.Ruleset(), home(t)).Review().Chains {
		if found.Unused == firewall.NoCaller {
			got = append(got, c.Name)
		}
	}
	slices.Sort(got)
	if want := []string{"anchor f2b/sshd/deeper filter", "anchor lost filter"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWhatIsOddAboutRules(t *testing.T) {
	rules := "block from { !10.0.0.1, !10.0.0.2 }\nblock from { !10.0.0.1, 10.0.0.2 }\nblock from { !10.0.0.1, !2001:db8::1 }\nblock on { ! em0, ! em1 }\n" +
		"pass in on em0 proto tcp to port 80 rdr-to 127.0.0.1 port 8080\npass in on lo0 proto tcp to port 80 rdr-to 127.0.0.1 port 8080\npass in proto tcp to port 81 rdr-to 10.1.0.2"
	var got []string
	for _, f := range NewEvaluator(parseHome(t, OpenBSD, rules), home(t)).Findings() {
		got = append(got, f.Code+" "+f.Rule.Text())
	}
	want := []string{
		"negated_list block drop inet from ! 10.0.0.1 to any", "negated_list block drop inet from ! 10.0.0.2 to any",
		"negated_list block drop on ! em0 all", "negated_list block drop on ! em1 all",
		"redirects_to_loopback pass in on em0 inet proto tcp from any to any port = 80 flags S/SA rdr-to 127.0.0.1 port 8080",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRedirectionsNameThePortsThatLeadElsewhere(t *testing.T) {
	rs := parseHome(t, FreeBSD, "rdr on em0 proto tcp to 203.0.113.5 port 80 -> 127.0.0.1 port 8080\nrdr on em0 proto tcp to port 90:92 -> 10.1.0.2 port 190:*\n"+
		"rdr on em1 proto tcp to port 81 -> 127.0.0.1\nno rdr on em0 proto tcp to port 82\nrdr on em0 proto tcp to 203.0.113.6 port 83 -> 127.0.0.1\npass in on em0 proto tcp to port 84 rdr-to { 10.1.0.2 10.1.0.3 }")
	got := NewEvaluator(rs, home(t)).Redirections(firewall.Query{Protocol: protoTCP, Interface: "em0", Destination: netip.MustParseAddr("203.0.113.5")})
	inner, other := netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.3")
	want := []firewall.Redirection{
		{First: 80, Last: 80, Address: netip.MustParseAddr("127.0.0.1"), Port: 8080},
		{First: 90, Last: 90, Address: inner, Port: 190}, {First: 91, Last: 91, Address: inner, Port: 191}, {First: 92, Last: 92, Address: inner, Port: 192},
		{First: 84, Last: 84, Address: inner}, {First: 84, Last: 84, Address: other},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestSpansEndWhereRulesDo(t *testing.T) {
	rs := parseHome(t, OpenBSD, "block\npass in proto tcp to port { 22 80:90 }\npass in proto tcp to port > 60000 flags A/A")
	got := NewEvaluator(rs, home(t)).PortSpans(firewall.Query{Protocol: protoTCP, Interface: "em0", Destination: netip.MustParseAddr("203.0.113.5")})
	var ends []uint16
	for _, s := range got {
		ends = append(ends, s.Last)
	}
	if want := []uint16{21, 22, 79, 90, 65535}; !slices.Equal(ends, want) {
		t.Errorf("%v, want %v", ends, want)
	}
}
