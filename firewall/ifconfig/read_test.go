package ifconfig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/golden"
)

// A printed host is what ifconfig and netstat print, between them a line "--".
type printed struct{ os, text string }

func (h printed) OS() string { return h.os }

func (h printed) Output(command ...string) ([]byte, error) {
	links, routes, found := strings.Cut(h.text, "--\n")
	switch {
	case command[0] == "ifconfig" && links != "":
		return []byte(links), nil
	case command[0] == "netstat" && found:
		return []byte(routes), nil
	}
	return nil, fmt.Errorf("%s: %w", command[0], fs.ErrNotExist)
}

func (h printed) Sysctl(name string) ([]byte, error) {
	if h.os == "openbsd" && name == "net.inet.ip.forwarding" {
		return binary.NativeEndian.AppendUint32(nil, 2), nil // with IPsec only
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

func readPrinted(t testing.TB, os string) printed {
	t.Helper()
	return printed{os, string(testdata(t, os+".in"))}
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestNetworksAsTheirSystemsPrintThem(t *testing.T) {
	for _, os := range []string{"darwin", "freebsd", "openbsd"} {
		t.Run(os, func(t *testing.T) {
			n, found := Read(readPrinted(t, os))
			var text bytes.Buffer
			for _, i := range n.Interfaces {
				fmt.Fprintf(&text, "%d %s type %d, flags %#x, mtu %d, % x %v\n", i.Index, i.Name, i.Type, i.Flags, i.MTU, i.HardwareAddr, i.GroupNames)
				for _, a := range n.Addresses {
					if a.Interface == i.Index {
						fmt.Fprintf(&text, "  %v broadcast %v peer %v flags %#x\n", a.Prefix, a.Broadcast, a.Peer, a.Flags)
					}
				}
			}
			for _, r := range n.Routes {
				fmt.Fprintf(&text, "%v type %d via %v dev %d\n", r.Destination, r.Type, r.Gateway, r.Interface)
			}
			fmt.Fprintf(&text, "settings %v\n", n.Settings)
			for _, g := range found {
				fmt.Fprintf(&text, "gap: %s: %s\n", g.Source, g.Reason)
			}
			golden.Equal(t, os+".txt", text.Bytes())
		})
	}
}

func TestANetworkThatCouldNotBeReadIsNoEmptyOne(t *testing.T) {
	n, found := Read(printed{os: "freebsd"})
	if len(n.Interfaces) > 0 || len(found) != 1 || !errors.Is(found[0].Err, fs.ErrNotExist) {
		t.Errorf("%+v, gaps %+v", n, found)
	}
	if _, found = Read(printed{"freebsd", "ifconfig: usage\n"}); len(found) != 1 {
		t.Errorf("nothing listed: gaps %+v", found)
	}
	n, found = Read(printed{"freebsd", "lo0: flags=8049<UP> mtu 1\n"})
	if len(n.Interfaces) != 1 || len(found) != 1 || found[0].Source != "netstat" {
		t.Errorf("without routes: %+v, gaps %+v", n, found)
	}
}

func TestMasks(t *testing.T) {
	for text, want := range map[string]int{
		"0xffffff00": 24, "0xffffffff": 32, "0x0": 0, "0xff000000": 8, "255.255.128.0": 17,
		"0xff00ff00": -1, "0x": -1, "": -1, "::": -1, "0x1ffffffff": -1,
	} {
		got, ok := maskLength(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestDestinationsWhoseEndIsLeftOut(t *testing.T) {
	for _, c := range []struct {
		text       string
		four, host bool
		want       string
	}{
		{"default", true, false, "0.0.0.0/0"},
		{"default", false, false, "::/0"},
		{"10", true, false, "10.0.0.0/8"},
		{"192.168.1", true, false, "192.168.1.0/24"},
		{"224/4", true, false, "224.0.0.0/4"},
		{"192.0.2.1", true, true, "192.0.2.1/32"},
		{"fe80::%em0/64", false, false, "fe80::/64"},
		{"2001:db8::1", false, true, "2001:db8::1/128"},
	} {
		if got, ok := destination(c.text, c.four, c.host); !ok || got != netip.MustParsePrefix(c.want) {
			t.Errorf("%s: %v, want %s", c.text, got, c.want)
		}
	}
	for _, text := range []string{"", "10.0.0.0.0", "10/33", "10/x", "host", "2001:db8::1"} {
		if got, ok := destination(text, true, false); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzNetwork(f *testing.F) {
	for _, os := range []string{"darwin", "freebsd", "openbsd"} {
		f.Add(readPrinted(f, os).text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := &firewall.Network{}
		links, routes, _ := strings.Cut(text, "--\n")
		parseLinks(n, []byte(links))
		parseRoutes(n, []byte(routes))
		for _, a := range n.Addresses {
			if !a.Prefix.IsValid() || a.Interface < 1 || a.Interface > len(n.Interfaces) {
				t.Errorf("address %+v", a)
			}
		}
		for _, r := range n.Routes {
			if !r.Destination.IsValid() || r.Interface > len(n.Interfaces) {
				t.Errorf("route %+v", r)
			}
		}
	})
}
