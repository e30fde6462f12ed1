package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// declared reads a policy that a test wrote.
func declared(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Read("netglance.yaml", policy.Options{
		ReadFile: func(string) ([]byte, error) { return []byte("version: 1\n" + text), nil }, Services: ServicePorts,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func from(p firewall.Part, prefixes ...string) firewall.Part {
	p.Sources = firewall.Sources{}
	for _, word := range prefixes {
		p.Sources.Prefixes = append(p.Sources.Prefixes, netip.MustParsePrefix(word))
	}
	return p
}

var today = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func codes(e Exposure) (out []string) {
	for _, r := range e.Reasons {
		out = append(out, r.Code)
	}
	return out
}

func TestIntentionalExactlyWhenEverySourceIsDeclared(t *testing.T) {
	lanOnly := "allow:\n  - {port: 22/tcp, from: 10.0.0.0/8, until: 2026-06-01}\n"
	everybody := "allow:\n  - {port: 22/tcp}\n"
	broad := accepted(by(whatever))
	inNetworks := from(broad, "10.1.0.0/16", "10.128.0.0/9")
	oneMore := from(broad, "10.1.0.0/16", "11.0.0.0/32")
	undecidable := conditional(firewall.Unmodelled, by(whatever))
	unread := firewall.Part{Sources: firewall.Sources{Prefixes: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}, Conditions: []firewall.Condition{{Kind: firewall.Unread, Text: "unread"}}}
	for _, c := range []struct {
		name, policy string
		part         firewall.Part
		label        Label
		code         string
	}{
		{"the policy allows all that gets in", everybody, broad, Intentional, "policy_allows"},
		{"all within what it allows, on its last day", lanOnly, inNetworks, Intentional, "policy_allows"},
		{"one address beyond", lanOnly, oneMore, Exposed, "policy_beyond"},
		{"anywhere, and only a network is allowed", lanOnly, broad, Exposed, "policy_beyond"},
		{"halves of what is open, by two entries", "allow:\n  - {port: 22/tcp, from: 0.0.0.0/1}\n  - {port: 20-30/tcp, from: 128.0.0.0/1}\n", broad, Intentional, "policy_allows"},
		{"another port", "allow:\n  - {port: 23/tcp}\n", broad, Exposed, "policy_missing"},
		{"another protocol", "allow:\n  - {port: 22/udp}\n", broad, Exposed, "policy_missing"},
		{"another interface", "allow:\n  - {port: 22/tcp, via: [eth1, wg*]}\n", broad, Exposed, "policy_beyond"},
		{"the other family only", "allow:\n  - {port: 22/tcp, from: '::/0'}\n", broad, Exposed, "policy_beyond"},
		{"another owner", "allow:\n  - {port: 22/tcp, owner: {process: nginx}}\n", broad, Exposed, "policy_owner"},
		{"the owner", "allow:\n  - {service: ssh, owner: {process: sshd}}\n", broad, Intentional, "policy_allows"},
		{"an entry that ended yesterday", "allow:\n  - {port: 22/tcp, until: 2026-05-31}\n", broad, Exposed, "policy_expired"},
		{"a rule names the port, the policy says nothing", "allow:\n  - {port: 23/tcp}\n", accepted(by(ssh)), Intentional, "rule_names_port"},
		{"a rule names the port, and nothing else may be reachable", "nothing_else: true\n", accepted(by(ssh)), Exposed, "policy_missing"},
		{"a rule names the port, and the policy allows a part", "nothing_else: true\n" + lanOnly, accepted(by(ssh)), Exposed, "policy_beyond"},
		{"nothing else may be reachable, and nothing is", "nothing_else: true\n", dropped(policyOf(inputDrop)), Filtered, "policy_drop"},
		{"meant whether it gets through or not", everybody, undecidable, Intentional, "policy_allows"},
		{"meant, but the rules could not be read", everybody, unread, Unknown, "undecided"},
		{"whether it gets through can't be told, and it isn't allowed", "nothing_else: true\n", conditional(firewall.Unmodelled, by(ssh)), Unknown, "undecided"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{},
				Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{c.part} }), Policy: declared(t, c.policy), Now: today})[0]
			if e.Label != c.label || !slices.Contains(codes(e), c.code) {
				t.Errorf("%s %+v; want %s with %s", e.Label, e.Reasons, c.label, c.code)
			}
		})
	}
}

