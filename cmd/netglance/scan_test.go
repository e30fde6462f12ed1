package main

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netglance/netglance/scan"
)

// scanWorld is a host with one network, from which no packet may be sent.
func scanWorld(t *testing.T, out, err *bytes.Buffer) world {
	t.Helper()
	w := system()
	w.out, w.err = out, err
	state := t.TempDir()
	w.getenv = func(name string) string { return map[string]string{"XDG_STATE_HOME": state}[name] }
	w.scanner = func() (*scan.Scanner, error) {
		return &scan.Scanner{
			RawTCP:      func() (scan.RawTCP, error) { t.Error("SYNs would have been sent"); return nil, os.ErrPermission },
			Connections: func() (scan.Connections, error) { t.Error("it would have connected"); return nil, os.ErrPermission },
			Datagrams: func() (scan.Datagrams, error) {
				t.Error("datagrams would have been sent")
				return nil, os.ErrPermission
			},
			Interfaces: []scan.Interface{{Name: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/28")}}},
		}, nil
	}
	return w
}

// What a scan refuses, before it sends a packet.
func TestScansThatAreRefused(t *testing.T) {
	list := filepath.Join(t.TempDir(), "targets.txt")
	if err := os.WriteFile(list, []byte("# the office\n10.1.2.3\n\n198.51.100.7  # somebody else's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"a stranger's host":                     {[]string{"198.51.100.1"}, "198.51.100.1 is neither private nor in one of this host's networks"},
		"a range that leaves a private network": {[]string{"10.255.255.255-11.0.0.1"}, "neither private nor"},
		"a network wider than the own one":      {[]string{"203.0.113.0/24"}, "203.0.113.0/24 is neither private nor"},
		"a stranger in a file":                  {[]string{"--targets", list}, "198.51.100.7 is neither private"},
		"a file that there isn't":               {[]string{"--targets", list + ".old"}, "no such file"},
		"a network that takes for ever":         {[]string{"10.0.0.0/8"}, "more than a million addresses"},
		"an IPv6 network":                       {[]string{"fd00::/64"}, "of IPv6 name single addresses"},
		"many networks":                         {[]string{"10.0.0.0/13", "10.8.0.0/13", "10.16.0.0/13"}, "more than a million addresses"},
		"ports from high to low":                {[]string{"10.0.0.1", "-p", "80-22"}, `"80-22" is no port, no range of ports and no service`},
		"port 0":                                {[]string{"10.0.0.1", "-p", "0"}, `"0" is no port`},
		"ports and the most common ones":        {[]string{"10.0.0.1", "-p", "22", "--top", "10"}, "--ports and --top exclude each other"},
		"a negative rate":                       {[]string{"10.0.0.1", "--rate", "-5"}, "use a positive number"},
		"the other family":                      {[]string{"10.0.0.1", "-6"}, "no target has an address of the family"},
		"an empty list":                         {[]string{"--targets", os.DevNull}, "no target"},
		"a recording that isn't there":          {[]string{"10.0.0.1", "--expect", list + ".ng"}, "no such file"},
		"a recording of this host":              {[]string{"--expect", "../../testdata/hosts/web-1.ng"}, "--expect needs a target"},
		"changes since nothing":                 {[]string{"10.0.0.1", "--diff"}, "no scan of these targets was saved"},
		"a recorded host":                       {[]string{"--host", "../../testdata/hosts/web-1.ng"}, "a recorded host answers no packets"},
		"another command's format":              {[]string{"10.0.0.1", "--format", "sarif"}, "no such format"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, err bytes.Buffer
			code := run(context.Background(), append([]string{"scan"}, c.args...), scanWorld(t, &out, &err))
			if code != exitUsage || out.Len() > 0 || !strings.Contains(err.String(), c.says) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %q", code, out.String(), err.String(), c.says)
			}
		})
	}
}
