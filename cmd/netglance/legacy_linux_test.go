package main

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

const legacyRules = `*nat
-A PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT DROP
:FORWARD DROP
:ufw-user-input -
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m set --match-set monitors src -p tcp -m tcp --dport 9100 -j ACCEPT
-A INPUT -j ufw-user-input
-A INPUT -p udp -j ACCEPT
-A FORWARD -i docker0 -j ACCEPT
-A FORWARD -o docker0 -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-input -s 10.0.0.0/8 -p tcp -m tcp --dport 5432 -j ACCEPT
COMMIT
`

// legacyNamespace is a host whose rules iptables-legacy or iptables-nft wrote.
func legacyNamespace(t *testing.T, backend string) *kerneltest.Namespace {
	t.Helper()
	ns := kerneltest.New(t, kerneltest.Layout{
		Interfaces: []kerneltest.Interface{
			{Name: "eth0", Index: 2, Addresses: []string{"203.0.113.7/24"}},
			{Name: "docker0", Index: 3, Addresses: []string{"172.17.0.1/16"}},
		},
		Routes:  []string{"default via 203.0.113.1 dev eth0"},
		Sysctls: map[string]string{"ipv4/ip_forward": "1"},
	})
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(legacyRules), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"ipset create monitors hash:net", "ipset add monitors 198.51.100.0/24", "iptables-" + backend + "-restore " + file} {
		if _, err := ns.Run(strings.Fields(command)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, port := range []uint16{22, 5432, 6379, 9100} {
		if err := ns.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr("0.0.0.0"), port)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ns.Listen("udp", netip.MustParseAddrPort("0.0.0.0:53")); err != nil {
		t.Fatal(err)
	}
	return ns
}

// A portAnswer is what the JSON says of a port.
type portAnswer struct {
	Port    int
	Label   string
	Remedy  []string
	Reasons []reasonAnswer
	Reach   []struct {
		Verdict     string
		Sources     []string
		DecidedBy   struct{ Backend, Chain string } `json:"decided_by"`
		DeliveredTo *struct{ Address string }       `json:"delivered_to"`
	}
}

type reasonAnswer struct{ Code, Text string }

func portAnswers(t *testing.T, out string) map[int]portAnswer {
	t.Helper()
	var answer struct {
		Gaps  []struct{ Source, Reason string }
		Ports []portAnswer
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	for _, g := range answer.Gaps {
		if g.Source == "ip_tables" || g.Source == "ipset" || g.Source == "nf_tables" {
			t.Errorf("gap: %s: %s", g.Source, g.Reason)
		}
	}
	all := map[int]portAnswer{}
	for _, p := range answer.Ports {
		all[p.Port] = p
	}
	return all
}

func TestRulesOfIptablesAreAnsweredLiveAndRecorded(t *testing.T) {
	for _, backend := range []string{"legacy", "nft"} {
		t.Run(backend, func(t *testing.T) {
			ns := legacyNamespace(t, backend)
			live := func(string) (platform.Host, error) { return platform.LiveIn(ns.Path()), nil }
			file := filepath.Join(t.TempDir(), "host.ng")
			if _, errs, code := netglanceIn(t, live, "record", file); code != exitDone {
				t.Fatalf("record ended with %d: %s", code, errs)
			}
			now, errs, code := netglanceIn(t, live, "firewall", "--json")
			later, _, _ := netglance(t, "firewall", "--json", "--host", file)
			if code != exitDone || now != later {
				t.Errorf("ended with %d, stderr %q; live\n%s\nrecorded\n%s", code, errs, now, later)
			}
			got := portAnswers(t, later)
			for port, label := range map[int]string{22: "intentional", 5432: "intentional", 6379: "filtered", 9100: "intentional", 53: "exposed", 8080: "exposed"} {
				if got[port].Label != label {
					t.Errorf("%d is %q, want %q: %+v", port, got[port].Label, label, got[port])
				}
			}
			for port, source := range map[int]string{5432: "10.0.0.0/8", 9100: "198.51.100.0/24"} {
				for _, r := range got[port].Reach {
					if r.Verdict == "accept" && (len(r.Sources) != 1 || r.Sources[0] != source || r.DecidedBy.Backend != "iptables-"+backend) {
						t.Errorf("%d is open to %v by %v, want %s", port, r.Sources, r.DecidedBy, source)
					}
				}
			}
			delivered := false
			for _, r := range got[8080].Reach {
				delivered = delivered || r.DeliveredTo != nil && r.DeliveredTo.Address == "172.17.0.2"
			}
			if !delivered {
				t.Errorf("8080 is not followed to where DNAT leads: %+v", got[8080])
			}
			if r := got[8080].Reasons; !slices.ContainsFunc(r, func(r reasonAnswer) bool {
				return r.Code == "bypasses" && strings.Contains(r.Text, "ufw (ip filter INPUT: policy drop)")
			}) {
				t.Errorf("8080: reasons %v", r)
			}
			if r := strings.Join(got[53].Remedy, "\n"); !strings.Contains(r, "ufw prepend deny to any port 53 proto udp") {
				t.Errorf("53: remedy %q", r)
			}
		})
	}
}
