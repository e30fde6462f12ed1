package bsdrecords

import (
	"bytes"
	"encoding/binary"
)

// kinfoFile is OpenBSD's struct kinfo_file, 7.4 to 7.8 (sys/sys/sysctl.h).
type kinfoFile struct {
	Fileaddr                                              uint64
	Flag, Iflags, Type, Count, Msgcount, Usecount         uint32
	Ucred                                                 uint64
	UID, GID                                              uint32
	Ops, Offset, Data, Rxfer, Rwfer, Seek, Rbytes, Wbytes uint64
	VUn                                                   uint64
	VType, VTag, VFlag, Rdev                              uint32
	VData, VMount, FileID, VSize                          uint64
	Mode, Fsid                                            uint32
	Mntonname                                             [96]byte
	SoType, SoState                                       uint32
	SoPCB                                                 uint64
	SoProtocol, SoFamily                                  uint32
	Ppcb                                                  uint64
	Lport                                                 uint32
	Laddr                                                 [16]byte
	Fport                                                 uint32
	Faddr                                                 [16]byte
	UnpConn                                               uint64
	PipePeer                                              uint64
	PipeState, KqCount, KqState, Unused1                  uint32
	PID                                                   uint32
	FD                                                    int32
	OFlags, PUID, PGID, TID                               uint32
	Comm                                                  [24]byte
	Rtableid, Pad1                                        uint32
	Splice                                                uint64
	SpliceLen                                             int64
	RcvCC, SndCC, Refs, Nextref, Addr                     uint64
	Path                                                  [104]byte
	InpProto, TState                                      uint32
	RcvWnd, SndWnd, SndCwnd                               uint64
	Nlink, Pad2                                           uint32
}

// widePort is a port in network byte order in the 32 bits that the kernel gives it.
func widePort(p uint16) uint32 {
	b := port(p)
	return uint32(binary.NativeEndian.Uint16(b[:]))
}

// firstBytes: IPv4 addresses are the first four of 16 bytes here.
func firstBytes(a [16]byte, family int) (b [16]byte) {
	if family == 6 {
		return a
	}
	copy(b[:], a[12:])
	return b
}

// KinfoFiles is OpenBSD's kern.file, by process: the descriptors of the sockets'
// holders, and for each process standard input, which is a file.
func KinfoFiles(sockets []Socket) []byte {
	var b bytes.Buffer
	for _, s := range sockets {
		for _, h := range s.Holders {
			process := kinfoFile{Type: 1, PID: uint32(h.PID), PUID: h.UID, UID: h.UID}
			copy(process.Comm[:23], h.Name)
			file := process
			file.Type, file.FD, file.Data, file.UID = 2, h.FD, s.Handle, s.UID
			file.SoType, file.SoProtocol, file.SoFamily = uint32(socketType(s.Protocol)), uint32(number(s.Protocol)), uint32(family(s.Family, 24))
			file.Lport, file.Fport = widePort(s.Local.Port()), widePort(s.Remote.Port())
			file.Laddr = firstBytes(address(s.Local.Addr(), Zone), s.Family)
			file.Faddr = firstBytes(address(s.Remote.Addr(), Zone), s.Family)
			if s.Protocol == "tcp" {
				file.TState = uint32(s.state())
			}
			write(&b, process, file)
		}
	}
	return b.Bytes()
}