func TestWhatIsBeyondThePolicyIsExact(t *testing.T) {
	e := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part {
			return []firewall.Part{from(accepted(by(whatever)), "10.0.0.0/8", "192.0.2.0/24")}
		}),
		Policy: declared(t, "allow: [{port: 22/tcp, from: [10.0.0.0/9, 192.0.2.0/25]}]"), Now: today})[0]
	if got := fmt.Sprint(e.Reach[0].Outside); got != "[10.128.0.0/9 192.0.2.128/25]" {
		t.Errorf("outside of the policy are %s", got)
	}
	if !slices.ContainsFunc(e.Reasons, func(r Reason) bool {
		return strings.Contains(r.Text, "10.128.0.0/9, 192.0.2.128/25 reaches it by eth0")
	}) {
		t.Errorf("not said: %+v", e.Reasons)
	}
	if slices.ContainsFunc(e.Remedy, func(r string) bool { return strings.HasSuffix(r, "drop") }) {
		t.Errorf("a remedy would keep out those who are allowed: %q", e.Remedy)
	}
}

func TestOwnersThatCouldNotBeSeenAreNotThoseOfThePolicy(t *testing.T) {
	l := listener("0.0.0.0", 4)
	l.Owners, l.OwnerGap = nil, "no permission"
	e := Analyze(Input{Listeners: []listeners.Listener{l}, Network: network(), Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{accepted(by(whatever))} }),
		Policy:   declared(t, "allow: [{port: 22/tcp, owner: {process: sshd}}]"), Now: today})[0]
	if e.Label != Unknown || e.Reasons[0].Code != "policy_owner_unseen" {
		t.Errorf("%s %+v", e.Label, e.Reasons)
	}
}

func TestARedirectedPortIsAllowedForTheOwnerBehindIt(t *testing.T) {
	to := firewall.Delivery{Address: eth0Address, Port: 22}
	part := accepted(by(whatever))
	part.DeliveredTo = &to
	in := Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{}, Now: today,
		Policy: declared(t, "allow: [{port: 9000/tcp, owner: {process: sshd}}]"),
		Firewall: natFirewall{list: []firewall.Redirection{{First: 9000, Last: 9000, Address: to.Address, Port: to.Port}}, fakeFirewall: func(q firewall.Query) []firewall.Part {
			if q.Port != 9000 {
				return []firewall.Part{dropped(policyOf(inputDrop))}
			}
			return []firewall.Part{part}
		}}}
	if got := fmt.Sprint(show(Analyze(in))); got != "[22/tcp filtered owners=1 9000/tcp intentional owners=1]" {
		t.Error(got)
	}
}

// asserting answers one assertion about sshd on 0.0.0.0:22 whose IPv4 packets meet the
// parts, and whose IPv6 ones are dropped.
func asserting(t *testing.T, line string, unread []string, parts ...firewall.Part) Asserted {
	t.Helper()
	in := Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{}, Now: today, Unread: unread,
		Policy: declared(t, "assert:\n  - "+line+"\n"),
		Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part {
			if q.Destination.Is6() {
				p := dropped(policyOf(input6))
				p.Sources = firewall.Sources{Prefixes: []netip.Prefix{netip.MustParsePrefix("::/0")}}
				return []firewall.Part{p}
			}
			return parts
		})}
	return Assert(in)[0]
}

