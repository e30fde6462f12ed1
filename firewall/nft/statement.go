package nft

import (
	"fmt"

	"github.com/netglance/netglance/firewall"
)

// Attributes of reject (enum nft_reject_attributes).
const (
	rejectType = 1 // NFTA_REJECT_TYPE: 0 ICMP unreachable, 1 TCP reset, 2 icmpx
	rejectCode = 2 // NFTA_REJECT_ICMP_CODE: a byte
)

// The types of reject (enum nft_reject_types).
const (
	rejectUnreach  = 0 // NFT_REJECT_ICMP_UNREACH
	rejectTCPReset = 1 // NFT_REJECT_TCP_RST
	rejectICMPX    = 2 // NFT_REJECT_ICMPX_UNREACH
)

func (d *decoder) reject(e *expression) bool {
	if !e.only(bits(rejectCode)) || e.uint32(rejectType) > rejectICMPX {
		return false
	}
	kind := e.uint32(rejectType)
	d.add(firewall.Reject{TCPReset: kind == rejectTCPReset, With: rejectWith(kind, e.uint8(rejectCode), d.table.Family)})
	return true
}

// rejectWith names the error as nft does. Types 3 of ICMP (RFC 792, 1122, 1812)
// and 1 of ICMPv6 (RFC 4443); icmpx stands for the same meaning in both.
func rejectWith(kind uint32, code uint8, family firewall.Family) string {
	protocol, codes := "icmp", icmpCodes
	switch {
	case kind == rejectTCPReset:
		return "tcp reset"
	case kind == rejectICMPX:
		protocol, codes = "icmpx", icmpxCodes
	case family == firewall.FamilyIPv6:
		protocol, codes = "icmpv6", icmpv6Codes
	}
	if name, ok := codes[uint64(code)]; ok {
		return protocol + " " + name
	}
	return fmt.Sprintf("%s %d", protocol, code)
}

// Flags of address translation (include/uapi/linux/netfilter/nf_nat.h). 1 and 2
// only say that there are addresses or ports.
const (
	natRandom      = 4  // NF_NAT_RANGE_PROTO_RANDOM
	natPersistent  = 8  // NF_NAT_RANGE_PERSISTENT
	natFullyRandom = 16 // NF_NAT_RANGE_PROTO_RANDOM_FULLY
	natOffset      = 32 // NF_NAT_RANGE_PROTO_OFFSET
	natNetMap      = 64 // NF_NAT_RANGE_NETMAP
)

// Attributes of nat (enum nft_nat_attributes), and of masq and redir.
const (
	natType    = 1 // NFTA_NAT_TYPE: 0 source, 1 destination
	natFamily  = 2 // NFTA_NAT_FAMILY
	natAddrMin = 3 // NFTA_NAT_REG_ADDR_MIN
	natAddrMax = 4 // NFTA_NAT_REG_ADDR_MAX
	natPortMin = 5 // NFTA_NAT_REG_PROTO_MIN
	natPortMax = 6 // NFTA_NAT_REG_PROTO_MAX
	natFlags   = 7 // NFTA_NAT_FLAGS

	masqFlags   = 1 // NFTA_MASQ_FLAGS
	masqPortMin = 2 // NFTA_MASQ_REG_PROTO_MIN
	masqPortMax = 3 // NFTA_MASQ_REG_PROTO_MAX

	redirPortMin = 1 // NFTA_REDIR_REG_PROTO_MIN
	redirPortMax = 2 // NFTA_REDIR_REG_PROTO_MAX
	redirFlags   = 3 // NFTA_REDIR_FLAGS
)

func (d *decoder) nat(e *expression) bool {
	if !e.only(bits(natFlags)) || e.uint32(natType) > 1 {
		return false
	}
	n := firewall.NAT{Kind: firewall.SourceNAT, Family: firewall.Family(e.uint32(natFamily))}
	if e.uint32(natType) == 1 {
		n.Kind = firewall.DestinationNAT
	}
	var ok bool
	if n.AddressMin, n.AddressMax, ok = d.registerRange(e, natAddrMin, natAddrMax, addressLength(n.Family)); !ok {
		return false
	}
	return d.translate(n, e, natPortMin, natPortMax, natFlags)
}

func (d *decoder) masq(e *expression) bool {
	n := firewall.NAT{Kind: firewall.MasqueradeNAT, Family: d.table.Family}
	return e.only(bits(masqPortMax)) && d.translate(n, e, masqPortMin, masqPortMax, masqFlags)
}

func (d *decoder) redir(e *expression) bool {
	n := firewall.NAT{Kind: firewall.RedirectNAT, Family: d.table.Family}
	return e.only(bits(redirFlags)) && d.translate(n, e, redirPortMin, redirPortMax, redirFlags)
}

