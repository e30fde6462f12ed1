package main

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

const rulesAboutSockets = `table inet filter {
	chain prerouting {
		type filter hook prerouting priority mangle; policy accept;
		tcp dport 83 tproxy to :8083 accept
	}
	chain input {
		type filter hook input priority filter; policy drop;
		socket transparent 1 accept
		tcp dport 82 accept
		tcp dport 84 socket mark 7 accept
	}
	chain output {
		type filter hook output priority filter; policy accept;
		meta skuid 1000 drop
	}
}`

// What rules ask of the host's sockets is answered from its own, live and recorded.
func TestAnswersKnowTheHostsSockets(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{
		Interfaces: []kerneltest.Interface{{Name: "eth0", Addresses: []string{"203.0.113.7/24"}}},
		Routes:     []string{"default via 203.0.113.1 dev eth0"},
		Sysctls:    map[string]string{"ipv4/tcp_syncookies": "1"},
	})
	everybody := netip.IPv4Unspecified()
	for _, s := range []kerneltest.Socket{
		{Protocol: 6, At: netip.AddrPortFrom(everybody, 80), Transparent: true},
		{Protocol: 6, At: netip.AddrPortFrom(everybody, 81)},
		{Protocol: 6, At: netip.AddrPortFrom(everybody, 82), UID: 1000},
		{Protocol: 6, At: netip.AddrPortFrom(everybody, 8083), Transparent: true},
		{Protocol: 6, At: netip.AddrPortFrom(everybody, 84), Mark: 7},
	} {
		if err := ns.Open(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := ns.NFT(rulesAboutSockets); err != nil {
		t.Fatal(err)
	}
	live := func(file string) (platform.Host, error) {
		if file == "" {
			return platform.LiveIn(ns.Path()), nil
		}
		return openHost(file)
	}
	recording := filepath.Join(t.TempDir(), "host.ng")
	if _, errs, code := netglanceIn(t, live, "record", recording); code != exitDone {
		t.Fatalf("record: %d, %s", code, errs)
	}
	for port, want := range map[string]string{
		"80":   `"verdict":"accept"`,
		"81":   `"verdict":"drop"`,
		"82":   `"verdict":"drop"`,
		"83":   `"port":8083`,
		"84":   `"verdict":"accept"`,
		"8099": `"verdict":"drop"`,
	} {
		for name, host := range map[string][]string{"live": nil, "recorded": {"--host", recording}} {
			t.Run(port+" "+name, func(t *testing.T) {
				args := append([]string{"firewall", "explain", port + "/tcp", "--from", "198.51.100.9", "--json"}, host...)
				out, errs, code := netglanceIn(t, live, args...)
				if code != exitDone || !strings.Contains(strings.ReplaceAll(out, " ", ""), want) {
					t.Errorf("ended with %d, want %s in:\n%s%s", code, want, out, errs)
				}
			})
		}
	}
}
