package twin

import (
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Attributes of expressions (include/uapi/linux/netfilter/nf_tables.h).
const (
	expressionName = 1
	expressionData = 2

	metaDestination = 1
	metaKey         = 2
	metaL4Protocol  = 16

	payloadDestination = 1
	payloadBase        = 2
	payloadOffset      = 3
	payloadLength      = 4
	payloadNetwork     = 1

	compareSource = 1
	compareOp     = 2
	compareData   = 3
	compareEqual  = 0
	dataValue     = 1

	compatProtocol = 1
	compatFlags    = 2
	compatInverted = 1 << 1
)

// compatibility is NFTA_RULE_COMPAT of a rule with matches or targets of xtables:
// the protocol that the rule is for, which some of them insist on. The kernel takes
// it with a rule and never gives it back (nft_compat.c, nft_parse_compat), so it is
// made of the rule's own comparison with the protocol. It is nil where none is due.
func compatibility(family firewall.Family, expressions []byte) []byte {
	var register []byte // where the protocol was loaded to
	var protocol, flags uint32
	needed := false
	for _, e := range rawAttributes(expressions) {
		data := attribute(e.data(), expressionData)
		switch name := text(e.data(), expressionName); name {
		case "match", "target":
			needed = true
		case "meta":
			if word(attribute(data, metaKey)) == metaL4Protocol {
				register = attribute(data, metaDestination)
			}
		case "payload":
			if loadsProtocol(family, data) {
				register = attribute(data, payloadDestination)
			}
		case "cmp":
			value := attribute(attribute(data, compareData), dataValue)
			if register == nil || string(attribute(data, compareSource)) != string(register) || len(value) != 1 || protocol != 0 {
				continue
			}
			protocol = uint32(value[0])
			if word(attribute(data, compareOp)) != compareEqual {
				flags = compatInverted
			}
		}
	}
	if !needed || protocol == 0 {
		return nil
	}
	b := netlink.AppendAttribute(nil, compatProtocol, be32(protocol))
	return netlink.AppendAttribute(b, compatFlags, be32(flags))
}

// loadsProtocol says that a payload expression loads the protocol of the IP
// header, as older versions of iptables-nft did.
func loadsProtocol(family firewall.Family, data []byte) bool {
	offset := uint32(9)
	if family == firewall.FamilyIPv6 {
		offset = 6
	}
	return word(attribute(data, payloadBase)) == payloadNetwork && word(attribute(data, payloadOffset)) == offset && word(attribute(data, payloadLength)) == 1
}
