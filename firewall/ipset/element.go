package ipset

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// A span is a range of one part of a key, both ends included.
type span struct{ from, to []byte }

func exactly(b []byte) span { return span{b, b} }

// parts are the parts of the set's type: "ip", "net", "port", "mac", "iface", "mark".
func (found *set) parts() []string {
	_, parts, _ := strings.Cut(found.Type, ":")
	return strings.Split(parts, ",")
}

// fields are the lengths of a key's parts, as xt.IPSet describes it, and the
// length of the whole key.
func (found *set) fields() (fields []uint32, length uint32) {
	address := uint32(4)
	if found.Family == firewall.FamilyIPv6 {
		address = 16
	}
	for _, part := range found.parts() {
		switch part {
		case "ip", "net":
			fields = append(fields, address)
		case "port":
			if found.Type != "bitmap:port" {
				fields = append(fields, 1)
			}
			fields = append(fields, 2)
		case "mac":
			fields = append(fields, 6)
		case "mark":
			fields = append(fields, 4)
		case "iface":
			fields = append(fields, 16)
		}
	}
	if len(fields) == 1 {
		return fields, fields[0]
	}
	for _, f := range fields {
		length += padded(f)
	}
	return fields, length
}

func padded(n uint32) uint32 { return (n + 3) &^ 3 }

// elements are the members as ranges of keys, sorted; why says what is not
// understood, and then there are none.
func (found *set) elements(members []member) (elements []firewall.Element, why string) {
	if !known[found.Type] {
		return nil, "the type " + found.Type
	}
	exceptions := false
	for _, m := range members {
		exceptions = exceptions || m.flags&flagNomatch != 0
	}
	var keyed []keyedMember
	for _, m := range members {
		spans, ok := found.spans(m)
		if !ok {
			return nil, "a member without its address"
		}
		if m.flags&flagPhysdev != 0 {
			return nil, "physdev"
		}
		keyed = append(keyed, keyedMember{m, spans})
	}
	if exceptions {
		if strings.Count(found.Type, "net") > 1 {
			return nil, "nomatch in " + found.Type
		}
		keyed = withoutExceptions(keyed, slices.Index(found.parts(), "net"))
	}
	single := len(found.parts()) == 1
	for _, k := range keyed {
		e := firewall.Element{Comment: k.comment, Expires: k.expires, Timeout: found.header.timeout}
		e.Key, e.KeyEnd = join(k.spans, single)
		elements = append(elements, e)
	}
	slices.SortFunc(elements, func(a, b firewall.Element) int {
		if c := bytes.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		return bytes.Compare(a.KeyEnd, b.KeyEnd)
	})
	if single {
		elements = disjoint(elements)
	}
	return elements, ""
}

// disjoint joins sorted elements that overlap: networks within others.
func disjoint(elements []firewall.Element) []firewall.Element {
	var apart []firewall.Element
	for _, e := range elements {
		last := len(apart) - 1
		if last < 0 || bytes.Compare(apart[last].KeyEnd, e.Key) < 0 {
			apart = append(apart, e)
			continue
		}
		if bytes.Compare(apart[last].KeyEnd, e.KeyEnd) < 0 {
			apart[last].KeyEnd = e.KeyEnd
		}
	}
	return apart
}

// known are the types whose members are understood.
var known = map[string]bool{
	"bitmap:ip": true, "bitmap:ip,mac": true, "bitmap:port": true, "hash:ip": true, "hash:mac": true, "hash:ip,mac": true,
	"hash:net": true, "hash:net,net": true, "hash:ip,port": true, "hash:net,port": true, "hash:ip,port,ip": true,
	"hash:ip,port,net": true, "hash:ip,mark": true, "hash:net,port,net": true, "hash:net,iface": true,
}

// keyedMember is a member and the range of each part of its key.
type keyedMember struct {
	member
	spans []span
}

// join makes a key of its parts, each padded with zeros to 4 bytes; a single
// part is not padded.
func join(spans []span, single bool) (from, to []byte) {
	for _, s := range spans {
		from, to = append(from, s.from...), append(to, s.to...)
		for !single && len(from)%4 != 0 {
			from, to = append(from, 0), append(to, 0)
		}
	}
	return from, to
}

// spans are the ranges of a member's parts. hash:ip,port,net and its kin keep
// the second address apart from the first.
func (found *set) spans(m member) (spans []span, ok bool) {
	second := false
	for _, part := range found.parts() {
		switch part {
		case "ip", "net":
			s, ok := found.addresses(m, second)
			if !ok {
				return nil, false
			}
			spans, second = append(spans, s), true
		case "port":
			ports := span{be16(m.port), be16(max(m.port, m.portTo))}
			if found.Type != "bitmap:port" {
				spans = append(spans, exactly([]byte{m.protocol}))
			}
			spans = append(spans, ports)
		case "mac":
			// bitmap:ip,mac has members for any address of the link
			s := span{make([]byte, 6), bytes.Repeat([]byte{0xff}, 6)}
			if len(m.ether) == 6 {
				s = exactly(m.ether)
			}
			spans = append(spans, s)
		case "mark":
			spans = append(spans, exactly(hostWord(m.mark)))
		case "iface":
			spans = append(spans, interfaces(m))
		}
	}
	return spans, len(spans) > 0
}

// addresses is the range of a member's first or second address.
func (found *set) addresses(m member, second bool) (span, bool) {
	ip, to, length, hasLength := m.ip, m.ipTo, m.cidr, m.hasCIDR
	if second {
		ip, to, length, hasLength = m.ip2, nil, m.cidr2, m.hasCIDR2
	}
	want := 4
	if found.Family == firewall.FamilyIPv6 {
		want = 16
	}
	if len(ip) != want {
		return span{}, false
	}
	switch {
	case len(to) == want:
		return span{ip, to}, bytes.Compare(ip, to) <= 0
	case hasLength:
		return prefix(ip, length)
	case found.header.netmask != 0:
		return prefix(ip, found.header.netmask)
	}
	return exactly(ip), true
}

// prefix is the range of a network.
func prefix(ip []byte, length uint8) (span, bool) {
	if int(length) > 8*len(ip) {
		return span{}, false
	}
	from, to := slices.Clone(ip), slices.Clone(ip)
	for i := int(length); i < 8*len(ip); i++ {
		bit := byte(0x80) >> (i % 8)
		from[i/8] &^= bit
		to[i/8] |= bit
	}
	return span{from, to}, true
}

// interfaces are the names that a member stands for: one, or all that start with it.
func interfaces(m member) span {
	from := make([]byte, 16)
	n := copy(from[:15], m.iface)
	to := slices.Clone(from)
	if m.flags&flagWildcard != 0 {
		for i := n; i < 16; i++ {
			to[i] = 0xff
		}
	}
	return span{from, to}
}

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
