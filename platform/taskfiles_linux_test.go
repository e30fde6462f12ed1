package platform

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// iteratorHolders skips the test where the kernel doesn't give the iterator.
func iteratorHolders(t testing.TB) []byte {
	t.Helper()
	text, err := taskFileHolders()
	if errors.Is(err, errNoIterator) || errors.Is(err, os.ErrNotExist) {
		leaveOut(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func leaveOut(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("NETGLANCE_REQUIRE_KERNEL") == "1" {
		t.Fatalf("kernel test cannot run: %v", err)
	}
	t.Skipf("kernel test left out: %v", err)
}

func walked(t testing.TB) []byte {
	t.Helper()
	names, err := readDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	text, err := walkHolders("/proc", pidsOf(names))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Processes come and go meanwhile: what both walks saw has to be there, and
// nothing that neither saw.
func TestTheIteratorSeesWhatTheWalkSees(t *testing.T) {
	holdSockets(t)
	var difference string
	for range 5 {
		before, got, after := walked(t), iteratorHolders(t), walked(t)
		if difference = differs(before, got, after); difference == "" {
			return
		}
	}
	t.Error(difference)
}

// holdSockets opens sockets, and leaves some of them to a process with few
// descriptors and to one that has two for one socket.
func holdSockets(t *testing.T) {
	t.Helper()
	for range 40 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		child := exec.Command("sleep", "60")
		child.ExtraFiles = []*os.File{file, file}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		file.Close()
		t.Cleanup(func() { child.Process.Kill(); child.Wait() })
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
}

func differs(before, got, after []byte) string {
	if len(got) == 0 {
		return "the iterator saw nothing"
	}
	first, middle, last := lineSet(before), lineSet(got), lineSet(after)
	for line := range first {
		if last[line] && !middle[line] && !strings.Contains(line, "!") {
			return "only the walk saw " + line
		}
	}
	for line := range middle {
		if !first[line] && !last[line] {
			return "only the iterator saw " + line
		}
	}
	return ""
}

func lineSet(text []byte) map[string]bool {
	set := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		set[strings.TrimSpace(line)] = true
	}
	return set
}

func TestTheIteratorIsSorted(t *testing.T) {
	holdSockets(t)
	var last [2]int
	for line := range strings.Lines(string(iteratorHolders(t))) {
		at := numbers(t, line)
		if at[0] < last[0] || at[0] == last[0] && at[1] <= last[1] {
			t.Fatalf("%q after pid %d descriptor %d", line, last[0], last[1])
		}
		last = at
	}
}

func numbers(t *testing.T, line string) (out [2]int) {
	t.Helper()
	for i, word := range strings.Fields(line)[:2] {
		for _, c := range word {
			out[i] = out[i]*10 + int(c-'0')
		}
	}
	return out
}

// In a pid namespace of its own, processes have other numbers than the kernel's.
func TestTheIteratorNumbersProcessesAsThePidNamespaceDoes(t *testing.T) {
	iteratorHolders(t)
	const inside = "NETGLANCE_TEST_IN_PID_NAMESPACE"
	if os.Getenv(inside) != "" {
		t.Skip("inside already")
	}
	c := exec.Command(mustLook(t, "unshare"), "--mount", "--pid", "--fork", "--mount-proc", os.Args[0],
		"-test.run=^TestTheIteratorSeesWhatTheWalkSees$", "-test.v")
	c.Env = append(os.Environ(), inside+"=1")
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestTheIteratorSees")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func mustLook(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		leaveOut(t, err)
	}
	return path
}

// Where /proc is of another pid namespace than ours, the numbers would be wrong.
func TestTheIteratorIsNotUsedWithAnotherNamespacesProc(t *testing.T) {
	iteratorHolders(t)
	c := exec.Command(mustLook(t, "unshare"), "--pid", "--fork", os.Args[0], "-test.run=^TestInsideWithoutProc$", "-test.v")
	c.Env = append(os.Environ(), "NETGLANCE_TEST_FOREIGN_PROC=1")
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestInsideWithoutProc")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestInsideWithoutProc(t *testing.T) {
	if os.Getenv("NETGLANCE_TEST_FOREIGN_PROC") == "" {
		t.Skip("for TestTheIteratorIsNotUsedWithAnotherNamespacesProc")
	}
	if text, err := taskFileHolders(); !errors.Is(err, errNoIterator) {
		t.Errorf("got %q, %v", text, err)
	}
}

func BenchmarkWalk(b *testing.B) {
	for b.Loop() {
		walked(b)
	}
}

func BenchmarkIterator(b *testing.B) {
	iteratorHolders(b)
	for b.Loop() {
		if _, err := taskFileHolders(); err != nil {
			b.Fatal(err)
		}
	}
}
