package main

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
)

// A scannedHost has 22/tcp and 53/udp let in, 6379/tcp not, and 5432/tcp on loopback.
func newScannedHost(t *testing.T) *kerneltest.Namespace {
	t.Helper()
	ns := kerneltest.New(t, kerneltest.Layout{Interfaces: []kerneltest.Interface{{Name: "eth0", Addresses: []string{"192.0.2.1/24"}}}})
	for _, at := range []string{"tcp 0.0.0.0:22", "tcp 0.0.0.0:6379", "tcp 127.0.0.1:5432", "udp 0.0.0.0:53"} {
		network, address, _ := strings.Cut(at, " ")
		if err := ns.Listen(network, netip.MustParseAddrPort(address)); err != nil {
			t.Fatal(err)
		}
	}
	err := ns.NFT("table inet filter { chain input { type filter hook input priority 0; policy drop; tcp dport { 22, 5432 } accept; udp dport 53 accept; ip6 daddr ::1 accept; }; }")
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// inside runs the program itself in a namespace: scans ask from where they run.
func inside(t *testing.T, ns *kerneltest.Namespace, args ...string) []byte {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "netglance") // what testscript's Main goes by
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("nsenter", append([]string{"--net=" + ns.Path(), program}, args...)...)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("netglance %v: %v\n%s", args, err, said.String())
	}
	return out
}

func TestAHostScansItself(t *testing.T) {
	ns := newScannedHost(t)
	for _, method := range [][]string{nil, {"--connect"}} {
		var got struct {
			Scan struct {
				TCP string `json:"tcp_method"`
			}
			Hosts []struct {
				Address string
				Own     bool
				Ports   []struct {
					Port  uint16
					State string
				}
			}
		}
		if err := json.Unmarshal(inside(t, ns, append([]string{"scan", "-4", "-p", "1-6500", "--json"}, method...)...), &got); err != nil {
			t.Fatal(err)
		}
		open := map[string][]uint16{}
		for _, h := range got.Hosts {
			for _, p := range h.Ports {
				if p.State == "open" {
					open[h.Address] = append(open[h.Address], p.Port)
				}
			}
			if !h.Own {
				t.Errorf("%s is not its own", h.Address)
			}
		}
		// A whole connection needs its answer let in too, which these rules don't.
		want := []uint16{5432, 22}
		if method != nil {
			want = nil
		}
		slices.Sort(want)
		if len(got.Hosts) != 2 || !slices.Equal(open["127.0.0.1"], want) || method == nil && !slices.Equal(open["192.0.2.1"], []uint16{22}) {
			t.Errorf("%v: %+v", method, open)
		}
	}
}

func TestFirewallScanAgreesWithTheRules(t *testing.T) {
	ns := newScannedHost(t)
	var got struct {
		Ports []struct {
			Protocol string
			Port     uint16
			Probe    struct{ State, Method string }
			Reasons  []struct{ Code, Text string }
		}
	}
	if err := json.Unmarshal(inside(t, ns, "firewall", "--scan", "-4", "--json"), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"22tcp": "open", "5432tcp": "open", "6379tcp": "filtered", "53udp": "unconfirmed"}
	for _, p := range got.Ports {
		name := netip.AddrPortFrom(netip.IPv4Unspecified(), p.Port).String()[8:] + p.Protocol
		if p.Probe.State != want[name] || p.Probe.Method != "loopback" {
			t.Errorf("%s: %+v", name, p.Probe)
		}
		for _, r := range p.Reasons {
			if r.Code == "conflict" {
				t.Errorf("%s: %s", name, r.Text)
			}
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

// Over lo the recorded rules for eth0 say nothing.
func TestAnExpectationIsForScansFromOutside(t *testing.T) {
	ns := newScannedHost(t)
	recording := filepath.Join(t.TempDir(), "host.ng")
	inside(t, ns, "record", recording, "-q")
	shown := string(inside(t, ns, "scan", "192.0.2.1", "-p", "22,6379", "--expect", recording))
	if !strings.Contains(shown, "Nothing could be compared") || !strings.Contains(shown, "the packets travelled over lo") {
		t.Error(shown)
	}
}
