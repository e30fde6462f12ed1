package firewall_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/kerneltest"
)

// x_tables' own matches and target for sockets, which iptables-nft puts into nf_tables.
func TestSocketsThatIptablesAsksAbout(t *testing.T) {
	o := newOracle(t, kerneltest.Layout{
		Interfaces: decisionLinks, Routes: append([]string{"local default dev lo table 100"}, decisionRoutes...),
		Setup:   []string{"-4 rule add fwmark 1 lookup 100"},
		Sysctls: map[string]string{"ipv4/tcp_syncookies": "1", "ipv4/ip_forward": "1"},
	})
	for _, s := range []kerneltest.Socket{
		{Protocol: 6, At: at("0.0.0.0:80"), Transparent: true},
		{Protocol: 6, At: at("203.0.113.7:81"), Transparent: true},
		{Protocol: 6, At: at("203.0.113.7:82")},
		{Protocol: 6, At: at("203.0.113.7:83"), Mark: 7},
		{Protocol: 6, At: at("0.0.0.0:84"), UID: 1000},
		{Protocol: 6, At: at("0.0.0.0:85"), UID: 1001},
		{Protocol: 17, At: at("0.0.0.0:8080"), Transparent: true},
		{Protocol: 17, At: at("0.0.0.0:8081")},
		{Protocol: 6, At: at("0.0.0.0:90")},
		{Protocol: 6, At: at("203.0.113.7:91")},
		{Protocol: 17, At: at("0.0.0.0:92")},
		{Protocol: 17, At: at("0.0.0.0:93")},
	} {
		if err := o.ns.Open(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, rule := range []string{
		"-t mangle -A PREROUTING -p udp --dport 92 -j TPROXY --on-port 8080 --tproxy-mark 1/1",
		"-t mangle -A PREROUTING -p udp --dport 93 -j TPROXY --on-port 8081 --tproxy-mark 1/1",
		"-t mangle -A PREROUTING -m socket --restore-skmark",
		"-A INPUT -p udp -j ACCEPT",
		"-A INPUT -p tcp --dport 80:81 -m socket --transparent -j ACCEPT",
		"-A INPUT -p tcp --dport 82 -m socket -j ACCEPT",
		"-A INPUT -p tcp --dport 83 -m mark --mark 7 -j ACCEPT",
		"-A INPUT -p tcp --dport 84:85 -j ACCEPT",
		"-A INPUT -p tcp --dport 90:91 -m socket --nowildcard -j ACCEPT",
		"-P INPUT DROP",
		"-A OUTPUT -p tcp --sport 84:85 -m owner --uid-owner 1000 -j DROP",
		"-A OUTPUT -p tcp --sport 90 -m owner --socket-exists -j DROP",
	} {
		if _, err := o.ns.Run(append([]string{"iptables-nft"}, strings.Fields(rule)...)...); err != nil {
			t.Fatal(err)
		}
	}
	evaluator := o.evaluator()
	for _, line := range []string{
		"eth0 tcp 198.51.100.9 203.0.113.7:80 drop", // wildcard sockets are left out
		"eth0 tcp 198.51.100.9 203.0.113.7:81 accept",
		"eth0 tcp 198.51.100.9 203.0.113.7:82 accept",
		"eth0 tcp 198.51.100.9 203.0.113.7:83 accept",
		"eth0 tcp 198.51.100.9 203.0.113.7:84 drop",
		"eth0 tcp 198.51.100.9 203.0.113.7:85 accept",
		"eth0 tcp 198.51.100.9 203.0.113.7:86 drop", // nobody listens
		"eth0 tcp 198.51.100.9 203.0.113.7:90 drop",
		"eth0 tcp 198.51.100.9 203.0.113.7:91 accept",
		"eth0 udp 198.51.100.9 172.17.0.2:92 accept at 8080",
		"eth0 udp 198.51.100.9 203.0.113.7:93 drop", // its socket is not transparent
	} {
		var table decisionTable
		if err := table.addPacket(1, line); err != nil {
			t.Fatal(err)
		}
		d := table.packets[0]
		if outcome := o.alone(d.probe); !d.kernelAgrees(outcome) {
			t.Errorf("%s\n\tthe kernel: %s, %s", line, fate(d.probe, outcome), outcome)
		}
		if j := judge(evaluator, d.probe); j.crash != "" || j.expectation(d.probe.Port) != d.expected {
			t.Errorf("%s\n\tthe evaluator: %s", line, j)
		}
	}
}

func TestPortsOfATransparentProxyAreReachableWithoutASocket(t *testing.T) {
	o := newOracle(t, kerneltest.Layout{Interfaces: decisionLinks, Routes: decisionRoutes})
	for _, s := range []kerneltest.Socket{
		{Protocol: 6, At: at("0.0.0.0:8080"), Transparent: true},
		{Protocol: 6, At: at("127.0.0.1:8081"), Transparent: true},
		{Protocol: 6, At: at("0.0.0.0:8082")},
	} {
		if err := o.ns.Open(s); err != nil {
			t.Fatal(err)
		}
	}
	err := o.ns.NFT(`table ip proxy {
		chain prerouting {
			type filter hook prerouting priority mangle; policy accept;
			tcp dport { 80, 8000-8100 } tproxy to :8080
			tcp dport 443 tproxy to 127.0.0.1:8081
			tcp dport 444 tproxy to :8082
		}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddr("203.0.113.7")
	got := o.evaluator().Redirections(firewall.Query{Protocol: 6, Interface: "eth0", Destination: to})
	slices.SortFunc(got, func(a, b firewall.Redirection) int { return int(a.First) - int(b.First) })
	want := []firewall.Redirection{
		{First: 80, Last: 80, Address: to, Port: 8080},
		{First: 443, Last: 443, Address: netip.MustParseAddr("127.0.0.1"), Port: 8081},
		{First: 8000, Last: 8079, Address: to, Port: 8080},
		{First: 8081, Last: 8100, Address: to, Port: 8080},
	}
	if !slices.Equal(got, want) {
		t.Errorf("redirections %v, want %v", got, want)
	}
}
