package listeners

import "net/netip"

// Offsets in OpenBSD's struct kinfo_file (sys/sys/sysctl.h, 7.4 to 7.8): kern.file
// tells of every descriptor what it is and whose.
const (
	kinfoFileSize = 632
	kinfoType     = 16
	kinfoCred     = 40 // f_uid: of who opened it
	kinfoSoType   = 272
	kinfoProtocol = 288
	kinfoFamily   = 292
	kinfoLocal    = 304 // port
	kinfoLaddr    = 308
	kinfoRemote   = 324 // port
	kinfoFaddr    = 328
	kinfoPID      = 376
	kinfoUID      = 388
	kinfoComm     = 400
	kinfoCommSize = 24 // KI_MAXCOMLEN
	kinfoData     = 64
	kinfoState    = 596
	openBSDInet6  = 24
)

// Protocol numbers (IANA), as so_protocol has them.
const (
	ipTCP = 6
	ipUDP = 17
)

// parseKinfoFiles reads OpenBSD's kern.file. A socket that several processes hold,
// or one several times, comes as often.
func parseKinfoFiles(list []byte) ([]bsdSocket, error) {
	var out []bsdSocket
	for at := 0; at < len(list); at += kinfoFileSize {
		if len(list)-at < kinfoFileSize {
			return out, errCutRecord
		}
		if s, ok := openSocket(list[at : at+kinfoFileSize]); ok {
			out = append(out, s)
		}
	}
	return out, nil
}

// openSocket reads one descriptor. OpenBSD never hands IPv4 to an IPv6 socket
// (inet6(4)).
func openSocket(r record) (bsdSocket, bool) {
	s := bsdSocket{v6onlyKnown: true}
	if r.u32(kinfoType) != descriptorSo {
		return s, false
	}
	switch r.u32(kinfoProtocol) {
	case ipTCP:
		s.protocol = "tcp"
	case ipUDP:
		s.protocol = "udp"
	default:
		return s, false
	}
	address := r.ipv4
	switch r.u32(kinfoFamily) {
	case genericInet:
		s.family = 4
	case openBSDInet6:
		s.family, s.v6only, address = 6, true, r.ipv6
	default:
		return s, false
	}
	// a port's two bytes are the low ones of the host's 32 bits
	s.local = netip.AddrPortFrom(address(kinfoLaddr), networkPort(r.u32(kinfoLocal)))
	if port := networkPort(r.u32(kinfoRemote)); port != 0 {
		s.remote = netip.AddrPortFrom(address(kinfoFaddr), port)
	}
	s.state = udpState(s.remote)
	if s.protocol == "tcp" {
		s.state = stateConnection
		if r.u32(kinfoState) == tcpListening {
			s.state = stateListen
		}
	}
	s.handle = r.u64(kinfoData)
	s.uid, s.uidKnown = r.u32(kinfoCred), true
	s.holders = []Process{{PID: int(int32(r.u32(kinfoPID))), Name: r.text(kinfoComm, kinfoCommSize), UID: r.u32(kinfoUID)}}
	return s, true
}
