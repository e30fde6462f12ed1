package nft

import "github.com/netglance/netglance/firewall"

// Attributes of meta (enum nft_meta_attributes).
const (
	metaDreg = 1 // NFTA_META_DREG
	metaKey  = 2 // NFTA_META_KEY
	metaSreg = 3 // NFTA_META_SREG
)

// metaLength is how many bytes a key has in a register (nft_meta.c); 0 for a key
// that isn't known.
func metaLength(key firewall.MetaKey) uint32 {
	switch key {
	case firewall.MetaIifName, firewall.MetaOifName, firewall.MetaBriIifName, firewall.MetaBriOifName,
		firewall.MetaIifKind, firewall.MetaOifKind, firewall.MetaSDIFName:
		return 16
	case firewall.MetaTimeNS:
		return 8
	case firewall.MetaBriIifHWAddr:
		return 6
	case firewall.MetaProtocol, firewall.MetaIifType, firewall.MetaOifType,
		firewall.MetaBriIifPVID, firewall.MetaBriIifVProt:
		return 2
	case firewall.MetaNFProto, firewall.MetaL4Proto, firewall.MetaPktType, firewall.MetaSecPath,
		firewall.MetaTimeDay, firewall.MetaNFTrace, firewall.MetaBriBroute:
		return 1
	}
	if key > firewall.MetaBriIifHWAddr {
		return 0
	}
	return 4
}

func (d *decoder) meta(e *expression) bool {
	m := firewall.Meta{Key: firewall.MetaKey(e.uint32(metaKey))}
	length := metaLength(m.Key)
	if !e.only(bits(metaSreg)) || length == 0 {
		return false
	}
	if e.has(metaSreg) {
		return d.assign(m, e.uint32(metaSreg), length)
	}
	return d.registers.set(e.uint32(metaDreg), d.known.meta(m), length)
}

// Attributes of ct (enum nft_ct_attributes).
const (
	ctDreg      = 1 // NFTA_CT_DREG
	ctKey       = 2 // NFTA_CT_KEY
	ctDirection = 3 // NFTA_CT_DIRECTION: a byte, 0 original, 1 reply
	ctSreg      = 4 // NFTA_CT_SREG
)

// ctLength is how many bytes a key has in a register (nft_ct_get_init in
// nft_ct.c); 0 for a key that isn't known.
func ctLength(key firewall.CTKey, family firewall.Family) uint32 {
	switch key {
	case firewall.CTDirection, firewall.CTL3Protocol, firewall.CTProtocol:
		return 1
	case firewall.CTProtoSrc, firewall.CTProtoDst, firewall.CTZone:
		return 2
	case firewall.CTPkts, firewall.CTBytes, firewall.CTAvgPkt:
		return 8
	case firewall.CTHelper, firewall.CTLabels, firewall.CTSrcIP6, firewall.CTDstIP6:
		return 16
	case firewall.CTSrc, firewall.CTDst:
		if family == firewall.FamilyIPv4 {
			return 4
		}
		return 16
	}
	if key > firewall.CTID {
		return 0
	}
	return 4
}

func (d *decoder) ct(e *expression) bool {
	c := firewall.CT{Key: firewall.CTKey(e.uint32(ctKey)), Dir: firewall.CTNoDir}
	if e.has(ctDirection) {
		c.Dir = firewall.CTDir(e.uint8(ctDirection))
	}
	length := ctLength(c.Key, d.table.Family)
	if !e.only(bits(ctSreg)) || length == 0 || c.Dir > firewall.CTReply || c.Dir < firewall.CTNoDir {
		return false
	}
	if e.has(ctSreg) {
		return d.assign(c, e.uint32(ctSreg), length)
	}
	return d.registers.set(e.uint32(ctDreg), c, length)
}

// Attributes of fib (enum nft_fib_attributes).
const (
	fibDreg   = 1 // NFTA_FIB_DREG
	fibResult = 2 // NFTA_FIB_RESULT
	fibFlags  = 3 // NFTA_FIB_FLAGS
)

func (d *decoder) fib(e *expression) bool {
	f := firewall.FIB{Result: firewall.FIBResult(e.uint32(fibResult)), Flags: e.uint32(fibFlags)}
	if !e.only(bits(fibFlags)) || f.Flags >= firewall.FIBPresent<<1 {
		return false
	}
	return d.registers.set(e.uint32(fibDreg), f, fibLength(f))
}

// fibLength is how many bytes the result has in a register; 0 if it isn't known.
func fibLength(f firewall.FIB) uint32 {
	switch {
	case f.Result == firewall.FIBType:
		return 4
	case f.Result == firewall.FIBOif && f.Flags&firewall.FIBPresent != 0,
		f.Result == firewall.FIBOifName && f.Flags&firewall.FIBPresent != 0:
		return 1
	case f.Result == firewall.FIBOif:
		return 4
	case f.Result == firewall.FIBOifName:
		return 16
	}
	return 0
}

// Attributes of rt (enum nft_rt_attributes).
const (
	rtDreg = 1 // NFTA_RT_DREG
	rtKey  = 2 // NFTA_RT_KEY
)

func (d *decoder) rt(e *expression) bool {
	v := firewall.RT{Key: firewall.RTKey(e.uint32(rtKey))}
	lengths := [...]uint32{firewall.RTClassID: 4, firewall.RTNexthop4: 4, firewall.RTNexthop6: 16, firewall.RTTCPMSS: 2, firewall.RTXFRM: 1}
	if !e.only(bits(rtKey)) || int64(v.Key) >= int64(len(lengths)) {
		return false
	}
	return d.registers.set(e.uint32(rtDreg), v, lengths[v.Key])
}

// Attributes of socket (enum nft_socket_attributes).
const (
	socketKey   = 1 // NFTA_SOCKET_KEY
	socketDreg  = 2 // NFTA_SOCKET_DREG
	socketLevel = 3 // NFTA_SOCKET_LEVEL: of the cgroup, 0 the root
)

func (d *decoder) socket(e *expression) bool {
	v := firewall.Socket{Key: firewall.SocketKey(e.uint32(socketKey)), Level: e.uint32(socketLevel)}
	lengths := [...]uint32{firewall.SocketTransparent: 1, firewall.SocketMark: 4, firewall.SocketWildcard: 1, firewall.SocketCgroupV2: 8}
	if !e.only(bits(socketLevel)) || int64(v.Key) >= int64(len(lengths)) {
		return false
	}
	return d.registers.set(e.uint32(socketDreg), v, lengths[v.Key])
}
