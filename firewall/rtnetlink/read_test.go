package rtnetlink_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/rtnetlink"
	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/internal/netlink"
	"github.com/netglance/netglance/platform"
)

func open(t testing.TB) *platform.Recording {
	t.Helper()
	recording, err := platform.OpenRecording(filepath.Join("testdata", "namespace.ng"))
	if err != nil {
		t.Fatal(err)
	}
	return recording
}

func TestRecordedNamespace(t *testing.T) {
	network, gaps := rtnetlink.Read(open(t))
	if len(gaps) > 0 {
		t.Errorf("gaps: %v", gaps)
	}
	text, err := json.MarshalIndent(network, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "namespace.json", append(text, '\n'))
}

// A source changes the answers of a recorded namespace.
type source struct {
	rtnetlink.Source
	netlink  func(request, reply []byte, err error) ([]byte, error)
	readFile func(name string, content []byte, err error) ([]byte, error)
}

func (s source) Netlink(protocol int, request []byte) ([]byte, error) {
	reply, err := s.Source.Netlink(protocol, request)
	if s.netlink == nil {
		return reply, err
	}
	return s.netlink(request, reply, err)
}

func (s source) ReadFile(name string) ([]byte, error) {
	content, err := s.Source.ReadFile(name)
	if s.readFile == nil {
		return content, err
	}
	return s.readFile(name, content, err)
}

func messageType(request []byte) uint16 { return binary.NativeEndian.Uint16(request[4:]) }

const getLink, getRoute = 18, 26

func torn(reply []byte) []byte {
	reply = slices.Clone(reply)
	flags := binary.NativeEndian.Uint16(reply[6:])
	binary.NativeEndian.PutUint16(reply[6:], flags|netlink.FlagDumpIntr)
	return reply
}

func TestTornDumpIsReadAgain(t *testing.T) {
	want, _ := rtnetlink.Read(open(t))
	for _, c := range []struct {
		name string
		torn int
		gap  bool
	}{{"twice", 2, false}, {"always", 1000, true}} {
		t.Run(c.name, func(t *testing.T) {
			left := c.torn
			network, gaps := rtnetlink.Read(source{Source: open(t), netlink: func(request, reply []byte, err error) ([]byte, error) {
				if messageType(request) != getLink || left == 0 {
					return reply, err
				}
				left--
				return torn(reply), err
			}})
			if !reflect.DeepEqual(network, want) {
				t.Error("another network: was one attempt kept beside the next?")
			}
			if (len(gaps) == 1) != c.gap || len(gaps) > 1 {
				t.Errorf("gaps: %v", gaps)
			}
			if c.gap && !strings.Contains(gaps[0].Reason, "kept changing") {
				t.Errorf("gap: %v", gaps[0])
			}
		})
	}
}

func TestWhatCannotBeReadIsAGap(t *testing.T) {
	for _, c := range []struct {
		name, source, hint string
		change             source
		err                error
	}{
		{"links forbidden", "rtnetlink links", "root", source{netlink: func(request, reply []byte, err error) ([]byte, error) {
			if messageType(request) == getLink {
				return nil, syscall.EPERM
			}
			return reply, err
		}}, fs.ErrPermission},
		{"IPv6 routes not recorded", "rtnetlink IPv6 routes", "record", source{netlink: func(request, reply []byte, err error) ([]byte, error) {
			if messageType(request) == getRoute && request[netlink.HeaderLength] == 10 {
				return nil, platform.ErrNotRecorded
			}
			return reply, err
		}}, fs.ErrNotExist},
		{"a dump without end", "rtnetlink links", "", source{netlink: func(request, reply []byte, err error) ([]byte, error) {
			if messageType(request) == getLink {
				reply = reply[:binary.NativeEndian.Uint32(reply)]
			}
			return reply, err
		}}, nil},
		{"a message cut short", "rtnetlink links", "", source{netlink: func(request, reply []byte, err error) ([]byte, error) {
			if messageType(request) == getLink {
				reply = reply[:100]
			}
			return reply, err
		}}, netlink.ErrTruncated},
		{"a setting forbidden", "/proc/sys/net", "root", source{readFile: func(name string, content []byte, err error) ([]byte, error) {
			if strings.HasSuffix(name, "ip_forward") {
				return nil, syscall.EACCES
			}
			return content, err
		}}, fs.ErrPermission},
		{"no setting recorded", "/proc/sys/net", "record", source{readFile: func(string, []byte, error) ([]byte, error) {
			return nil, platform.ErrNotRecorded
		}}, fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.change.Source = open(t)
			network, gaps := rtnetlink.Read(c.change)
			if len(gaps) != 1 || gaps[0].Source != c.source || gaps[0].Reason == "" || !strings.Contains(gaps[0].Hint, c.hint) {
				t.Fatalf("gaps: %+v", gaps)
			}
			if c.err != nil && !errors.Is(gaps[0].Err, c.err) {
				t.Errorf("error %v, want %v", gaps[0].Err, c.err)
			}
			if len(network.Addresses) == 0 || len(network.Rules) == 0 {
				t.Error("what could be read is missing")
			}
		})
	}
}