// translate adds a translation with its ports and flags.
func (d *decoder) translate(n firewall.NAT, e *expression, portMin, portMax, flagsAttribute int) bool {
	flags := e.uint32(flagsAttribute)
	var ok bool
	n.PortMin, n.PortMax, ok = d.registerRange(e, portMin, portMax, 2)
	n.NetMap = flags&natNetMap != 0
	n.Random = flags&(natRandom|natFullyRandom) != 0
	n.Persistent = flags&natPersistent != 0
	n.Offset = flags&natOffset != 0
	d.add(n)
	return ok && flags < natNetMap<<1
}

// registerRange reads the values of two registers; without a second the first
// is both ends, without a first there is no range.
func (d *decoder) registerRange(e *expression, low, high int, length uint32) (from, to firewall.Value, ok bool) {
	if !e.has(low) {
		return nil, nil, !e.has(high)
	}
	from, ok = d.registers.get(e.uint32(low), length)
	if !ok || !e.has(high) {
		return from, from, ok
	}
	to, ok = d.registers.get(e.uint32(high), length)
	return from, to, ok
}

func addressLength(family firewall.Family) uint32 {
	if family == firewall.FamilyIPv6 {
		return 16
	}
	return 4
}

// Attributes of tproxy (enum nft_tproxy_attributes).
const (
	tproxyFamily  = 1 // NFTA_TPROXY_FAMILY: 0 is both
	tproxyAddress = 2 // NFTA_TPROXY_REG_ADDR
	tproxyPort    = 3 // NFTA_TPROXY_REG_PORT
)

func (d *decoder) tproxy(e *expression) bool {
	t := firewall.TProxy{Family: firewall.Family(e.uint32(tproxyFamily))}
	var ok bool
	if t.Address, _, ok = d.registerRange(e, tproxyAddress, tproxyAddress, addressLength(t.Family)); !ok {
		return false
	}
	if t.Port, _, ok = d.registerRange(e, tproxyPort, tproxyPort, 2); !ok || !e.only(bits(tproxyPort)) {
		return false
	}
	d.add(t)
	return true
}

// Attributes of dup (enum nft_dup_attributes) and fwd (enum nft_fwd_attributes).
const (
	dupAddress = 1 // NFTA_DUP_SREG_ADDR
	dupDevice  = 2 // NFTA_DUP_SREG_DEV

	fwdDevice   = 1 // NFTA_FWD_SREG_DEV
	fwdAddress  = 2 // NFTA_FWD_SREG_ADDR
	fwdProtocol = 3 // NFTA_FWD_NFPROTO
)

func (d *decoder) dup(e *expression) bool {
	address, _, ok := d.registerRange(e, dupAddress, dupAddress, addressLength(d.table.Family))
	if !ok {
		return false
	}
	device, _, ok := d.registerRange(e, dupDevice, dupDevice, 4)
	d.add(firewall.Dup{Address: address, Device: device})
	return ok && e.only(bits(dupDevice))
}

func (d *decoder) fwd(e *expression) bool {
	address, _, ok := d.registerRange(e, fwdAddress, fwdAddress, addressLength(firewall.Family(e.uint32(fwdProtocol))))
	if !ok {
		return false
	}
	device, _, ok := d.registerRange(e, fwdDevice, fwdDevice, 4)
	d.add(firewall.Forwarding{Address: address, Device: device})
	return ok && e.only(bits(fwdProtocol))
}

// Attributes of queue (enum nft_queue_attributes).
const (
	queueNumber = 1 // NFTA_QUEUE_NUM: u16
	queueTotal  = 2 // NFTA_QUEUE_TOTAL: u16
	queueFlags  = 3 // NFTA_QUEUE_FLAGS: u16
	queueSreg   = 4 // NFTA_QUEUE_SREG_QNUM
)

func (d *decoder) queue(e *expression) bool {
	flags := e.uint16(queueFlags)
	if !e.only(bits(queueSreg)) || flags > 3 {
		return false
	}
	d.add(firewall.Verdict{Code: firewall.Queue, Number: e.uint16(queueNumber), Bypass: flags&1 != 0}) // NFT_QUEUE_FLAG_BYPASS
	return true
}

func (d *decoder) notrack(e *expression) bool {
	d.add(firewall.NoTrack{})
	return e.only(0)
}

func (d *decoder) synproxy(e *expression) bool {
	d.add(firewall.SynProxy{})
	return e.only(bits(3))
}

func (d *decoder) flowOffload(e *expression) bool {
	d.add(firewall.FlowOffload{Table: e.text(1)}) // NFTA_FLOW_TABLE_NAME
	return e.only(bits(1))
}

func (d *decoder) counter(e *expression) bool {
	d.add(firewall.Passive{Name: "counter", Text: "counter"})
	return e.only(bits(3))
}

func (d *decoder) last(e *expression) bool {
	d.add(firewall.Passive{Name: "last", Text: "last"})
	return e.only(bits(3))
}

func (d *decoder) log(e *expression) bool {
	d.add(firewall.Passive{Name: "log", Text: logText(e)})
	return e.only(bits(6))
}
