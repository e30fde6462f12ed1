package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/addresses"
)

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
	from := map[string][]*way{}
	all := waysOf(e)
	for _, w := range all {
		text := w.from()
		if text == "" {
			continue
		}
		if from[text] == nil {
			order = append(order, text)
		}
		from[text] = append(from[text], w)
	}
	var words []string
	for _, text := range order {
		suffix := by(text, from[text], all)
		// Where rules lead to no socket, or the socket is bound to a device, there are other
		// ways to the host that are not among the reach.
		if (e.Redirected || len(e.Devices) > 0) && suffix == "" {
			suffix = " via " + names(interfacesOf(from[text]))
		}
		words = append(words, text+suffix)
	}
	if len(words) == 0 && len(e.LedBy) > 0 {
		return "by way of " + strings.Join(e.LedBy, ", ")
	}
	if len(words) == 0 {
		return "nobody for now" // a rule lets sources in that no route leads back to
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
	// open are the sources that get through to some destination; odd are others that
	// no packet on a wire has: the host's own addresses, multicast and the like.
	open firewall.Sources
	odd  []netip.Prefix
}

func waysOf(e correlate.Exposure) []*way {
	var out []*way
	for _, r := range e.Reach {
		at := slices.IndexFunc(out, func(w *way) bool { return w.iface == r.Interface && w.family == r.Family })
		if at < 0 {
			at = len(out)
			out = append(out, &way{iface: r.Interface, family: r.Family})
		}
		switch w := out[at]; {
		case correlate.Reaches(r.Part):
			join(&w.open, r.Sources)
		case r.DecidedBy.Chain == nil:
			w.odd = append(w.odd, slices.DeleteFunc(slices.Clone(r.Sources.Prefixes), ordinary)...)
		}
	}
	return out
}

func join(to *firewall.Sources, s firewall.Sources) {
	to.Prefixes = append(to.Prefixes, s.Prefixes...)
	to.Masked = append(to.Masked, s.Masked...)
	for _, set := range s.Sets {
		if !slices.Contains(to.Sets, set) {
			to.Sets = append(to.Sets, set)
		}
	}
}

// odd are the blocks that are never a source on a wire.
var odd = addresses.OffWire

// linkLocal are addresses of which only fe80::/64 is in use (RFC 4291, 2.5.6) and has a route.
var linkLocal = netip.MustParsePrefix("fe80::/10")

// ordinary says that packets with such a source exist, and not from one or two
// addresses alone (the host's own, a broadcast address, the routers' beside the
// host's): what the kernel drops of them is worth a word.
func ordinary(p netip.Prefix) bool { return p.Addr().BitLen()-p.Bits() > 1 && onWire(p) }

func onWire(p netip.Prefix) bool {
	within := func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) }
	return !within(linkLocal) && !slices.ContainsFunc(odd, within)
}

// from is empty where nothing gets through.
func (w *way) from() string {
	if len(w.open.Prefixes)+len(w.open.Masked)+len(w.open.Sets) == 0 {
		return ""
	}
	return describe(w.open, w.odd, 3)
}

// describe says who the sources are in at most limit prefixes. Odd sources count
// as among them where that makes the text shorter: 10.0.0.0/8, though the host's
// own 10.0.0.1 is dropped.
func describe(s firewall.Sources, odd []netip.Prefix, limit int) string {
	s.Prefixes = fill(s.Prefixes, odd)
	if !nearlyAll(s) {
		return sourceText(s, limit)
	}
	holes := slices.DeleteFunc(complement(s.Prefixes), func(p netip.Prefix) bool { return !onWire(p) })
	s.Prefixes = []netip.Prefix{netip.PrefixFrom(s.Prefixes[0].Addr(), 0).Masked()}
	text := sourceText(s, limit)
	if len(holes) > 0 {
		text += " but " + sourceText(firewall.Sources{Prefixes: holes}, limit)
	}
	return text
}

// fill is the fewest prefixes that hold the open ones and, beside them, only filler.
func fill(open, filler []netip.Prefix) []netip.Prefix {
	ascending := aggregate(slices.Clone(open))
	return slices.DeleteFunc(aggregate(append(slices.Clone(open), filler...)), func(p netip.Prefix) bool {
		return !overlapsAny(ascending, p)
	})
}

// overlapsAny says that p overlaps one of the prefixes, disjoint and ascending.
func overlapsAny(ascending []netip.Prefix, p netip.Prefix) bool {
	at, _ := slices.BinarySearchFunc(ascending, p.Addr(), func(q netip.Prefix, a netip.Addr) int { return q.Addr().Compare(a) })
	return at < len(ascending) && ascending[at].Overlaps(p) || at > 0 && ascending[at-1].Overlaps(p)
}