func TestMissingSettingIsNoGap(t *testing.T) {
	network, gaps := rtnetlink.Read(source{Source: open(t), readFile: func(name string, content []byte, err error) ([]byte, error) {
		if strings.Contains(name, "/bridge/") {
			return nil, fs.ErrNotExist
		}
		return content, err
	}})
	if _, there := network.Settings["bridge/bridge-nf-call-iptables"]; there || len(gaps) > 0 {
		t.Errorf("gaps: %v", gaps)
	}
}

// A cached result of a lookup (an ICMP redirect, a path MTU) is no route.
func TestCachedRouteIsNoRoute(t *testing.T) {
	const flagsOffset, cloned = netlink.HeaderLength + 8, 0x200
	want, _ := rtnetlink.Read(open(t))
	got, _ := rtnetlink.Read(source{Source: open(t), netlink: func(request, reply []byte, err error) ([]byte, error) {
		if messageType(request) == getRoute {
			reply = slices.Clone(reply)
			binary.NativeEndian.PutUint32(reply[flagsOffset:], cloned)
		}
		return reply, err
	}})
	if len(got.Routes) != len(want.Routes)-2 { // one of each family
		t.Errorf("%d routes, want 2 less than %d", len(got.Routes), len(want.Routes))
	}
}

// Kernels without IFLA_AF_SPEC: the settings of interfaces come from their files.
func TestSettingsWithoutThoseOfTheLink(t *testing.T) {
	const afSpec = 26
	asked := map[string]bool{}
	rtnetlink.Read(source{
		Source: open(t),
		netlink: func(request, reply []byte, err error) ([]byte, error) {
			if messageType(request) != getLink {
				return reply, err
			}
			return withoutAttribute(t, reply, afSpec), err
		},
		readFile: func(name string, content []byte, err error) ([]byte, error) {
			asked[strings.TrimPrefix(name, "/proc/sys/net/")] = true
			return []byte("1\n"), nil
		},
	})
	for _, name := range []string{"ipv4/conf/br0/rp_filter", "ipv6/conf/red/disable_ipv6"} {
		if !asked[name] {
			t.Errorf("%s was not read", name)
		}
	}
}

func withoutAttribute(t *testing.T, reply []byte, attributeType uint16) []byte {
	t.Helper()
	const ifinfomsg = 16
	var result []byte
	err := netlink.Each(reply, func(m netlink.Message) error {
		data := m.Data
		if m.Type == 16 {
			data = slices.Clone(data[:ifinfomsg])
			for a := netlink.NewAttributes(m.Data[ifinfomsg:]); a.Next(); {
				if a.Type() != attributeType {
					data = netlink.AppendAttribute(data, a.Type(), a.Data())
				}
			}
		}
		result = append(result, netlink.Request(m.Type, m.Flags, data)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestInterfaceNameThatIsAPathIsNoFile(t *testing.T) {
	for _, name := range []string{"../../../etc/x", "..", "."} {
		link := netlink.AppendString(make([]byte, 16), 3, name)
		reply := append(netlink.Request(16, 0, link), netlink.Request(netlink.TypeDone, 0, make([]byte, 4))...)
		network, _ := rtnetlink.Read(source{
			Source: open(t),
			netlink: func(request, other []byte, err error) ([]byte, error) {
				if messageType(request) == getLink {
					return reply, nil
				}
				return other, err
			},
			readFile: func(file string, content []byte, err error) ([]byte, error) {
				if strings.Contains(file, "..") || strings.Contains(file, "/./") {
					t.Errorf("%q was read", file)
				}
				return content, err
			},
		})
		if got := network.Interfaces[0].Name; got != name[:min(len(name), 15)] {
			t.Errorf("name %q", got)
		}
	}
}

// FuzzRead gives one reply to every request: each dump takes the messages that are its own.
func FuzzRead(f *testing.F) {
	seeds := 0
	rtnetlink.Read(source{Source: open(f), netlink: func(_, reply []byte, err error) ([]byte, error) {
		seeds++
		f.Add(reply)
		return reply, err
	}})
	if seeds < 5 {
		f.Fatalf("%d seeds", seeds)
	}
	empty := open(f)
	f.Fuzz(func(t *testing.T, reply []byte) {
		network, _ := rtnetlink.Read(source{Source: empty, netlink: func([]byte, []byte, error) ([]byte, error) { return reply, nil }})
		for _, i := range network.Interfaces {
			if len(i.Name) > 15 {
				t.Errorf("name of %d bytes", len(i.Name))
			}
		}
		for _, a := range network.Addresses {
			if !a.Prefix.IsValid() {
				t.Errorf("address %+v", a)
			}
		}
		for _, r := range network.Routes {
			if !r.Destination.IsValid() {
				t.Errorf("route %+v", r)
			}
		}
		for _, r := range network.Rules {
			if r.Family != firewall.FamilyIPv4 && r.Family != firewall.FamilyIPv6 {
				t.Errorf("rule %+v", r)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	recording := open(b)
	for b.Loop() {
		rtnetlink.Read(recording)
	}
}
