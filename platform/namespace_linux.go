package platform

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// LiveIn is the live host with the network of another network namespace, named
// by a path like /proc/812/ns/net or /run/netns/blue: netlink, /proc/net and
// /proc/sys/net are the namespace's, all else is as for Live. The process itself
// and its other threads stay where they are. Needs CAP_SYS_ADMIN. If the
// namespace can't be opened or entered, what needs it fails with the reason.
func LiveIn(netns string) Host {
	file, err := os.Open(netns)
	n := &namespace{path: netns, file: file, err: err, tasks: make(chan *task)}
	h := &namespaceHost{namespace: n}
	h.sockets.open = func(protocol int) (s *socket, err error) {
		failed := n.do(func() { s, err = openSocket(protocol) })
		if failed != nil {
			return nil, failed
		}
		return s, err
	}
	return h
}

type namespaceHost struct {
	live
	namespace *namespace
}

func (h *namespaceHost) ReadFile(name string) (content []byte, err error) {
	name, inside := insideNamespace(name)
	if !inside {
		return readFile(name)
	}
	failed := h.namespace.do(func() { content, err = readFile(name) })
	if failed != nil {
		return nil, failed
	}
	return content, err
}

func (h *namespaceHost) ReadDir(name string) (names []string, err error) {
	name, inside := insideNamespace(name)
	if !inside {
		return readDir(name)
	}
	failed := h.namespace.do(func() { names, err = readDir(name) })
	if failed != nil {
		return nil, failed
	}
	return names, err
}

func (h *namespaceHost) Readlink(name string) (target string, err error) {
	name, inside := insideNamespace(name)
	if !inside {
		return readlink(name)
	}
	failed := h.namespace.do(func() { target, err = readlink(name) })
	if failed != nil {
		return "", failed
	}
	return target, err
}

// insideNamespace says whether a file shows the network namespace of the thread
// that opens it, and its name for such a thread: /proc/net and /proc/self are
// those of the thread group's leader, which stays outside.
func insideNamespace(name string) (string, bool) {
	clean := path.Clean(name)
	for _, alias := range [...]struct{ name, inside string }{
		{"/proc/net", "/proc/thread-self/net"},
		{"/proc/self/net", "/proc/thread-self/net"},
		{"/proc/thread-self/net", "/proc/thread-self/net"},
		{"/proc/self/ns/net", "/proc/thread-self/ns/net"},
		{"/proc/thread-self/ns/net", "/proc/thread-self/ns/net"},
		{"/proc/sys/net", "/proc/sys/net"},
	} {
		rest, found := strings.CutPrefix(clean, alias.name)
		if found && (rest == "" || rest[0] == '/') {
			return alias.inside + rest, true
		}
	}
	return name, false
}

// A namespace runs functions on threads that have entered it. Such a thread
// serves nothing else and dies when it has been idle for a while.
type namespace struct {
	path  string
	file  *os.File
	err   error
	tasks chan *task
}

type task struct {
	run  func()
	err  error // why it was not run
	done chan struct{}
}

const workerIdle = 200 * time.Millisecond

// do runs f inside the namespace and waits for it. The error says that f was not run.
func (n *namespace) do(f func()) error {
	if n.err != nil {
		return fmt.Errorf("network namespace: %w", n.err)
	}
	t := &task{run: f, done: make(chan struct{})}
	select {
	case n.tasks <- t: // taken by an idle worker
	default:
		go n.work(t)
	}
	<-t.done
	return t.err
}

// work takes its thread into the namespace for good: a locked thread that is
// never unlocked ends with its goroutine, so no other code ever runs inside.
func (n *namespace) work(first *task) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread can't end, and /proc/self would follow it into the
		// namespace. While it is held here, another goroutine gets another thread.
		defer runtime.UnlockOSThread()
		go n.work(first)
		<-first.done
		return
	}
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		first.err = fmt.Errorf("network namespace %s: setns: %w", n.path, err)
		close(first.done)
		return
	}
	idle := time.NewTimer(workerIdle)
	for t := first; ; {
		t.run()
		close(t.done)
		idle.Reset(workerIdle)
		select {
		case t = <-n.tasks:
		case <-idle.C:
			return
		}
	}
}
