package platform

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// More walkers than this don't help: they wait for the same locks in the kernel.
const maxWalkers = 4

// manyProcesses is from where asking the kernel's iterator, which takes some
// milliseconds to set up, is faster than the walk.
const manyProcesses = 150

// socketHolders gives the lines of Host.SocketHolders: from the kernel's iterator
// where that pays and is to be had, else from a walk over proc/PID/fd.
func socketHolders(proc string) ([]byte, error) {
	names, err := readDir(proc)
	if err != nil {
		return nil, err
	}
	pids := pidsOf(names)
	if proc == "/proc" && len(pids) >= manyProcesses {
		if text, err := taskFileHolders(); err == nil {
			return text, nil
		}
	}
	return walkHolders(proc, pids)
}

// walkHolders walks proc/PID/fd of every process.
func walkHolders(proc string, pids []int) ([]byte, error) {
	root, err := openRead(proc, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)

	walkers := make([]*holderWalk, min(runtime.NumCPU(), maxWalkers, max(len(pids), 1)))
	parts := make([]part, len(pids))
	var next atomic.Int64
	var running sync.WaitGroup
	for i := range walkers {
		w := &holderWalk{}
		walkers[i] = w
		running.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(pids) {
					return
				}
				start := len(w.text)
				w.process(root, pids[n])
				parts[n] = part{walk: w, start: start, end: len(w.text)}
			}
		})
	}
	running.Wait()

	size := 0
	for _, w := range walkers {
		size += len(w.text)
	}
	if size > maxReply {
		return nil, &fs.PathError{Op: "read", Path: proc, Err: fmt.Errorf("socket holders over %d MiB: %w", maxReply>>20, ErrTooLarge)}
	}
	text := make([]byte, 0, size)
	for _, p := range parts {
		text = append(text, p.walk.text[p.start:p.end]...)
	}
	return text, nil
}

func pidsOf(names []string) []int {
	var pids []int
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// A part is where one process's lines are in a walker's text.
type part struct {
	walk       *holderWalk
	start, end int
}

// A holderWalk is what one walker has found, and its buffers: nothing is
// allocated for a descriptor.
type holderWalk struct {
	text    []byte
	entries [32 << 10]byte
	target  [64]byte
}

// process appends the lines of one process. A process that is gone has none.
func (w *holderWalk) process(root, pid int) {
	var name [32]byte
	dir := append(strconv.AppendInt(name[:0], int64(pid), 10), "/fd\x00"...)
	fd, errno := openat(root, &dir[0])
	if errno != 0 {
		w.unread(pid, errno)
		return
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Getdents(fd, w.entries[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			errno, _ := err.(unix.Errno)
			w.unread(pid, errno)
			return
		}
		if n == 0 {
			return
		}
		if errno := w.descriptors(fd, pid, w.entries[:n]); errno != 0 {
			w.unread(pid, errno)
			return
		}
	}
}

// struct linux_dirent64: inode 8, offset 8, record length 2, type 1, name to its zero.
const (
	direntLength = 16
	direntName   = 19
)

// descriptors appends the sockets among directory entries; the kernel lists
// descriptors in ascending order.
func (w *holderWalk) descriptors(dir, pid int, entries []byte) unix.Errno {
	for len(entries) > direntName {
		length := int(binary.NativeEndian.Uint16(entries[direntLength:]))
		if length <= direntName || length > len(entries) {
			return unix.EIO
		}
		name := entries[direntName:length]
		entries = entries[length:]
		if name[0] == '.' {
			continue
		}
		n, errno := readlinkat(dir, &name[0], w.target[:])
		if errno == unix.ENOENT {
			continue // closed meanwhile
		}
		if errno != 0 {
			return errno
		}
		if inode, ok := socketInode(w.target[:n]); ok {
			w.line(pid, name, inode)
		}
	}
	return 0
}

var socketPrefix = []byte("socket:[")

// socketInode is the number in "socket:[4711]".
func socketInode(target []byte) ([]byte, bool) {
	inode, ok := bytes.CutPrefix(target, socketPrefix)
	if !ok {
		return nil, false
	}
	return bytes.CutSuffix(inode, []byte{']'})
}

func (w *holderWalk) line(pid int, name, inode []byte) {
	w.text = strconv.AppendInt(w.text, int64(pid), 10)
	w.text = append(w.text, ' ')
	w.text = append(w.text, name[:max(bytes.IndexByte(name, 0), 0)]...)
	w.text = append(w.text, ' ')
	w.text = append(w.text, inode...)
	w.text = append(w.text, '\n')
}

func (w *holderWalk) unread(pid int, errno unix.Errno) {
	if errno == unix.ENOENT || errno == unix.ESRCH {
		return
	}
	w.text = strconv.AppendInt(w.text, int64(pid), 10)
	w.text = append(w.text, " ! "...)
	w.text = append(w.text, errnoName(errno)...)
	w.text = append(w.text, '\n')
}

// openat opens a directory by its zero-terminated name below root.
func openat(root int, name *byte) (int, unix.Errno) {
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(root), uintptr(unsafe.Pointer(name)),
			openFlags|unix.O_DIRECTORY, 0, 0, 0)
		if errno != unix.EINTR {
			return int(fd), errno
		}
	}
}

// readlinkat takes a zero-terminated name. RawSyscall: it takes 2 µs, never
// blocks on /proc, and telling the scheduler would cost a tenth of it.
func readlinkat(dir int, name *byte, target []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(&target[0])), uintptr(len(target)), 0, 0)
	return int(n), errno
}
