package listeners

import (
	"encoding/binary"
	"fmt"
)

// The lists of FreeBSD 12 to 15, net.inet.tcp.pcblist and net.inet.udp.pcblist: a
// struct xinpgen, then a struct xtcpcb or xinpcb for each socket, then another
// xinpgen. Each starts with its length. The structs are padded so that all
// architectures and these releases have one layout (netinet/in_pcb.h,
// netinet/tcp_var.h, sys/socketvar.h).
const (
	freeXinpgen = 64
	freeXinpcb  = 400
	freeXtcpcb  = 744

	freeTCPInp    = 8 // of xtcpcb: its struct xinpcb
	freeTCPState  = 568
	freeSo        = 16 // of xinpcb: xi_socket.xso_so
	freeFamily    = 108
	freeUID       = 128
	freeRemote    = 252 // port
	freeLocal     = 254
	freeForeign   = 256 // address
	freeLaddr     = 272
	freeFlags     = 356
	freeVflag     = 392
	freeBSDInet6  = 28
	freeBindAny   = 0x1000 // INP_BINDANY of inp_flags
	freeXfile     = 128    // struct xfile (sys/file.h)
	freeFilePID   = 8
	freeFileUID   = 12
	freeFileType  = 32
	freeFileData  = 56
	descriptorSo  = 2 // DTYPE_SOCKET, of FreeBSD and OpenBSD (sys/file.h)
	lengthOfField = 8
)

// parsePCBList reads one of the lists. What was read before an error comes with it.
func parsePCBList(protocol string, list []byte) ([]bsdSocket, error) {
	size := freeXinpcb
	if protocol == "tcp" {
		size = freeXtcpcb
	}
	var out []bsdSocket
	for at := 0; at < len(list); {
		if len(list)-at < lengthOfField {
			return out, errCutRecord
		}
		length := binary.NativeEndian.Uint64(list[at:])
		if at == 0 && length != freeXinpgen {
			return nil, fmt.Errorf("%s: a header of %d bytes: %w", protocol, length, errLayout)
		}
		if length == freeXinpgen {
			if at > 0 {
				return out, nil
			}
			at = freeXinpgen
			continue
		}
		if length != uint64(size) {
			return out, fmt.Errorf("%s: a socket of %d bytes: %w", protocol, length, errLayout)
		}
		if len(list)-at < size {
			return out, fmt.Errorf("%s at byte %d: %w", protocol, at, errCutRecord)
		}
		if s, ok := freeSocket(protocol, list[at:at+size]); ok {
			out = append(out, s)
		}
		at += size
	}
	return out, nil
}

func freeSocket(protocol string, r record) (bsdSocket, bool) {
	s := bsdSocket{protocol: protocol, optionsKnown: true, state: stateConnection}
	inp := r
	if protocol == "tcp" {
		inp = r[freeTCPInp:]
		if r.u32(freeTCPState) == tcpListening {
			s.state = stateListen
		}
	}
	switch inp.u32(freeFamily) {
	case genericInet:
		s.family = 4
	case freeBSDInet6:
		s.family = 6
	default:
		return s, false
	}
	s.handle = inp.u64(freeSo)
	s.uid, s.uidKnown = inp.u32(freeUID), true
	s.addresses(inp, inp[freeVflag], freeLaddr, freeForeign, freeLocal, freeRemote)
	flags := inp.u32(freeFlags)
	s.transparent = flags&freeBindAny != 0
	s.binding = portAsked
	if flags&anonPort != 0 {
		s.binding = portChosen
	}
	if protocol == "udp" {
		s.state = udpState(s.remote)
	}
	return s, true
}

// parseXfiles reads FreeBSD's kern.file: which processes hold which socket, by the
// socket's address in the kernel, as sockstat(1) does.
func parseXfiles(list []byte) (map[uint64][]Process, error) {
	holders := make(map[uint64][]Process)
	for at := 0; at < len(list); at += freeXfile {
		if len(list)-at < freeXfile {
			return holders, errCutRecord
		}
		r := record(list[at : at+freeXfile])
		if length := r.u64(0); length != freeXfile {
			return holders, fmt.Errorf("kern.file: a descriptor of %d bytes: %w", length, errLayout)
		}
		pid, data := int32(r.u32(freeFilePID)), r.u64(freeFileData)
		if r.u16(freeFileType) != descriptorSo || pid <= 0 || data == 0 {
			continue
		}
		holders[data] = append(holders[data], Process{PID: int(pid), UID: r.u32(freeFileUID)})
	}
	return holders, nil
}
