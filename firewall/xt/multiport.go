package xt

import (
	"strings"

	"github.com/netglance/netglance/firewall"
)

// xt_multiport and xt_multiport_v1 (xt_multiport.h): up to 15 ports or ranges,
// source, destination or either. In revision 1 a pflag of 1 makes a port the
// start of a range that the next one ends.
type multiport struct {
	which  uint8 // 0 source, 1 destination, 2 either
	spans  []portSpan
	invert bool
}

func decodeMultiport(revision uint8, f *fields) extension {
	if revision > 1 {
		return nil
	}
	m := multiport{which: f.u8()}
	count := int(f.u8())
	var ports [15]uint16
	for i := range ports {
		ports[i] = f.u16()
	}
	var ranges [15]uint8
	if revision == 1 {
		copy(ranges[:], f.take(15))
		m.invert = f.flag()
	}
	if count > 15 || m.which > 2 {
		return nil
	}
	for i := 0; i < count; i++ {
		s := portSpan{low: ports[i], high: ports[i]}
		if ranges[i] != 0 && i+1 < count {
			i++
			s.high = ports[i]
		}
		m.spans = append(m.spans, s)
	}
	return m
}

func (m multiport) steps(Decoder) []firewall.Step {
	var offsets []uint32
	if m.which != 1 {
		offsets = append(offsets, 0)
	}
	if m.which != 0 {
		offsets = append(offsets, 2)
	}
	var each []firewall.Step
	for _, offset := range offsets {
		for _, s := range m.spans {
			each = append(each, between(transport(offset, 2), be16(s.low), be16(s.high), m.invert))
		}
	}
	if m.invert {
		return each
	}
	return one(alternatives(each))
}

// alternatives matches where one of the steps does.
func alternatives(each []firewall.Step) firewall.Step {
	if len(each) == 1 {
		return each[0]
	}
	var a firewall.AnyOf
	for _, s := range each {
		a.Alternatives = append(a.Alternatives, one(s))
	}
	return a
}

func (m multiport) String() string {
	var spans []string
	for _, s := range m.spans {
		spans = append(spans, span(s.low, s.high, ":"))
	}
	var l line
	l.add(m.invert, [...]string{"--sports", "--dports", "--ports"}[m.which], strings.Join(spans, ","))
	return l.String()
}

const multiportOptions = "sports=1 source-ports=1 dports=1 destination-ports=1 ports=1"

func parseMultiport(g *given) extension {
	var m multiport
	for _, o := range g.list {
		m.invert = o.Invert
		switch o.Name {
		case "dports", "destination-ports":
			m.which = 1
		case "ports":
			m.which = 2
		}
		for _, s := range strings.Split(o.first(), ",") {
			low, high := g.portSpan(o, s, ":")
			m.spans = append(m.spans, portSpan{low: low, high: high})
		}
	}
	return m
}