func TestAssertionsAreAnsweredForEverySource(t *testing.T) {
	lan := []firewall.Part{from(accepted(by(ssh)), "10.0.0.0/8"), from(dropped(policyOf(inputDrop)), "0.0.0.0/5", "11.0.0.0/8", "128.0.0.0/1")}
	butMartians := []firewall.Part{from(accepted(by(ssh)), "0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/4", "208.0.0.0/5", "216.0.0.0/6", "220.0.0.0/7", "222.0.0.0/7")}
	opaque := []firewall.Part{conditional(firewall.Unmodelled, by(ssh))}
	atTimes := []firewall.Part{conditional(firewall.Rate, by(ssh))}
	for _, c := range []struct {
		line  string
		parts []firewall.Part
		want  Outcome
		about string // the sources
		why   string
	}{
		{"22/tcp from 10.0.0.0/8: open", lan, Holds, "[]", ""},
		{"22/tcp from 10.20.0.0/16 via eth0: open", lan, Holds, "[]", ""},
		{"22/tcp from 10.0.0.0/7: open", lan, Fails, "[11.0.0.0/8]", "11.0.0.0/8: kept out by eth0: inet filter input: policy drop"},
		{"22/tcp from 11.0.0.0/8: closed", lan, Holds, "[]", ""},
		{"22/tcp from 10.0.0.0/7: closed", lan, Fails, "[10.0.0.0/8]", "10.0.0.0/8: let in by eth0: inet filter input rule 3: tcp dport 22 accept"},
		{"22/tcp from anywhere: closed", lan, Fails, "[10.0.0.0/8]", "10.0.0.0/8: let in"},
		{"22/tcp: closed", lan, Fails, "[10.0.0.0/8]", "10.0.0.0/8: let in"},
		{"22/tcp from 0.0.0.0/0: open", butMartians, Holds, "[]", ""},
		{"22/tcp from anywhere: open", butMartians, Fails, "", "anywhere in IPv6: kept out"},
		{"22/tcp from 2001:db8::/32: closed", lan, Holds, "[]", ""},
		{"22/tcp from 10.0.0.0/8 via eth7: closed", lan, Fails, "[]", "this host has no interface eth7"},
		{"23/tcp from 10.0.0.0/8: closed", lan, Holds, "[]", ""},
		{"23/tcp from 10.0.0.0/8: open", lan, Fails, "[10.0.0.0/8]", "no socket listens where the packet ends up"},
		{"23/tcp from 10.0.0.0/8: accepted", lan, Holds, "[]", ""},
		{"23/tcp from 10.0.0.0/8: blocked", lan, Fails, "[10.0.0.0/8]", "let in"},
		{"23/tcp from 192.0.2.0/24: blocked", lan, Holds, "[]", ""},
		{"22/tcp from 10.0.0.0/8: open", opaque, Undecided, "[10.0.0.0/8]", "can't be told by eth0: the condition"},
		{"22/tcp from 10.0.0.0/8: closed", opaque, Undecided, "[10.0.0.0/8]", "can't be told"},
		{"22/tcp from 10.0.0.0/8: open", atTimes, Holds, "[]", ""},
		{"22/tcp from 10.0.0.0/8: closed", atTimes, Fails, "[10.0.0.0/8]", "let in"},
		{"22/tcp from 10.0.0.0/8 to 203.0.113.7: open", lan, Holds, "[]", ""},
		{"20-24/tcp from 10.0.0.0/8: open", lan, Fails, "[10.0.0.0/8]", "no socket listens"},
	} {
		got := asserting(t, c.line, nil, c.parts...)
		if got.Outcome != c.want || c.about != "" && fmt.Sprint(got.Sources) != c.about || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: %s, about %v: %s\nwant %s, about %s: %s", c.line, got.Outcome, got.Sources, got.Why, c.want, c.about, c.why)
		}
	}
	if got := asserting(t, "22/tcp from 10.0.0.0/8: closed", []string{"nf_tables"}, dropped(policyOf(inputDrop))); got.Outcome != Undecided || !strings.Contains(got.Why, "nf_tables") {
		t.Errorf("half of the rules say closed: %s %s", got.Outcome, got.Why)
	}
}

func TestAnIPv6AddressOnTheLinkAloneAsksForNoIPv6(t *testing.T) {
	n := network()
	n.Addresses[3].Prefix = netip.MustParsePrefix("fe80::1/64")
	in := Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: n, Rules: &firewall.Ruleset{}, Policy: declared(t, "assert: ['22/tcp from anywhere: open']"),
		Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part { return []firewall.Part{accepted(by(ssh))} })}
	if got := Assert(in)[0]; got.Outcome != Holds {
		t.Errorf("%s: %s", got.Outcome, got.Why)
	}
}

// Docker's proxy holds the port for the container that the policy allows.
func TestWhomAProxyServesOwnsThePort(t *testing.T) {
	proxy := listeners.Process{PID: 7, Name: "docker-proxy", Executable: "/usr/bin/docker-proxy", Command: []string{"/usr/bin/docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "22", "-container-ip", "172.17.0.2", "-container-port", "80"}}
	nginx := listeners.Process{PID: 8, Name: "nginx", Container: listeners.Container{ID: "0123456789abcdef", Runtime: "docker", Image: "nginx:1.25"}}
	if !proxy.Proxies() {
		t.Fatal("docker-proxy is no proxy")
	}
	image := policy.Owner{Image: "nginx:*"}
	for _, c := range []struct {
		name string
		e    Exposure
		want policy.Match
	}{
		{"behind the proxy", Exposure{Owners: []listeners.Process{proxy}, Served: []Served{{Owners: []listeners.Process{nginx}}}}, policy.Fits},
		{"behind rules alone", Exposure{Served: []Served{{Owners: []listeners.Process{nginx}}}}, policy.Fits},
		{"somebody who is no proxy", Exposure{Owners: []listeners.Process{{PID: 9, Name: "nc"}}, Served: []Served{{Owners: []listeners.Process{nginx}}}}, policy.Differs},
		{"another one behind it too", Exposure{Owners: []listeners.Process{proxy}, Served: []Served{{Owners: []listeners.Process{nginx}}, {Owners: []listeners.Process{{PID: 9, Name: "nc"}}}}}, policy.Differs},
		{"perhaps others", Exposure{Owners: []listeners.Process{proxy}, Served: []Served{{Owners: []listeners.Process{nginx}, Unsure: true}}}, policy.Unsure},
		{"nobody knows behind it", Exposure{Owners: []listeners.Process{proxy}}, policy.Differs},
	} {
		if got := owned(image, &c.e); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
