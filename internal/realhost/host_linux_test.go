// Package realhost holds netglance to a host with real daemons: Debian's nginx,
// redis, sshd, postgres and dnsmasq in namespaces of their own, behind a ruleset
// that nft loads. What the command says is compared with what a careful
// administrator would say, and with what happens to real connections.
package realhost

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netglance/netglance/internal/kerneltest"
)

// netglance is the command under test, which TestMain builds.
var netglance string

func TestMain(m *testing.M) {
	if os.Getenv(probeVariable) != "" {
		os.Exit(probeAll(os.Stdin, os.Stdout))
	}
	if os.Getenv(identifyVariable) != "" {
		os.Exit(identifyAll(os.Stdin, os.Stdout))
	}
	if gateway := os.Getenv(gatewayVariable); gateway != "" {
		os.Exit(readGateway(gateway, os.Stdout))
	}
	if netglance := os.Getenv(twinVariable); netglance != "" {
		if err := compareWithTwin(netglance, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(withCommand(m))
}

func withCommand(m *testing.M) int {
	dir, err := os.MkdirTemp("", "realhost")
	if err == nil {
		defer os.RemoveAll(dir)
		netglance = filepath.Join(dir, "netglance")
		err = os.Chmod(dir, 0o755) // other users run it too
	}
	if err == nil {
		build := exec.Command("go", "build", "-o", netglance, "../../cmd/netglance")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the command:", err)
		return 1
	}
	return m.Run()
}

// packages are the Debian packages that a test needs, by a file of theirs.
var packages = map[string]string{
	"nginx":                              "nginx-light",
	"redis-server":                       "redis-server",
	"sshd":                               "openssh-server",
	"dnsmasq":                            "dnsmasq-base",
	"strace":                             "strace",
	"nft":                                "nftables",
	"setpriv":                            "util-linux",
	"ss":                                 "iproute2",
	"/usr/lib/postgresql/*/bin/postgres": "postgresql",
}

// require leaves the test out where it can't run, saying what is missing.
func require(t *testing.T) {
	t.Helper()
	requirePackages(t, packages)
}

func requirePackages(t *testing.T, packages map[string]string) {
	t.Helper()
	kerneltest.Require(t)
	var missing []string
	for file, pkg := range packages {
		if !installed(file) {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return
	}
	if os.Getenv("NETGLANCE_REQUIRE_KERNEL") == "1" {
		t.Fatalf("cannot run: needs the Debian packages %v", missing)
	}
	t.Skipf("left out: needs the Debian packages %v", missing)
}

func installed(file string) bool {
	if strings.HasPrefix(file, "/") {
		found, err := filepath.Glob(file)
		return err == nil && len(found) > 0
	}
	_, err := exec.LookPath(file)
	return err == nil
}

// A host runs testdata/host.sh.
type host struct {
	t *testing.T
	// launcher is the process that made the namespaces; the host's first process is its child.
	launcher int
	// peer is the process at the other end of eth0, as the host numbers it.
	peer string
	// units says that the daemons are in cgroups named like systemd's.
	units bool
	// input gives it orders, output are its lines.
	input  io.Writer
	output *bufio.Scanner
	// dir is outside of the host, for files that every user may read.
	dir string
}

// start boots the host behind the rules in a file of testdata.
func start(t *testing.T, rules string) *host {
	t.Helper()
	require(t)
	h := &host{t: t, dir: publicDirectory(t)}
	scratch := filepath.Join(h.dir, "scratch")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs(filepath.Join("testdata", rules))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--net", "--uts", "--ipc", "--cgroup", "--mount", "--propagation", "private",
		"--pid", "--fork", "--kill-child", "--mount-proc", "bash", "testdata/host.sh")
	cgroup := newCgroup(t, cmd)
	h.units = cgroup != ""
	cmd.Env = append(os.Environ(), "SCRATCH="+scratch, "CGROUP="+cgroup, "RULES="+file, "LC_ALL=C.UTF-8")
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		cmd.Wait()
	})
	h.launcher = cmd.Process.Pid
	h.input, h.output = input, bufio.NewScanner(output)
	if h.peer = h.ready(); h.peer == "" {
		cmd.Wait()
		t.Fatalf("the host did not start:\n%s", complaints.String())
	}
	return h
}

// ready waits for the host to be, and gives its peer; "" if it ends instead.
func (h *host) ready() string {
	for h.output.Scan() {
		if peer, ready := strings.CutPrefix(h.output.Text(), "ready "); ready {
			return peer
		}
	}
	return ""
}

// restart has all daemons of the host start anew.
func (h *host) restart() {
	h.t.Helper()
	if _, err := io.WriteString(h.input, "restart\n"); err != nil || h.ready() == "" {
		h.t.Fatalf("the daemons did not start again: %v", err)
	}
}

// publicDirectory is one that every user can read. (t.TempDir's is for one.)
func publicDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "realhost")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// newCgroup has the command start in a cgroup of its own. "" is none: the machine
// has no writable cgroup2 file system.
func newCgroup(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); err != nil {
			continue
		}
		dir, err := os.MkdirTemp(mount, "netglance-test-")
		if err != nil {
			t.Logf("the daemons get no units: %v", err)
			return ""
		}
		t.Cleanup(func() { removeCgroup(t, dir) })
		fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
		return dir
	}
	t.Log("the daemons get no units: no cgroup2 file system is mounted")
	return ""
}

// removeCgroup waits for the last process in it to be gone.
func removeCgroup(t *testing.T, dir string) {
	for range 100 {
		for _, pattern := range []string{"*/*", "*"} {
			below, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, name := range below {
				_ = syscall.Rmdir(name) // its files are no directories; a busy one is tried again
			}
		}
		err := syscall.Rmdir(dir)
		if err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("the cgroup %s could not be removed", dir)
}

// A result is what a command printed and ended with.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a command on the host as root.
func (h *host) run(command ...string) result {
	return h.runInput("", command...)
}

func (h *host) runInput(input string, command ...string) result {
	h.t.Helper()
	proc := fmt.Sprintf("/proc/%d/ns/", h.launcher)
	enter := []string{"nsenter", "--mount=" + proc + "mnt", "--net=" + proc + "net", "--uts=" + proc + "uts",
		"--cgroup=" + proc + "cgroup", "--pid=" + proc + "pid_for_children", "--"}
	return runHere(h.t, input, append(enter, command...)...)
}

// runAs runs a command on the host as another user, without any capability.
func (h *host) runAs(user string, command ...string) result {
	h.t.Helper()
	return h.run(append([]string{"setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups", "--"}, command...)...)
}

// atPeer runs a command at the other end of eth0.
func (h *host) atPeer(input string, command ...string) result {
	h.t.Helper()
	return h.runInput(input, append([]string{"nsenter", "--net=/proc/" + h.peer + "/ns/net", "--"}, command...)...)
}

func runHere(t *testing.T, input string, command ...string) result {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%v: %v", command, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ok is the output of a command that must end with 0 and complain about nothing.
func (r result) ok(t *testing.T) string {
	t.Helper()
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("ended with %d: %s%s", r.code, r.stderr, r.stdout)
	}
	return r.stdout
}
