package correlate

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netglance/netglance/scan/portmap"
)

func TestPortsThatARouterLeadsHere(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("192.168.7.20")}
	mapping := func(protocol, internal string, enabled bool) portmap.Mapping {
		return portmap.Mapping{Protocol: protocol, External: netip.MustParseAddrPort("11.0.0.9:2222"), Internal: netip.MustParseAddrPort(internal), Enabled: enabled}
	}
	row := func(protocol string, port uint16, address string, label Label) Exposure {
		return Exposure{Protocol: protocol, Port: port, Addresses: []netip.Addr{netip.MustParseAddr(address)}, Label: label}
	}
	const said = "the router 192.168.7.1 leads port 2222/tcp of 11.0.0.9 to 192.168.7.20:22"
	for _, c := range []struct {
		name    string
		mapping portmap.Mapping
		row     Exposure
		reason  string
		remedy  bool
	}{
		{"bound to all addresses", mapping("tcp", "192.168.7.20:22", true), row("tcp", 22, "0.0.0.0", Exposed), said, true},
		{"bound to that address, filtered", mapping("tcp", "192.168.7.20:22", true), row("tcp", 22, "192.168.7.20", Filtered), said, false},
		{"bound to loopback", mapping("tcp", "192.168.7.20:22", true), row("tcp", 22, "127.0.0.1", Local), "", false},
		{"another port", mapping("tcp", "192.168.7.20:23", true), row("tcp", 22, "0.0.0.0", Exposed), "", false},
		{"another protocol", mapping("udp", "192.168.7.20:22", true), row("tcp", 22, "0.0.0.0", Exposed), "", false},
		{"another host", mapping("tcp", "192.168.7.30:22", true), row("tcp", 22, "0.0.0.0", Exposed), "", false},
		{"turned off", mapping("tcp", "192.168.7.20:22", false), row("tcp", 22, "0.0.0.0", Exposed), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateway := portmap.Gateway{Addr: netip.MustParseAddr("192.168.7.1"), Mappings: []portmap.Mapping{c.mapping}}
			got := Routed([]Exposure{c.row}, []portmap.Gateway{gateway}, own)[0]
			var texts []string
			for _, r := range got.Reasons {
				texts = append(texts, r.Text)
			}
			if strings.Join(texts, "; ") != c.reason || (len(got.Remedy) > 0) != c.remedy || got.Label != c.row.Label {
				t.Errorf("%v, do %v, %s", texts, got.Remedy, got.Label)
			}
		})
	}
}
