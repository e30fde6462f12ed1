package listeners

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func unitsHost() *fakeHost {
	return &fakeHost{files: map[string]string{
		"/lib/systemd/system/ssh.socket":                          "[Unit]\nListenStream=1\n[Socket]\n# ListenStream=2\nListenStream = 22\nAccept=no\n[Install]\nWantedBy=sockets.target\n",
		"/lib/systemd/system/cups.socket":                         "[Socket]\nListenStream=/run/cups/cups.sock\nListenStream=127.0.0.1:631\nListenStream=[::1]:631\n",
		"/lib/systemd/system/tftp.socket":                         "[Socket]\nListenDatagram=69\n",
		"/lib/systemd/system/echo@.socket":                        "[Socket]\nListenStream=127.0.0.%i:7\n",
		"/lib/systemd/system/lite.socket":                         "[Socket]\nSocketProtocol=udplite\nListenDatagram=69\nBindToDevice=eth0\n",
		"/lib/systemd/system/dropbear.socket":                     "[Socket]\nListenStream=22\n",
		"/lib/systemd/system/six.socket":                          "[Socket]\nListenStream=2222\nBindIPv6Only=ipv6-only\n",
		"/etc/systemd/system/moved.socket":                        "[Socket]\nListenStream=9001\n",
		"/lib/systemd/system/moved.socket":                        "[Socket]\nListenStream=9000\n",
		"/etc/systemd/system/cups.socket.d/override.conf":         "[Socket]\nListenStream=\nListenStream=192.0.2.1:631\n",
		"/lib/systemd/system/cups.socket.d/override.conf":         "[Socket]\nListenStream=1631\n",
		"/run/systemd/generator/ssh.socket.d/addresses.conf":      "[Socket]\nListenStream=0.0.0.0:2200\n",
		"/run/systemd/units/invocation:ssh.socket":                "",
		"/run/systemd/units/invocation:cups.socket":               "",
		"/run/systemd/units/invocation:tftp.socket":               "",
		"/run/systemd/units/invocation:lite.socket":               "",
		"/run/systemd/units/invocation:six.socket":                "",
		"/run/systemd/units/invocation:echo@9.socket":             "",
		"/run/systemd/units/invocation:moved.socket":              "",
		"/run/systemd/units/invocation:nginx.service":             "",
		"/lib/systemd/system/sockets.target.wants/ignored.socket": "[Socket]\nListenStream=22\n",
	}}
}

func heldByPID1(protocol, address string, port uint16, device string) Listener {
	addr := netip.MustParseAddr(address)
	l := Listener{Protocol: protocol, Family: 4, Address: addr, Port: port, Device: device, Owners: []Process{{PID: 1, Name: "systemd"}}}
	if addr.Is6() {
		l.Family = 6
	}
	return l
}

func TestSocketUnitsOfPID1(t *testing.T) {
	for _, c := range []struct {
		name     string
		listener Listener
		want     string
	}{
		{"bare port, not the one of an inactive unit", heldByPID1("tcp", "::", 22, ""), "ssh.socket"},
		{"bare port without IPv6", heldByPID1("tcp", "0.0.0.0", 22, ""), "ssh.socket"},
		{"bare port, but bound elsewhere", heldByPID1("tcp", "127.0.0.1", 22, ""), ""},
		{"added by a drop-in", heldByPID1("tcp", "0.0.0.0", 2200, ""), "ssh.socket"},
		{"emptied by a drop-in", heldByPID1("tcp", "127.0.0.1", 631, ""), ""},
		{"address of a drop-in", heldByPID1("tcp", "192.0.2.1", 631, ""), "cups.socket"},
		{"drop-in hidden by one of the same name", heldByPID1("tcp", "::", 1631, ""), ""},
		{"datagram", heldByPID1("udp", "::", 69, ""), "tftp.socket"},
		{"stream is not datagram", heldByPID1("tcp", "::", 69, ""), ""},
		{"udplite on its device", heldByPID1("udplite", "::", 69, "eth0"), "lite.socket"},
		{"udplite on another", heldByPID1("udplite", "::", 69, "eth1"), ""},
		{"instance", heldByPID1("tcp", "127.0.0.9", 7, ""), "echo@9.socket"},
		{"IPv6 only", heldByPID1("tcp", "0.0.0.0", 2222, ""), ""},
		{"unit in /etc hides the one in /lib", heldByPID1("tcp", "::", 9000, ""), ""},
		{"unit in /etc", heldByPID1("tcp", "::", 9001, ""), "moved.socket"},
	} {
		listeners := []Listener{c.listener}
		nameSocketUnits(unitsHost(), listeners)
		if got := listeners[0].Owners[0].SocketUnit; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTwoSocketUnitsThatFitNameNone(t *testing.T) {
	h := unitsHost()
	for name := range h.files {
		if strings.HasPrefix(name, "/run/systemd/units/") {
			delete(h.files, name) // a systemd that doesn't tell what is active
		}
	}
	listeners := []Listener{heldByPID1("tcp", "::", 22, ""), heldByPID1("tcp", "::", 9001, "")}
	nameSocketUnits(h, listeners)
	if got := listeners[0].Owners[0].SocketUnit; got != "" {
		t.Errorf("port 22 fits two units, and is named %q", got)
	}
	if got := listeners[1].Owners[0].SocketUnit; got != "moved.socket" {
		t.Errorf("port 9001: %q", got)
	}
}

func TestNoUnitFileIsReadUnlessSystemdHoldsASocket(t *testing.T) {
	h := unitsHost()
	other := heldByPID1("tcp", "::", 22, "")
	other.Owners[0].Name = "tini"
	nameSocketUnits(h, []Listener{other, {Protocol: "tcp", Port: 22, Owners: []Process{{PID: 5, Name: "systemd"}}}, {Port: 22}})
	if len(h.asked) > 0 {
		t.Errorf("files read: %v", h.asked)
	}
}

func TestUnitAddresses(t *testing.T) {
	want := []unitAddress{
		{port: 22},
		{address: netip.MustParseAddr("127.0.0.1"), port: 631},
		{address: netip.MustParseAddr("::1"), port: 631},
		{address: netip.MustParseAddr("fe80::1"), port: 22},
	}
	var got []unitAddress
	for _, value := range []string{"22", "/run/x", "@abstract", "127.0.0.1:631", "[::1]:631", "[fe80::1]:22%eth0", "vsock::2", "65536", "example.org:7", "%t/x"} {
		got = appendUnitAddress(got, value)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got = appendUnitAddress(got, ""); got != nil {
		t.Errorf("an empty value leaves %v", got)
	}
}

func TestHundredThousandUnitLinesAreNotAllRead(t *testing.T) {
	var u socketUnit
	parseSocketUnit([]byte("[Socket]\n"+strings.Repeat("ListenStream=22\n", 100_000)), "", &u)
	if len(u.streams) > maxUnitLines {
		t.Errorf("%d addresses", len(u.streams))
	}
}

func FuzzSocketUnit(f *testing.F) {
	for _, text := range unitsHost().files {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var u socketUnit
		parseSocketUnit(text, "x", &u)
		if slices.ContainsFunc(u.streams, func(a unitAddress) bool { return a.address.Zone() != "" }) {
			t.Errorf("a zone in %v", u.streams)
		}
	})
}
