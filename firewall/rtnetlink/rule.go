package rtnetlink

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Attributes of a routing rule (include/uapi/linux/fib_rules.h).
const (
	ruleDestination     = 1
	ruleSource          = 2
	ruleInput           = 3
	ruleGoto            = 4
	rulePriority        = 6
	ruleMark            = 10
	ruleFlow            = 11
	ruleTunnelID        = 12
	ruleSuppressGroup   = 13
	ruleSuppressLength  = 14
	ruleTable           = 15
	ruleMarkMask        = 16
	ruleOutput          = 17
	rulePad             = 18
	ruleL3Mdev          = 19
	ruleUIDRange        = 20
	ruleOrigin          = 21 // who made the rule; not the packet's protocol
	ruleProtocol        = 22
	ruleSourcePorts     = 23
	ruleDestPorts       = 24
	ruleDSCP            = 25
	ruleSourcePortsMask = 28
	ruleDestPortsMask   = 29

	ruleHeaderLength = 12

	// FIB_RULE_INVERT
	flagInvert = 2

	wholePort = 0xffff
)

func (r *reader) rules() []firewall.RoutingRule {
	var rules []firewall.RoutingRule
	r.dump("routing rules", netlink.Request(getRule, netlink.FlagDump, make([]byte, ruleHeaderLength)), newRule,
		func() { rules = nil },
		func(data []byte) error {
			if len(data) > 0 && !unspecified(data[0]).IsValid() {
				return nil // multicast routing's (RTNL_FAMILY_IPMR)
			}
			rule, err := decodeRule(data)
			if err == nil {
				rules = append(rules, rule)
			}
			return err
		})
	slices.SortStableFunc(rules, func(a, b firewall.RoutingRule) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Priority, b.Priority))
	})
	return rules
}

// decodeRule decodes struct fib_rule_hdr: family 1, destination length 1, source
// length 1, TOS 1, table 1, reserved 2, action 1, flags 4.
func decodeRule(data []byte) (firewall.RoutingRule, error) {
	result := firewall.RoutingRule{SuppressPrefixLength: -1, SuppressInterfaceGroup: -1}
	if len(data) < ruleHeaderLength {
		return result, fmt.Errorf("routing rule: %w: %d bytes", netlink.ErrTruncated, len(data))
	}
	family := data[0]
	result.Family = firewall.Family(family) // NFPROTO_IPV4 and NFPROTO_IPV6 are AF_INET and AF_INET6
	result.TOS = data[3]
	result.Table = uint32(data[4])
	result.Action = data[7]
	result.Invert = binary.NativeEndian.Uint32(data[8:])&flagInvert != 0
	var destination, source netip.Addr
	a := netlink.NewAttributes(data[ruleHeaderLength:])
	for a.Next() {
		var err error
		switch a.Type() {
		case ruleDestination:
			destination, err = addressOf(family, a.Data())
		case ruleSource:
			source, err = addressOf(family, a.Data())
		default:
			ruleAttribute(&result, a)
		}
		a.Fail(err)
	}
	err := a.Err()
	if err == nil && data[1] > 0 {
		result.Destination, err = prefixOf(family, destination, data[1])
	}
	if err == nil && data[2] > 0 {
		result.Source, err = prefixOf(family, source, data[2])
	}
	if err != nil {
		return result, fmt.Errorf("routing rule %d: %w", result.Priority, err)
	}
	return result, nil
}

func ruleAttribute(rule *firewall.RoutingRule, a *netlink.Attributes) {
	switch a.Type() {
	case rulePriority:
		rule.Priority = a.Uint32()
	case ruleTable:
		rule.Table = a.Uint32()
	case ruleGoto:
		rule.Goto = a.Uint32()
	case ruleInput:
		rule.InName = shortName(a.String())
	case ruleOutput:
		rule.OutName = shortName(a.String())
	case ruleMark:
		rule.Mark = a.Uint32()
	case ruleMarkMask:
		rule.MarkMask = a.Uint32()
	case ruleUIDRange:
		rule.UIDRange, rule.HasUIDRange = uids(a), true
	case ruleProtocol:
		rule.Protocol = a.Uint8()
	case ruleSourcePorts:
		rule.SourcePort = ports(a)
	case ruleDestPorts:
		rule.DestPort = ports(a)
	case ruleSuppressGroup:
		rule.SuppressInterfaceGroup = int32(a.Uint32())
	case ruleSuppressLength:
		rule.SuppressPrefixLength = int32(a.Uint32())
	case ruleFlow, rulePad, ruleOrigin:
		// realms and origin don't change which rule a packet takes
	default:
		opaqueRule(rule, a)
	}
}

// opaqueRule names what the model has no field for, if it restricts or redirects at all.
func opaqueRule(rule *firewall.RoutingRule, a *netlink.Attributes) {
	what := fmt.Sprintf("rule attribute %d", a.Type())
	switch a.Type() {
	case ruleL3Mdev:
		if a.Uint8() == 0 {
			return
		}
		what = "l3mdev"
	case ruleTunnelID:
		if a.Uint64BE() == 0 {
			return
		}
		what = fmt.Sprintf("tunnel id %d", a.Uint64BE())
	case ruleDSCP:
		what = fmt.Sprintf("dscp %d", a.Uint8())
	case ruleSourcePortsMask, ruleDestPortsMask:
		if a.Uint16() == wholePort {
			return
		}
		what = fmt.Sprintf("port mask %#x", a.Uint16())
	}
	rule.Opaque = appendOpaque(rule.Opaque, what)
}

// ports decodes struct fib_rule_port_range: start 2, end 2, in host order.
func ports(a *netlink.Attributes) [2]uint16 {
	word := pair(a, 4)
	return [2]uint16{binary.NativeEndian.Uint16(word), binary.NativeEndian.Uint16(word[2:])}
}

// uids decodes struct fib_rule_uid_range: start 4, end 4.
func uids(a *netlink.Attributes) [2]uint32 {
	word := pair(a, 8)
	return [2]uint32{binary.NativeEndian.Uint32(word), binary.NativeEndian.Uint32(word[4:])}
}

// pair is a payload of an exact length, zeros if it has another.
func pair(a *netlink.Attributes, length int) []byte {
	if len(a.Data()) != length {
		a.Fail(fmt.Errorf("range of %d bytes, not %d", len(a.Data()), length))
		return make([]byte, length)
	}
	return a.Data()
}
