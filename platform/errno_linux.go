package platform

import "golang.org/x/sys/unix"

// errnoName is the errno's C name, for instance "EACCES".
func errnoName(errno unix.Errno) string {
	if name := unix.ErrnoName(errno); name != "" {
		return name
	}
	return "errno " + errno.Error()
}
