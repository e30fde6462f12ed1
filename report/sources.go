package report

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
)

// nearlyAll is the share of a family's addresses from which on sources read as
// "anywhere": what the kernel never takes as a source (0/8, 127/8, 224/3) is 13%.
const nearlyAll = 0.8

// reachableFrom says who reaches a port, and by which way where not all lead there.
func reachableFrom(e correlate.Exposure) string {
	switch e.Label {
	case correlate.Local:
		return "this host"
	case correlate.Filtered:
		return "nobody"
	case correlate.Unknown:
		return "unknown"
	}
	var order []string
	from := map[string][]way{}
	for _, w := range waysOf(e) {
		text := w.from()
		if text == "" {
			continue
		}
		if from[text] == nil {
			order = append(order, text)
		}
		from[text] = append(from[text], w)
	}
	all := waysOf(e)
	var words []string
	for _, text := range order {
		words = append(words, text+via(from[text], all)+onlyFamily(text, from[text], all))
	}
	if len(words) > 2 {
		words = append(words[:2], fmt.Sprintf("+%d more", len(words)-2))
	}
	return strings.Join(words, "; ")
}

// A way is what comes in by one interface in one family.
type way struct {
	iface  string
	family int
	// open are the sources that get through to some destination; blocked the
	// others that a rule stopped.
	open, blocked []firewall.Sources
}

func waysOf(e correlate.Exposure) []way {
	var out []way
	for _, r := range e.Reach {
		at := slices.IndexFunc(out, func(w way) bool { return w.iface == r.Interface && w.family == r.Family })
		if at < 0 {
			at = len(out)
			out = append(out, way{iface: r.Interface, family: r.Family})
		}
		switch {
		case correlate.Reaches(r.Part):
			out[at].open = append(out[at].open, r.Sources)
		case r.DecidedBy.Chain != nil:
			out[at].blocked = append(out[at].blocked, r.Sources)
		}
	}
	return out
}

// from is empty where nothing gets through.
func (w way) from() string {
	if len(w.open) == 0 {
		return ""
	}
	open := merge(w.open)
	if len(open.Sets) > 0 || share(open) < nearlyAll {
		return sourceText(open, 2)
	}
	if len(w.blocked) == 0 {
		return "anywhere"
	}
	return "anywhere but " + sourceText(merge(w.blocked), 2)
}

// merge joins sources for display. Sources that lie in sets stay tied to them.
func merge(all []firewall.Sources) firewall.Sources {
	var out firewall.Sources
	for _, s := range all {
		out.Prefixes = append(out.Prefixes, s.Prefixes...)
		for _, set := range s.Sets {
			if !slices.Contains(out.Sets, set) {
				out.Sets = append(out.Sets, set)
			}
		}
	}
	slices.SortFunc(out.Prefixes, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	out.Prefixes = slices.Compact(out.Prefixes)
	return out
}

// share is the part of all addresses that the prefixes hold.
func share(s firewall.Sources) float64 {
	sum := 0.0
	for _, p := range s.Prefixes {
		sum += math.Exp2(-float64(p.Bits()))
	}
	return sum
}

// sourceText names at most limit prefixes, the largest first.
func sourceText(s firewall.Sources, limit int) string {
	prefixes := slices.Clone(s.Prefixes)
	slices.SortStableFunc(prefixes, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	var words []string
	for _, p := range prefixes[:min(limit, len(prefixes))] {
		words = append(words, prefixText(p))
	}
	if more := len(prefixes) - limit; more > 0 {
		words = append(words, fmt.Sprintf("+%d more", more))
	}
	text := strings.Join(words, ", ")
	if share(s) >= nearlyAll && len(s.Sets) > 0 {
		text = "anywhere"
	}
	for _, m := range s.Sets {
		in := " in @"
		if m.Outside {
			in = " outside @"
		}
		text += in + Clean(m.Set.Name)
	}
	return text
}

// prefixText leaves the length out of a single address.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// onlyFamily names the family of "anywhere" where the port has both and the ways only one.
func onlyFamily(text string, some, all []way) string {
	one := only(some)
	if one == 0 || only(all) != 0 || !strings.HasPrefix(text, "anywhere") {
		return ""
	}
	return fmt.Sprintf(", IPv%d only", one)
}

// via names the interfaces where the ways don't take in all that there are.
func via(some, all []way) string {
	ifaces := func(ways []way) (names []string) {
		for _, w := range ways {
			if !slices.Contains(names, w.iface) {
				names = append(names, w.iface)
			}
		}
		return names
	}
	text := ""
	if mine := ifaces(some); len(mine) < len(ifaces(all)) {
		shown := cleanAll(mine[:min(3, len(mine))])
		text = " via " + strings.Join(shown, ", ")
		if more := len(mine) - len(shown); more > 0 {
			text += fmt.Sprintf(" +%d more", more)
		}
	}
	return text
}

// only is the family that all ways have; 0 if there are both.
func only(ways []way) int {
	for _, w := range ways {
		if w.family != ways[0].family {
			return 0
		}
	}
	if len(ways) == 0 {
		return 0
	}
	return ways[0].family
}
