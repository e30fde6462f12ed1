//go:build darwin || freebsd || openbsd

package platform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"time"
)

// Live is the host that netglance runs on.
func Live() Host { return bsd{} }

// LiveIn is for Linux: other systems have no network namespaces.
func LiveIn(string) Host { return bsd{} }

// bsd is a live host with macOS, FreeBSD or OpenBSD.
type bsd struct{}

func errNotHere(what string) error {
	return fmt.Errorf("%s: %s has none: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

func (bsd) Netlink(int, []byte) ([]byte, error) { return nil, errNotHere("netlink") }
func (bsd) IptablesSave(int) ([]byte, error)    { return nil, errNotHere("iptables-save") }
func (bsd) Programs(string) ([]byte, error)     { return nil, errNotHere("BPF at its links") }
func (bsd) NetworkNamespaces() ([]byte, error)  { return nil, errNotHere("network namespaces") }
func (bsd) Containers() ([]byte, error)         { return nil, errNotHere("Docker") }
func (bsd) In(string, uint64) Host              { return bsd{} }
func (bsd) OS() string                          { return runtime.GOOS }
func (bsd) Time() time.Time                     { return time.Now().UTC() }
func (bsd) Readlink(name string) (string, error) {
	return os.Readlink(name)
}

func (bsd) Getsockopt(int, int, int, []byte, int) ([]byte, error) {
	return nil, errNotHere("x_tables' socket options")
}

// ReadFile reads a file; a named pipe doesn't block it.
func (bsd) ReadFile(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = &fs.PathError{Op: "read", Path: name, Err: ErrTooLarge}
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}

func (bsd) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}
