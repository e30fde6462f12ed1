package listeners

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// statLine is a /proc/PID/stat whose field 22 is the start.
func statLine(pid int, name string, start int) string {
	return fmt.Sprintf("%d (%s) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %d 16384 200 18446744073709551615\n", pid, name, start)
}

func TestStatOfProcessesWithHostileNames(t *testing.T) {
	for _, name := range []string{"sshd", "a b", ") R 1 2 3 (", "((", "\x1b[31m", ""} {
		var p Process
		start, ok := parseStat([]byte(statLine(9, name, 1234)), &p)
		if !ok || p.Name != name || start != 12340*time.Millisecond {
			t.Errorf("%q: name %q, start %s, ok %t", name, p.Name, start, ok)
		}
	}
	for _, text := range []string{"", "9", "9 (a", "9 a) S", "9 (a) S 1", "9 (a) " + strings.Repeat("x ", 30),
		strings.Replace(statLine(9, "a", 77), " 77 ", " -77 ", 1), strings.Replace(statLine(9, "a", 77), " 77 ", " 9223372036854775807 ", 1)} {
		if _, ok := parseStat([]byte(text), &Process{}); ok {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestEffectiveUIDOfStatus(t *testing.T) {
	for text, want := range map[string]uint32{
		"Name:\tnginx\nUmask:\t0022\nUid:\t0\t33\t0\t33\nGid:\t0\t0\t0\t0\n": 33,
		"Name:\tUid:\t7\nUid:\t1\t2\t3\t4\n":                                 2,
		"Name:\tx\nUid:\t4294967295\t4294967294\t0\t0":                       4294967294,
	} {
		if uid, ok := parseStatusUID([]byte(text)); !ok || uid != want {
			t.Errorf("%q: uid %d %t, want %d", text, uid, ok, want)
		}
	}
	for _, text := range []string{"", "Uid:\t1\t2\n", "x\nUid:\t1\n", "x\nUid:\t1\t-2\n"} {
		if uid, ok := parseStatusUID([]byte(text)); ok {
			t.Errorf("%q: uid %d", text, uid)
		}
	}
}

func TestCommandLines(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                    nil,
		"\x00\x00":                            nil,
		"/usr/sbin/sshd\x00-D\x00":            {"/usr/sbin/sshd", "-D"},
		"a\x00\x00b\x00":                      {"a", "", "b"},
		"nginx: worker process\x00\x00\x00":   {"nginx: worker process"},
		"no end":                              {"no end"},
		strings.Repeat("x", maxCommandLine+9): {strings.Repeat("x", maxCommandLine)},
	} {
		if got := parseCommandLine([]byte(text)); !reflect.DeepEqual(got, want) {
			t.Errorf("%.40q: %.80q, want %.80q", text, got, want)
		}
	}
}

func TestBootTime(t *testing.T) {
	if got, err := parseBootTime([]byte("cpu 1 2 3\nintr 5\nbtime 1700000000\nprocesses 7\n")); err != nil || got != 1700000000 {
		t.Errorf("%d, %v", got, err)
	}
	for _, text := range []string{"", "cpu 1", "cpu 1\nbtime x\n", "cpu 1\nbtime 99999999999999\n"} {
		if _, err := parseBootTime([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestExecutables(t *testing.T) {
	const self = "/proc/5/root"
	for _, c := range []struct {
		name, link string
		files      []string
		want       Process
	}{
		{"as started", "/usr/sbin/nginx", []string{self + "/usr/sbin/nginx"}, Process{Executable: "/usr/sbin/nginx"}},
		{"deleted", "/tmp/x (deleted)", nil, Process{Executable: "/tmp/x", Deleted: true}},
		{"replaced by an update", "/usr/sbin/nginx (deleted)", []string{self + "/usr/sbin/nginx"}, Process{Executable: "/usr/sbin/nginx", Deleted: true, Replaced: true}},
		{"called so", "/tmp/x (deleted)", []string{self + "/tmp/x (deleted)"}, Process{Executable: "/tmp/x (deleted)"}},
		{"from memory", "/memfd:payload (deleted)", nil, Process{Executable: "/memfd:payload", Deleted: true}},
		{"not permitted", "", nil, Process{}},
	} {
		h := &fakeHost{files: map[string]string{}, links: map[string]string{}}
		if c.link != "" {
			h.links["/proc/5/exe"] = c.link
		}
		for _, file := range c.files {
			h.files[file] = ""
		}
		var p Process
		readExecutable(h, "/proc/5", &p)
		if !reflect.DeepEqual(p, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, p, c.want)
		}
	}
}

func TestAProcessInAllItsParts(t *testing.T) {
	h := &fakeHost{
		files: map[string]string{
			"/proc/5/stat":    statLine(5, "nginx", 100),
			"/proc/5/status":  "Name:\tnginx\nUid:\t33\t33\t33\t33\n",
			"/proc/5/cmdline": "nginx: worker process\x00",
			"/proc/5/cgroup":  "0::/system.slice/nginx.service\n",
			"/proc/stat":      "cpu 1\nbtime 1700000000\n",
			"/etc/passwd":     "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n",
		},
		links: map[string]string{"/proc/5/exe": "/usr/sbin/nginx"},
	}
	got := readOwners(h, []int{5, 6})
	want := Process{
		PID: 5, Name: "nginx", Executable: "/usr/sbin/nginx", Command: []string{"nginx: worker process"},
		UID: 33, User: "www-data", Started: time.Unix(1700000001, 0).UTC(),
		Unit: "nginx.service", Slice: "system.slice",
	}
	if got[6] != nil {
		t.Errorf("process 6, which is gone, is %+v", got[6])
	}
	if got[5] == nil || !reflect.DeepEqual(*got[5], want) {
		t.Errorf("got %+v\nwant %+v", got[5], want)
	}
}

func TestPasswd(t *testing.T) {
	users := parsePasswd([]byte("root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\n#web:x:8:8::/:\n+::::::\nbad\nx:x:-1:0::/:\nredis:x:110:118::/var/lib/redis:/usr/sbin/nologin"))
	want := map[uint32]string{0: "root", 110: "redis"}
	if !reflect.DeepEqual(users, want) {
		t.Errorf("%v, want %v", users, want)
	}
}
