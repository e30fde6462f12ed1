package platform

import (
	"encoding/binary"
	"strconv"
)

// What macOS's proc_info(2) gives (xnu bsd/sys/proc_info.h): struct proc_fdinfo for each
// descriptor of a process, struct socket_fdinfo for one that is a socket, which begins
// with a struct proc_fileinfo of 24 bytes and the struct vinfo_stat of its struct
// socket_info, of 136.
const (
	fdInfoSize       = 8
	fdInfoType       = 4
	fdIsSocket       = 2 // PROX_FDTYPE_SOCKET
	socketInfoSize   = 792
	socketInfoHandle = 24 + 136 // soi_so, the same value as xso_so in pcblist_n
)

// socketDescriptors are the descriptors that are sockets.
func socketDescriptors(list []byte) (fds []int32) {
	for ; len(list) >= fdInfoSize; list = list[fdInfoSize:] {
		if binary.NativeEndian.Uint32(list[fdInfoType:]) == fdIsSocket {
			fds = append(fds, int32(binary.NativeEndian.Uint32(list)))
		}
	}
	return fds
}

// appendHolder appends a line of SocketHolders for a socket, whose inode here is the
// kernel's name for it; none where the answer is shorter than that.
func appendHolder(text []byte, pid, fd int32, info []byte) []byte {
	if len(info) < socketInfoHandle+8 {
		return text
	}
	text = append(strconv.AppendInt(text, int64(pid), 10), ' ')
	text = append(strconv.AppendInt(text, int64(fd), 10), ' ')
	return append(strconv.AppendUint(text, binary.NativeEndian.Uint64(info[socketInfoHandle:]), 10), '\n')
}

// appendUnread appends a line of SocketHolders for a process that could not be read.
func appendUnread(text []byte, pid int32, errno string) []byte {
	return append(append(append(strconv.AppendInt(text, int64(pid), 10), " ! "...), errno...), '\n')
}
