package bsdrecords

import (
	"bytes"
	"fmt"
	"strings"
)

// The records of net.inet.tcp.pcblist_n, packed to four bytes (xnu
// bsd/sys/socketvar.h, bsd/netinet/in_pcb.h, bsd/netinet/tcp_var.h).
type xinpgenN struct {
	Len, Count uint32
	Gen, Sogen uint64
}

type xsocketN struct {
	Len, Kind                          uint32
	So                                 uint64
	Type                               int16
	Pad1                               int16
	Options                            uint32
	Linger, State                      int16
	PCB                                uint64
	Protocol, Family                   int32
	Qlen, Incqlen, Qlimit, Timeo, Errn int16
	Pad2                               int16
	PGID                               int32
	OOBMark                            uint32
	UID                                uint32
	LastPID, EPID                      int32
}

type xsockbufN struct {
	Len, Kind              uint32
	CC, Hiwat, Mbcnt, Mbmx uint32
	Lowat                  int32
	Flags, Timeo           int16
}

type xsockstatN struct {
	Len, Kind uint32
	Stats     [4][4]uint64
}

type xinpcbN struct {
	Len, Kind               uint32
	Inpp                    uint64
	Fport, Lport            [2]byte
	Ppcb, Gencnt            uint64
	Flags, Flow             uint32
	Vflag, TTL, Protocol, P uint8
	Faddr, Laddr            [16]byte
	TOS                     [4]uint8
	Hlim                    [4]uint8
	Cksum                   int32
	Ifindex                 uint16
	Hops                    int16
	Flowhash, Flags2        uint32
}

// xtcpcbN is 204 bytes; what follows the state is not looked at.
type xtcpcbN struct {
	Len, Kind uint32
	Segq      uint64
	Dupacks   int32
	Timer     [4]int32
	State     int32
	Rest      [164]byte
}

// PCBListN is macOS's net.inet.tcp.pcblist_n, or udp's.
func PCBListN(protocol string, sockets []Socket) []byte {
	var b bytes.Buffer
	header := xinpgenN{Len: 24, Count: uint32(len(sockets)), Gen: 7, Sogen: 7}
	write(&b, header)
	for _, s := range sockets {
		if s.Protocol != protocol {
			continue
		}
		var last int32
		if len(s.Holders) > 0 {
			last = s.Holders[len(s.Holders)-1].PID
		}
		write(&b, xinpcbN{
			Len: 104, Kind: 0x10, Fport: port(s.Remote.Port()), Lport: port(s.Local.Port()),
			Flags: s.flags(), Vflag: s.vflag(), Faddr: address(s.Remote.Addr(), Zone), Laddr: address(s.Local.Addr(), Zone),
		})
		write(&b, xsocketN{
			Len: 76, Kind: 0x01, So: s.Handle, Type: socketType(protocol), Protocol: number(protocol),
			Family: family(s.Family, 30), UID: s.UID, LastPID: last,
		}, [4]byte{}) // each starts at a multiple of 8
		write(&b, xsockbufN{Len: 32, Kind: 0x02}, xsockbufN{Len: 32, Kind: 0x04}, xsockstatN{Len: 136, Kind: 0x08})
		if protocol == "tcp" {
			write(&b, xtcpcbN{Len: 204, Kind: 0x20, State: s.state()}, [4]byte{})
		}
	}
	write(&b, header)
	return b.Bytes()
}

// HolderLines are the descriptors of macOS's proc_info as the platform tells them: a
// line "PID FD SOCKET".
func HolderLines(sockets []Socket) string {
	var text strings.Builder
	for _, s := range sockets {
		for _, h := range s.Holders {
			fmt.Fprintf(&text, "%d %d %d\n", h.PID, h.FD, s.Handle)
		}
	}
	return text.String()
}
