package platform

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netglance/netglance/internal/kerneltest/needs"
)

func TestSocketHoldersOfThisProcess(t *testing.T) {
	for range 3 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	text, err := Live().SocketHolders()
	if err != nil {
		t.Fatal(err)
	}
	prefix := strconv.Itoa(os.Getpid()) + " "
	var got []string
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, prefix) {
			got = append(got, line)
		}
	}
	want := slowHolders(t)
	if strings.Join(got, "\n") != strings.Join(want, "\n") || len(want) < 3 {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// slowHolders is the same with the standard library, for this process alone.
func slowHolders(t *testing.T) []string {
	t.Helper()
	var lines []string
	for fd := range 4096 {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(fd)))
		if inode, ok := strings.CutPrefix(target, "socket:["); err == nil && ok {
			lines = append(lines, fmt.Sprintf("%d %d %s", os.Getpid(), fd, strings.TrimSuffix(inode, "]")))
		}
	}
	return lines
}

func TestSocketHoldersAreSorted(t *testing.T) {
	for range 10 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
	}
	text, err := Live().SocketHolders()
	if err != nil {
		t.Fatal(err)
	}
	lastPID, lastFD, lines := 0, -1, 0
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		var pid, fd, inode int
		if strings.Contains(line, "!") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%d %d %d", &pid, &fd, &inode); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if pid < lastPID || pid == lastPID && fd <= lastFD {
			t.Fatalf("%q after %d %d", line, lastPID, lastFD)
		}
		lastPID, lastFD, lines = pid, fd, lines+1
	}
	if lines < 20 {
		t.Errorf("%d lines", lines)
	}
}

func TestProcessOfAnotherUserIsSaidToBeUnread(t *testing.T) {
	needs.Kernel(t) // root, who can become somebody else
	result := make(chan string)
	go onThreadOfItsOwn(func() { result <- holdersAsNobody() })
	if got := <-result; got != "1 ! EACCES\n" {
		t.Errorf("got %q", got)
	}
}

// onThreadOfItsOwn runs f on a thread that ends with it, never on the main
// thread, which can't end.
func onThreadOfItsOwn(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go onThreadOfItsOwn(func() { f(); close(done) })
	<-done
	runtime.UnlockOSThread()
}

// holdersAsNobody makes the calling thread another user's and reads pid 1, and a
// pid that no process has.
func holdersAsNobody() string {
	root, err := openRead("/proc", unix.O_DIRECTORY)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(root)
	const nobody = 65534
	// a raw call changes this thread alone
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
		return errno.Error()
	}
	w := &holderWalk{}
	w.process(root, 1)
	w.process(root, 1<<30)
	return string(w.text)
}

func TestNothingIsAllocatedForADescriptor(t *testing.T) {
	for range 100 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	root, err := openRead("/proc", unix.O_DIRECTORY)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	w := &holderWalk{text: make([]byte, 0, 64<<10)}
	allocated := testing.AllocsPerRun(10, func() {
		w.text = w.text[:0]
		w.process(root, os.Getpid())
	})
	if lines := bytes.Count(w.text, []byte("\n")); lines < 100 || allocated > 5 {
		t.Errorf("%v allocations for %d sockets", allocated, lines)
	}
}

func TestSocketInode(t *testing.T) {
	for target, want := range map[string]string{
		"socket:[4711]":        "4711",
		"socket:[4711":         "",
		"pipe:[4711]":          "",
		"/tmp/socket:[4711]":   "",
		"anon_inode:[eventfd]": "",
		"":                     "",
	} {
		inode, ok := socketInode([]byte(target))
		if ok != (want != "") || ok && string(inode) != want {
			t.Errorf("%q: %q, %v", target, inode, ok)
		}
	}
}

func BenchmarkSocketHolders(b *testing.B) {
	host := Live()
	for b.Loop() {
		if _, err := host.SocketHolders(); err != nil {
			b.Fatal(err)
		}
	}
}
