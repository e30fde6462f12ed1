package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// A RulesReview is what there is to say about a host's rules.
type RulesReview struct {
	// Opens is what each rule lets in, in words, and Openings the same in numbers;
	// Rules and Chains are what is odd about them, By what takes away the packets of
	// rules that can't act.
	Opens    map[*firewall.Rule]string
	Openings map[*firewall.Rule][]firewall.Opening
	By       map[*firewall.Rule][]firewall.Decision
	Rules    map[*firewall.Rule][]Reason
	Chains   map[*firewall.Chain][]Reason
	// OneSided are ports that rules leave open in one family and filter in the other.
	OneSided []Reason
}

// ReviewRules puts a review into words, and joins it with what listens. ports are
// the host's, analyzed; served says that all its sockets are among the input's.
func ReviewRules(in Input, review *firewall.Review, ports []Exposure, served bool) RulesReview {
	out := RulesReview{
		Opens:    make(map[*firewall.Rule]string),
		Openings: make(map[*firewall.Rule][]firewall.Opening),
		By:       make(map[*firewall.Rule][]firewall.Decision),
		Rules:    make(map[*firewall.Rule][]Reason),
		Chains:   make(map[*firewall.Chain][]Reason),
	}
	for c, found := range review.Chains {
		if reason, ok := chainReason(found); ok {
			out.Chains[c] = []Reason{reason}
		}
	}
	for r, found := range review.Rules {
		if text := openingsText(found.Openings); text != "" {
			out.Opens[r], out.Openings[r] = text, found.Openings
		}
		if len(found.By) > 0 {
			out.By[r] = found.By
		}
		if reason, ok := ruleReason(found, review.Chains[r.Chain]); ok {
			out.Rules[r] = append(out.Rules[r], reason)
		}
		if text := unserved(found.Openings, in.Listeners); text != "" && served {
			out.Rules[r] = append(out.Rules[r], Reason{"nobody_serves", "no socket listens on " + text})
		}
	}
	for _, e := range ports {
		out.OneSided = append(out.OneSided, oneSidedPort(e)...)
	}
	return out
}

func chainReason(c firewall.ChainReview) (Reason, bool) {
	missing := strings.Join(c.MissingDevices, ", ")
	switch {
	case c.Unused == firewall.NoCaller:
		return Reason{"no_caller", "no base chain leads here"}, true
	case c.Unused == firewall.Dormant:
		return Reason{"dormant", "the table is dormant: it does nothing"}, true
	case c.Unused == firewall.NoDevice && missing == "":
		return Reason{"no_device", "it hooks into no device"}, true
	case c.Unused == firewall.NoDevice:
		return Reason{"no_device", "this host has none of its devices: " + missing}, true
	case missing != "":
		return Reason{"device_missing", "this host has no " + missing}, true
	}
	return Reason{}, false
}

// ruleReason says why a rule can never act. What a whole chain suffers from is
// told of the chain.
func ruleReason(r firewall.RuleReview, chain firewall.ChainReview) (Reason, bool) {
	by := decidersText(r.By)
	switch r.Use {
	case firewall.UseUnknown:
		return Reason{"not_known", "whether it can ever act takes too much work to tell"}, true
	case firewall.Unreached:
		return Reason{"unreached", "no packet comes to it: all are taken by " + by}, true
	case firewall.Shadowed:
		return Reason{"shadowed", "all that it matches is taken by " + by}, true
	case firewall.Contradictory:
		return Reason{"contradictory", "no packet at this hook meets all its matches"}, true
	case firewall.Excluded:
		if by == "" {
			return Reason{"excluded", "what it matches never comes into its chain"}, true
		}
		return Reason{"excluded", "what it matches never comes into its chain, because of " + by}, true
	case firewall.ChainUnused:
		if chain.Unused == firewall.Used {
			return Reason{"chain_unused", "no packet comes into its chain: nothing gets past " + by}, true
		}
	}
	return Reason{}, false
}

// manyNamed is how many rules are named in a text.
const manyNamed = 3

