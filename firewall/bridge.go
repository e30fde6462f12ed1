package firewall

import (
	"net/netip"
	"slices"

	"github.com/netglance/netglance/internal/bdd"
)

// priorityBridgeNetfilter is NF_BR_PRI_BRNF (include/uapi/linux/netfilter_bridge.h).
const priorityBridgeNetfilter = 0

// ports are the links that a bridge is made of.
func (e *Evaluator) ports(bridge *Interface) (ports []*Interface) {
	for i := range e.network.Interfaces {
		if e.network.Interfaces[i].Master == bridge.Index {
			ports = append(ports, &e.network.Interfaces[i])
		}
	}
	return ports
}

// seesPorts says that some chain stands where the ports of a bridge can be told
// from each other, or where packets have not come to the bridge itself yet.
func (e *Evaluator) seesPorts(ports []*Interface) bool {
	for hook := Prerouting; hook <= Postrouting; hook++ {
		if len(e.chains[hookKey{FamilyBridge, hook, false}]) > 0 {
			return true
		}
	}
	for _, hook := range []Hook{Ingress, Egress} {
		for _, c := range e.chains[hookKey{FamilyNetdev, hook, false}] {
			if slices.ContainsFunc(ports, func(port *Interface) bool { return hooksInto(c, port.Name) }) {
				return true
			}
		}
	}
	return false
}

// eachPort splits packets by the port of a bridge that they take; port is nil
// where none needs to be told from the others. what is what the packets do at the
// bridge, in words.
func (w *walker) eachPort(bridge *Interface, what string, live bdd.Node, do func(port *Interface, set bdd.Node)) {
	ports := w.e.ports(bridge)
	if len(ports) == 0 || !w.e.seesPorts(ports) {
		do(nil, live)
		return
	}
	for _, port := range ports[:len(ports)-1] {
		here := w.fact(what+" "+bridge.Name+" by its port "+port.Name, Sender)
		do(port, w.m.And(live, here))
		live = w.m.Diff(live, here)
	}
	do(ports[len(ports)-1], live)
}

// throughBridge takes frames for this host itself, that came in by a port, through
// the bridge's prerouting and input hooks, where the link that they come in by is
// the port (net/bridge/br_input.c). With br_netfilter the IP families' prerouting
// hook stands among the first, and not where it stands else
// (net/bridge/br_netfilter_hooks.c).
func (w *walker) throughBridge(p *packet, bridge *Interface, live bdd.Node, t trail) (bdd.Node, trail) {
	port := p.in
	p.bridgePort, p.hook = port, Prerouting
	chains := w.e.chains[hookKey{FamilyBridge, Prerouting, false}]
	if w.callsIP(p) {
		for len(chains) > 0 && chains[0].Base.Priority < priorityBridgeNetfilter {
			live, _ = w.runChain(p, chains[0], live, nil)
			chains = chains[1:]
		}
		// What stood at its priority before br_netfilter came is passed over.
		for len(chains) > 0 && chains[0].Base.Priority == priorityBridgeNetfilter {
			runs := w.fact("which was registered first at the bridge's priority 0: the chain or br_netfilter", Unmodelled)
			passed, _ := w.runChain(p, chains[0], w.m.And(live, runs), nil)
			live = w.m.Or(passed, w.m.Diff(live, runs))
			chains = chains[1:]
		}
		p.in = bridge
		destination := p.destination()
		live, t = w.runHook(p, Prerouting, live, t)
		p.in, p.preroutingDone, p.rerouted = port, true, w.differs(destination, p.destination())
		p.sockets = nil // the bridge hands its packets up without (ip_rcv_core)
		w.toBridge(p, bridge)
	}
	for _, c := range chains {
		live, _ = w.runChain(p, c, live, nil)
	}
	live = w.bridgeHook(p, Input, live)
	p.in = bridge
	return live, t
}

// toBridge makes frames whose packets br_netfilter sends elsewhere ones to the
// bridge itself (br_nf_pre_routing_finish, br_nf_pre_routing_finish_ipv6).
func (w *walker) toBridge(p *packet, bridge *Interface) {
	if p.rerouted == bdd.False {
		return
	}
	p.pktType = w.choose(p.rerouted, constantBits([]byte{0}), p.pktType)
	if len(p.link) > 0 {
		p.link = replaced(p.link, 0, w.choose(p.rerouted, constantBits(bridge.HardwareAddr), p.link[:48]))
	}
}