// aggregate joins prefixes that are halves of one, and leaves out what others hold.
func aggregate(prefixes []netip.Prefix) []netip.Prefix {
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int { return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits()) })
	var out []netip.Prefix
	for _, p := range prefixes {
		if len(out) > 0 && out[len(out)-1].Overlaps(p) {
			continue
		}
		out = append(out, p)
		for len(out) > 1 {
			parent, ok := halves(out[len(out)-2], out[len(out)-1])
			if !ok {
				break
			}
			out = append(out[:len(out)-2], parent)
		}
	}
	return out
}

func halves(a, b netip.Prefix) (netip.Prefix, bool) {
	if a.Bits() != b.Bits() || a.Bits() == 0 {
		return netip.Prefix{}, false
	}
	parent := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
	return parent, parent.Contains(b.Addr())
}

// complement is what the prefixes, disjoint and ascending, leave of their family.
func complement(prefixes []netip.Prefix) []netip.Prefix {
	return without(netip.PrefixFrom(prefixes[0].Addr(), 0).Masked(), prefixes, nil)
}

// without appends what the prefixes, all of them in whole, leave of it.
func without(whole netip.Prefix, prefixes, out []netip.Prefix) []netip.Prefix {
	switch {
	case len(prefixes) == 0:
		return append(out, whole)
	case prefixes[0].Bits() <= whole.Bits():
		return out
	}
	low := netip.PrefixFrom(whole.Addr(), whole.Bits()+1)
	high := netip.PrefixFrom(correlate.Witness(firewall.Sources{Prefixes: []netip.Prefix{whole}}), whole.Bits()+1)
	at, _ := slices.BinarySearchFunc(prefixes, high.Addr(), func(p netip.Prefix, a netip.Addr) int { return p.Addr().Compare(a) })
	return without(high, prefixes[at:], without(low, prefixes[:at], out))
}

// nearlyAll says that the prefixes hold at least three quarters of all addresses.
func nearlyAll(s firewall.Sources) bool {
	quarters := 0.0
	for _, p := range s.Prefixes {
		if p.Bits() < 62 {
			quarters += 4 / float64(uint64(1)<<p.Bits())
		}
	}
	return quarters >= 3
}

// sourceText names at most limit prefixes, the largest first.
func sourceText(s firewall.Sources, limit int) string {
	prefixes := slices.Clone(s.Prefixes)
	slices.SortStableFunc(prefixes, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	var words []string
	for _, p := range prefixes[:min(limit, len(prefixes))] {
		words = append(words, prefixText(p))
	}
	for _, m := range s.Masked[:min(limit, len(s.Masked))] {
		words = append(words, m.Address.String()+" & "+m.Mask.String())
	}
	if more := len(prefixes) + len(s.Masked) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("+%d more", more))
	}
	text := strings.Join(words, ", ")
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
	switch {
	case p.Bits() == 0:
		return "anywhere"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// by names interfaces and family where the ways are not all that a text stands
// for. Prefixes tell their family themselves.
func by(text string, some, all []*way) string {
	if !strings.HasPrefix(text, "anywhere") {
		all = slices.DeleteFunc(slices.Clone(all), func(w *way) bool { return w.family != some[0].family })
	}
	if len(some) == len(all) {
		return ""
	}
	ifaces := interfacesOf(some)
	ofFamily := count(all, func(w *way) bool { return w.family == some[0].family })
	oneFamily := !slices.ContainsFunc(some, func(w *way) bool { return w.family != some[0].family })
	ofInterfaces := count(all, func(w *way) bool { return slices.Contains(ifaces, w.iface) })
	only := fmt.Sprintf(", IPv%d only", some[0].family)
	switch {
	case oneFamily && len(some) == ofFamily:
		return only
	case len(some) == ofInterfaces:
		return " via " + names(ifaces)
	case oneFamily:
		return " via " + names(ifaces) + only
	}
	for i, iface := range ifaces {
		mine := slices.DeleteFunc(slices.Clone(some), func(w *way) bool { return w.iface != iface })
		if len(mine) < count(all, func(w *way) bool { return w.iface == iface }) {
			ifaces[i] += fmt.Sprintf(" (IPv%d)", mine[0].family)
		}
	}
	return " via " + names(ifaces)
}

func interfacesOf(ways []*way) (ifaces []string) {
	for _, w := range ways {
		if !slices.Contains(ifaces, w.iface) {
			ifaces = append(ifaces, w.iface)
		}
	}
	return ifaces
}

func names(ifaces []string) string {
	text := strings.Join(cleanAll(ifaces[:min(3, len(ifaces))]), ", ")
	if more := len(ifaces) - 3; more > 0 {
		text += fmt.Sprintf(" +%d more", more)
	}
	return text
}

func count(ways []*way, f func(*way) bool) (n int) {
	for _, w := range ways {
		if f(w) {
			n++
		}
	}
	return n
}