func decidersText(list []firewall.Decision) string {
	var names []string
	for i, d := range list {
		if i == manyNamed {
			names = append(names, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		if d.Rule != nil {
			names = append(names, fmt.Sprintf("%s (%s)", ruleName(d.Rule), d.Rule.Text()))
		} else {
			names = append(names, chainName(d.Chain)+" ("+d.Text+")")
		}
	}
	return strings.Join(names, ", ")
}

// openingsText is what a rule lets in; families that are alike are told together.
func openingsText(list []firewall.Opening) string {
	byText := map[string][]string{}
	var order []string
	for _, o := range list {
		text := openingText(o)
		if byText[text] == nil {
			order = append(order, text)
		}
		byText[text] = append(byText[text], familyName(o.Family))
	}
	for i, text := range order {
		order[i] = strings.Join(byText[text], " and ") + " " + text
	}
	return strings.Join(order, "; ")
}

func familyName(f firewall.Family) string {
	if f == firewall.FamilyIPv6 {
		return "IPv6"
	}
	return "IPv4"
}

func openingText(o firewall.Opening) string {
	text := portsText(o)
	if o.Forwarded {
		text += ", forwarded,"
	}
	switch {
	case o.SomeSources:
		text += " from some sources"
	case len(o.Except) > 0 && len(o.Except) <= manyNamed:
		text += " from anywhere but " + prefixesText(o.Except)
	case len(o.Sources) > manyNamed:
		text += fmt.Sprintf(" from %s and %d more", prefixesText(o.Sources[:manyNamed]), len(o.Sources)-manyNamed)
	case len(o.Sources) > 0:
		text += " from " + prefixesText(o.Sources)
	default:
		text += " from anywhere"
	}
	if len(o.Interfaces) > 0 {
		text += " by " + strings.Join(o.Interfaces, ", ")
	}
	return text
}

func prefixesText(list []netip.Prefix) string {
	var texts []string
	for _, p := range list {
		if p.IsSingleIP() {
			texts = append(texts, p.Addr().String())
		} else {
			texts = append(texts, p.String())
		}
	}
	return strings.Join(texts, ", ")
}

// manyListed is how many ranges of ports are written out.
const manyListed = 6

func portsText(o firewall.Opening) string {
	if o.AllPorts {
		return "everything"
	}
	var names []string
	for _, p := range o.Protocols {
		names = append(names, protocolName(p))
	}
	for _, r := range o.Ports {
		switch {
		case r.First == 0 && r.Last == 0xffff:
			names = append(names, protocolName(r.Protocol))
		case r.First == r.Last:
			names = append(names, fmt.Sprintf("%d/%s", r.First, protocolName(r.Protocol)))
		default:
			names = append(names, fmt.Sprintf("%d-%d/%s", r.First, r.Last, protocolName(r.Protocol)))
		}
	}
	if o.OtherProtocols {
		names = append(names, "other protocols")
	}
	if len(names) > manyListed {
		names = append(names[:manyListed], "more")
	}
	return strings.Join(names, ", ")
}

func protocolName(n uint8) string {
	switch n {
	case 1:
		return "icmp"
	case 58:
		return "icmpv6"
	case 132:
		return "sctp"
	}
	for name, number := range Protocols {
		if number == n {
			return name
		}
	}
	return fmt.Sprintf("protocol %d", n)
}

// mostNamed is how many ports a rule that names its ports opens at most: one that
// opens more is about sources, links or what is left over.
const mostNamed = 1024

// unserved are the ports among openings of this host that a rule names and on
// which nothing listens, in words. A range counts where nothing listens on any of it.
func unserved(list []firewall.Opening, sockets []listeners.Listener) string {
	count := 0
	idle := map[firewall.PortRange]bool{}
	var order []firewall.PortRange
	for _, o := range list {
		if o.AllPorts || o.OtherProtocols || o.Forwarded {
			return ""
		}
		for _, r := range o.Ports {
			count += int(r.Last-r.First) + 1
			if count > 2*mostNamed || protocolName(r.Protocol) != "tcp" && protocolName(r.Protocol) != "udp" {
				return ""
			}
			if _, ok := idle[r]; !ok {
				idle[r] = true
				order = append(order, r)
			}
			if slices.ContainsFunc(sockets, func(l listeners.Listener) bool { return serves(l, o.Family, r) }) {
				idle[r] = false
			}
		}
	}
	order = slices.DeleteFunc(order, func(r firewall.PortRange) bool { return !idle[r] })
	if len(order) == 0 {
		return ""
	}
	return portsText(firewall.Opening{Ports: order})
}

func serves(l listeners.Listener, family firewall.Family, r firewall.PortRange) bool {
	if l.Role == listeners.ConnectedClient || Protocols[l.Transport()] != r.Protocol || l.Port < r.First || l.Port > r.Last {
		return false
	}
	if family == firewall.FamilyIPv4 {
		return l.Family == 4 || l.DualStack() || !l.V6OnlyKnown
	}
	return l.Family == 6
}

// oneSidedPort says where rules let a port's packets in by one family and keep
// all of the other's out, on the same link.
func oneSidedPort(e Exposure) []Reason {
	var out []Reason
	links := map[string][]string{}
	var order []string
	for _, iface := range interfacesOf(e.Reach) {
		for _, open := range []int{4, 6} {
			in, opened := accepting(e.Reach, iface, open)
			closed, filtered := rulesRefuse(e.Reach, iface, 10-open)
			if !opened || !filtered {
				continue
			}
			text := fmt.Sprintf("%s is open for IPv%d, by %s, and filtered for IPv%d, by %s", portsName(e), open, deciderText(in), 10-open, deciderText(closed))
			if links[text] == nil {
				order = append(order, text)
			}
			links[text] = append(links[text], iface)
		}
	}
	for _, text := range order {
		out = append(out, Reason{"one_sided", text + ", coming in by " + strings.Join(links[text], ", ")})
	}
	return out
}

func deciderText(d firewall.Decision) string {
	if d.Rule == nil && d.Chain == nil {
		return d.Text
	}
	return decidersText([]firewall.Decision{d})
}

func interfacesOf(reach []Reach) []string {
	var names []string
	for _, r := range reach {
		if !slices.Contains(names, r.Interface) {
			names = append(names, r.Interface)
		}
	}
	return names
}

func accepting(reach []Reach, iface string, family int) (firewall.Decision, bool) {
	for _, r := range reach {
		if r.Interface == iface && r.Family == family && r.Fate == firewall.Accepted {
			return r.DecidedBy, true
		}
	}
	return firewall.Decision{}, false
}

// rulesRefuse says that nothing of the family gets in, and that a rule or policy
// sees to it.
func rulesRefuse(reach []Reach, iface string, family int) (by firewall.Decision, ok bool) {
	for _, r := range reach {
		switch {
		case r.Interface != iface || r.Family != family:
		case r.Fate != firewall.Dropped && r.Fate != firewall.Rejected:
			return firewall.Decision{}, false
		case r.DecidedBy.Chain != nil && !ok:
			by, ok = r.DecidedBy, true
		}
	}
	return by, ok
}
