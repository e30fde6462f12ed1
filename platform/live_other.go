//go:build !linux && !darwin && !freebsd && !openbsd

package platform

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Live is the host that netglance runs on, of which nothing can be read: only
// recordings of other hosts.
func Live() Host { return unsupported{} }

// LiveIn is for Linux: other systems have no network namespaces.
func LiveIn(string) Host { return unsupported{} }

type unsupported struct{}

func errNoLive(what string) error {
	return fmt.Errorf("%s: a live %s host cannot be asked for that, only a recording (--host FILE): %w",
		what, runtime.GOOS, errors.ErrUnsupported)
}

func (unsupported) ReadFile(name string) ([]byte, error)  { return nil, errNoLive(name) }
func (unsupported) ReadDir(name string) ([]string, error) { return nil, errNoLive(name) }
func (unsupported) Readlink(name string) (string, error)  { return "", errNoLive(name) }
func (unsupported) Netlink(int, []byte) ([]byte, error)   { return nil, errNoLive("netlink") }
func (unsupported) IptablesSave(int) ([]byte, error)      { return nil, errNoLive("iptables-save") }
func (unsupported) SocketHolders() ([]byte, error)        { return nil, errNoLive("socket holders") }
func (unsupported) SocketTable() ([]byte, error)          { return nil, errNoLive("socket table") }
func (unsupported) Sysctl(name string) ([]byte, error)    { return nil, errNoLive("sysctl " + name) }
func (unsupported) Output(...string) ([]byte, error)      { return nil, errNoLive("commands") }
func (unsupported) NetworkNamespaces() ([]byte, error)    { return nil, errNoLive("network namespaces") }
func (unsupported) Containers() ([]byte, error)           { return nil, errNoLive("containers") }
func (unsupported) In(string, uint64) Host                { return unsupported{} }
func (unsupported) OS() string                            { return runtime.GOOS }
func (unsupported) Time() time.Time                       { return time.Now().UTC() }
