package nftgen

import (
	"math/rand/v2"
	"strings"
	"testing"
)

var testOptions = Options{
	Interfaces: []string{"eth0", "eth1", "docker0"},
	Sink:       "docker0",
	Own4:       []string{"203.0.113.7", "192.168.7.1"},
	Own6:       []string{"2001:db8::7", "fd00:7::1"},
	Behind4:    []string{"172.17.0.2", "192.168.7.9"},
	Behind6:    []string{"fd00:17::2", "fd00:7::9"},
}

func TestASeedAlwaysGivesTheSameRuleset(t *testing.T) {
	first, second := Generate(7, testOptions).String(), Generate(7, testOptions).String()
	if first != second {
		t.Errorf("two rulesets of one seed:\n%s\n%s", first, second)
	}
	if first == Generate(8, testOptions).String() {
		t.Error("two seeds gave the same ruleset")
	}
}

func TestShrinkingKeepsOnlyWhatFails(t *testing.T) {
	s := Generate(3, testOptions)
	s.Tables[0].Chains[0].Rules = append(s.Tables[0].Chains[0].Rules, Rule{"ip saddr 10.0.0.1", "tcp dport 22", "counter", "drop"})
	fails := func(s Script) bool {
		return strings.Contains(s.String(), "tcp dport 22 drop") || strings.Contains(s.String(), "22 counter drop")
	}
	got := Shrink(s, fails)
	want := Rule{"tcp dport 22", "drop"}.in(s)
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// in is the rule alone in the first chain of a script.
func (r Rule) in(s Script) string {
	t := s.Tables[0]
	c := t.Chains[0]
	c.Rules = []Rule{r}
	t.Chains, t.Sets = []Chain{c}, nil
	return Script{Tables: []Table{t}}.String()
}

func TestEdgesAreBothSidesOfEachEnd(t *testing.T) {
	e := FindEdges("ip saddr 10.1.0.0/16 ip6 saddr 2001:db8::/32 tcp dport 22")
	for _, want := range []string{"10.0.255.255", "10.1.0.0", "10.1.128.0", "10.1.255.255", "10.2.0.0"} {
		found := false
		for _, address := range e.IPv4 {
			found = found || address.String() == want
		}
		if !found {
			t.Errorf("%s is not among %v", want, e.IPv4)
		}
	}
	if len(e.IPv6) != 5 {
		t.Errorf("IPv6 edges %v", e.IPv6)
	}
}

func TestPacketsNeverShareTheirSource(t *testing.T) {
	host := Host{Interfaces: []string{"eth0"}, Ports: []uint16{22}}
	host.Destinations = FindEdges("203.0.113.7 2001:db8::7").IPv4
	e := FindEdges("10.0.0.0/8 22")
	seen := map[Packet]bool{}
	for _, p := range Packets(rand.New(rand.NewPCG(1, 1)), host, e, 1000) {
		key := Packet{Protocol: p.Protocol, From: p.From, SourcePort: p.SourcePort}
		if seen[key] {
			t.Fatalf("twice: %+v", key)
		}
		seen[key] = true
	}
}

func TestANamelessChainStaysInItsRule(t *testing.T) {
	s, err := Parse("table inet t {\n\tchain c {\n\t\ttcp flags syn jump {\n\t\t\ttcp sport 0 drop\n\t\t\taccept\n\t\t}\n\t\tdrop\n\t}\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	rules := s.Tables[0].Chains[0].Rules
	if len(rules) != 2 || rules[0][0] != "tcp flags syn jump { tcp sport 0 drop; accept; }" {
		t.Errorf("rules %q", rules)
	}
}
