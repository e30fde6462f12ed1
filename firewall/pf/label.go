package pf

import (
	"fmt"
	"strings"
)

// expandLabels replaces $if, $srcaddr and so on in labels and tags
// (expand_label of pfctl/parse.y).
func (p *parser) expandLabels(r *Rule) {
	number := len(*p.anchor.ruleset(r.Action))
	labels := r.Label
	r.Label = nil
	for _, label := range labels {
		if label = expandLabel(label, r, number); label != "" {
			r.Label = append(r.Label, label)
		}
	}
	r.Tag = expandLabel(r.Tag, r, number)
	r.Tagged = expandLabel(r.Tagged, r, number)
}

func expandLabel(label string, r *Rule, number int) string {
	if !strings.Contains(label, "$") {
		return label
	}
	link := r.Interface
	if link == "" {
		link = "any"
	}
	protocol := "ip"
	if r.Protocol > 0 {
		protocol = protocolName(r.Protocol)
	}
	for _, pair := range [][2]string{
		{"$if", link}, {"$srcaddr", labelAddress(r.Source.Address)}, {"$dstaddr", labelAddress(r.Destination.Address)},
		{"$srcport", labelPort(r.Source.Port)}, {"$dstport", labelPort(r.Destination.Port)}, {"$proto", protocol}, {"$nr", itoa(number)},
	} {
		label = strings.ReplaceAll(label, pair[0], pair[1])
	}
	return label
}

func labelAddress(a Address) string {
	if a.Kind == Any {
		return "any"
	}
	return addressText(a)
}

func labelPort(p Port) string {
	switch p.Op {
	case AnyPort:
		return ""
	case Equal:
		return itoa(int(p.Low))
	case Between, Outside:
		return fmt.Sprintf("%d%s%d", p.Low, portOps[p.Op], p.High)
	case Through:
		return "" // expand_label_port has no case for it
	}
	return fmt.Sprintf("%s%d", portOps[p.Op], p.Low)
}
