package platform

import (
	"errors"
	"syscall"
)

// A namedCause is an errno by its C name, as numbers differ between systems, or
// an error of Go's or of ours by a name that no errno has.
type namedCause struct {
	name string
	err  error
}

// causes are those that a read-only call can meet and that a caller may tell
// apart. The first that an error wraps counts, so errnos come first.
var causes = []namedCause{
	{"EACCES", syscall.EACCES},
	{"EAFNOSUPPORT", syscall.EAFNOSUPPORT},
	{"EAGAIN", syscall.EAGAIN},
	{"EBUSY", syscall.EBUSY},
	{"EEXIST", syscall.EEXIST},
	{"EINTR", syscall.EINTR},
	{"EINVAL", syscall.EINVAL},
	{"EIO", syscall.EIO},
	{"EISDIR", syscall.EISDIR},
	{"ELOOP", syscall.ELOOP},
	{"EMFILE", syscall.EMFILE},
	{"EMSGSIZE", syscall.EMSGSIZE},
	{"ENAMETOOLONG", syscall.ENAMETOOLONG},
	{"ENFILE", syscall.ENFILE},
	{"ENOBUFS", syscall.ENOBUFS},
	{"ENODEV", syscall.ENODEV},
	{"ENOENT", syscall.ENOENT},
	{"ENOMEM", syscall.ENOMEM},
	{"ENOSYS", syscall.ENOSYS},
	{"ENOTDIR", syscall.ENOTDIR},
	{"ENXIO", syscall.ENXIO},
	{"EOPNOTSUPP", syscall.EOPNOTSUPP},
	{"EPERM", syscall.EPERM},
	{"EPROTONOSUPPORT", syscall.EPROTONOSUPPORT},
	{"ESRCH", syscall.ESRCH},
	{"unsupported", errors.ErrUnsupported},
	{"not recorded", ErrNotRecorded},
	{"too large", ErrTooLarge},
}
