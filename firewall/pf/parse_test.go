package pf

import (
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
)

const homeInterfaces = `
if lo0 L lo
addr 127.0.0.1/8
addr ::1/128
addr fe80::1/64
if em0 B em,egress
addr 203.0.113.5/24 203.0.113.255
addr 203.0.113.6/24 203.0.113.255
addr fe80::aa/64
addr 2001:db8::5/64
if em1 B em
addr 10.1.0.1/16 10.1.255.255
if tun0 P tun
addr 172.16.0.1/32 172.16.0.2
`

func home(t testing.TB) *firewall.Network {
	t.Helper()
	n, err := ReadInterfaces("interfaces", []byte(homeInterfaces))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func parseHome(t testing.TB, d Dialect, text string) *Ruleset {
	t.Helper()
	rs, err := Parse("pf.conf", []byte(text), Options{Dialect: d, Network: home(t), Open: noFiles})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func noFiles(string) ([]byte, error) { return nil, ErrElsewhere }

func TestRulesExpandAsPfctlExpandsThem(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"a list of two negated members is two rules", "block in from { !10.0.0.1, !10.0.0.2 }",
			"block drop in inet from ! 10.0.0.1 to any\nblock drop in inet from ! 10.0.0.2 to any"},
		{"only the combinations of one family remain", "pass from { 192.0.2.1 2001:db8::1 } to { 192.0.2.9 2001:db8::9 } no state",
			"pass inet from 192.0.2.1 to 192.0.2.9 no state\npass inet6 from 2001:db8::1 to 2001:db8::9 no state"},
		{"a macro's braces are a list in a list", `web = "{ 80 443 }"` + "\npass proto tcp to port { $web 8080 } no state",
			"web = \"{ 80 443 }\"\npass proto tcp from any to any port = 80 no state\npass proto tcp from any to any port = 443 no state\npass proto tcp from any to any port = 8080 no state"},
		{"a modifier behind a macro belongs to its word", "if = em1\npass from $if:network no state",
			"if = \"em1\"\npass inet from 10.1.0.0/16 to any no state"},
		{"an interface's alias is left out by :0", "pass from em0:0 no state",
			"pass inet from 203.0.113.5 to any no state\npass inet6 from 2001:db8::5 to any no state"},
		{"a link-local address holds on its own link", "pass inet6 from em0 no state",
			"pass on em0 inet6 from fe80::aa to any no state\npass inet6 from 2001:db8::5 to any no state"},
		{"the peer of a tunnel", "pass from tun0:peer no state", "pass inet from 172.16.0.2 to any no state"},
		{"an octet without a dot needs a mask", "pass from 10/8 no state", "pass inet from 10.0.0.0/8 to any no state"},
		{"block-policy counts from where it stands", "block in\nset block-policy return\nblock out",
			"set block-policy return\nblock drop in all\nblock return out all"},
		{"antispoof blocks the network elsewhere and the own address everywhere", "antispoof quick for em1",
			"block drop in quick on ! em1 inet from 10.1.0.0/16 to any\nblock drop in quick inet from 10.1.0.1 to any"},
		{"binat-to is a rule each way", "match on em0 from 10.1.0.9 binat-to 203.0.113.9",
			"match out on em0 inet from 10.1.0.9 to any nat-to 203.0.113.9 static-port\nmatch in on em0 inet from any to 203.0.113.9 rdr-to 10.1.0.9"},
		{"udp takes no flags and tcp takes S/SA", "pass proto { udp tcp }", "pass proto udp all\npass proto tcp all flags S/SA"},
		{"a line goes on behind a backslash, a comment too", "pass \\\n in no state # a \\\n block in\nblock out", "pass in all no state\nblock drop out all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.TrimSpace(parseHome(t, OpenBSD, c.in).String()); got != c.out {
				t.Errorf("got\n%s\nwant\n%s", got, c.out)
			}
		})
	}
}

func TestOldTranslationRulesKeepTheirForm(t *testing.T) {
	for _, line := range []string{
		`nat on em0 inet from 10.1.0.0/16 to any -> (em0) round-robin`,
		`rdr pass on em0 inet proto tcp from any to 203.0.113.5 port = 80 -> 127.0.0.1 port 8080`,
		`no rdr on em0 proto tcp from any to any port = 22`,
		`rdr-anchor "com.apple/*" all`,
		`nat on em0 inet from 10.1.0.0/16 to any -> (em0:0) extfilter ei`,
		`scrub-anchor "com.apple/*" all fragment reassemble`,
		`pass in quick on lo0 reply-to lo0 inet proto udp from any to 127.0.0.1 port = 5354 keep state`,
	} {
		if got := strings.TrimSpace(parseHome(t, MacOS, line).String()); got != line {
			t.Errorf("got  %s\nwant %s", got, line)
		}
	}
}

