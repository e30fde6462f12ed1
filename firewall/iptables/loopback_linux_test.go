package iptables_test

import (
	"net/netip"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/kerneltest"
)

// Docker publishes a port on loopback by a DNAT rule for 127.0.0.1 in PREROUTING,
// which runs before the packet is routed, so that route_localnet has no say: who
// shares a link with the host and sends to 127.0.0.1 gets to the container.
func TestPortsPublishedOnLoopbackAreReachedFromTheSameLink(t *testing.T) {
	ns := kerneltest.New(t, layout)
	rules := "*nat\n-A PREROUTING -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.3:80\nCOMMIT\n"
	if err := loadText(t, ns, rules, "iptables-legacy-restore"); err != nil {
		t.Fatal(err)
	}
	p := kerneltest.Probe{Via: "eth0", Protocol: 6, From: netip.MustParseAddr("203.0.113.9"), To: netip.MustParseAddr("127.0.0.1"), SourcePort: 4000, Port: 8081}
	outcome := ns.Probe([]kerneltest.Probe{p})[0]
	x, crash := explain(everyFilter(t, ns), p)
	if crash != nil || fate(p, outcome) != firewall.Accepted || x.Fate != firewall.Accepted || x.DeliveredTo == nil || x.DeliveredTo.Interface != outcome.Via {
		t.Errorf("the kernel: %v; netglance: %v %v %v", outcome, x.Fate, x.DeliveredTo, crash)
	}
}
