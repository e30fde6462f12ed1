package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// policyFile writes a policy for a test.
func policyFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "netglance.yaml")
	if err := os.WriteFile(name, []byte("version: 1\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Whoever asks for a judgement and can't have one gets 3: never 0, and no finding that isn't one.
func TestCouldNotLookIsNeverAPass(t *testing.T) {
	noRules := func(h *lockedHost) { h.netlink[netfilter] = refused("nf_tables") }
	everything := policyFile(t, "allow: [{port: 1-65535/tcp}]\n")
	closed := policyFile(t, "assert: ['6380/tcp: blocked']\n")
	byOwner := policyFile(t, "allow: [{port: 1-65535/tcp, owner: {process: '*'}}]\n")
	suppressed := policyFile(t, "suppress: [{port: 1-65535/tcp, reason: x, until: 2999-01-01}]\n")
	report := filepath.Join(t.TempDir(), "report.json")
	out, _, _ := netglanceIn(t, locked(t, noRules), "firewall", "--json")
	if err := os.WriteFile(report, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		lock func(*lockedHost)
		args []string
	}{
		{"the rules, and a policy that allows everything", noRules, []string{"firewall", "--policy", everything}},
		{"the rules, and only a severity asked for", noRules, []string{"firewall", "--fail-on", "critical"}},
		{"the rules, and a baseline that lacked them too", noRules, []string{"firewall", "--fail-on", "exposed,new", "--baseline", report}},
		{"the rules, and every finding suppressed", noRules, []string{"firewall", "--policy", suppressed}},
		{"the rules, and an assertion", noRules, []string{"policy", "test", closed}},
		{"the rules, and an assertion among other things", noRules, []string{"firewall", "--policy", closed, "--fail-on", "assertion"}},
		{"the owners, by whom the policy allows it", func(h *lockedHost) { h.holders = refused("/proc") }, []string{"firewall", "--policy", byOwner}},
		{"one table of sockets of several", func(h *lockedHost) {
			h.netlink[sockDiag] = refused("sock_diag")
			h.files["/proc/net/udp"] = refused("udp")
		}, []string{"firewall", "--fail-on", "critical", "-p", "22"}},
		{"the interfaces", func(h *lockedHost) { h.netlink[route] = refused("rtnetlink") }, []string{"policy", "test", closed}},
	} {
		if _, errs, code := netglanceIn(t, locked(t, c.lock), c.args...); code != exitUnread {
			t.Errorf("%s: ended with %d, want 3: %s", c.name, code, errs)
		}
	}
}

// A table of sockets that can't be read hides listeners, not the rules about those that were seen.
func TestWhatIsFoundIsToldBeforeWhatIsUnread(t *testing.T) {
	_, errs, code := netglanceIn(t, locked(t, func(h *lockedHost) { h.holders = refused("/proc") }), "firewall", "--fail-on", "exposed")
	if code != exitFound || !strings.Contains(errs, "6379/tcp") {
		t.Errorf("ended with %d, %q", code, errs)
	}
}
