package realhost

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/netglance/netglance/scan/portmap"
)

// gatewayVariable has the test binary ask the gateway that it names: it is run again behind the router.
const gatewayVariable = "NETGLANCE_REALHOST_GATEWAY"

func readGateway(gateway string, out io.Writer) int {
	var listen net.ListenConfig
	gateways, unread := portmap.Read(context.Background(), portmap.Network{
		Dial: (&net.Dialer{}).DialContext, Listen: listen.ListenPacket, Gateway: netip.MustParseAddr(gateway),
	})
	for _, g := range unread {
		fmt.Fprintln(os.Stderr, g.Source, g.Reason, g.Err)
	}
	if err := json.NewEncoder(out).Encode(gateways); err != nil {
		return 1
	}
	return 0
}

func TestMappingsOfARealRouter(t *testing.T) {
	requirePackages(t, map[string]string{"miniupnpd": "miniupnpd-nftables", "nft": "nftables", "ss": "iproute2", "busybox": "busybox-static"})
	pid := startServices(t, "testdata/gateway.sh")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The router's first process has a child for the host behind it.
	behind := func(command ...string) string {
		return inNamespaces(t, pid, "", append([]string{"sh", "-c", `exec nsenter --net=/proc/$(cat "$0/host")/ns/net "$@"`, scratchOf(t, pid)}, command...)...).ok(t)
	}
	text := behind("env", gatewayVariable+"=192.168.7.1", self)
	var got []portmap.Gateway
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if len(got) != 1 || len(got[0].Mappings) != 1 {
		t.Fatalf("%+v", got)
	}
	g, m := got[0], got[0].Mappings[0]
	outside := netip.MustParseAddr("11.0.0.9")
	if g.Addr.String() != "192.168.7.1" || g.Name != "home router" || g.External != outside || strings.Join(g.Protocols, ", ") != "IGD 2, NAT-PMP, PCP" {
		t.Errorf("%+v", g)
	}
	if m.String() != "2222/tcp → 192.168.7.20:22" || m.External != netip.AddrPortFrom(outside, 2222) || !m.Enabled || m.Remote.IsValid() ||
		m.Lease <= 0 || m.Lease > time.Hour || !strings.Contains(m.Description, "NAT-PMP") {
		t.Errorf("%+v", m)
	}
	// The command finds the router by the host's own default route.
	shown := behind(netglance, "scan", "--router", "-p", "22", "-q")
	for _, line := range []string{"router 192.168.7.1 · home router · ", "outside 11.0.0.9 · IGD 2, NAT-PMP, PCP\n", "\n  2222/tcp → 192.168.7.20:22 this host, for "} {
		if !strings.Contains(shown, line) {
			t.Errorf("nothing says %q:\n%s", line, shown)
		}
	}
	if rows := columns(behind(netglance, "firewall", "--router", "-p", "22")); !strings.Contains(fmt.Sprint(rows["22/tcp"]), "the router 192.168.7.1 leads port 2222/tcp of 11.0.0.9 to 192.168.7.20:22") {
		t.Errorf("the row is %q", rows["22/tcp"])
	}
	if to := g.To([]netip.Addr{netip.MustParseAddr("192.168.7.20")}); len(to) != 1 {
		t.Errorf("%v", to)
	}
}

// scratchOf is a script's own directory, as its environment names it.
func scratchOf(t *testing.T, pid int) string {
	t.Helper()
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	for variable := range strings.SplitSeq(string(environment), "\x00") {
		if dir, ok := strings.CutPrefix(variable, "SCRATCH="); ok {
			return dir
		}
	}
	t.Fatal("no SCRATCH in the script's environment")
	return ""
}
