package correlate

import (
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
)

// bypasses says which of the host's own rules would have kept packets out that
// are forwarded instead: a translation before routing leads them around.
func (w writer) bypasses() {
	if w.in.Untranslated == nil {
		return
	}
	for _, r := range w.e.Reach {
		if r.DeliveredTo == nil || r.DeliveredTo.Interface == "" || reaches(r.Part) == never || fromLinkOnly(r) {
			continue
		}
		to := target{iface: r.Interface, addr: r.Destinations[0]}
		for _, part := range w.in.Untranslated().Reach(query(w.e.Protocol, w.e.Port, to)) {
			if keepsOut(part) && overlap(part.Sources, r.Sources) {
				w.add("bypasses", "bypasses %s, which would keep it out", w.evaded(part.DecidedBy))
			}
		}
	}
}

func keepsOut(p firewall.Part) bool { return reaches(p) == never && p.DecidedBy.Chain != nil }

// evaded names the manager too, where it is known.
func (w writer) evaded(d firewall.Decision) string {
	text := decisionText(d)
	if words, whole := w.said(d.Rule); whole {
		return words
	}
	if t := d.Chain.Table; t != nil && slices.ContainsFunc(t.Chains, func(c *firewall.Chain) bool { return chainManager(c) == "ufw" }) {
		text = "ufw (" + text + ")"
	}
	return text
}

// overlap says that the middle of one's largest prefix is among the other's.
func overlap(a, b firewall.Sources) bool { return among(Witness(a), b) || among(Witness(b), a) }

func among(a netip.Addr, s firewall.Sources) bool {
	return slices.ContainsFunc(s.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
