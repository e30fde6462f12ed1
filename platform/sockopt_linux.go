package platform

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (h *live) Getsockopt(family, level, option int, argument []byte, size int) ([]byte, error) {
	name, err := readOption(level, option, argument, size)
	if err != nil {
		return nil, err
	}
	value, err := getsockopt(family, level, option, argument, size)
	if err != nil {
		return nil, fmt.Errorf("getsockopt %s: %w", name, err)
	}
	return value, nil
}

func (h *namespaceHost) Getsockopt(family, level, option int, argument []byte, size int) (value []byte, err error) {
	failed := h.namespace.do(func() { value, err = h.live.Getsockopt(family, level, option, argument, size) })
	if failed != nil {
		return nil, failed
	}
	return value, err
}

// getsockopt asks a raw socket of the calling thread's network namespace; that
// needs CAP_NET_RAW, the tables themselves CAP_NET_ADMIN. The value starts as
// the argument, which the kernel reads and overwrites.
func getsockopt(family, level, option int, argument []byte, size int) ([]byte, error) {
	if unsafe.Sizeof(uintptr(0)) == 4 {
		// the kernel would answer in the layout of 32-bit programs
		return nil, fmt.Errorf("by a 32-bit program: %w", errors.ErrUnsupported)
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	value := make([]byte, size)
	copy(value, argument)
	length := uint32(size)
	for {
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
			uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&length)), 0)
		runtime.KeepAlive(value)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return nil, errno
		}
		return value[:min(int(length), size)], nil
	}
}
