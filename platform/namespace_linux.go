package platform

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// LiveIn is the live host with the network of another network namespace, named
// by a path like /proc/812/ns/net or /run/netns/blue: netlink, /proc/net and
// /proc/sys/net are the namespace's, all else is as for Live. The process itself
// and its other threads stay where they are. Needs CAP_SYS_ADMIN. If the
// namespace can't be opened or entered, what needs it fails with the reason.
func LiveIn(netns string) Host { return liveIn(netns, 0) }

// In is LiveIn, if the namespace there has the id.
func (h *live) In(path string, id uint64) Host { return liveIn(path, id) }

func liveIn(path string, id uint64) Host {
	n := &namespace{path: path, id: id, tasks: make(chan *task)}
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

// A namespace runs functions on threads that have entered it. Such a thread
// serves nothing else and dies when it has been idle for a while.
type namespace struct {
	path  string
	id    uint64 // 0: whichever is there
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
	if err := n.enter(); err != nil {
		first.err = fmt.Errorf("network namespace %s: %w", n.path, err)
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

// errOtherNamespace says that a path leads elsewhere than it did: a process has
// ended, and another has its number.
var errOtherNamespace = fmt.Errorf("another namespace is there now: %w", unix.ENOENT)

// enter takes the calling thread into the namespace. A file of one is a regular
// file (fs/nsfs.c); what is none, opening could do something to.
func (n *namespace) enter() error {
	var stat unix.Stat_t
	if err := unix.Stat(n.path, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("no file of a namespace: %w", unix.EINVAL)
	}
	fd, err := openRead(n.path, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if n.id != 0 && stat.Ino != n.id {
		return errOtherNamespace
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}

// Close lets go of the sockets in the namespace; the host can be asked again.
func (h *namespaceHost) Close() error {
	h.sockets.closeIdle()
	return nil
}
