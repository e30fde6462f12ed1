package firewall

// A Value is bytes computed from a packet, in the order in which the kernel
// keeps them in a register: header fields in network order, meta data and marks
// in host order. A value that can't be loaded ends the rule (NFT_BREAK).
type Value interface{ value() }

// Constant is a fixed value.
type Constant struct{ Data []byte }

// HeaderBase is where a Payload's offset counts from, numbered like enum nft_payload_bases.
type HeaderBase uint8

// The bases. Inner is what follows the transport header.
const (
	LinkLayerHeader HeaderBase = iota
	NetworkHeader
	TransportHeader
	InnerHeader
	TunnelHeader
)

// Payload is Length bytes of a header.
type Payload struct {
	Base           HeaderBase
	Offset, Length uint32
}

// Inner is a value of an encapsulated packet (vxlan, geneve, gre …).
type Inner struct {
	Type  uint32
	Value Value
}

// MetaKey names a piece of packet meta data, numbered like enum nft_meta_keys.
type MetaKey uint32

// The meta keys (include/uapi/linux/netfilter/nf_tables.h). Names are 16 bytes
// padded with zeros; the rest is in host order.
const (
	MetaLen          MetaKey = 0
	MetaProtocol     MetaKey = 1 // EtherType, 2 bytes, network order
	MetaPriority     MetaKey = 2
	MetaMark         MetaKey = 3
	MetaIif          MetaKey = 4
	MetaOif          MetaKey = 5
	MetaIifName      MetaKey = 6
	MetaOifName      MetaKey = 7
	MetaIifType      MetaKey = 8
	MetaOifType      MetaKey = 9
	MetaSKUID        MetaKey = 10
	MetaSKGID        MetaKey = 11
	MetaNFTrace      MetaKey = 12
	MetaRTClassID    MetaKey = 13
	MetaSecMark      MetaKey = 14
	MetaNFProto      MetaKey = 15 // 1 byte
	MetaL4Proto      MetaKey = 16 // 1 byte
	MetaBriIifName   MetaKey = 17
	MetaBriOifName   MetaKey = 18
	MetaPktType      MetaKey = 19 // 1 byte
	MetaCPU          MetaKey = 20
	MetaIifGroup     MetaKey = 21
	MetaOifGroup     MetaKey = 22
	MetaCgroup       MetaKey = 23
	MetaPRandom      MetaKey = 24
	MetaSecPath      MetaKey = 25
	MetaIifKind      MetaKey = 26
	MetaOifKind      MetaKey = 27
	MetaBriIifPVID   MetaKey = 28
	MetaBriIifVProt  MetaKey = 29
	MetaTimeNS       MetaKey = 30
	MetaTimeDay      MetaKey = 31
	MetaTimeHour     MetaKey = 32
	MetaSDIF         MetaKey = 33
	MetaSDIFName     MetaKey = 34
	MetaBriBroute    MetaKey = 35
	MetaBriIifHWAddr MetaKey = 36
)

// Meta is packet meta data.
type Meta struct{ Key MetaKey }

// CTKey names a piece of a conntrack entry, numbered like enum nft_ct_keys.
type CTKey uint32

// The ct keys.
const (
	CTState      CTKey = 0
	CTDirection  CTKey = 1
	CTStatus     CTKey = 2
	CTMark       CTKey = 3
	CTSecMark    CTKey = 4
	CTExpiration CTKey = 5
	CTHelper     CTKey = 6
	CTL3Protocol CTKey = 7
	CTSrc        CTKey = 8
	CTDst        CTKey = 9
	CTProtocol   CTKey = 10
	CTProtoSrc   CTKey = 11
	CTProtoDst   CTKey = 12
	CTLabels     CTKey = 13
	CTPkts       CTKey = 14
	CTBytes      CTKey = 15
	CTAvgPkt     CTKey = 16
	CTZone       CTKey = 17
	CTEventMask  CTKey = 18
	CTSrcIP      CTKey = 19
	CTDstIP      CTKey = 20
	CTSrcIP6     CTKey = 21
	CTDstIP6     CTKey = 22
	CTID         CTKey = 23
)

// CTDir is the direction that a CT value looks at.
type CTDir int8

// The directions. CTNoDir is for keys that have none.
const (
	CTNoDir    CTDir = -1
	CTOriginal CTDir = 0
	CTReply    CTDir = 1
)

// CT is a piece of the packet's conntrack entry.
type CT struct {
	Key CTKey
	Dir CTDir
}

// FIBResult is what a FIB lookup returns, numbered like enum nft_fib_result.
type FIBResult uint32

// The FIB results. FIBPresent is oif used as a boolean (NFTA_FIB_F_PRESENT).
const (
	FIBOif     FIBResult = 1
	FIBOifName FIBResult = 2
	FIBType    FIBResult = 3
)

