package main

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/netglance/netglance/platform"
)

// A changedHost is a recorded one of which some answers are others: a text, or "!" for
// a refusal.
type changedHost struct {
	platform.Host
	output, nodes map[string]string
}

func (h changedHost) Output(command ...string) ([]byte, error) {
	text, changed := h.output[strings.Join(command, " ")]
	switch {
	case !changed:
		return h.Host.Output(command...)
	case text == "!":
		return nil, refused(command[0])
	}
	return []byte(text), nil
}

func (h changedHost) Sysctl(name string) ([]byte, error) {
	value, changed := h.nodes[name]
	switch {
	case !changed:
		return h.Host.Sysctl(name)
	case value == "!":
		return nil, fmt.Errorf("sysctl %s: %w", name, fs.ErrPermission)
	}
	return []byte(value), nil
}

// changed opens a recorded host with changes.
func changed(t *testing.T, name string, output, nodes map[string]string) func(string) (platform.Host, error) {
	t.Helper()
	recorded, err := platform.OpenRecording("../../testdata/hosts/" + name + ".ng")
	if err != nil {
		t.Fatal(err)
	}
	return func(string) (platform.Host, error) { return changedHost{recorded, output, nodes}, nil }
}

func TestAPfThatMayNotBeReadIsNotNoFirewall(t *testing.T) {
	for _, name := range []string{"mac-1", "free-1", "open-1"} {
		open := changed(t, name, map[string]string{"pfctl -s info": "!"}, nil)
		out, _, code := netglanceIn(t, open, "firewall", "--json")
		for port, label := range labels(t, out) {
			if label != "unknown" && label != "local" {
				t.Errorf("%s: %d is %s", name, port, label)
			}
		}
		if code != exitDone || !strings.Contains(out, "run it as root") {
			t.Errorf("%s ended with %d", name, code)
		}
		if _, errs, code := netglanceIn(t, open, "firewall", "--fail-on", "exposed"); code != exitUnread || !strings.Contains(errs, "pf") {
			t.Errorf("%s, asked to judge: ended with %d, %q", name, code, errs)
		}
	}
}

func TestAnotherPacketFilterOfFreeBSDIsNotForgotten(t *testing.T) {
	open := changed(t, "free-1", nil, map[string]string{"net.inet6.ip6.fw.enable": "\x01\x00\x00\x00"})
	out, _, _ := netglanceIn(t, open, "firewall", "--json")
	if got := labels(t, out); got[80] != "unknown" || !strings.Contains(out, "ipfw list") {
		t.Errorf("labels %v", got)
	}
	open = changed(t, "free-1", nil, map[string]string{"net.inet.ip.fw.enable": "\x00\x00\x00\x00"})
	if out, _, _ = netglanceIn(t, open, "firewall", "--json"); strings.Contains(out, "ipfw") {
		t.Error("an ipfw that is off counts as a filter")
	}
}

// A host that can't be recorded here is recorded again from its recording.
func TestRecordKeepsAllThatIsAsked(t *testing.T) {
	for _, name := range []string{"mac-1", "free-1", "open-1"} {
		host, err := platform.OpenRecording("../../testdata/hosts/" + name + ".ng")
		if err != nil {
			t.Fatal(err)
		}
		file := t.TempDir() + "/again.ng"
		_, errs, code := netglanceIn(t, func(string) (platform.Host, error) { return host, nil }, "record", file)
		if code != exitDone {
			t.Fatalf("%s: %d, %q", name, code, errs)
		}
		for _, args := range []string{"firewall -v", "listeners --json"} {
			want, _, _ := netglance(t, append(strings.Fields(args), "--host", "../../testdata/hosts/"+name+".ng")...)
			if got, _, _ := netglance(t, append(strings.Fields(args), "--host", file)...); got != want {
				t.Errorf("%s: %s says otherwise of the second recording:\n%s", name, args, got)
			}
		}
	}
}

// A Mac's pf is off as it is delivered.
func TestAPfThatIsOffLetsAllIn(t *testing.T) {
	off := map[string]string{"pfctl -s info": "Status: Disabled                              Debug: Urgent\n", "socketfilterfw --getglobalstate": "Firewall is disabled. (State = 0)\n"}
	out, _, code := netglanceIn(t, changed(t, "mac-1", off, nil), "firewall", "-v")
	if code != exitDone || !strings.Contains(out, "why: pf is disabled") || !strings.Contains(out, "turn pf on") || strings.Contains(out, "filtered ") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
	for _, line := range strings.Split(out, "\n") {
		words := strings.Fields(line)
		if len(words) > 1 && (words[1] == "7000/tcp" || words[1] == "3000/tcp") && words[0] != "exposed" {
			t.Errorf("%q", line)
		}
	}
	out, _, _ = netglanceIn(t, changed(t, "mac-1", map[string]string{"pfctl -s info": off["pfctl -s info"]}, nil), "firewall", "-p", "7000")
	if !strings.Contains(out, "exposed") {
		t.Errorf("behind it the application firewall lets the system's own programs in: %s", out)
	}
}
