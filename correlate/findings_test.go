package correlate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

func found(t *testing.T, text string, l listeners.Listener, parts ...firewall.Part) (out []string) {
	t.Helper()
	in := Input{Listeners: []listeners.Listener{l}, Network: network(), Rules: &firewall.Ruleset{}, Now: today, Policy: declared(t, text),
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return parts })}
	ports := Analyze(in)
	for _, f := range Findings(in, ports, Assert(in)) {
		out = append(out, fmt.Sprintf("%s %s %v", f.Severity, f.Kind, f.Counts()))
	}
	return out
}

func TestFindings(t *testing.T) {
	redis := listener("0.0.0.0", 4)
	redis.Port = 6379
	sshd := listener("0.0.0.0", 4)
	open := accepted(by(whatever))
	for _, c := range []struct {
		name, policy string
		l            listeners.Listener
		part         firewall.Part
		want         string
	}{
		{"everybody reaches it", "", sshd, open, "[high exposed true]"},
		{"everybody reaches what trusts its clients", "", redis, open, "[critical exposed true]"},
		{"private networks reach it", "", sshd, from(open, "10.0.0.0/8", "192.168.7.0/24"), "[medium exposed true]"},
		{"one address of somebody else's", "", sshd, from(open, "10.0.0.0/8", "198.51.100.1/32"), "[high exposed true]"},
		{"only the private ones are beyond the policy", "allow: [{port: 22/tcp, from: 198.51.100.1}]", sshd, from(open, "10.0.0.0/8", "198.51.100.1/32"), "[medium exposed true]"},
		{"meant", "allow: [{port: 22/tcp}]", sshd, open, "[]"},
		{"meant until yesterday", "allow: [{port: 22/tcp, until: 2026-05-31}]", sshd, open, "[high exposed true low expired true]"},
		{"suppressed", "suppress: [{port: 22/tcp, reason: x, until: 2026-06-01}]", sshd, open, "[high exposed false]"},
		{"another finding suppressed", "suppress: [{port: 22/tcp, finding: unknown, reason: x, until: 2026-06-01}]", sshd, open, "[high exposed true]"},
		{"suppressed until yesterday", "suppress: [{port: 22/tcp, reason: x, until: 2026-05-31}]", sshd, open, "[high exposed true low expired true]"},
		{"a rate limit", "", sshd, conditional(firewall.Rate, by(ssh)), "[low conditional true]"},
		{"what no reading settles", "", sshd, conditional(firewall.Unmodelled, by(ssh)), "[medium unknown true low conditional true]"},
		{"an assertion that fails", "assert: ['22/tcp: closed']", sshd, accepted(by(ssh)), "[high assertion true]"},
		{"an assertion without an answer", "assert: ['22/tcp: closed']\nallow: [{port: 22/tcp}]", sshd, conditional(firewall.Unmodelled, by(ssh)), "[medium unknown true low conditional true]"},
	} {
		if got := fmt.Sprint(found(t, c.policy, c.l, c.part)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestFingerprintsOutliveRestartsAndReorderings(t *testing.T) {
	prints := func(text string, pid int, order ...int) (out []string) {
		var all []listeners.Listener
		for _, port := range order {
			l := listener("0.0.0.0", 4)
			l.Port, l.Owners = uint16(port), []listeners.Process{{PID: pid + port, Name: "sshd", Executable: "/usr/sbin/sshd"}}
			all = append(all, l)
		}
		in := Input{Listeners: all, Network: network(), Rules: &firewall.Ruleset{}, Now: today, Policy: declared(t, text),
			Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return []firewall.Part{accepted(by(whatever))} })}
		for _, f := range Findings(in, Analyze(in), Assert(in)) {
			out = append(out, f.Fingerprint)
		}
		return out
	}
	before := prints("assert: ['22/tcp: closed', '23/tcp: closed']\n", 100, 22, 23)
	after := prints("# a comment\nassert:\n  - '23/tcp: closed'\n  - '22/tcp: closed'\n", 9000, 23, 22)
	if len(before) != 4 || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("before %v\nafter  %v", before, after)
	}
}

func TestSensitiveServicesHaveTheNamesThatPortsGet(t *testing.T) {
	for _, name := range sensitive {
		if len(ServicePorts(name)) == 0 {
			t.Errorf("no port is called %s", name)
		}
	}
}

func TestEveryKindOfFindingButExpiredCanBeSuppressed(t *testing.T) {
	for _, k := range Kinds {
		if slices.Contains(policy.Suppressible, string(k)) == (k == KindExpired) {
			t.Errorf("%s", k)
		}
	}
}

// The port of a baseline is known by its fingerprint: what reached it then may now.
func TestABaselineAcceptsNoMoreThanItHas(t *testing.T) {
	reached := func(parts ...firewall.Part) (Input, []Exposure) {
		in := Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{}, Now: today,
			Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return parts })}
		return in, Analyze(in)
	}
	open := accepted(by(whatever))
	for _, c := range []struct {
		name          string
		before, after []firewall.Part
		want          string
	}{
		{"the same", []firewall.Part{open}, []firewall.Part{open}, "[exposed false]"},
		{"fewer", []firewall.Part{open}, []firewall.Part{from(open, "10.0.0.0/8")}, "[exposed false]"},
		{"one address more", []firewall.Part{from(open, "10.0.0.0/8")}, []firewall.Part{from(open, "10.0.0.0/8", "192.0.2.1/32")}, "[exposed true new true]"},
		{"filtered then", []firewall.Part{dropped(policyOf(inputDrop))}, []firewall.Part{open}, "[exposed true new true]"},
		{"declared now, and wider", []firewall.Part{from(accepted(by(ssh)), "10.0.0.0/8")}, []firewall.Part{accepted(by(ssh))}, "[new true]"},
		{"no port at all then", nil, []firewall.Part{open}, "[exposed true new true]"},
	} {
		in, ports := reached(c.before...)
		known := &Snapshot{Ports: ports, Findings: map[string]bool{}}
		for _, f := range Findings(in, ports, nil) {
			known.Findings[f.Fingerprint] = true
		}
		if c.before == nil {
			known = &Snapshot{}
		}
		in, ports = reached(c.after...)
		var got []string
		compared, err := Compare(Findings(in, ports, nil), ports, known)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range compared {
			got = append(got, fmt.Sprintf("%s %v", f.Kind, f.Counts()))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}
