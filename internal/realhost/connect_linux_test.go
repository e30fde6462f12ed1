package realhost

import (
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// connect sends the probes from the peer, which takes every source address, and
// returns what became of each.
func (h *host) connect(t *testing.T, probes []probe) []string {
	t.Helper()
	var batch, addresses strings.Builder
	var own []netip.Addr
	for _, p := range probes {
		if !slices.Contains(own, p.From) {
			own = append(own, p.From)
		}
	}
	for _, a := range own {
		addresses.WriteString("addr replace " + netip.PrefixFrom(a, a.BitLen()).String() + " dev peer0")
		if a.Is6() {
			addresses.WriteString(" nodad")
		}
		addresses.WriteString("\n")
	}
	h.atPeer(addresses.String(), "ip", "-batch", "-").ok(t)
	h.questions(t, &batch, probes)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	verdicts := strings.Fields(h.atPeer(batch.String(), "env", probeVariable+"=1", self).ok(t))
	if len(verdicts) != len(probes) {
		t.Fatalf("%d verdicts for %d probes: %q", len(verdicts), len(probes), verdicts)
	}
	return verdicts
}

// questions writes the probes as "explain --batch" reads them.
func (h *host) questions(t *testing.T, out *strings.Builder, probes []probe) {
	t.Helper()
	for _, p := range probes {
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
}

// Sources inside and outside of every range that the rules name, and at their edges.
var (
	sources4 = []string{"10.0.0.0", "10.255.255.255", "11.0.0.0", "9.255.255.255", "203.0.113.0", "203.0.113.254", "203.0.112.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", "192.0.2.1"}
	sources6 = []string{"2001:db8:ad::", "2001:db8:ad:ffff:ffff:ffff:ffff:ffff", "2001:db8:ae::", "2001:db8:ac:ffff:ffff:ffff:ffff:ffff", "2001:db8::99", "2001:db8:cafe::1"}
)

func probesOf(ports ...string) []probe {
	var out []probe
	for to, sources := range map[string][]string{"203.0.113.7": sources4, "2001:db8::7": sources6} {
		for _, from := range sources {
			for _, name := range ports {
				p := probe{Protocol: "tcp", To: netip.MustParseAddr(to), From: netip.MustParseAddr(from), Via: "eth0"}
				number, isUDP := strings.CutSuffix(name, "/udp")
				if isUDP {
					p.Protocol = "udp"
				}
				if err := json.Unmarshal([]byte(number), &p.Port); err != nil {
					panic(err)
				}
				out = append(out, p)
			}
		}
	}
	return out
}

func TestRealConnectionsMeetWhatExplainSays(t *testing.T) {
	h := start(t, "web-1.nft")
	probes := probesOf("22", "53", "53/udp", "80", "443", "5432", "6379", "8080")
	var batch strings.Builder
	h.questions(t, &batch, probes)
	lines := strings.Split(strings.TrimSpace(h.runInput(batch.String(), netglance, "firewall", "explain", "--batch", "-").ok(t)), "\n")
	if len(lines) != len(probes) {
		t.Fatalf("%d answers to %d questions", len(lines), len(probes))
	}
	got := h.connect(t, probes)
	seen := map[string]int{}
	for i, p := range probes {
		var said struct{ Verdict string }
		if err := json.Unmarshal([]byte(lines[i]), &said); err != nil {
			t.Fatal(err)
		}
		seen[got[i]]++
		if said.Verdict != got[i] {
			t.Errorf("%s: explain says %s, the connection met %s: %s", p, said.Verdict, got[i], lines[i])
		}
	}
	t.Logf("%d connections: %v", len(probes), seen)
	for _, verdict := range []string{"accept", "drop", "reject"} {
		if seen[verdict] == 0 {
			t.Errorf("no connection met %s: the test shows too little", verdict)
		}
	}
}