func TestErrorsNameFileLineAndToken(t *testing.T) {
	for text, want := range map[string]string{
		"pass in\nblock sideways\n":                "pf.conf:2:",
		"pass in\n\npass from 300.1.2.3\n":         "pf.conf:3: no IP address found for 300.1.2.3",
		"pass proto tcp to port nowhere":           `pf.conf:1: unknown port "nowhere"`,
		"pass to port 80":                          "pf.conf:1: port only applies to tcp/udp",
		"pass in $undefined":                       `macro "undefined" is not defined`,
		"anchor \"a\" {\npass\n":                   "closing brace",
		"anchor \"a\" { pass }":                    "pf.conf:1: syntax error",
		"table <t> { 10.0.0.1 <u> }":               "tables cannot contain tables",
		"pass from 192.0.2.1 to 2001:db8::1":       "both families",
		"rdr on em0 proto tcp to port 80 -> ::1\n": "pf.conf:1:",
		"pass out route-to (em0 10.0.0.1":          "pf.conf:1:",
		"label = \"x\nblock":                       "a string without its closing",
	} {
		_, err := Parse("pf.conf", []byte(text), Options{Dialect: OpenBSD, Network: home(t)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestWhatCantBeReadIsNamed(t *testing.T) {
	rs, err := Parse("pf.conf", []byte(`
table <bad> persist file "/etc/bad"
table <banned> persist
anchor "f2b/*"
anchor "mine"
load anchor "mine" from "/etc/mine"
pass from www.example.org
block from <nowhere>
pass on em7 from em7
`), Options{Dialect: OpenBSD, Network: home(t), Open: noFiles})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(append(rs.Unread, rs.FilledLater...), "; ")
	for _, want := range []string{"table <bad>", "table <banned>", "table <nowhere>", `anchor "f2b/*"`, `anchor "mine"`, "www.example.org", "em7"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s isn't named: %s", want, got)
		}
	}
}

func TestListingsOfARunningSystem(t *testing.T) {
	l := NewLoader(FreeBSD, home(t))
	steps := []struct{ path, text string }{
		{"", "No ALTQ support in kernel\nALTQ related functions disabled\n@0(7) block drop in log all label \"default\" ridentifier 7\n" +
			"  [ Evaluations: 3  Packets: 0  Bytes: 0  States: 0 ]\n@1 anchor \"f2b/*\" all\n@2 anchor all {\n@0 pass quick inet from (em0:2) to any flags S/SA keep state\n}\n"},
		{"", `rdr on em0 inet proto tcp from any to any port = 80 -> 10.1.0.2 port 8080`},
		{"f2b/sshd", "block drop in quick proto tcp from <f2b-sshd:2> to any port = 22\n"},
	}
	for _, s := range steps {
		if err := l.Rules(s.path, "pfctl", []byte(s.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Table("f2b/sshd", "f2b-sshd", []string{"192.0.2.1", "!192.0.2.2", "198.51.100.0/24"}); err != nil {
		t.Fatal(err)
	}
	rs := l.Ruleset()
	sshd := rs.Main.find("f2b").find("sshd")
	if len(rs.Main.Filter) != 3 || len(rs.Main.RDR) != 1 || len(sshd.Filter) != 1 || len(sshd.table("f2b-sshd").Entries) != 3 {
		t.Errorf("got\n%s", rs)
	}
	if got := sshd.Filter[0].text(FreeBSD); got != "block drop in quick proto tcp from <f2b-sshd> to any port = 22" {
		t.Error(got)
	}
	err := l.Rules("x", "pfctl", []byte("pfctl: DIOCGETRULES: Invalid argument\n"))
	if err == nil || !strings.Contains(err.Error(), "Invalid argument") {
		t.Errorf("pfctl's own failure is taken for rules: %v", err)
	}
}

func TestDialectIsToldByTheRules(t *testing.T) {
	for text, want := range map[string]Dialect{
		"anchor \"com.apple/*\"\n":                                   MacOS,
		"match out on egress nat-to (egress:0)":                      OpenBSD,
		"nat on em0 from 10.0.0.0/8 to any -> (em0)":                 FreeBSD,
		"block drop in log all label \"x\" ridentifier 1000000103\n": FreeBSD,
		"block\npass out":                                            OpenBSD,
		"pass out all flags S/SA keep state\n":                       FreeBSD,
	} {
		if got := detect([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