// routedByBridge splits what is delivered to this host by whether br_netfilter has
// routed it: to IPv6's sockets such a packet comes in by the link that has the
// address (ip6_rcv_core: IP6CB(skb)->iif).
func (w *walker) routedByBridge(p *packet, to netip.Addr, live bdd.Node, do func(p *packet, live bdd.Node)) {
	routed := bdd.False
	if p.family == FamilyIPv6 && p.preroutingDone {
		routed = w.m.And(live, p.rerouted)
	}
	if owner := w.e.ownerOf(to); routed != bdd.False && owner != nil {
		c := p.clone()
		c.in = owner
		do(c, routed)
		live = w.m.Diff(live, routed)
	}
	do(p, live)
}

// ownerOf is the first link that has the address; nil if none has.
func (e *Evaluator) ownerOf(own netip.Addr) *Interface {
	for _, a := range e.network.Addresses {
		if a.Prefix.Addr().WithZone("") == own {
			return e.byIndex[a.Interface]
		}
	}
	return nil
}

// callsIP says that br_netfilter shows a bridge's packets to the IP families' rules.
func (w *walker) callsIP(p *packet) bool {
	name := "bridge-nf-call-iptables"
	if p.family == FamilyIPv6 {
		name = "bridge-nf-call-ip6tables"
	}
	return w.e.setting("bridge", "", name) == 1
}

func (w *walker) bridgeHook(p *packet, h Hook, live bdd.Node) bdd.Node {
	p.hook = h
	for _, c := range w.e.chains[hookKey{FamilyBridge, h, false}] {
		live, _ = w.runChain(p, c, live, nil)
	}
	return live
}

// asOthers says that a port takes frames for its bridge as somebody else's: until
// the bridge has them, they are not to the address of the link that they are on
// (eth_type_trans, br_handle_frame).
func (w *walker) asOthers(p *packet, bridge *Interface) bdd.Node {
	if len(p.link) == 0 || slices.Equal(p.in.HardwareAddr, bridge.HardwareAddr) {
		return bdd.False
	}
	return w.equal(p.link[:48], bridge.HardwareAddr)
}

// bridgedBack leaves out what goes back to the port that it came in by. Where
// br_netfilter has changed the destination to one behind the same bridge, the
// packet is bridged to where the bridge has learned that it is, not routed.
func (w *walker) bridgedBack(p *packet, out *Interface, live bdd.Node) bdd.Node {
	if !p.preroutingDone || out != p.in {
		return live
	}
	bridged := w.m.And(live, p.rerouted)
	if bridged == bdd.False {
		return live
	}
	same := w.m.Diff(bridged, w.fact("the receiver being behind another port of "+out.Name+" than the sender", Unmodelled))
	w.kernelDrops(same, "a bridge sends nothing back by the port that it came in by")
	return w.m.Diff(live, same)
}

// leaveBridge takes what leaves by a bridge through the bridge's output and
// postrouting hooks, where the link that it leaves by is the port: for an answer
// the one by which the packet came that it answers, as the bridge has learned.
func (w *walker) leaveBridge(p *packet, live bdd.Node) bdd.Node {
	if p.out == nil || p.out.Kind != "bridge" {
		return live
	}
	if p.about != "" && p.bridgePort != nil && p.bridgePort.Master == p.out.Index {
		return w.outOfPort(p, p.bridgePort, live)
	}
	what := "the packet leaves"
	if p.about != "" {
		what = "the answer leaves"
	}
	out := bdd.False
	w.eachPort(p.out, what, live, func(port *Interface, set bdd.Node) {
		if port != nil {
			set = w.outOfPort(p, port, set)
		}
		out = w.m.Or(out, set)
	})
	return out
}

// outOfPort is br_forward of what the host itself sends (net/bridge/br_forward.c).
func (w *walker) outOfPort(p *packet, port *Interface, live bdd.Node) bdd.Node {
	c := p.clone()
	c.in, c.out = nil, port
	c.link = outgoingEtherHeader(p)
	live = w.bridgeHook(c, Output, live)
	live = w.bridgeHook(c, Postrouting, live)
	return w.egressChains(c, c.link, live)
}
