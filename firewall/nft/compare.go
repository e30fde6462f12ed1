package nft

import (
	"bytes"
	"encoding/binary"

	"github.com/netglance/netglance/firewall"
)

// Attributes of cmp (enum nft_cmp_attributes).
const (
	cmpSreg = 1 // NFTA_CMP_SREG
	cmpOp   = 2 // NFTA_CMP_OP
	cmpData = 3 // NFTA_CMP_DATA
)

func (d *decoder) cmp(e *expression) bool {
	data := plainData(e.get(cmpData))
	op := e.uint32(cmpOp)
	if !e.only(bits(cmpData)) || op > uint32(firewall.GreaterEqual) {
		return false
	}
	v, ok := d.registers.prefix(e.uint32(cmpSreg), uint32(len(data)))
	if ok {
		d.add(d.known.compare(firewall.Compare{Op: firewall.Comparison(op), Value: v, Data: data}))
	}
	return ok
}

// Attributes of range (enum nft_range_attributes).
const (
	rangeSreg = 1 // NFTA_RANGE_SREG
	rangeOp   = 2 // NFTA_RANGE_OP: 1 is outside
	rangeFrom = 3 // NFTA_RANGE_FROM_DATA
	rangeTo   = 4 // NFTA_RANGE_TO_DATA
)

func (d *decoder) rangeMatch(e *expression) bool {
	from, to := plainData(e.get(rangeFrom)), plainData(e.get(rangeTo))
	op := e.uint32(rangeOp)
	if !e.only(bits(rangeTo)) || op > 1 || len(from) != len(to) {
		return false
	}
	v, ok := d.registers.get(e.uint32(rangeSreg), uint32(len(from)))
	if ok {
		d.add(firewall.Range{Invert: op == 1, Value: v, From: from, To: to})
	}
	return ok
}

// Attributes of bitwise (enum nft_bitwise_attributes).
const (
	bitwiseSreg  = 1 // NFTA_BITWISE_SREG
	bitwiseDreg  = 2 // NFTA_BITWISE_DREG
	bitwiseLen   = 3 // NFTA_BITWISE_LEN: bytes
	bitwiseMask  = 4 // NFTA_BITWISE_MASK
	bitwiseXor   = 5 // NFTA_BITWISE_XOR
	bitwiseOp    = 6 // NFTA_BITWISE_OP, kernel 5.6; mask and xor before
	bitwiseData  = 7 // NFTA_BITWISE_DATA: the shift, or the other operand, a u32
	bitwiseSreg2 = 8 // NFTA_BITWISE_SREG2, kernel 6.13
)

// The operations of bitwise (enum nft_bitwise_ops).
const (
	bitwiseMaskXor = 0 // NFT_BITWISE_MASK_XOR: (source & mask) ^ xor
	bitwiseLshift  = 1 // NFT_BITWISE_LSHIFT
	bitwiseRshift  = 2 // NFT_BITWISE_RSHIFT
	bitwiseAnd     = 3 // NFT_BITWISE_AND and its kin: two operands, kernel 6.13
	bitwiseOr      = 4 // NFT_BITWISE_OR
	bitwiseXorOp   = 5 // NFT_BITWISE_XOR
)

func (d *decoder) bitwise(e *expression) bool {
	length := e.uint32(bitwiseLen)
	left, ok := d.registers.get(e.uint32(bitwiseSreg), length)
	if !ok || !e.only(bits(bitwiseSreg2)) {
		return false
	}
	var v firewall.Value
	switch op := e.uint32(bitwiseOp); op {
	case bitwiseMaskXor:
		v, ok = maskXor(left, plainData(e.get(bitwiseMask)), plainData(e.get(bitwiseXor)), length)
	case bitwiseLshift, bitwiseRshift:
		v, ok = shift(left, op, plainData(e.get(bitwiseData)), length)
	case bitwiseAnd, bitwiseOr, bitwiseXorOp:
		v, ok = d.combine(left, op, e, length)
	default:
		return false
	}
	return ok && d.registers.set(e.uint32(bitwiseDreg), v, length)
}

