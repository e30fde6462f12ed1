package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
)

// imageOf is a root directory with files by name; a content "-> target" is a link.
func imageOf(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func withSSHD(script string, more map[string]string) map[string]string {
	files := map[string]string{
		"usr/sbin/sshd": "", "etc/nftables.conf": script,
		"etc/systemd/system/sysinit.target.wants/nftables.service": "-> /lib/systemd/system/nftables.service",
		"etc/systemd/system/multi-user.target.wants/ssh.service":   "-> /lib/systemd/system/ssh.service",
	}
	for name, content := range more {
		files[name] = content
	}
	return files
}

// A kernel reads nft's scripts, with the image's own files for their includes: this
// machine's files are not looked at, and its rules stay as they are.
func TestScriptsOfAnImageAreLoadedElsewhere(t *testing.T) {
	kerneltest.Require(t)
	const head = "#!/usr/sbin/nft -f\nflush ruleset\n"
	outside := filepath.Join(t.TempDir(), "outside.nft")
	if err := os.WriteFile(outside, []byte("table inet open { chain c { type filter hook input priority -300; accept; }\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, script string
		more         map[string]string
		want         string
	}{
		{"a rule that names the port", head + "define admins = 10.0.0.0/8\ntable inet filter { chain input { type filter hook input priority 0; policy drop; ip saddr $admins tcp dport 22 accept; }\n}\n", nil,
			"intentional  22/tcp   ssh      sshd (ssh.service)  10.0.0.0/8"},
		{"included by a pattern", head + "include \"/etc/nftables.d/*.nft\" # all\n", map[string]string{"etc/nftables.d/a.nft": "table inet filter { chain input { type filter hook input priority 0; policy drop; }\n}\n", "etc/nftables.d/b.txt": "nonsense"},
			"filtered  22/tcp"},
		{"a file of this machine is not the image's", head + "include \"" + outside + "\"\ntable inet filter { chain input { type filter hook input priority 0; policy drop; }\n}\n", nil, "unknown  22/tcp"},
		{"an interface that the host will have", head + "table inet filter { chain input { type filter hook input priority 0; policy drop; iif eth0 tcp dport 22 accept; }\n}\n", nil, "intentional  22/tcp"},
		{"an interface that isn't there", head + "table inet filter { chain input { type filter hook input priority 0; iif nosuch0 accept; }\n}\n", nil, "unknown  22/tcp"},
		{"a mistake", head + "table inet filter { chain input { tpye filter } }\n", nil, "unknown  22/tcp"},
		{"files that include each other", "include \"/etc/nftables.conf\"\n", nil, "unknown  22/tcp"},
		{"an include in disguise", head + "include \\\n\"/etc/hostname\"\n", nil, "unknown  22/tcp"},
	} {
		out, errs, code := netglance(t, "firewall", "--root", imageOf(t, withSSHD(c.script, c.more)))
		if code != exitDone || !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(c.want), " ")) {
			t.Errorf("%s: ended with %d, %s\n%s", c.name, code, errs, out)
		}
	}
}
