package platform

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// FileOwner is the user that owns a file. It is a shortcut of the live host alone,
// for what a file that is recorded tells as well; callers look for it.
func (h *live) FileOwner(name string) (uid uint32, err error) {
	var stat unix.Stat_t
	if err := unix.Stat(name, &stat); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return stat.Uid, nil
}
