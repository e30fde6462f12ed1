//go:build !linux && !darwin && !freebsd && !openbsd

package platform

func (unsupported) Getsockopt(int, int, int, []byte, int) ([]byte, error) {
	return nil, errNoLive("socket options")
}
