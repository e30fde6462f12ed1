package correlate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// snapshotOf is one listener whose every way meets the same parts.
func snapshotOf(l []listeners.Listener, parts ...firewall.Part) *Snapshot {
	return &Snapshot{Complete: true, Ports: Analyze(Input{Listeners: l, Network: network(), Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(firewall.Query) []firewall.Part { return parts })})}
}

func changesOf(d Difference) (out []string) {
	for _, c := range d.Ports {
		line := fmt.Sprintf("%s %s", c.Change, portsName(*or(c.After, c.Before)))
		if len(c.Sources) > 0 {
			line += fmt.Sprint(" ", c.Sources)
		}
		out = append(out, line)
	}
	return out
}

func diff(t *testing.T, before, after *Snapshot) Difference {
	t.Helper()
	d, err := Diff(before, after)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func or(a, b *Exposure) *Exposure {
	if a != nil {
		return a
	}
	return b
}

func TestWhatChangedIsExact(t *testing.T) {
	one := func(change func(*listeners.Listener)) []listeners.Listener {
		l := listener("0.0.0.0", 4)
		if change != nil {
			change(&l)
		}
		return []listeners.Listener{l}
	}
	same := one(nil)
	restarted := one(func(l *listeners.Listener) {
		l.Owners = []listeners.Process{{PID: 9000, Name: "sshd", Executable: "/usr/sbin/sshd"}}
	})
	nginx := one(func(l *listeners.Listener) {
		l.Owners = []listeners.Process{{PID: 7, Name: "nginx", Executable: "/usr/sbin/nginx"}}
	})
	unseen := one(func(l *listeners.Listener) { l.Owners, l.OwnerGap = nil, "no permission" })
	on5 := one(func(l *listeners.Listener) { l.Address = eth0Address })
	open := accepted(by(ssh))
	lan, wider, moved := from(open, "10.0.0.0/8"), from(open, "10.0.0.0/8", "192.0.2.0/24"), from(open, "10.128.0.0/9", "192.0.2.0/24")
	unknown := conditional(firewall.Unmodelled, by(ssh))
	two := append(one(func(l *listeners.Listener) { l.Port = 23 }), same...)
	for _, c := range []struct {
		name          string
		before, after *Snapshot
		want          string
	}{
		{"a restart", snapshotOf(same, open), snapshotOf(restarted, open), "[]"},
		{"the order of the sockets", snapshotOf(two, open), snapshotOf([]listeners.Listener{two[1], two[0]}, open), "[]"},
		{"another program", snapshotOf(same, open), snapshotOf(nginx, open), "[owner 22/tcp]"},
		{"nobody could be seen: no change of owner", snapshotOf(same, open), snapshotOf(unseen, open), "[]"},
		{"a new port", snapshotOf(same, open), snapshotOf(two, open), "[opened 23/tcp]"},
		{"a port is gone", snapshotOf(two, open), snapshotOf(same, open), "[closed 23/tcp]"},
		{"a new port that nobody reaches", snapshotOf(same, dropped(policyOf(inputDrop))), snapshotOf(two, dropped(policyOf(inputDrop))), "[started 23/tcp]"},
		{"such a port is gone", snapshotOf(two, dropped(policyOf(inputDrop))), snapshotOf(same, dropped(policyOf(inputDrop))), "[stopped 23/tcp]"},
		{"a resolver's port, which is another each time", snapshotOf(same, open), snapshotOf(append(one(func(l *listeners.Listener) { l.Protocol, l.Port, l.Role = "udp", 40001, listeners.ProbableClient }), same...), open), "[]"},
		{"bound elsewhere", snapshotOf(same, open), snapshotOf(on5, open), "[bound 22/tcp]"},
		{"more sources", snapshotOf(same, lan), snapshotOf(same, wider), "[widened 22/tcp [192.0.2.0/24]]"},
		{"fewer sources", snapshotOf(same, wider), snapshotOf(same, lan), "[narrowed 22/tcp [192.0.2.0/24]]"},
		{"other sources", snapshotOf(same, lan), snapshotOf(same, moved), "[widened 22/tcp [192.0.2.0/24] narrowed 22/tcp [10.0.0.0/9]]"},
		{"the same sources by another rule", snapshotOf(same, accepted(by(alsoSSH()))), snapshotOf(same, accepted(by(ssh))), "[]"},
		{"declared no more", snapshotOf(same, accepted(by(ssh))), snapshotOf(same, accepted(by(whatever))), "[label 22/tcp]"},
		{"it can't be told any more", snapshotOf(same, open), snapshotOf(same, unknown), "[unsettled 22/tcp [0.0.0.0/0]]"},
		{"it can be told again, and is closed", snapshotOf(same, unknown), snapshotOf(same, dropped(policyOf(inputDrop))), "[settled 22/tcp [0.0.0.0/0]]"},
	} {
		if got := fmt.Sprint(changesOf(diff(t, c.before, c.after))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// alsoSSH is a second rule that names the port.
func alsoSSH() *firewall.Rule {
	return rule(inputDrop, 8, "tcp dport 22 counter accept", equals(dport, number(22)), accept)
}

func TestRulesAreAddedRemovedAndMoved(t *testing.T) {
	for _, c := range []struct{ name, before, after, want string }{
		{"nothing", "a b c", "a b c", ""},
		{"added at the top", "a b c", "x a b c", "added x 0>1"},
		{"removed", "a b c", "a c", "removed b 2>0"},
		{"the last to the top", "a b c d", "d a b c", "moved d 4>1"},
		{"two swapped", "a b", "b a", "moved a 1>2"},
		{"one of two that are the same", "a a b", "a b", "removed a 2>0"},
		{"one more of the same", "a b", "a b a", "added a 0>3"},
		{"changed", "a b c", "a B c", "added B 0>2, removed b 2>0"},
		{"all new", "a", "b", "added b 0>1, removed a 1>0"},
		{"from nothing", "", "a b", "added a 0>1, added b 0>2"},
	} {
		got := ""
		for i, r := range chainChanges("c", fields(c.before), fields(c.after)) {
			if i > 0 {
				got += ", "
			}
			got += fmt.Sprintf("%s %s %d>%d", r.Kind, r.Text, r.Before, r.After)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func fields(s string) (out []string) {
	for _, r := range s {
		if r != ' ' {
			out = append(out, string(r))
		}
	}
	return out
}

func TestChainsComeAndGo(t *testing.T) {
	before := []ChainRules{{Name: "a", Base: "policy accept", Rules: []string{"x"}}, {Name: "b"}}
	after := []ChainRules{{Name: "a", Base: "policy drop", Rules: []string{"x"}}, {Name: "c", Rules: []string{"y"}}}
	var got []string
	for _, r := range diffRules(before, after) {
		got = append(got, r.Chain+" "+r.Kind+" "+r.Text)
	}
	want := []string{"a chain changed from policy accept to policy drop", "b chain removed ", "c chain added ", "c added y"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Rules that change nothing are told so, and those that open a port where nobody
// listens are told too: whoever starts there tomorrow is reached.
func TestChangedRulesThatChangeNoAnswer(t *testing.T) {
	row := func(first, last uint16, part firewall.Part) Exposure {
		e := Exposure{Protocol: "tcp", Port: first, LastPort: last, Reach: []Reach{{Interface: "eth0", Family: 4, Part: part}}}
		if first == last {
			e.LastPort = 0
		}
		return e
	}
	shut, open := dropped(policyOf(inputDrop)), accepted(by(ssh))
	snapshot := func(text string, every ...Exposure) *Snapshot {
		return &Snapshot{Complete: true, Ports: []Exposure{row(22, 22, open)}, Rules: []ChainRules{{Name: "c", Rules: []string{text}}}, EveryPort: func() []Exposure { return every }}
	}
	before := snapshot("a", row(1, 21, shut), row(22, 22, open), row(23, 65535, shut))
	for _, c := range []struct {
		name  string
		after *Snapshot
		want  string
	}{
		{"split otherwise", snapshot("b", row(1, 21, shut), row(22, 22, open), row(23, 1000, shut), row(1001, 65535, shut)), "[]"},
		{"a port opened", snapshot("b", row(1, 21, shut), row(22, 22, open), row(23, 99, shut), row(100, 110, open), row(111, 65535, shut)), "[100-110/tcp]"},
		{"around the one that has a row", snapshot("b", row(1, 20, shut), row(21, 23, from(open, "10.0.0.0/8")), row(24, 65535, shut)), "[21/tcp 23/tcp]"},
		{"the last port", snapshot("b", row(1, 21, shut), row(22, 22, open), row(23, 65534, shut), row(65535, 65535, open)), "[65535/tcp]"},
	} {
		d := diff(t, before, c.after)
		if fmt.Sprint(d.OtherPorts) != c.want || !d.AnswersKnown || len(d.Rules) != 2 {
			t.Errorf("%s: %v, known: %v, rules %v", c.name, d.OtherPorts, d.AnswersKnown, d.Rules)
		}
	}
}