// FIB flags, numbered like enum nft_fib_flags.
const (
	FIBSaddr   = 1 << 0
	FIBDaddr   = 1 << 1
	FIBMark    = 1 << 2
	FIBIif     = 1 << 3
	FIBOifFlag = 1 << 4
	FIBPresent = 1 << 5
)

// FIB asks the host's routing tables about an address of the packet.
type FIB struct {
	Result FIBResult
	Flags  uint32
}

// RTKey names a property of the packet's route, numbered like enum nft_rt_keys.
type RTKey uint32

// The rt keys.
const (
	RTClassID  RTKey = 0
	RTNexthop4 RTKey = 1
	RTNexthop6 RTKey = 2
	RTTCPMSS   RTKey = 3
	RTXFRM     RTKey = 4
)

// RT is a property of the packet's route.
type RT struct{ Key RTKey }

// SocketKey names a property of the local socket that a packet is for,
// numbered like enum nft_socket_keys.
type SocketKey uint32

// The socket keys.
const (
	SocketTransparent SocketKey = 0
	SocketMark        SocketKey = 1
	SocketWildcard    SocketKey = 2
	SocketCgroupV2    SocketKey = 3
)

// Socket is a property of the local socket; without one the rule ends.
type Socket struct {
	Key   SocketKey
	Level uint32
}

// BridgePort is the name, 16 bytes padded with zeros, of the bridge port that a
// packet came in by, or with Out, goes out by. Only packets that br_netfilter
// hands to iptables have one; for others it can't be loaded (xt_physdev.c).
type BridgePort struct{ Out bool }

// ExtHdrOp tells which list of headers or options an ExtHdr looks through,
// numbered like enum nft_exthdr_op.
type ExtHdrOp uint32

// The operations.
const (
	ExtHdrIPv6   ExtHdrOp = 0
	ExtHdrTCPOpt ExtHdrOp = 1
	ExtHdrIPv4   ExtHdrOp = 2
	ExtHdrSCTP   ExtHdrOp = 3
	ExtHdrDCCP   ExtHdrOp = 4
)

// ExtHdr is part of an IPv6 extension header, a TCP or IPv4 option or an SCTP
// chunk. With Present it is one byte: whether there is such a header.
type ExtHdr struct {
	Op             ExtHdrOp
	Type           uint8
	Offset, Length uint32
	Present        bool
}

// BitOp is a bitwise operation.
type BitOp uint8

// The operations of Bitwise.
const (
	BitAnd BitOp = iota
	BitOr
	BitXor
	ShiftLeft
	ShiftRight
)

// Bitwise combines two values byte by byte, or shifts Left by Shift bits as
// nft_bitwise.c does: over 32-bit words in host order.
type Bitwise struct {
	Op          BitOp
	Left, Right Value // Right is nil for shifts
	Shift       uint32
	Length      uint32
}

// ByteOrder swaps the bytes of every Size-byte word (nft_byteorder.c). ToNetwork
// tells hton from ntoh: on a big-endian machine neither does anything.
type ByteOrder struct {
	Value        Value
	ToNetwork    bool
	Size, Length uint32
}

// Concat joins values, each padded with zeros to 4 bytes, as consecutive
// registers are.
type Concat struct{ Parts []Value }

// Slice is Length bytes of a value from Offset on.
type Slice struct {
	Value          Value
	Offset, Length uint32
}

// MapLookup is the data that a map has for the key; without an element the rule ends.
type MapLookup struct {
	Key    Value
	Map    *Set
	Length uint32
}

// Unpredictable is a value that the rules don't settle (numgen, jhash, symhash,
// time …), Length bytes long.
type Unpredictable struct {
	Kind ConditionKind
	// Name is the format's own: "numgen random", "jhash", "osf" …
	Name string
	// Text is the value in the words of the owner's tool.
	Text string
	// Modulus and Offset bound the value: Offset <= value < Offset+Modulus, a
	// 32-bit word in host order; Modulus 0 is no bound.
	Modulus, Offset uint32
	Length          uint32
}

// OpaqueValue is a value of an expression that netglance doesn't know. It may
// be anything, or end the rule.
type OpaqueValue struct {
	Name   string
	Data   []byte
	Length uint32
}

func (Constant) value()      {}
func (Payload) value()       {}
func (Inner) value()         {}
func (Meta) value()          {}
func (CT) value()            {}
func (FIB) value()           {}
func (RT) value()            {}
func (Socket) value()        {}
func (BridgePort) value()    {}
func (ExtHdr) value()        {}
func (Bitwise) value()       {}
func (ByteOrder) value()     {}
func (Concat) value()        {}
func (Slice) value()         {}
func (MapLookup) value()     {}
func (Unpredictable) value() {}
func (OpaqueValue) value()   {}
