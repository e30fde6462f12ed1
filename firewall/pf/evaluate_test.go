package pf

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// ask is a question written as "tcp 198.51.100.7 > 203.0.113.5:22 em0".
func ask(t testing.TB, e *Evaluator, question string) firewall.Explanation {
	t.Helper()
	fields := strings.Fields(question)
	to, err := netip.ParseAddrPort(fields[3])
	if err != nil {
		t.Fatal(err)
	}
	protocol, _ := protocolNumber(fields[0])
	return e.Explain(firewall.Query{
		Protocol: uint8(protocol), Source: netip.MustParseAddr(fields[1]), SourcePort: 40000,
		Destination: to.Addr(), Port: to.Port(), Interface: fields[4],
	})
}

const (
	outside  = "tcp 198.51.100.7 > 203.0.113.5:22 em0"
	outside6 = "tcp 2001:db8:9::1 > [2001:db8::5]:22 em0"
	web      = "tcp 198.51.100.7 > 203.0.113.5:80 em0"
	inside   = "tcp 10.1.2.3 > 10.1.0.1:22 em1"
)

func TestWhatDecides(t *testing.T) {
	for _, c := range []struct {
		name     string
		dialect  Dialect
		rules    string
		question string
		want     string // the fate, what decided, where it went
	}{
		{"without a rule all pass", OpenBSD, "", outside, "accept: no rule matches"},
		{"the last match decides", OpenBSD, "pass\nblock\npass in proto tcp", outside, "accept: pass in proto tcp"},
		{"quick ends it", OpenBSD, "block quick proto tcp\npass", outside, "drop: block drop quick proto tcp"},
		{"block return rejects", OpenBSD, "set block-policy return\nblock", outside, "reject: block return"},
		{"the policy is the one at the rule's line", OpenBSD, "block\nset block-policy return", outside, "drop: block drop"},
		{"return-rst is silent for UDP", OpenBSD, "block return-rst proto tcp\nblock drop proto udp", "udp 198.51.100.7 > 203.0.113.5:53 em0", "drop: block drop proto udp"},
		{"a rule for one family leaves the other open", OpenBSD, "pass\nblock inet", outside6, "accept: pass all"},
		{"which routing domain an interface is in isn't told", OpenBSD, "pass\nblock on rdomain 1", outside, "conditional: pass all flags S/SA if unmodelled"},
		{"set skip leaves an interface alone", OpenBSD, "set skip on em1\nblock", inside, "accept: set skip on em1"},
		{"set skip on a group", OpenBSD, "set skip on em\nblock", inside, "accept: set skip on em"},
		{"macOS has no groups", MacOS, "set skip on em\nblock", inside, "drop: block drop"},
		{"on any is every interface but loopback", OpenBSD, "pass\nblock on any", outside, "drop: block drop on any"},
		{"on ! em0 is every other interface", OpenBSD, "pass\nblock on ! em0", inside, "drop: block drop on ! em0"},
		{"{ !a, !b } matches everything", OpenBSD, "pass\nblock from { !198.51.100.7, !198.51.100.8 }", outside, "drop: block drop inet from ! 198.51.100.8 to any"},

		{"the rules of an anchor stand in its place", OpenBSD, "anchor \"a\" {\npass\n}\nblock in proto tcp", outside, "drop: block drop in proto tcp"},
		{"quick in an anchor ends everything", OpenBSD, "anchor \"a\" {\npass quick\n}\nblock", outside, "accept: pass quick"},
		{"an anchor is asked only if its own conditions hold", OpenBSD, "block\nanchor in on em1 {\npass\n}", outside, "drop: block drop"},
		{"a wildcard calls the children alone", OpenBSD, "anchor \"a\" {\nblock\nanchor \"b\" {\npass\n}\n}\nblock\nanchor \"/a/*\"", outside, "accept: pass all"},
		{"anchor quick stops after a match of its own", OpenBSD, "anchor quick {\npass\n}\nblock", outside, "accept: pass all"},
		{"anchor quick on OpenBSD doesn't stop after a match in an anchor inside", OpenBSD, "anchor quick {\nanchor {\npass\n}\n}\nblock", outside, "drop: block drop"},
		{"anchor quick on FreeBSD does", FreeBSD, "anchor quick {\nanchor {\npass\n}\n}\nblock", outside, "accept: pass all"},
		{"anchors that call each other end in a drop", OpenBSD, "pass\nanchor \"a\" {\nanchor \"/b\"\n}\nanchor \"b\" {\nanchor \"/a\"\n}", outside, "drop: anchors call each other"},
		{"macOS passes over such a call", MacOS, "pass\nanchor \"a\" {\nanchor \"/b\"\n}\nanchor \"b\" {\nanchor \"/a\"\n}", outside, "accept: pass all"},

		{"a tag stays although another rule decides", OpenBSD, "pass in tag seen\npass in\nblock in tagged seen", outside, "drop: block drop in all tagged seen"},
		{"a packet has one tag", OpenBSD, "pass in tag one\npass in tag two\nblock in tagged one", outside, "accept: pass in all flags S/SA tag two"},
		{"match decides nothing", OpenBSD, "block\nmatch in tag x", outside, "drop: block drop all"},
		{"match quick stops with the earlier decision", OpenBSD, "block\nmatch in quick\npass", outside, "drop: block drop all"},

		{"a longer negated entry leaves out", OpenBSD, "table <t> { 198.51.100.0/24 !198.51.100.7 }\npass\nblock from <t>", outside, "accept: pass all"},
		{"an anchor's own table hides the main one", OpenBSD, "table <t> { 198.51.100.7 }\npass\nanchor \"a\" {\ntable <t> { 192.0.2.1 }\nblock from <t>\n}", outside, "accept: pass all"},
		{"otherwise the main one is meant", OpenBSD, "table <t> { 198.51.100.7 }\npass\nanchor \"a\" {\nblock from <t>\n}", outside, "drop: block drop from <t>"},
		{"an undefined table is empty", OpenBSD, "pass\nblock from ! <t>", outside, "drop: block drop from ! <t>"},

		{"match rdr-to rewrites for the rules behind it", OpenBSD, "block\nmatch in proto tcp to port 80 rdr-to 10.1.0.1 port 22\npass in proto tcp to 10.1.0.1 port 22", web, "accept: pass in inet proto tcp from any to 10.1.0.1 port = 22 flags S/SA → 10.1.0.1:22"},
		{"pass rdr-to only if it decides", OpenBSD, "block\npass in proto tcp to port 80 rdr-to 10.1.0.1 port 22\npass in proto tcp to port 80", web, "accept: pass in proto tcp from any to any port = 80 flags S/SA → 203.0.113.5:80"},
		{"old rdr comes before the filter", FreeBSD, "rdr on em0 proto tcp to port 80 -> 127.0.0.1 port 8080\nblock in\npass in proto tcp to port 80", web, "drop: block drop in all"},
		{"and the filter sees the new port", FreeBSD, "rdr on em0 proto tcp to port 80 -> 127.0.0.1 port 8080\nblock in\npass in proto tcp to port 8080", web, "accept: pass in proto tcp from any to any port = 8080 flags S/SA keep state → 127.0.0.1:8080"},
		{"a translation makes state, so the answer gets out", FreeBSD, "rdr on em0 proto tcp to port 80 -> 127.0.0.1 port 8080\nblock out", web, "accept: no rule matches: the default is to pass → 127.0.0.1:8080"},
		{"rdr pass goes past the filter", FreeBSD, "rdr pass on em0 proto tcp to port 80 -> 127.0.0.1 port 8080\nblock in", web, "accept: rdr pass on em0 inet proto tcp from any to any port = 80 -> 127.0.0.1 port 8080 → 127.0.0.1:8080"},
		{"the first translation counts", FreeBSD, "no rdr on em0 proto tcp from 198.51.100.0/24 to port 80\nrdr pass on em0 proto tcp to port 80 -> 127.0.0.1 port 8080\nblock in", web, "drop: block drop in all"},
		{"a port range keeps its distance", FreeBSD, "rdr pass on em0 proto tcp to port 80:90 -> 127.0.0.1 port 8080:*", web, "accept: rdr pass on em0 inet proto tcp from any to any port 80:90 -> 127.0.0.1 port 8080:8090 → 127.0.0.1:8080"},
		{"binat comes in from the other end", FreeBSD, "binat on em0 from 10.1.0.1 to any -> 203.0.113.6\nblock in\npass in to 10.1.0.1", "tcp 198.51.100.7 > 203.0.113.6:22 em0", "accept: pass in inet from any to 10.1.0.1 flags S/SA keep state → 10.1.0.1:22"},
		{"an anchor's translations count where it is called", FreeBSD, "rdr-anchor \"x\"\nblock in\nload anchor \"x\" from \"x\"", web, "accept: rdr pass on em0 inet proto tcp from any to any port = 80 -> 10.1.0.1"},

		{"antispoof keeps the inner network out of the outer interface", OpenBSD, "pass\nantispoof for em1", "tcp 10.1.2.3 > 203.0.113.5:22 em0", "drop: block drop in on ! em1 inet from 10.1.0.0/16 to any"},
		{"the kernel drops loopback from the wire", OpenBSD, "pass", "tcp 127.0.0.1 > 203.0.113.5:22 em0", "drop: a loopback or multicast address"},
		{"without state the answer is filtered", OpenBSD, "block out\npass in no state", outside, "drop: the answer doesn't get out: block drop out all"},
		{"the default rule keeps no state", OpenBSD, "block out", outside, "drop: the answer doesn't get out: block drop out all"},
		{"state lets the answer out", OpenBSD, "block out\npass in", outside, "accept: pass in all flags S/SA"},
		{"a datagram's answer is no part of the question", OpenBSD, "block out\npass in no state", "udp 198.51.100.7 > 203.0.113.5:53 em0", "accept: pass in all no state"},
		{"what is forwarded is filtered on its way out", OpenBSD, "pass in\nblock out on em1", "tcp 198.51.100.7 > 10.1.9.9:22 em0", "drop: block drop out on em1 all"},
		{"received-on tells where it came in", OpenBSD, "block out on em1\npass in\npass out on em1 received-on em0", "tcp 198.51.100.7 > 10.1.9.9:22 em0", "accept: pass in all flags S/SA → 10.1.9.9:22 by em1"},
		{"a tag crosses to the way out", OpenBSD, "block out on em1\npass in tag T\npass out on em1 tagged T", "tcp 198.51.100.7 > 10.1.9.9:22 em0", "accept: pass in all flags S/SA tag T → 10.1.9.9:22 by em1"},
		{"route-to leads past this host", OpenBSD, "pass in proto tcp route-to 10.1.0.9", outside, "accept: pass in inet proto tcp all flags S/SA route-to 10.1.0.9 → 203.0.113.5:22 by 10.1.0.9"},
		{"divert-to hands it to a local socket", OpenBSD, "block\npass in proto tcp to port 22 divert-to 127.0.0.1 port 8025", outside, "accept: pass in inet proto tcp from any to any port = 22 flags S/SA divert-to 127.0.0.1 port 8025 → 127.0.0.1:8025"},
		{"flags S/SA is a first packet", OpenBSD, "block\npass in proto tcp flags S/SA", outside, "accept: pass in proto tcp"},
		{"flags A/A is none", OpenBSD, "block\npass in proto tcp flags A/A", outside, "drop: block drop all"},
		{"fragment is only for fragments", OpenBSD, "block\npass in proto tcp fragment", outside, "drop: block drop all"},

		{"probability", OpenBSD, "block\npass in probability 20%", outside, "conditional: pass in all flags S/SA probability 20% if random"},
		{"once", OpenBSD, "block\npass in once", outside, "conditional: pass in all flags S/SA once if history"},
		{"os fingerprints are the sender's", OpenBSD, "block\npass in proto tcp from any os Linux", outside, "conditional: pass in proto tcp from any os \"Linux\" to any flags S/SA if sender"},
		{"the user of the socket isn't known", OpenBSD, "pass\nblock in proto tcp user root", outside, "conditional: pass all flags S/SA if unread"},
		{"a file that wasn't read", OpenBSD, "pass\ntable <t> file \"/etc/t\"\nblock from <t>", outside, "conditional: pass all flags S/SA if unread"},
		{"which doesn't matter where both ways lead to the same", OpenBSD, "block\ntable <t> file \"/etc/t\"\nblock from <t>", outside, "drop: block drop"},
		{"an anchor that wasn't read", OpenBSD, "block\nanchor \"a\"\nload anchor \"a\" from \"/etc/a\"", outside, "conditional: anchor \"a\" was not read if unread"},
		{"the anchor above a wildcard", MacOS, "block\nanchor \"com.apple/*\"\nload anchor \"com.apple\" from \"/etc/a\"", outside, "conditional: anchor \"com.apple/*\" was not read if unread"},
		{"translations that weren't read", MacOS, "rdr-anchor \"com.apple/*\"\nblock\nload anchor \"com.apple\" from \"/etc/a\"", outside, "conditional: anchor \"com.apple/*\" was not read if unread"},
		{"a program decides", OpenBSD, "block\npass in proto tcp divert-packet port 700", outside, "conditional: pass in proto tcp all flags S/SA divert-packet port 700 if external"},
		{"where a pool leads is chance", OpenBSD, "pass in proto tcp to port 80 rdr-to { 10.1.0.1 10.1.9.9 }\nblock out", web, "conditional: pass in inet proto tcp from any to any port = 80 flags S/SA rdr-to <__automatic_0> round-robin if random"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"x": "rdr pass on em0 proto tcp to port 80 -> 10.1.0.1"}
			rs, err := Parse("pf.conf", []byte(c.rules), Options{Dialect: c.dialect, Network: home(t), Open: func(name string) ([]byte, error) {
				if text, ok := files[name]; ok {
					return []byte(text), nil
				}
				return nil, ErrElsewhere
			}})
			if err != nil {
				t.Fatal(err)
			}
			got := ask(t, NewEvaluator(rs, home(t)), c.question)
			if text := answerText(got); !strings.HasPrefix(text, c.want) && !strings.Contains(c.want, " → ") || strings.Contains(c.want, " → ") && text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

func answerText(x firewall.Explanation) string {
	text := x.Fate.String() + ": " + x.DecidedBy.Text
	for _, c := range x.Conditions {
		return text + " if " + c.Kind.String()
	}
	if d := x.DeliveredTo; d != nil {
		text += " → " + netip.AddrPortFrom(d.Address, d.Port).String()
		if d.Interface != "" {
			text += " by " + d.Interface
		}
	}
	return text
}

func TestGroupsThatNobodyToldMayBeSkipped(t *testing.T) {
	n := home(t)
	for i := range n.Interfaces {
		n.Interfaces[i].GroupNames = nil
	}
	rs, err := Parse("pf.conf", []byte("set skip on lan\nblock"), Options{Dialect: OpenBSD, Network: n})
	if err != nil {
		t.Fatal(err)
	}
	if got := answerText(ask(t, NewEvaluator(rs, n), inside)); !strings.HasPrefix(got, "conditional") {
		t.Error(got)
	}
}

func TestThePartitionNamesEverySource(t *testing.T) {
	rs := parseHome(t, OpenBSD, "block return\ntable <admins> { 10.0.0.0/8 !10.66.0.0/16 }\npass in proto tcp from <admins> to port 22\nblock drop in quick from 10.1.1.0/24")
	parts := NewEvaluator(rs, home(t)).Reach(firewall.Query{Protocol: protoTCP, Interface: "em1", Destination: netip.MustParseAddr("10.1.0.1"), Port: 22})
	got := map[string]string{}
	for _, p := range parts {
		for _, prefix := range p.Sources.Prefixes {
			got[prefix.String()] = p.Fate.String()
		}
	}
	for prefix, want := range map[string]string{"10.66.0.0/16": "reject", "10.1.1.0/24": "drop", "10.128.0.0/9": "accept", "128.0.0.0/1": "reject", "127.0.0.0/8": "drop"} {
		if got[prefix] != want {
			t.Errorf("%s: %s, want %s: %v", prefix, got[prefix], want, got)
		}
	}
}

func TestUsersAreThoseOfTheListener(t *testing.T) {
	n := home(t)
	n.Sockets = []firewall.LocalSocket{{Protocol: protoTCP, Family: firewall.FamilyIPv4, Address: netip.IPv4Unspecified(), Port: 22, UID: 0, Owned: true}}
	rs := parseHome(t, OpenBSD, "block\npass in proto tcp user root\nblock in proto tcp user unknown")
	e := NewEvaluator(rs, n)
	if got := ask(t, e, outside); got.Fate != firewall.Accepted {
		t.Errorf("root's port: %s", answerText(got))
	}
	if got := ask(t, e, web); got.Fate != firewall.Dropped || !strings.Contains(got.DecidedBy.Text, "unknown") {
		t.Errorf("a port without a socket: %s", answerText(got))
	}
}

func TestOnePacketAgreesWithThePartition(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 8))
	for round := range 60 {
		rules := randomRules(rnd)
		n := home(t)
		d := []Dialect{OpenBSD, FreeBSD}[round%2]
		rs, err := Parse("random", []byte(rules), Options{Dialect: d, Network: n})
		if err != nil {
			t.Fatalf("%v\n%s", err, rules)
		}
		e := NewEvaluator(rs, n)
		q := firewall.Query{Protocol: []uint8{protoTCP, protoUDP}[rnd.IntN(2)], Interface: "em0", Destination: netip.MustParseAddr("203.0.113.5"), Port: uint16(20 + rnd.IntN(8)), SourcePort: 40000}
		parts := e.Reach(q)
		for range 40 {
			q.Source = netip.AddrFrom4([4]byte{10, byte(rnd.IntN(4)), byte(rnd.IntN(2)), byte(rnd.IntN(4))})
			got := e.Explain(q)
			want := slices.IndexFunc(parts, func(p firewall.Part) bool {
				return slices.ContainsFunc(p.Sources.Prefixes, func(x netip.Prefix) bool { return x.Contains(q.Source) })
			})
			if want < 0 || parts[want].Fate != got.Fate || parts[want].DecidedBy.Rule != got.DecidedBy.Rule {
				t.Fatalf("%s port %d: %s, and in the partition %v\n%s", q.Source, q.Port, answerText(got), parts, rules)
			}
		}
	}
}

// randomRules are a handful of rules that overlap.
func randomRules(rnd *rand.Rand) string {
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	var b strings.Builder
	b.WriteString("table <t> { 10.1.0.0/16 !10.1.1.0/24 10.1.1.2 }\n")
	depth := 0
	for range 4 + rnd.IntN(8) {
		switch {
		case rnd.IntN(6) == 0 && depth < 3:
			fmt.Fprintf(&b, "anchor in %s {\n", pick("", "quick"))
			depth++
		case rnd.IntN(4) == 0 && depth > 0:
			b.WriteString("pass\n}\n")
			depth--
		default:
			fmt.Fprintf(&b, "%s in %s proto { tcp udp } from %s to port %s %s\n", pick("pass", "block", "block return"), pick("", "", "quick"),
				pick("any", "<t>", "! <t>", "10.0.0.0/15", "10.2.1.0 - 10.2.1.2", "! 10.3.0.1"), pick("22", "20:24", "!= 25", "> 23"), pick("", "tag A", "tagged A", "! tagged A"))
		}
	}
	b.WriteString(strings.Repeat("}\n", depth))
	return b.String()
}
