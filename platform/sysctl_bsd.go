//go:build darwin || freebsd || openbsd

package platform

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// A list may grow between the question how long it is and the list itself.
const grownLists = 5

// Sysctl reads a node.
func (bsd) Sysctl(name string) (value []byte, err error) {
	if err := readNode(name); err != nil {
		return nil, err
	}
	for range grownLists {
		if value, err = unix.SysctlRaw(name, nodeArguments(name)...); !errors.Is(err, unix.ENOMEM) {
			break
		}
	}
	if err == nil && len(value) > maxReply {
		err = ErrTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("sysctl %s: %w", name, err)
	}
	return value, nil
}

// nodeArguments are the numbers that follow a node's name. OpenBSD's kern.file
// takes what the files are looked up by (2: process), which (-1: all), and the size
// and number of the records (sysctl(2)).
func nodeArguments(name string) []int {
	if runtime.GOOS == "openbsd" && name == "kern.file" {
		const byProcess, all, most = 2, -1, 1 << 22
		return []int{byProcess, all, KinfoFileSize, most}
	}
	return nil
}
