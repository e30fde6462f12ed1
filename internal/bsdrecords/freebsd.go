package bsdrecords

import "bytes"

// The records of FreeBSD 12 to 15 (sys/socketvar.h, netinet/in_pcb.h,
// netinet/tcp_var.h, sys/file.h), with the padding of a 64-bit machine written out.
type xinpgen struct {
	Len          uint64
	Count, Spare uint32
	Gen, Sogen   uint64
	Spare64      [4]uint64
}

type xsockbuf struct {
	CC, Hiwat, Mbcnt, Spare0, Spare1, Mbmax uint32
	Lowat, Timeo                            int32
	Flags, Pad                              int16
}

type xsocket struct {
	Len, So, PCB, OOBMark                      uint64
	Spare64                                    [8]int64
	Protocol, Family                           int32
	Qlen, Incqlen, Qlimit                      uint32
	PGID                                       int32
	UID                                        uint32
	Spare32                                    [8]int32
	Type, Options, Linger, State, Timeo, Error int16
	Rcv, Snd                                   xsockbuf
}

type xinpcb struct {
	Len                          uint64
	Socket                       xsocket
	IncFlags, IncLen             uint8
	Fibnum                       uint16
	Fport, Lport                 [2]byte
	Faddr, Laddr                 [16]byte
	Zone                         uint32
	Pad                          uint32
	Gencnt, Ppcb                 uint64
	Spare64                      [4]int64
	Flow, Flowid, Flowtype       uint32
	Flags                        uint32
	Flags2, Unused, Cksum        int32
	Spare32                      [4]int32
	Hops                         uint16
	TOS, Pad8                    uint8
	Vflag, TTL, Protocol, MinTTL uint8
	Spare8                       [4]int8
}

type xtcpcb struct {
	Len     uint64
	Inp     xinpcb
	Stack   [32]byte
	LogID   [64]byte
	CC      [16]byte
	Spare64 [6]int64
	State   int32
	Rest    [17]int32
	Spare32 [26]int32
}

type xfile struct {
	Size              uint64
	PID               int32
	UID               uint32
	FD, Pad1          int32
	File              uint64
	Type, Pad2        int16
	Count, Msgs, Pad3 int32
	Offset            int64
	Data, Vnode       uint64
	Flag              uint32
	Pad4              int32
	Pad5              [6]int64
}

func (s Socket) xinpcb() xinpcb {
	p := xinpcb{
		Len: 400, Fport: port(s.Remote.Port()), Lport: port(s.Local.Port()), Flags: s.flags(), Vflag: s.vflag(),
		Faddr: address(s.Remote.Addr(), Zone), Laddr: address(s.Local.Addr(), Zone),
	}
	p.Socket = xsocket{
		Len: 240, So: s.Handle, Protocol: number(s.Protocol), Family: family(s.Family, 28), UID: s.UID, Type: socketType(s.Protocol),
	}
	return p
}

// PCBList is FreeBSD's net.inet.tcp.pcblist, or udp's.
func PCBList(protocol string, sockets []Socket) []byte {
	var b bytes.Buffer
	header := xinpgen{Len: 64, Count: uint32(len(sockets)), Gen: 7, Sogen: 7}
	write(&b, header)
	for _, s := range sockets {
		switch {
		case s.Protocol != protocol:
		case protocol == "tcp":
			write(&b, xtcpcb{Len: 744, Inp: s.xinpcb(), State: s.state()})
		default:
			write(&b, s.xinpcb())
		}
	}
	write(&b, header)
	return b.Bytes()
}

// Xfiles is FreeBSD's kern.file: the descriptors of the sockets' holders, and for each
// process standard input, which is a file.
func Xfiles(sockets []Socket) []byte {
	var b bytes.Buffer
	for _, s := range sockets {
		for _, h := range s.Holders {
			write(&b,
				xfile{Size: 128, PID: h.PID, UID: h.UID, Type: 1, Data: 0xfffff80001000000},
				xfile{Size: 128, PID: h.PID, UID: h.UID, FD: h.FD, Type: 2, Data: s.Handle})
		}
	}
	return b.Bytes()
}
