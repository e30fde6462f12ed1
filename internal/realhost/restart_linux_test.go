package realhost

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
)

// After all daemons started anew, nothing changed but process ids: no difference,
// nothing new beside the baseline, and the same fingerprints in SARIF.
func TestARestartOfAllServicesIsNoChange(t *testing.T) {
	h := start(t, "web-1.nft")
	recording, report := filepath.Join(h.dir, "before.ng"), filepath.Join(h.dir, "before.json")
	h.run(netglance, "record", "-q", recording).ok(t)
	h.run(netglance, "firewall", "--format", "json="+report).ok(t)
	before := h.fingerprints(t)
	pids := h.run("pidof", "nginx", "redis-server", "sshd").ok(t)

	h.restart()

	if again := h.run("pidof", "nginx", "redis-server", "sshd").ok(t); again == pids {
		t.Fatalf("the daemons still have the process ids %s: nothing was restarted", pids)
	}
	for _, old := range []string{recording, report} {
		if r := h.run(netglance, "diff", old, "--fail-on", "any"); r.code != 0 {
			t.Errorf("diff %s ended with %d: %s%s", filepath.Base(old), r.code, r.stdout, r.stderr)
		}
		if r := h.run(netglance, "firewall", "--baseline", old, "--fail-on", "low"); r.code != 0 {
			t.Errorf("--baseline %s ended with %d: %s", filepath.Base(old), r.code, r.stderr)
		}
	}
	if after := h.fingerprints(t); len(before) == 0 || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("fingerprints before %v\nafter %v", before, after)
	}
}

// fingerprints are those of SARIF's results, in their order.
func (h *host) fingerprints(t *testing.T) (out []string) {
	t.Helper()
	var log struct {
		Runs []struct {
			Results []struct{ PartialFingerprints map[string]string }
		}
	}
	if err := json.Unmarshal([]byte(h.run(netglance, "firewall", "--format", "sarif").ok(t)), &log); err != nil {
		t.Fatal(err)
	}
	for _, r := range log.Runs[0].Results {
		out = append(out, r.PartialFingerprints["netglance/v1"])
	}
	return out
}
