package platform

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A Twin is a throwaway network namespace: nothing that is done to it shows
// outside, and it is gone when it is closed. It has one thread inside; methods
// are for one goroutine at a time, and all but Do, Path and Close must be called
// by what Do runs.
type Twin struct {
	work  chan func()
	file  *os.File
	links []link
	listening
	settling
	netlink map[int]*twinSocket
	// followed are the descriptors that hear multicast groups.
	followed []int
}

// NewTwin makes a namespace with nothing in it but "lo". It needs CAP_SYS_ADMIN:
// without, the error satisfies errors.Is with fs.ErrPermission, and
// AgainAsNamespaceRoot may help.
func NewTwin() (*Twin, error) {
	t := &Twin{work: make(chan func()), netlink: map[int]*twinSocket{}}
	ready := make(chan error)
	go t.thread(ready)
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	if err := t.Do(t.settling.open); err != nil {
		t.Close()
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return t, nil
}

// thread moves one operating system thread into a new namespace and works there.
// The thread is never unlocked, so it dies with the goroutine, and the namespace
// with it.
func (t *Twin) thread(ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread can't end, and /proc/self/net would be the namespace's.
		// While it is held here, another goroutine gets another thread.
		started := make(chan error)
		go t.thread(started)
		ready <- <-started
		runtime.UnlockOSThread()
		return
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		ready <- fmt.Errorf("unshare: %w", err)
		return
	}
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		ready <- err
		return
	}
	t.file = file
	ready <- nil
	for f := range t.work {
		f()
	}
}

// Close ends the namespace and all that is in it.
func (t *Twin) Close() {
	for _, l := range t.links {
		unix.Close(l.fd)
	}
	t.listening.close()
	t.settling.close()
	for _, s := range t.netlink {
		s.close()
	}
	for _, fd := range t.followed {
		unix.Close(fd)
	}
	close(t.work)
	t.file.Close()
}

// Do runs f on the thread that is in the namespace. What f starts or opens is in
// the namespace too. f must not call Do.
func (t *Twin) Do(f func() error) error {
	done := make(chan error)
	t.work <- func() { done <- f() }
	return <-done
}

// Path names the namespace while it is there, from any process.
func (t *Twin) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), t.file.Fd()) }

// Run runs a program in the namespace and returns what it printed. Where there is no
// such program, the error satisfies errors.Is with fs.ErrNotExist.
func (t *Twin) Run(input, name string, arguments ...string) (string, error) {
	cmd := exec.Command(name, arguments...)
	cmd.Stdin = strings.NewReader(input)
	// There is no name server in the namespace to wait for.
	cmd.Env = append(os.Environ(), "RES_OPTIONS=timeout:1 attempts:1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("the program %s is not installed: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(arguments, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// WriteSetting sets a sysctl of the namespace by its path below /proc/sys/net.
// Where it has the value already, nothing is written.
func (t *Twin) WriteSetting(name, value string) error {
	file := filepath.Join("/proc/sys/net", name)
	if now, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(now)) == value {
		return nil
	}
	if err := os.WriteFile(file, []byte(value), 0); err != nil {
		return fmt.Errorf("setting %s to %s: %w", name, value, err)
	}
	return nil
}

// ReadFile is the content of a file as the namespace shows it.
func (t *Twin) ReadFile(name string) ([]byte, error) {
	name, _ = insideNamespace(name)
	return readFile(name)
}

// AgainAsNamespaceRoot runs this program once more, with the same arguments and
// streams, as root of a user namespace of its own, where it may make network
// namespaces. It returns the exit code. The error says why there can be no such
// namespace, errors.ErrUnsupported that this already is one or needs none.
func AgainAsNamespaceRoot() (int, error) {
	const mark = "NETGLANCE_NAMESPACE_ROOT"
	if os.Geteuid() == 0 || os.Getenv(mark) != "" {
		return 0, errors.ErrUnsupported
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = namespaceRoot()
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("user namespace: %w", err)
	}
	return 0, nil
}
