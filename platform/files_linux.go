package platform

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// os.ReadFile and os.ReadDir make twice the system calls (fstat, epoll), which
// counts for hundreds of small files of /proc.

// A named pipe must not block: O_NONBLOCK.
const openFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY

const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func openRead(name string, flags int) (int, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return -1, &fs.PathError{Op: "open", Path: name, Err: unix.EINVAL}
	}
	for {
		fd, err := unix.Open(name, openFlags|flags, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return fd, nil
	}
}

func readFile(name string) ([]byte, error) {
	fd, err := openRead(name, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	content := []byte{}
	for {
		n, err := unix.Read(fd, buffer[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: name, Err: err}
		}
		if n == 0 {
			return content, nil
		}
		if len(content)+n > maxFile {
			return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("over %d MiB: %w", maxFile>>20, ErrTooLarge)}
		}
		content = append(content, buffer[:n]...)
	}
}

func readDir(name string) ([]string, error) {
	fd, err := openRead(name, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	names := []string{}
	for {
		n, err := unix.Getdents(fd, buffer[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
		}
		if n == 0 {
			slices.Sort(names)
			return names, nil
		}
		_, _, names = unix.ParseDirent(buffer[:n], -1, names)
		if len(names) > maxNames {
			return nil, &fs.PathError{Op: "readdir", Path: name, Err: fmt.Errorf("over %d names: %w", maxNames, ErrTooLarge)}
		}
	}
}

func readlink(name string) (string, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: unix.EINVAL}
	}
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	// a link's target is at most PATH_MAX (4096) long
	n, err := unix.Readlink(name, buffer[:])
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buffer[:n]), nil
}
