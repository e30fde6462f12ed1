package nft

import "github.com/netglance/netglance/firewall"

// Attributes of payload (enum nft_payload_attributes).
const (
	payloadDreg   = 1 // NFTA_PAYLOAD_DREG
	payloadBase   = 2 // NFTA_PAYLOAD_BASE
	payloadOffset = 3 // NFTA_PAYLOAD_OFFSET: bytes
	payloadLength = 4 // NFTA_PAYLOAD_LEN: bytes
	payloadSreg   = 5 // NFTA_PAYLOAD_SREG
	// 6 to 8 are NFTA_PAYLOAD_CSUM_*: how a write mends the checksum
)

func (d *decoder) payload(e *expression) bool {
	p := firewall.Payload{
		Base:   firewall.HeaderBase(e.uint32(payloadBase)),
		Offset: e.uint32(payloadOffset),
		Length: e.uint32(payloadLength),
	}
	if !e.only(bits(8)) || e.uint32(payloadBase) > uint32(firewall.TunnelHeader) {
		return false
	}
	if !e.has(payloadSreg) {
		return d.registers.set(e.uint32(payloadDreg), d.known.payload(p), p.Length)
	}
	return d.assign(p, e.uint32(payloadSreg), p.Length)
}

// assign writes a register's value to a target outside the registers.
func (d *decoder) assign(target firewall.Value, sreg, length uint32) bool {
	v, ok := d.registers.get(sreg, length)
	if !ok {
		return false
	}
	d.add(firewall.Assign{Target: target, Value: v})
	d.registers.assigned(target, v, length)
	return true
}

// Attributes of exthdr (enum nft_exthdr_attributes).
const (
	exthdrDreg   = 1 // NFTA_EXTHDR_DREG
	exthdrType   = 2 // NFTA_EXTHDR_TYPE: a byte
	exthdrOffset = 3 // NFTA_EXTHDR_OFFSET: bytes
	exthdrLength = 4 // NFTA_EXTHDR_LEN: bytes
	exthdrFlags  = 5 // NFTA_EXTHDR_FLAGS
	exthdrOp     = 6 // NFTA_EXTHDR_OP
	exthdrSreg   = 7 // NFTA_EXTHDR_SREG
)

func exthdrOf(e *expression) firewall.ExtHdr {
	return firewall.ExtHdr{
		Op:      firewall.ExtHdrOp(e.uint32(exthdrOp)),
		Type:    e.uint8(exthdrType),
		Offset:  e.uint32(exthdrOffset),
		Length:  e.uint32(exthdrLength),
		Present: e.uint32(exthdrFlags)&1 != 0, // NFT_EXTHDR_F_PRESENT
	}
}

func (d *decoder) exthdr(e *expression) bool {
	h := exthdrOf(e)
	if !e.only(bits(exthdrSreg)) || e.uint32(exthdrFlags)&^1 != 0 || h.Op > firewall.ExtHdrDCCP {
		return false
	}
	if e.has(exthdrSreg) {
		return d.assign(h, e.uint32(exthdrSreg), h.Length)
	}
	if !e.has(exthdrDreg) {
		// A TCP option is overwritten with no-operations (nft_exthdr_tcp_strip_eval).
		d.add(firewall.Passive{Name: "exthdr", Text: "reset tcp option " + tcpOptionName(h.Type)})
		return h.Op == firewall.ExtHdrTCPOpt
	}
	length := h.Length
	if h.Present {
		length = 1
	}
	return d.registers.set(e.uint32(exthdrDreg), h, length)
}

// Attributes of inner (enum nft_inner_attributes).
const (
	innerType       = 2 // NFTA_INNER_TYPE: 1 vxlan, 2 geneve, 0 by header
	innerExpression = 5 // NFTA_INNER_EXPR
)

// inner is a payload or meta load from the packet within a tunnel packet.
func (d *decoder) inner(e *expression) bool {
	if !e.only(bits(innerExpression)) {
		return false
	}
	nested := decoder{table: d.table}
	var load expression
	load.parse(e.get(innerExpression))
	if name := string(load.name); name != "payload" && name != "meta" {
		return false
	}
	nested.expression(&load)
	if len(nested.steps) != 0 {
		return false
	}
	dreg := load.uint32(payloadDreg) // NFTA_META_DREG has the same number
	first, ok := register(dreg)
	if !ok {
		return false
	}
	w := nested.registers.word[first]
	return d.registers.set(dreg, firewall.Inner{Type: e.uint32(innerType), Value: w.value}, w.length)
}
