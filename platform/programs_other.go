//go:build !linux && !darwin && !freebsd && !openbsd

package platform

func (unsupported) Programs(string) ([]byte, error) { return nil, errNoLive("BPF programs") }
