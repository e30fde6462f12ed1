package nft

import (
	"encoding/binary"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
)

// Attributes of match and target (enum nft_match_attributes, nft_target_attributes).
const (
	xtName     = 1 // NFTA_MATCH_NAME
	xtRevision = 2 // NFTA_MATCH_REV
	xtInfo     = 3 // NFTA_MATCH_INFO: the extension's own struct
)

// extensions decodes x_tables' structs; ok is false in the families that
// firewall/xt doesn't know (bridge and arp have extensions of their own).
func (t *table) extensions() (d xt.Decoder, ok bool) {
	bigEndian := binary.NativeEndian.Uint16([]byte{0, 1}) == 1
	d = xt.Decoder{Family: t.Family, BigEndian: bigEndian}
	if t.ipsets != nil {
		d.SetByIndex = t.ipsets.ByIndex
	}
	return d, t.Family == firewall.FamilyIPv4 || t.Family == firewall.FamilyIPv6
}

func (d *decoder) match(e *expression) bool {
	name, revision := e.text(xtName), e.uint32(xtRevision)
	if !e.only(bits(xtInfo)) || revision > 255 {
		return false
	}
	if comment, ok := xt.Comment(name, e.get(xtInfo)); ok {
		d.comment = comment
	}
	x, ok := d.table.extensions()
	if !ok {
		d.add(firewall.Opaque{Name: "xt match " + name, Data: e.get(xtInfo)})
		return true
	}
	d.steps = append(d.steps, x.Match(name, uint8(revision), e.get(xtInfo)).Steps()...)
	return true
}

func (d *decoder) target(e *expression) bool {
	name, revision := e.text(xtName), e.uint32(xtRevision)
	if !e.only(bits(xtInfo)) || revision > 255 {
		return false
	}
	x, ok := d.table.extensions()
	if !ok {
		d.add(firewall.Opaque{Name: "xt target " + name, Target: true, Data: e.get(xtInfo)})
		return true
	}
	d.steps = append(d.steps, x.Target(name, uint8(revision), e.get(xtInfo)).Steps()...)
	return true
}
