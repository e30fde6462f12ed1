package alf

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// socketfilterfw prints a text for each option.
type socketfilterfw map[string]string

func (h socketfilterfw) Output(command ...string) ([]byte, error) {
	if text, ok := h[command[1]]; ok && command[0] == "socketfilterfw" {
		return []byte(text), nil
	}
	return nil, fmt.Errorf("%s: %w", command[0], fs.ErrPermission)
}

func switchedOn() socketfilterfw {
	return socketfilterfw{
		"--getglobalstate": "Firewall is enabled. (State = 1) \n",
		"--getblockall":    "Firewall has block all state set to disabled. \n",
		"--getallowsigned": "Automatically allow built-in signed software ENABLED. \nAutomatically allow downloaded signed software DISABLED. \n",
		"--listapps": "Total number of apps = 3 \n\n1 : /usr/sbin/blocked \n             (Block incoming connections) \n\n" +
			"2 : /Applications/My Browser.app \n             ( Allow incoming connections ) \n\n3 : /opt/bin/node \n",
	}
}

func TestWhatTheApplicationFirewallKeepsOut(t *testing.T) {
	for _, c := range []struct {
		what             string
		change           func(socketfilterfw)
		executable, want string // part of the condition; empty if it is let in
	}{
		{"off, as by default", func(h socketfilterfw) { h["--getglobalstate"] = "Firewall is disabled. (State = 0)" }, "/opt/bin/other", ""},
		{"nothing listed, of the system", nil, "/usr/libexec/rapportd", ""},
		{"a system's own that is blocked", nil, "/usr/sbin/blocked", "is set to block /usr/sbin/blocked"},
		{"in a bundle that is allowed", nil, "/Applications/My Browser.app/Contents/MacOS/My Browser", ""},
		{"beside a bundle of like name", nil, "/Applications/My Browser.app2/x", "no rule"},
		{"listed without a word", nil, "/opt/bin/node", "no rule"},
		{"nothing listed", nil, "/opt/bin/other", "no rule for /opt/bin/other"},
		{"in a directory of that name elsewhere", nil, "/opt/usr/sbin/x", "no rule"},
		{"/usr/local is not the system's", nil, "/usr/local/bin/x", "no rule"},
		{"not known", nil, "", "isn't known"},
		{"all blocked", func(h socketfilterfw) { h["--getblockall"] = "Firewall has block all state set to enabled." }, "/Applications/My Browser.app/x", "blocks all"},
		{"all blocked, in older words", func(h socketfilterfw) {
			h["--getblockall"] = "Firewall is set to block all non-essential incoming connections"
		}, "/usr/sbin/x", "blocks all"},
		{"all blocked, by its state", func(h socketfilterfw) { h["--getglobalstate"] = "Firewall is blocking. (State = 2)" }, "/usr/sbin/x", "blocks all"},
		{"signed software of others allowed", func(h socketfilterfw) { h["--getallowsigned"] = "Automatically allow signed software ENABLED." }, "/opt/bin/other", "if it is signed"},
		{"built-in software not allowed", func(h socketfilterfw) { h["--getallowsigned"] = "" }, "/usr/libexec/rapportd", "no rule"},
	} {
		h := switchedOn()
		if c.change != nil {
			c.change(h)
		}
		f, found := Read(h)
		if f == nil {
			t.Errorf("%s: gaps %+v", c.what, found)
			continue
		}
		if got := f.Condition(c.executable); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestSettingsThatCouldNotBeReadAreNotOff(t *testing.T) {
	for option := range switchedOn() {
		h := switchedOn()
		delete(h, option)
		if f, found := Read(h); f != nil || len(found) != 1 || found[0].Hint == "" {
			t.Errorf("without %s: %+v, gaps %+v", option, f, found)
		}
	}
	h := switchedOn()
	h["--getglobalstate"] = "no idea"
	if f, found := Read(h); f != nil || len(found) != 1 {
		t.Errorf("an unknown state: %+v, gaps %+v", f, found)
	}
}

// What a Mac printed.
func TestSettingsAsSeenInTheWild(t *testing.T) {
	text, err := os.ReadFile("../../../shared/corpora/pf/pf-captures/vigil-fixture-macos.socketfilterfw.txt")
	if err != nil {
		t.Skip("no corpus of captures beside the repository")
	}
	h := socketfilterfw{}
	for option := range switchedOn() {
		h[option] = string(text)
	}
	f, found := Read(h)
	if f == nil {
		t.Fatalf("gaps %+v", found)
	}
	want := "[{/usr/sbin/cupsd true} {/Applications/Google Chrome.app true} {/usr/local/bin/node false}]"
	if !f.On || !f.AllowBuiltIn || f.AllowSigned || fmt.Sprint(f.Programs) != want {
		t.Errorf("%+v", f)
	}
}

func FuzzPrograms(f *testing.F) {
	f.Add(switchedOn()["--listapps"])
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range parsePrograms(text) {
			if p.Path == "" {
				t.Error("a program without a path")
			}
		}
	})
}
