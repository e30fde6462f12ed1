package listeners

import (
	"encoding/binary"
	"fmt"
)

// The lists of macOS, net.inet.tcp.pcblist_n and net.inet.udp.pcblist_n, hold the
// sockets of both families. A list starts with a struct xinpgen; what follows are
// records of a length and a kind, each padded to 8 bytes, several for a socket, the
// last of each socket the one that makes it whole (xnu bsd/netinet/in_pcblist.c,
// get_pcblist_n). The structs are packed to 4 bytes. Another xinpgen ends the list.
const (
	darwinXinpgen = 24

	kindSocket = 0x01 // struct xsocket_n (bsd/sys/socketvar.h)
	kindPCB    = 0x10 // struct xinpcb_n (bsd/netinet/in_pcb.h)
	kindTCP    = 0x20 // struct xtcpcb_n (bsd/netinet/tcp_var.h)
)

// Offsets and the least lengths of the records. Those of later releases are longer.
const (
	darwinSo        = 8
	darwinFamily    = 40
	darwinUID       = 64
	darwinLastPID   = 68
	darwinSocketMin = 72
	darwinRemote    = 16 // port
	darwinLocal     = 18 // port
	darwinFlags     = 36
	darwinVflag     = 44
	darwinForeign   = 48 // address
	darwinLaddr     = 64
	darwinPCBMin    = 80
	darwinState     = 36
	darwinTCPMin    = 40
	darwinInet6     = 30
	genericInet     = 2
)

// parsePCBListN reads one of the lists. What was read before an error comes with it.
func parsePCBListN(protocol string, list []byte) ([]bsdSocket, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if len(list) < darwinXinpgen {
		return nil, errCutRecord
	}
	complete := kindSocket | kindPCB
	if protocol == "tcp" {
		complete |= kindTCP
	}
	var out []bsdSocket
	var one pcbN
	for at := darwinXinpgen; len(list)-at >= 4; {
		length := int64(binary.NativeEndian.Uint32(list[at:]))
		if length == darwinXinpgen {
			return out, nil
		}
		if length < darwinXinpgen || length > int64(len(list)-at) {
			return out, fmt.Errorf("%s at byte %d: %w", protocol, at, errCutRecord)
		}
		r := record(list[at : at+int(length)])
		at = min(at+int(length+7)&^7, len(list))
		if err := one.add(r); err != nil {
			return out, fmt.Errorf("%s: %w", protocol, err)
		}
		if one.seen&complete != complete {
			continue
		}
		if s, ok := one.socket(protocol); ok {
			out = append(out, s)
		}
		one = pcbN{}
	}
	return out, nil
}

// A pcbN is the records of one socket.
type pcbN struct {
	seen           int
	so, inp, state record
}

func (p *pcbN) add(r record) error {
	kind := int(r.u32(4))
	least := 0
	switch kind {
	case kindSocket:
		p.so, least = r, darwinSocketMin
	case kindPCB:
		p.inp, least = r, darwinPCBMin
	case kindTCP:
		p.state, least = r, darwinTCPMin
	default: // buffers and statistics
		return nil
	}
	if len(r) < least {
		return errLayout
	}
	p.seen |= kind
	return nil
}

func (p *pcbN) socket(protocol string) (bsdSocket, bool) {
	s := bsdSocket{protocol: protocol, optionsKnown: true} // macOS has no IP_BINDANY
	switch p.so.u32(darwinFamily) {
	case genericInet:
		s.family = 4
	case darwinInet6:
		s.family = 6
	default:
		return s, false
	}
	s.handle = p.so.u64(darwinSo)
	s.uid, s.uidKnown = p.so.u32(darwinUID), true
	s.addresses(p.inp, p.inp[darwinVflag], darwinLaddr, darwinForeign, darwinLocal, darwinRemote)
	s.binding = portAsked
	if p.inp.u32(darwinFlags)&anonPort != 0 {
		s.binding = portChosen
	}
	s.state = udpState(s.remote)
	if protocol == "tcp" {
		s.state = stateConnection
		if p.state.u32(darwinState) == tcpListening {
			s.state = stateListen
		}
	}
	// The process that used the socket last: the only one that is told.
	if pid := int32(p.so.u32(darwinLastPID)); pid > 0 {
		s.holders = []Process{{PID: int(pid)}}
	} else {
		s.kernel = true
	}
	return s, true
}
