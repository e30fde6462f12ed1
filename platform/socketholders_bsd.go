//go:build freebsd || openbsd

package platform

// SocketHolders: the sysctl kern.file tells the holders of sockets there.
func (bsd) SocketHolders() ([]byte, error) { return nil, errNotHere("/proc") }
