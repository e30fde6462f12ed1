package realhost

import (
	"slices"
	"strings"
	"testing"
)

// Nobody sees that ports are open; who owns them and what the rules are is
// unknown, never absent.
func TestWithoutPrivilegeNothingIsGuessed(t *testing.T) {
	h := start(t, "web-1.nft")

	r := h.runAs("nobody", netglance, "firewall", "--json")
	a := parse(t, r.stdout)
	if r.code != 0 || a.Complete {
		t.Errorf("ended with %d, complete %v: %s", r.code, a.Complete, r.stderr)
	}
	if len(a.Ports) != 8 {
		t.Errorf("%d ports, want all 8", len(a.Ports))
	}
	for _, p := range a.Ports {
		want := "unknown"
		if p.Port == 5432 {
			want = "local"
		}
		if p.Label != want || p.Owners != nil {
			t.Errorf("%s is %s with owners %v, want %s and null", p.name(), p.Label, p.Owners, want)
		}
	}
	for _, source := range []string{"nf_tables", "/proc/PID/fd"} {
		at := slices.IndexFunc(a.Gaps, func(g struct{ Source, Reason, Hint string }) bool { return g.Source == source })
		if at < 0 || !strings.Contains(a.Gaps[at].Hint, "root") {
			t.Errorf("no gap for %s that says to be root: %+v", source, a.Gaps)
		}
	}

	text := h.runAs("nobody", netglance, "firewall")
	if text.code != 0 || !strings.Contains(text.stdout, "7 unknown, 1 local") || !strings.Contains(text.stdout, "run it as root") {
		t.Errorf("ended with %d:\n%s", text.code, text.stdout)
	}
	for _, row := range columns(text.stdout) {
		if len(row) > 3 && row[0] == "unknown" && (row[3] != "unknown" || row[4] != "unknown") {
			t.Errorf("owner and reach of the row %q", row)
		}
	}
	for _, lie := range []string{"no firewall", "policy accept", "anywhere", "Nothing was left unread"} {
		if strings.Contains(text.stdout, lie) {
			t.Errorf("it says %q:\n%s", lie, text.stdout)
		}
	}

	for _, c := range []struct {
		command string
		code    int
		says    string
	}{
		{"firewall --fail-on exposed", 3, "not enough could be read to judge"},
		{"firewall --fail-on unknown", 1, "7 findings to act on"},
		{"firewall --fail-on exposed -p 5432", 0, ""},
		{"firewall rules", 0, "no permission to read the rules"},
		{"firewall explain 22/tcp --from 10.1.2.3", 0, "no permission to read the rules"},
		{"listeners", 0, "owners are unknown"},
	} {
		r := h.runAs("nobody", append([]string{netglance}, strings.Fields(c.command)...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%s ended with %d, want %d and %q: %s", c.command, r.code, c.code, c.says, r.stderr)
		}
	}
	if r := h.runAs("nobody", netglance, "firewall", "explain", "22/tcp", "--from", "10.1.2.3"); !strings.Contains(r.stdout, ": unknown") {
		t.Errorf("explain guesses: %s", r.stdout)
	}
}
