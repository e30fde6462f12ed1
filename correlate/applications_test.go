package correlate

import (
	"slices"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

func TestWhatAnApplicationFirewallKeepsOutIsNotSure(t *testing.T) {
	in := Input{Applications: func(p listeners.Process) string {
		switch p.Executable {
		case "/allowed":
			return ""
		case "":
			return "not known"
		}
		return p.Executable + " is blocked"
	}}
	for _, c := range []struct {
		what       string
		owners     []string
		fate, want firewall.Fate
		conditions int
	}{
		{"an allowed program", []string{"/allowed"}, firewall.Accepted, firewall.Accepted, 0},
		{"a blocked one", []string{"/blocked"}, firewall.Accepted, firewall.Conditional, 1},
		{"one of two is blocked", []string{"/allowed", "/blocked"}, firewall.Accepted, firewall.Conditional, 1},
		{"two that are the same", []string{"/blocked", "/blocked"}, firewall.Accepted, firewall.Conditional, 1},
		{"no owner is known", nil, firewall.Accepted, firewall.Conditional, 1},
		{"what pf drops stays dropped", []string{"/blocked"}, firewall.Dropped, firewall.Dropped, 0},
		{"what isn't read stays unknown", []string{"/blocked"}, firewall.Undecided, firewall.Undecided, 0},
	} {
		e := &Exposure{Reach: []Reach{{Part: firewall.Part{Fate: c.fate}}}}
		for _, path := range c.owners {
			e.Owners = append(e.Owners, listeners.Process{Executable: path})
		}
		in.holdBack(e)
		got := e.Reach[0].Part
		if got.Fate != c.want || len(got.Conditions) != c.conditions {
			t.Errorf("%s: %+v", c.what, got)
		}
		if got.Fate == firewall.Conditional && !slices.Equal(got.Outcomes, []firewall.Fate{firewall.Accepted, firewall.Dropped}) {
			t.Errorf("%s: outcomes %v", c.what, got.Outcomes)
		}
	}
}
