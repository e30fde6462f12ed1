//go:build !linux && !darwin && !freebsd && !openbsd

package platform

func (unsupported) SocketTable() ([]byte, error) { return nil, errNoLive("socket table") }
