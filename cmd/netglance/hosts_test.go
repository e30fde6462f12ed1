package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/platform"
)

// netglance runs the command in this process.
func netglance(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return netglanceIn(t, openHost, args...)
}

func netglanceIn(t *testing.T, open func(string) (platform.Host, error), args ...string) (stdout, stderr string, code int) {
	t.Helper()
	version = "test"
	var out, errs bytes.Buffer
	code = run(context.Background(), args, world{
		in: strings.NewReader(""), out: &out, err: &errs, getenv: func(string) string { return "" },
		terminal: func() (int, bool) { return 0, false }, open: open,
	})
	return out.String(), errs.String(), code
}

// Everything that is said of the recorded hosts in testdata/hosts.
func TestRecordedHosts(t *testing.T) {
	recordings, err := filepath.Glob("../../testdata/hosts/*.ng")
	if err != nil || len(recordings) == 0 {
		t.Fatalf("no recorded hosts: %v", err)
	}
	for _, file := range recordings {
		name := strings.TrimSuffix(filepath.Base(file), ".ng")
		for output, args := range map[string]string{
			"firewall.txt":   "firewall -v",
			"firewall.json":  "firewall --json",
			"listeners.txt":  "listeners",
			"listeners.json": "listeners --json",
			"rules.txt":      "firewall rules",
			"rules.json":     "firewall rules --json",
		} {
			t.Run(name+"/"+output, func(t *testing.T) {
				out, errs, code := netglance(t, append(strings.Fields(args), "--host", file)...)
				if code != exitDone || errs != "" {
					t.Errorf("ended with %d, stderr %q", code, errs)
				}
				golden.Equal(t, name+"/"+output, []byte(out))
			})
		}
	}
}

func TestColorsOnlyOnATerminalThatWantsThem(t *testing.T) {
	for _, c := range []struct {
		name     string
		terminal bool
		env      map[string]string
		args     []string
		colored  bool
	}{
		{"a terminal", true, nil, nil, true},
		{"a file", false, nil, nil, false},
		{"NO_COLOR", true, map[string]string{"NO_COLOR": "1"}, nil, false},
		{"an empty NO_COLOR says nothing", true, map[string]string{"NO_COLOR": ""}, nil, true},
		{"--no-color", true, nil, []string{"--no-color"}, false},
		{"a dumb terminal", true, map[string]string{"TERM": "dumb"}, nil, false},
		{"JSON", true, nil, []string{"--json"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(context.Background(), append([]string{"firewall", "--host", "../../testdata/hosts/web-1.ng"}, c.args...), world{
				out: &out, err: io.Discard, getenv: func(k string) string { return c.env[k] },
				terminal: func() (int, bool) { return 100, c.terminal }, open: openHost,
			})
			if code != exitDone || strings.Contains(out.String(), "\x1b[") != c.colored {
				t.Errorf("ended with %d, colored %v, want %v:\n%q", code, !c.colored, c.colored, out.String())
			}
		})
	}
}