func maskXor(left firewall.Value, mask, xor []byte, length uint32) (firewall.Value, bool) {
	if uint32(len(mask)) != length || uint32(len(xor)) != length {
		return nil, false
	}
	v := left
	if !uniform(mask, 0xff) {
		v = firewall.Bitwise{Op: firewall.BitAnd, Left: v, Right: firewall.Constant{Data: mask}, Length: length}
	}
	if !uniform(xor, 0) {
		v = firewall.Bitwise{Op: firewall.BitXor, Left: v, Right: firewall.Constant{Data: xor}, Length: length}
	}
	return v, true
}

func uniform(b []byte, c byte) bool { return bytes.Count(b, []byte{c}) == len(b) }

// shift's distance is a host-order word of 0 to 31 bits.
func shift(left firewall.Value, op uint32, distance []byte, length uint32) (firewall.Value, bool) {
	if len(distance) != 4 {
		return nil, false
	}
	direction := firewall.ShiftLeft
	if op == bitwiseRshift {
		direction = firewall.ShiftRight
	}
	return firewall.Bitwise{Op: direction, Left: left, Shift: binary.NativeEndian.Uint32(distance), Length: length}, true
}

func (d *decoder) combine(left firewall.Value, op uint32, e *expression, length uint32) (firewall.Value, bool) {
	right, ok := firewall.Value(firewall.Constant{Data: plainData(e.get(bitwiseData))}), true
	if e.has(bitwiseSreg2) {
		right, ok = d.registers.get(e.uint32(bitwiseSreg2), length)
	} else if len(plainData(e.get(bitwiseData))) == 0 {
		return nil, false
	}
	ops := map[uint32]firewall.BitOp{bitwiseAnd: firewall.BitAnd, bitwiseOr: firewall.BitOr, bitwiseXorOp: firewall.BitXor}
	return firewall.Bitwise{Op: ops[op], Left: left, Right: right, Length: length}, ok
}

// Attributes of byteorder (enum nft_byteorder_attributes).
const (
	byteorderSreg = 1 // NFTA_BYTEORDER_SREG
	byteorderDreg = 2 // NFTA_BYTEORDER_DREG
	byteorderOp   = 3 // NFTA_BYTEORDER_OP: 0 to host order, 1 to network order
	byteorderLen  = 4 // NFTA_BYTEORDER_LEN: bytes
	byteorderSize = 5 // NFTA_BYTEORDER_SIZE: bytes of a word
)

func (d *decoder) byteorder(e *expression) bool {
	length, op := e.uint32(byteorderLen), e.uint32(byteorderOp)
	v, ok := d.registers.get(e.uint32(byteorderSreg), length)
	size := e.uint32(byteorderSize)
	if !ok || !e.only(bits(byteorderSize)) || op > 1 || size != 2 && size != 4 && size != 8 {
		return false
	}
	swapped := firewall.ByteOrder{Value: v, ToNetwork: op == 1, Size: size, Length: length}
	return d.registers.set(e.uint32(byteorderDreg), swapped, length)
}

// Attributes of immediate (enum nft_immediate_attributes).
const (
	immediateDreg = 1 // NFTA_IMMEDIATE_DREG: 0 is the verdict
	immediateData = 2 // NFTA_IMMEDIATE_DATA
)

func (d *decoder) immediate(e *expression) bool {
	if !e.only(bits(immediateData)) || !e.has(immediateData) || !e.has(immediateDreg) {
		return false
	}
	var data attributes
	data.parse(e.get(immediateData))
	dreg := e.uint32(immediateDreg)
	if dreg == 0 && data.has(dataVerdict) {
		d.add(d.table.decodeVerdict(data.get(dataVerdict)))
		return true
	}
	value := data.get(dataValue)
	return d.registers.set(dreg, firewall.Constant{Data: value}, uint32(len(value)))
}
