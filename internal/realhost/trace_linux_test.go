package realhost

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A trace is the system calls of a command and its threads, as strace prints them
// with numbers for constants and with what each descriptor is.
type trace []call

type call struct {
	name, arguments, result string
}

// callLine matches a call with its result, or without one where the process ended during it.
var callLine = regexp.MustCompile(`^(\w+)\((.*?)(?:\)\s+= (.*)| <(?:detached|unfinished) \.\.\.>\)?(?:\s+= \?)?)$`)

// traced runs a command on the host under strace.
func (h *host) traced(t *testing.T, command ...string) (trace, result) {
	t.Helper()
	threads, r := h.tracedThreads(t, command...)
	return slices.Concat(threads...), r
}

// tracedThreads are the calls of each thread in their order.
func (h *host) tracedThreads(t *testing.T, command ...string) ([]trace, result) {
	t.Helper()
	dir, err := os.MkdirTemp(h.dir, "trace")
	if err != nil {
		t.Fatal(err)
	}
	// One file a thread: no call is torn in two by another's.
	strace := []string{"strace", "-ff", "-o", filepath.Join(dir, "thread"), "-X", "raw", "-y", "-v", "-s", "4096", "-e", "signal=none", "-qq", "--"}
	r := h.run(append(strace, command...)...)
	files, err := filepath.Glob(filepath.Join(dir, "thread.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("strace left no trace (%v): %s", err, r.stderr)
	}
	var threads []trace
	for _, file := range files {
		threads = append(threads, readTrace(t, file))
	}
	return threads, r
}

func readTrace(t *testing.T, file string) trace {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out trace
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if m := callLine.FindStringSubmatch(lines.Text()); m != nil {
			out = append(out, call{m[1], m[2], m[3]})
			continue
		}
		if !strings.HasPrefix(lines.Text(), "???(") { // the thread ended before its call began
			out = append(out, call{name: "unreadable", arguments: lines.Text()})
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// harmless calls change the process itself at most.
var harmless = strings.Fields(`
	access arch_prctl brk clock_gettime clock_nanosleep close dup epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2
	exit exit_group faccessat faccessat2 fadvise64 fstat futex getcwd getdents64 getegid geteuid getgid getpid getppid
	getrandom getsockname getsockopt gettid getuid lseek lstat madvise membarrier mincore mmap mprotect munmap nanosleep
	newfstatat pipe2 poll ppoll pread64 prlimit64 read readlink readlinkat readv recvfrom recvmsg restart_syscall rseq
	rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list set_tid_address setns sigaltstack
	stat statfs statx sysinfo tgkill time uname`)

// changes are the calls that could change the host, with the reason why each is
// counted as one. Files below own are the command's to write.
func (calls trace) changes(own string) []string {
	var out []string
	protocols := calls.netlinkSockets()
	starts := 0
	for _, c := range calls {
		if c.name == "execve" {
			starts++
		}
		if why := c.change(own, starts, protocols); why != "" {
			out = append(out, fmt.Sprintf("%s: %s(%.200s)", why, c.name, c.arguments))
		}
	}
	return out
}

var (
	// socketInode is a descriptor of a socket: strace shows its inode.
	socketInode = regexp.MustCompile(`^\d+<socket:\[(\d+)\]>`)
	// netlinkArguments are AF_NETLINK, any type, and the protocol.
	netlinkArguments = regexp.MustCompile(`^(?:0x10|16), \S+, (\S+)$`)
)

// netlinkSockets are the protocols of the netlink sockets by inode.
func (calls trace) netlinkSockets() map[string]uint64 {
	protocols := map[string]uint64{}
	for _, c := range calls {
		made, as := netlinkArguments.FindStringSubmatch(c.arguments), socketInode.FindStringSubmatch(c.result)
		if c.name != "socket" || made == nil || as == nil {
			continue
		}
		if protocol, err := strconv.ParseUint(made[1], 0, 16); err == nil {
			protocols[as[1]] = protocol
		}
	}
	return protocols
}

// dockersSocket are AF_UNIX and SOCK_STREAM; dockersQuestion is the one GET that is
// sent to Docker's socket.
var (
	dockersSocket   = regexp.MustCompile(`^(?:0x1|1), 0x1\|0x80800, 0$`)
	dockersAddress  = regexp.MustCompile(`sun_path="(?:/var)?/run/docker\.sock"`)
	dockersQuestion = regexp.MustCompile(`^\d+<[^>]*>, "GET /containers/json HTTP/1\.0\\r\\nHost: docker\\r\\n\\r\\n", `)
)

// asksDocker: nothing but that question goes to a socket that is no netlink's.
func asksDocker(c call) bool {
	switch c.name {
	case "socket":
		return dockersSocket.MatchString(c.arguments)
	case "connect":
		return dockersAddress.MatchString(c.arguments)
	case "write":
		return dockersQuestion.MatchString(c.arguments)
	case "getpeername":
		return true
	}
	return false
}

func (c call) change(own string, starts int, protocols map[string]uint64) string {
	if asksDocker(c) {
		return ""
	}
	inOwn := own != "" && strings.Contains(c.arguments, `"`+own)
	switch c.name {
	case "open", "openat":
		return openChange(c.arguments, inOwn)
	case "write", "pwrite64", "writev":
		// Standard input is the end of a pipe that is read: nothing can be written to
		// it. strace now and then shows a new thread's first call with such arguments.
		if strings.HasPrefix(c.arguments, "0<pipe:") {
			return ""
		}
		return writeChange(c.arguments, own, protocols)
	case "send", "sendto", "sendmsg", "sendmmsg":
		return sendChange(c.arguments, protocols)
	case "socket":
		if !netlinkArguments.MatchString(c.arguments) {
			return "opens a socket that is not netlink's"
		}
	case "setsockopt":
		return optionChange(c.arguments, protocols)
	case "prctl":
		if !strings.HasPrefix(c.arguments, "0x53564d41,") { // PR_SET_VMA names own memory
			return "prctl"
		}
	case "ioctl":
		if !strings.Contains(c.arguments, ", 0x5401,") && !strings.Contains(c.arguments, ", 0x5413,") { // TCGETS, TIOCGWINSZ
			return "ioctl"
		}
	case "bpf":
		if !bpfAsks.MatchString(c.arguments) {
			return "loads or attaches a program"
		}
	case "open_by_handle_at":
		if !strings.HasSuffix(c.arguments, ", 0x90000") { // O_RDONLY | O_CLOEXEC | O_DIRECTORY
			return "opens a file for writing"
		}
	case "fcntl":
		return "" // on own descriptors
	case "clone", "clone3":
		if !strings.Contains(c.arguments, "flags=0x") || !sharesMemory(c.arguments) {
			return "starts a process"
		}
	case "execve":
		if starts > 1 {
			return "runs a program"
		}
	case "renameat", "rename", "renameat2", "linkat", "unlinkat", "unlink", "fchmodat", "fchmod", "fsync", "fdatasync", "ftruncate", "fchown":
		if !inOwn && (own == "" || !strings.Contains(c.arguments, "<"+own)) {
			return "changes a file"
		}
	default:
		if !slices.Contains(harmless, c.name) {
			return "is not known to be harmless"
		}
	}
	return ""
}

// bpfAsks is BPF_PROG_GET_FD_BY_ID (13), BPF_OBJ_GET_INFO_BY_FD (15), BPF_PROG_QUERY (16),
// BPF_LINK_GET_FD_BY_ID (30) and BPF_LINK_GET_NEXT_ID (31) of bpf(2).
var bpfAsks = regexp.MustCompile(`^(0xd|0xf|0x10|0x1e|0x1f),`)

var hexFlags = regexp.MustCompile(`flags=(0x[0-9a-f]+)`)

// sharesMemory: CLONE_VM and CLONE_THREAD make a thread.
func sharesMemory(arguments string) bool {
	const thread = 0x100 | 0x10000
	m := hexFlags.FindStringSubmatch(arguments)
	if m == nil {
		return false
	}
	flags, err := strconv.ParseUint(m[1], 0, 64)
	return err == nil && flags&thread == thread
}

var openArguments = regexp.MustCompile(`^(?:[^"]*, )?("(?:[^"\\]|\\.)*"), (0x[0-9a-f]+|\d+)(?:, \S+)?$`)

func openChange(arguments string, inOwn bool) string {
	const accessMode, create, truncate = 3, 0o100, 0o1000
	m := openArguments.FindStringSubmatch(arguments)
	if m == nil {
		return "an open that could not be understood"
	}
	flags, err := strconv.ParseUint(m[2], 0, 64)
	if err != nil {
		return "an open that could not be understood"
	}
	if flags&(accessMode|create|truncate) != 0 && !inOwn {
		return "opens a file for writing"
	}
	return ""
}

func writeChange(arguments, own string, protocols map[string]uint64) string {
	for _, to := range []string{"1<", "2<"} {
		if strings.HasPrefix(arguments, to) {
			return ""
		}
	}
	if strings.Contains(arguments, "<anon_inode:[eventfd]>") || own != "" && strings.Contains(arguments, "<"+own) {
		return ""
	}
	if socketInode.MatchString(arguments) {
		return sendChange(arguments, protocols)
	}
	return "writes"
}

// messageType is a number, or the subsystem and the message of NETLINK_NETFILTER.
var messageType = regexp.MustCompile(`nlmsg_type=(0x[0-9a-f]+|\d+)(?:<<8\|(0x[0-9a-f]+|\d+))?[,}]`)

// sendChange looks at every netlink message that is sent.
func sendChange(arguments string, protocols map[string]uint64) string {
	protocol, ok := protocolOf(arguments, protocols)
	if !ok {
		return "sends to what is no netlink socket"
	}
	types := messageType.FindAllStringSubmatch(arguments, -1)
	if len(types) == 0 || len(types) != strings.Count(arguments, "nlmsg_type=") {
		return "sends a netlink message that could not be understood"
	}
	for _, m := range types {
		number, err := strconv.ParseUint(m[1], 0, 16)
		if err == nil && m[2] != "" {
			var message uint64
			message, err = strconv.ParseUint(m[2], 0, 8)
			number = number<<8 | message
		}
		if err != nil || !reads(protocol, number) {
			return "sends a netlink message that is no question"
		}
	}
	return ""
}

func protocolOf(arguments string, protocols map[string]uint64) (uint64, bool) {
	m := socketInode.FindStringSubmatch(arguments)
	if m == nil {
		return 0, false
	}
	protocol, ok := protocols[m[1]]
	return protocol, ok
}

// reads says that a netlink message only asks: RTM_GET* (include/uapi/linux/rtnetlink.h:
// each third of four), SOCK_DIAG_BY_FAMILY, XFRM_MSG_GETPOLICY and _GETDEFAULT (xfrm.h), NFT_MSG_GET* without *_RESET
// (nf_tables.h), IPSET_CMD_PROTOCOL, LIST, SAVE, TEST, HEADER, TYPE (ipset/ip_set.h).
func reads(protocol, number uint64) bool {
	const nftables, ipset = 10 << 8, 6 << 8
	switch protocol {
	case 0: // NETLINK_ROUTE
		return number >= 16 && number%4 == 2
	case 4: // NETLINK_SOCK_DIAG
		return number == 20
	case 6: // NETLINK_XFRM
		return number == 21 || number == 40
	case 12: // NETLINK_NETFILTER
		return slices.Contains([]uint64{
			nftables | 1, nftables | 4, nftables | 7, nftables | 10, nftables | 13, nftables | 16, nftables | 19, nftables | 23,
			ipset | 1, ipset | 7, ipset | 8, ipset | 11, ipset | 12, ipset | 13,
		}, number)
	}
	return false
}

var level = regexp.MustCompile(`^[^,]*, (0x[0-9a-f]+|\d+), `)

// optionChange lets a netlink socket have its buffer and timeout (SOL_SOCKET) and
// its way of answering (SOL_NETLINK, 270).
func optionChange(arguments string, protocols map[string]uint64) string {
	if _, ok := protocolOf(arguments, protocols); !ok {
		return "sets an option of what is no netlink socket"
	}
	m := level.FindStringSubmatch(arguments)
	if m == nil {
		return "sets an option that could not be understood"
	}
	if n, err := strconv.ParseUint(m[1], 0, 32); err != nil || n != 1 && n != 270 {
		return "sets an option"
	}
	return ""
}

func TestAReadingRunChangesNothingOnTheHost(t *testing.T) {
	h := start(t, "web-1.nft")
	recorded := filepath.Join(h.dir, "recorded")
	if err := os.Mkdir(recorded, 0o755); err != nil {
		t.Fatal(err)
	}
	commands := append(slices.Clone(readings),
		[]string{"record", filepath.Join(recorded, "web-1.ng")},
		[]string{"firewall", "--fail-on", "unknown"},
		[]string{"version"})
	before := h.state(t)
	for _, command := range commands {
		t.Run(strings.Join(command[:min(len(command), 3)], " "), func(t *testing.T) {
			calls, r := h.traced(t, append([]string{netglance}, command...)...)
			if r.code != 0 {
				t.Fatalf("ended with %d: %s", r.code, r.stderr)
			}
			own := ""
			if command[0] == "record" {
				own = recorded
			}
			for _, c := range calls.changes(own) {
				t.Error(c)
			}
			questions := 0
			for _, c := range calls {
				if strings.Contains(c.arguments, "nlmsg_type=") {
					questions++
				}
			}
			if len(calls) < 50 || questions == 0 && command[0] != "version" {
				t.Errorf("%d calls and %d netlink messages seen: the trace shows too little", len(calls), questions)
			}
		})
	}
	after := h.state(t)
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("gone: %s", line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			t.Errorf("new: %s", line)
		}
	}
}

// state is what a run could change: the rules, the network, its settings, and
// the legacy tables, which a question can load.
func (h *host) state(t *testing.T) []string {
	t.Helper()
	state := h.run("sh", "-c", `nft list ruleset
		ip address; ip route show table all; ip -6 route show table all | sed 's/expires [0-9a-z]*//'; ip rule; ip -6 rule
		for f in /proc/net/ip_tables_names /proc/net/ip6_tables_names /proc/net/arp_tables_names; do echo "$f"; cat "$f" 2>/dev/null; done
		find /proc/sys/net -type f -perm -444 ! -name flush ! -name '*_seq' ! -name 'nf_conntrack_count' ! -name fib_sync_mem -exec grep -H . {} + 2>/dev/null | sort`).ok(t)
	if !strings.Contains(state, "policy drop") || !strings.Contains(state, "203.0.113.7") || !strings.Contains(state, "ip_forward:") {
		t.Fatalf("the host's state is not there:\n%s", state)
	}
	return strings.Split(state, "\n")
}

// Without these, the test above could be blind.
func TestATraceShowsEveryKindOfChange(t *testing.T) {
	h := start(t, "web-1.nft")
	scratch := filepath.Join(h.dir, "scratch", "file")
	for _, c := range []struct {
		command []string
		why     string
	}{
		{[]string{"nft", "add", "table", "ip", "new"}, "netlink message that is no question"},
		{[]string{"nft", "delete", "table", "ip", "new"}, "netlink message that is no question"},
		{[]string{"nft", "reset", "counters"}, "netlink message that is no question"},
		{[]string{"ip", "link", "set", "lo", "mtu", "1400"}, "netlink message that is no question"},
		{[]string{"ip", "route", "add", "192.0.2.0/24", "dev", "eth0"}, "netlink message that is no question"},
		{[]string{"ss", "-K", "dst", "192.0.2.99"}, "netlink message that is no question"},
		{[]string{"touch", scratch}, "opens a file for writing"},
		{[]string{"tee", "/proc/sys/net/ipv4/ip_forward"}, "opens a file for writing"},
		{[]string{"mv", scratch, scratch + "2"}, "changes a file"},
		{[]string{"rm", scratch + "2"}, "changes a file"},
		{[]string{"mkdir", scratch}, "mkdir"},
		{[]string{"iptables-legacy", "-L"}, "socket that is not netlink's"},
		{[]string{"unshare", "--net", "true"}, "unshare"},
		{[]string{"sh", "-c", "true; /bin/true; true"}, "runs a program"},
	} {
		t.Run(strings.Join(c.command, " "), func(t *testing.T) {
			if !installed(c.command[0]) {
				t.Skipf("left out: no %s", c.command[0])
			}
			calls, _ := h.traced(t, c.command...)
			found := calls.changes("")
			if !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, c.why) }) {
				t.Errorf("not seen: %s in %q", c.why, found)
			}
		})
	}
}
