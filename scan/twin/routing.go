package twin

import (
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"

	"github.com/netglance/netglance/internal/netlink"
)

// Messages and attributes of routes, routing rules and next hops (rtnetlink.h,
// fib_rules.h, nexthop.h of include/uapi/linux).
const (
	newRoute   = 24
	newRule    = 32
	deleteRule = 33
	newNexthop = 104

	routeHeader    = 12
	routeOut       = 4
	routeGateway   = 5
	routeMultipath = 9
	routeCacheInfo = 12
	routeTable     = 15
	routeVia       = 18
	routeExpires   = 23
	routeNexthop   = 30
	routeCloned    = 0x200
	hopOnLink      = 4

	ruleHeader   = 12
	rulePriority = 6
	ruleTable    = 15
	ruleInvert   = 2

	nexthopHeader = 8
)

// addRouting replays next hops, routing rules and routes. The routes of addresses
// are there already.
func (t *Twin) addRouting() error {
	for _, step := range []func() error{t.addNexthops, t.addRules, t.addRoutes} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (t *Twin) addNexthops() error {
	var requests []request
	for _, data := range t.host.Tape.messages(protocolRoute, newNexthop) {
		if len(data) < nexthopHeader {
			continue
		}
		header := slices.Clone(data[:nexthopHeader])
		header[1], header[3] = 0, 0 // scope and a reserved byte must be 0
		binary.NativeEndian.PutUint32(header[4:], nativeWord(header[4:8])&hopOnLink)
		requests = append(requests, newRequest(newNexthop, flagCreate|flagExclude, append(header, data[nexthopHeader:]...), "a next hop"))
	}
	return t.retrying(requests)
}

// retrying sends requests that may need each other, until nothing more is taken.
func (t *Twin) retrying(requests []request) error {
	for {
		refused, err := sendEach(t.kernel, protocolRoute, requests)
		if err != nil {
			return err
		}
		if len(refused) == 0 || len(refused) == len(requests) {
			for _, r := range refused {
				t.unlike(r.what, r.why)
			}
			return nil
		}
		requests = nil
		for _, r := range refused {
			requests = append(requests, r.request)
		}
	}
}

// A ruleKey tells the routing rules that every namespace has.
type ruleKey struct {
	family          byte
	priority, table uint32
}

var usualRules = []ruleKey{
	{familyIPv4, 0, 255}, {familyIPv4, 32766, 254}, {familyIPv4, 32767, 253},
	{familyIPv6, 0, 255}, {familyIPv6, 32766, 254},
}

// addRules replays routing rules. Those that are there and the host's alike are
// left alone: the kernel notes that rules were ever changed, and looks up more then.
func (t *Twin) addRules() error {
	missing := slices.Clone(usualRules)
	families := map[byte]bool{}
	var requests []request
	for _, data := range t.host.Tape.messages(protocolRoute, newRule) {
		if len(data) < ruleHeader || data[0] != familyIPv4 && data[0] != familyIPv6 { // multicast routing has rules too
			continue
		}
		families[data[0]] = true
		key := ruleKey{data[0], nativeWord(attribute(data[ruleHeader:], rulePriority)), nativeWord(attribute(data[ruleHeader:], ruleTable))}
		if i := slices.Index(missing, key); i >= 0 && plainRule(data) {
			missing = slices.Delete(missing, i, i+1)
			continue
		}
		header := slices.Clone(data[:ruleHeader])
		binary.NativeEndian.PutUint32(header[8:], nativeWord(header[8:12])&ruleInvert)
		what := fmt.Sprintf("the routing rule of priority %d", key.priority)
		requests = append(requests, newRequest(newRule, flagCreate|flagExclude, append(header, data[ruleHeader:]...), what))
	}
	var gone []request
	for _, key := range missing {
		if !families[key.family] {
			continue
		}
		header := make([]byte, ruleHeader)
		header[0] = key.family
		b := netlink.AppendAttribute(header, rulePriority, ne32(key.priority))
		gone = append(gone, newRequest(deleteRule, 0, netlink.AppendAttribute(b, ruleTable, ne32(key.table)), "the absence of a routing rule"))
	}
	if err := t.send(requests); err != nil {
		return err
	}
	return t.send(gone)
}

// plainRule says that a rule looks at nothing of a packet.
func plainRule(data []byte) bool {
	// destination and source length, TOS; action FR_ACT_TO_TBL; flags
	return data[1] == 0 && data[2] == 0 && data[3] == 0 && data[7] == 1 && nativeWord(data[8:12])&ruleInvert == 0 &&
		!slices.ContainsFunc(rawAttributes(data[ruleHeader:]), func(a rawAttribute) bool {
			switch a.number {
			case rulePriority, ruleTable, 14, 21: // and FRA_SUPPRESS_PREFIXLEN, FRA_PROTOCOL
				return false
			case 13: // FRA_SUPPRESS_IFGROUP
				return nativeWord(a.data()) != ^uint32(0)
			}
			return true
		})
}

func (t *Twin) addRoutes() error {
	var requests []request
	for _, data := range t.host.Tape.messages(protocolRoute, newRoute) {
		if len(data) < routeHeader || data[0] != familyIPv4 && data[0] != familyIPv6 || nativeWord(data[8:12])&routeCloned != 0 {
			continue
		}
		requests = append(requests, routeRequest(data))
	}
	return t.retrying(requests)
}

func routeRequest(data []byte) request {
	header, attributes := slices.Clone(data[:routeHeader]), data[routeHeader:]
	binary.NativeEndian.PutUint32(header[8:], nativeWord(header[8:12])&hopOnLink)
	byObject := attribute(attributes, routeNexthop) != nil
	var b []byte
	for _, a := range rawAttributes(attributes) {
		switch a.number {
		case routeCacheInfo, routeExpires:
		case routeOut, routeGateway, routeVia:
			if !byObject { // else they are the object's
				b = appendRaw(b, a)
			}
		case routeMultipath:
			if !byObject {
				b = netlink.AppendAttribute(b, routeMultipath, liveHops(a.data()))
			}
		default:
			b = appendRaw(b, a)
		}
	}
	flags := uint16(flagCreate | flagExclude)
	if data[0] == familyIPv6 {
		// flagExclude would refuse another link's route to the same network, as every
		// link has to fe80::/64; a route's own double is refused without it
		// (fib6_add_rt2node, net/ipv6/ip6_fib.c).
		flags = flagCreate
	}
	r := newRequest(newRoute, flags, append(header, b...), describeRoute(data))
	r.fine = syscall.EEXIST // it came with an address
	return r
}

// liveHops are the hops of a multipath route (struct rtnexthop: length 2, flags 1,
// hops 1, link 4) without the flags that only the kernel sets.
func liveHops(hops []byte) []byte {
	b := slices.Clone(hops)
	for rest := b; len(rest) >= 8; {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < 8 || length > len(rest) {
			break
		}
		rest[2] &= hopOnLink
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return b
}

func describeRoute(data []byte) string {
	table := uint32(data[4])
	if b := attribute(data[routeHeader:], routeTable); b != nil {
		table = nativeWord(b)
	}
	return fmt.Sprintf("a route of table %d, %x/%d", table, attribute(data[routeHeader:], 1), data[1])
}
