package platform

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls and flavors of proc_info(2) (xnu bsd/sys/proc_info.h, proc_info_private.h).
const (
	callListPIDs  = 1
	callPIDInfo   = 2
	callPIDFDInfo = 3

	allPIDs          = 1
	pidListFDs       = 1
	pidFDSocketInfo  = 3
	grownDescriptors = 16
)

// SocketHolders asks proc_info, as lsof does. Without root only a user's own processes
// answer.
func (bsd) SocketHolders() ([]byte, error) {
	list, err := procList(callListPIDs, allPIDs, 0)
	if err != nil {
		return nil, fmt.Errorf("proc_info: %w", err)
	}
	var pids []int32
	for ; len(list) >= 4; list = list[4:] {
		if pid := int32(binary.NativeEndian.Uint32(list)); pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	var text []byte
	info := make([]byte, socketInfoSize)
	for _, pid := range slices.Compact(pids) {
		if text = appendSockets(text, pid, info); len(text) > maxReply {
			return nil, fmt.Errorf("socket holders: %w", ErrTooLarge)
		}
	}
	return text, nil
}

func appendSockets(text []byte, pid int32, info []byte) []byte {
	list, err := procList(callPIDInfo, int(pid), pidListFDs)
	switch {
	case errors.Is(err, unix.ESRCH):
		return text // it ended
	case err != nil:
		return appendUnread(text, pid, unix.ErrnoName(err.(unix.Errno)))
	}
	fds := socketDescriptors(list)
	slices.Sort(fds)
	for _, fd := range fds {
		if n, errno := procInfo(callPIDFDInfo, int(pid), pidFDSocketInfo, int(fd), info); errno == 0 { // else it was closed
			text = appendHolder(text, pid, fd, info[:min(n, len(info))])
		}
	}
	return text
}

// procList is a list that the kernel first tells the length of.
func procList(call, pid, flavor int) ([]byte, error) {
	size, errno := procInfo(call, pid, flavor, 0, nil)
	if errno != 0 {
		return nil, errno
	}
	if size == 0 {
		return nil, nil
	}
	list := make([]byte, size+grownDescriptors*fdInfoSize)
	n, errno := procInfo(call, pid, flavor, 0, list)
	if errno != 0 {
		return nil, errno
	}
	return list[:min(n, len(list))], nil
}

func procInfo(call, pid, flavor, argument int, buffer []byte) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_PROC_INFO, uintptr(call), uintptr(pid), uintptr(flavor), uintptr(argument),
		uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)))
	return int(n), errno
}
