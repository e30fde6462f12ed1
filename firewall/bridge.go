package firewall

import "github.com/netglance/netglance/internal/bdd"

// throughPorts takes packets that come in by a bridge through the chains of
// family bridge, for each port that they may have come in by.
func (w *walker) throughPorts(p *packet, live bdd.Node) bdd.Node {
	if !w.e.hasBridgeChains() {
		return live
	}
	through := bdd.False
	w.eachPort(p, p.in, live, func(port *Interface, set bdd.Node) {
		through = w.m.Or(through, w.bridged(p, port, set))
	})
	return through
}

// eachPort splits packets by the bridge port that they take.
func (w *walker) eachPort(p *packet, bridge *Interface, live bdd.Node, do func(port *Interface, set bdd.Node)) {
	var ports []*Interface
	for i := range w.e.network.Interfaces {
		if w.e.network.Interfaces[i].Master == bridge.Index {
			ports = append(ports, &w.e.network.Interfaces[i])
		}
	}
	if len(ports) == 0 {
		do(nil, live)
		return
	}
	choice := w.oneOf(uint32(len(ports)), Sender, p.about+"port of "+bridge.Name)
	for i, port := range ports {
		do(port, w.m.And(live, w.equal(choice, []byte{0, 0, byte(i >> 8), byte(i)})))
	}
}

func (e *Evaluator) hasBridgeChains() bool {
	for hook := Prerouting; hook <= Postrouting; hook++ {
		if len(e.chains[hookKey{FamilyBridge, hook, false}]) > 0 {
			return true
		}
	}
	return false
}

// bridged takes frames for this host itself through a bridge's prerouting and
// input hooks, where the link that they come in by is the port
// (net/bridge/br_input.c).
func (w *walker) bridged(p *packet, port *Interface, live bdd.Node) bdd.Node {
	c := p.clone()
	c.in, c.bridgePort = port, port
	live = w.bridgeHook(c, Prerouting, live)
	live = w.bridgeHook(c, Input, live)
	p.mark, p.pktType, p.network, p.transport = c.mark, c.pktType, c.network, c.transport
	return live
}

func (w *walker) bridgeHook(p *packet, h Hook, live bdd.Node) bdd.Node {
	p.hook = h
	for _, c := range w.e.chains[hookKey{FamilyBridge, h, false}] {
		live, _ = w.runChain(p, c, live, nil)
	}
	return live
}

// leaveBridge takes what leaves by a bridge through the bridge's output and
// postrouting hooks, where the link that it leaves by is the port: the one that
// the packet came in by which it answers, as the bridge has learned.
func (w *walker) leaveBridge(p *packet, live bdd.Node) bdd.Node {
	if p.out == nil || p.out.Kind != "bridge" || !w.e.hasBridgeChains() {
		return live
	}
	if p.bridgePort != nil && p.bridgePort.Master == p.out.Index {
		return w.outOfPort(p, p.bridgePort, live)
	}
	out := bdd.False
	w.eachPort(p, p.out, live, func(port *Interface, set bdd.Node) {
		out = w.m.Or(out, w.outOfPort(p, port, set))
	})
	return out
}

func (w *walker) outOfPort(p *packet, port *Interface, live bdd.Node) bdd.Node {
	c := p.clone()
	c.in, c.out = nil, port
	c.link = outgoingEtherHeader(p)
	live = w.bridgeHook(c, Output, live)
	return w.bridgeHook(c, Postrouting, live)
}
