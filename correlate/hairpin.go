package correlate

import "net/netip"

// hairpins tells of packets that are sent back by the link that they came in by,
// as a container's own to a port that is published on its host.
func (w writer) hairpins() {
	for _, r := range w.e.Reach {
		if d := r.DeliveredTo; d != nil && d.Interface == r.Interface && reaches(r.Part) != never && !fromLinkOnly(r) {
			w.add("hairpin", "what comes in by %s is sent back out of it, to %s%s (hairpin)", r.Interface, netip.AddrPortFrom(d.Address, d.Port), w.inPlace(*d))
		}
	}
}

// localnets tells why packets from outside reach a loopback address of IPv4 that a
// socket is bound to (route_localnet, Linux's Documentation/networking/ip-sysctl.rst).
// Docker without its proxy turns it on for its bridges.
func (w writer) localnets() {
	if !loopbackOnly(w.e.Addresses) {
		return
	}
	for _, r := range w.e.Reach {
		if r.Family != 4 || !loopbackOnly(r.Destinations) || reaches(r.Part) == never {
			continue
		}
		for _, name := range []string{r.Interface, "all"} {
			if w.in.Network.Settings["ipv4/conf/"+name+"/route_localnet"] == "1" {
				w.add("route_localnet", "route_localnet is on for %s: what its neighbours send to 127.0.0.0/8 is taken", name)
				break
			}
		}
	}
}
