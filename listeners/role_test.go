package listeners

import (
	"net/netip"
	"testing"
)

// Trap 13: neither a port above 32768 makes a client, nor one below a server.
func TestRolesOfDatagramSockets(t *testing.T) {
	chosen := portRange{first: 32768, last: 60999, reserved: []portSpan{{51820, 51820}}}
	for _, c := range []struct {
		name     string
		protocol string
		state    uint8
		port     uint16
		binding  portBinding
		want     Role
	}{
		{"a resolver's port", "udp", stateClose, 53, portAsked, Server},
		{"wireguard, asked for in the range", "udp", stateClose, 51821, portAsked, Server},
		{"chosen by the kernel", "udp", stateClose, 45000, portChosen, ProbableClient},
		{"chosen by the kernel from a range set before", "udp", stateClose, 2000, portChosen, ProbableClient},
		{"not told, in the range", "udp", stateClose, 45000, portUnknown, ProbableClient},
		{"not told, at the range's end", "udplite", stateClose, 60999, portUnknown, ProbableClient},
		{"not told, above the range", "udp", stateClose, 61000, portUnknown, Server},
		{"not told, reserved in the range", "udp", stateClose, 51820, portUnknown, Server},
		{"connected", "udp", stateEstablished, 53, portAsked, ConnectedClient},
		{"DHCP client", "udp", stateClose, 68, portAsked, ProbableClient},
		{"DHCPv6 client", "udp", stateClose, 546, portAsked, ProbableClient},
		{"DHCP server", "udp", stateClose, 67, portAsked, Server},
		{"TCP listener on a chosen port", "tcp", stateListen, 45000, portUnknown, Server},
		{"MPTCP listener", "mptcp", stateListen, 68, portUnknown, Server},
		{"raw ICMP", "raw", stateClose, 1, portUnknown, Server},
		{"raw, connected", "raw", stateEstablished, 1, portUnknown, ConnectedClient},
	} {
		s := socket{protocol: c.protocol, state: c.state, binding: c.binding, local: netip.AddrPortFrom(netip.IPv4Unspecified(), c.port)}
		if got := role(&s, chosen); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPortRangeFiles(t *testing.T) {
	h := &fakeHost{files: map[string]string{rangeFile: "32768\t60999\n", reservedFile: "40000,40010-40020,x,7-\n"}}
	r, found := readPortRange(h)
	if len(found) > 0 {
		t.Fatalf("gaps %v", found)
	}
	for port, want := range map[uint16]bool{32767: false, 32768: true, 40000: false, 40001: true, 40015: false, 40021: true, 60999: true, 61000: false, 0: false} {
		if r.contains(port) != want {
			t.Errorf("port %d is chosen: %t, want %t", port, !want, want)
		}
	}
	for _, text := range []string{"", "1", "2 1", "1 70000", "1 2 3", "a b", "!"} {
		h.files[rangeFile] = text
		if r, found := readPortRange(h); len(found) != 1 || r.contains(1) {
			t.Errorf("%q: range %v, gaps %v", text, r, found)
		}
	}
}

func TestWhichFamiliesASocketServes(t *testing.T) {
	for _, c := range []struct {
		address   string
		v6only    bool
		four, six bool
		dual      bool
	}{
		{"0.0.0.0", false, true, false, false},
		{"192.0.2.1", false, true, false, false},
		{"::", false, true, true, true},
		{"::", true, false, true, false},
		{"2001:db8::1", false, false, true, false},
		{"::ffff:192.0.2.1", false, true, false, false},
	} {
		addr := netip.MustParseAddr(c.address)
		l := Listener{Family: 6, Address: addr, V6Only: c.v6only}
		if addr.Is4() {
			l.Family = 4
		}
		if l.ServesIPv4() != c.four || l.ServesIPv6() != c.six || l.DualStack() != c.dual {
			t.Errorf("%s v6only %t: IPv4 %t, IPv6 %t, dual %t", c.address, c.v6only, l.ServesIPv4(), l.ServesIPv6(), l.DualStack())
		}
	}
}
