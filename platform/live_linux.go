package platform

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Live is the host that netglance runs on, with the network namespace of the process.
func Live() Host { return &live{sockets: socketPool{open: openSocket}} }

type live struct {
	sockets socketPool
}

func (h *live) ReadFile(name string) ([]byte, error)  { return readFile(name) }
func (h *live) ReadDir(name string) ([]string, error) { return readDir(name) }
func (h *live) Readlink(name string) (string, error)  { return readlink(name) }

func (h *live) Netlink(protocol int, request []byte) ([]byte, error) {
	return h.sockets.request(protocol, request)
}

func (h *live) SocketHolders() ([]byte, error) { return socketHolders("/proc") }

// ExpectSocketHolders begins what SocketHolders will take time for; it may be
// called from another goroutine, or not at all.
func (h *live) ExpectSocketHolders() { expectSocketHolders() }

// SocketTable is for other systems: Linux is asked for more than it can hold.
func (h *live) SocketTable() ([]byte, error) {
	return nil, fmt.Errorf("socket table: Linux has sock_diag: %w", errors.ErrUnsupported)
}

// Sysctl and Output are for other systems too.
func (h *live) Sysctl(name string) ([]byte, error) {
	return nil, fmt.Errorf("sysctl %s: Linux has /proc/sys: %w", name, errors.ErrUnsupported)
}

func (h *live) Output(command ...string) ([]byte, error) {
	return nil, fmt.Errorf("%q: Linux is asked by netlink: %w", command, errors.ErrUnsupported)
}

func (h *live) OS() string      { return runtime.GOOS }
func (h *live) Time() time.Time { return time.Now().UTC() }
