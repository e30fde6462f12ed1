package realhost

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestVerifyTouchesOnlyItsOwnNamespace: a thread that has left for a namespace of
// its own may do what it likes to links, rules and sockets, and nothing else; all
// others only read.
func TestVerifyTouchesOnlyItsOwnNamespace(t *testing.T) {
	h := start(t, "web-1.nft")
	before := h.state(t)
	threads, r := h.tracedThreads(t, netglance, "firewall", "verify", "--fail-on", "conflict")
	if r.code != 0 || !strings.Contains(r.stdout, "the kernel agrees with all") {
		t.Errorf("ended with %d: %s%s", r.code, r.stderr, r.stdout)
	}
	left := 0
	var outside, inside trace
	for _, calls := range threads {
		at := slices.IndexFunc(calls, leaves)
		if at < 0 {
			outside = append(outside, calls...)
			continue
		}
		left++
		outside = append(outside, calls[:at]...)
		inside = append(inside, calls[at+1:]...)
	}
	if left == 0 {
		t.Fatal("no thread is seen to leave for a namespace of its own")
	}
	for _, c := range outside.changes("") {
		t.Error(c)
	}
	own, host := inside.sockets(), outside.netlinkSockets()
	probes := 0
	for _, c := range inside {
		if why := c.changeInside(own, host); why != "" {
			t.Errorf("in the namespace: %s: %s(%.200s)", why, c.name, c.arguments)
		}
		if c.name == "write" && strings.Contains(c.arguments, "</dev/net/tun") {
			probes++
		}
	}
	if probes < 100 {
		t.Errorf("%d probes seen: the trace shows too little", probes)
	}
	if after := h.state(t); !slices.Equal(before, after) {
		t.Error("the host is not what it was")
	}
}

// leaves says that a call takes the thread into a new network namespace, CLONE_NEWNET.
func leaves(c call) bool {
	return c.name == "unshare" && strings.HasPrefix(c.arguments, "0x40000000") && c.result == "0"
}

// sockets are the inodes of the sockets that were opened.
func (calls trace) sockets() map[string]bool {
	own := map[string]bool{}
	for _, c := range calls {
		if made := socketInode.FindStringSubmatch(c.result); c.name == "socket" && made != nil {
			own[made[1]] = true
		}
	}
	return own
}

// changeInside says what a call inside could change outside. The host's own netlink
// sockets may still be asked.
func (c call) changeInside(own map[string]bool, host map[string]uint64) string {
	ours := strings.Contains(c.arguments, "</dev/net/tun") || strings.Contains(c.arguments, "</proc/sys/net/")
	if at := socketInode.FindStringSubmatch(c.arguments); at != nil {
		ours = own[at[1]]
		if _, known := host[at[1]]; known {
			return c.change("", 0, host)
		}
	}
	switch c.name {
	case "socket", "sched_setaffinity", "getcpu", "setfsuid", "epoll_create1", "fcntl":
		return ""
	case "bind", "listen", "connect", "setsockopt", "sendto", "ioctl", "write":
		if !ours && !strings.Contains(c.arguments, "<anon_inode:[eventfd]>") {
			return "works on what is not the namespace's"
		}
		return ""
	case "openat":
		if strings.Contains(c.arguments, `"/proc/sys/net/`) || strings.Contains(c.arguments, `"/dev/net/tun"`) {
			return ""
		}
	case "unshare", "setns":
		return "leaves the namespace"
	}
	return c.change("", 0, host)
}

// withTUN runs a command on the host as nobody, where /dev/net/tun has the mode.
func (h *host) withTUN(mode string, command ...string) result {
	h.t.Helper()
	const script = `d=$(mktemp -d) && mount -t tmpfs -o mode=755 none "$d" && mknod "$d/tun" c 10 200 && chmod "$1" "$d/tun" &&
		mount --bind "$d/tun" /dev/net/tun && shift && exec setpriv --reuid nobody --regid nogroup --clear-groups -- "$@"`
	return h.run(append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", mode}, command...)...)
}

func TestVerifyNeedsNoRootForARecordedHost(t *testing.T) {
	h := start(t, "web-1.nft")
	recording := filepath.Join(h.dir, "web-1.ng")
	if r := h.run(netglance, "record", recording); r.code != 0 {
		t.Fatalf("ended with %d: %s", r.code, r.stderr)
	}
	h.run("chmod", "644", recording).ok(t)
	r := h.withTUN("666", netglance, "firewall", "verify", "--host", recording, "--fail-on", "conflict")
	if strings.Contains(r.stderr, "user namespace") {
		t.Skipf("this machine lets no user make a namespace: %s", r.stderr)
	}
	if r.code != 0 || !strings.Contains(r.stdout, "the kernel agrees with all") {
		t.Errorf("ended with %d: %s%s", r.code, r.stderr, r.stdout)
	}
	r = h.withTUN("600", netglance, "firewall", "verify", "--host", recording)
	if r.code != 3 || r.stdout != "" || !strings.Contains(r.stderr, "/dev/net/tun") || !strings.Contains(r.stderr, "run it as root") {
		t.Errorf("without a TUN device it ended with %d: %s%s", r.code, r.stderr, r.stdout)
	}
	r = h.withTUN("666", netglance, "firewall", "verify")
	if r.code != 3 || r.stdout != "" || !strings.Contains(r.stderr, "could not be read") {
		t.Errorf("with rules unread it ended with %d: %s%s", r.code, r.stderr, r.stdout)
	}
}
