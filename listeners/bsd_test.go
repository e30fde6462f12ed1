package listeners

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/bsdrecords"
	"github.com/netglance/netglance/internal/golden"
)

// A fakeBSD answers with literals; what it has no answer for may not be read.
type fakeBSD struct {
	os     string
	nodes  map[string][]byte
	output map[string]string
	held   string // what SocketHolders gives
}

func (h fakeBSD) OS() string { return h.os }

func (h fakeBSD) Sysctl(name string) ([]byte, error) {
	if value, ok := h.nodes[name]; ok {
		return value, nil
	}
	return nil, &fs.PathError{Op: "sysctl", Path: name, Err: fs.ErrPermission}
}

func (h fakeBSD) Output(command ...string) ([]byte, error) {
	if text, ok := h.output[strings.Join(command, " ")]; ok {
		return []byte(text), nil
	}
	return nil, &fs.PathError{Op: "exec", Path: command[0], Err: fs.ErrNotExist}
}

func (h fakeBSD) SocketHolders() ([]byte, error) {
	if h.held == "" {
		return nil, &fs.PathError{Op: "proc_info", Path: "all", Err: fs.ErrPermission}
	}
	return []byte(h.held), nil
}

func (h fakeBSD) SocketTable() ([]byte, error) {
	return nil, &fs.PathError{Op: "exec", Path: "lsof", Err: fs.ErrNotExist}
}

func endpoint(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// usual are the sockets of a small server, as each of the three systems would tell
// them.
func usual() []bsdrecords.Socket {
	sshd := bsdrecords.Holder{PID: 640, FD: 3, Name: "sshd"}
	nginx := func(pid int32) bsdrecords.Holder {
		return bsdrecords.Holder{PID: pid, UID: 80, FD: 6, Name: "nginx"}
	}
	return []bsdrecords.Socket{
		{Protocol: "tcp", Family: 4, Local: endpoint("0.0.0.0:22"), Listening: true, Handle: 0x10, Holders: []bsdrecords.Holder{sshd}},
		{Protocol: "tcp", Family: 6, Local: endpoint("[::]:22"), Listening: true, V6Only: true, Handle: 0x11, Holders: []bsdrecords.Holder{sshd}},
		{Protocol: "tcp", Family: 4, Local: endpoint("192.0.2.7:22"), Remote: endpoint("198.51.100.9:50123"), Handle: 0x12, Holders: []bsdrecords.Holder{{PID: 700, Name: "sshd"}}},
		{Protocol: "tcp", Family: 6, Local: endpoint("[::]:8080"), Listening: true, Handle: 0x13, UID: 80, Holders: []bsdrecords.Holder{nginx(811), nginx(812)}},
		{Protocol: "tcp", Family: 6, Local: endpoint("[fe80::1]:3128"), Listening: true, V6Only: true, Handle: 0x14, UID: 100, Holders: []bsdrecords.Holder{{PID: 900, UID: 100, Name: "squid"}}},
		{Protocol: "tcp", Family: 4, Local: endpoint("0.0.0.0:2049"), Listening: true, Handle: 0x15},
		{Protocol: "udp", Family: 4, Local: endpoint("127.0.0.1:53"), Handle: 0x16, UID: 53, Holders: []bsdrecords.Holder{{PID: 530, UID: 53, FD: 5, Name: "unbound"}}},
		{Protocol: "udp", Family: 4, Local: endpoint("0.0.0.0:49731"), Anonymous: true, Handle: 0x17, UID: 123, Holders: []bsdrecords.Holder{{PID: 123, UID: 123, Name: "ntpd"}}},
		{Protocol: "udp", Family: 4, Local: endpoint("192.0.2.7:61000"), Remote: endpoint("198.51.100.53:53"), Handle: 0x18, Holders: []bsdrecords.Holder{{PID: 1404, Name: "dig"}}},
		{Protocol: "udp", Family: 6, Local: netip.AddrPortFrom(netip.IPv6Unspecified(), 0), Handle: 0x19, Holders: []bsdrecords.Holder{{PID: 1405, Name: "not-bound"}}},
	}
}

const usualFacts = `    1     0 root     Sun Nov 22 07:00:00 2026 init
  640     0 root     Sun Nov  1 07:00:01 2026 sshd
  811    80 www      Sun Nov 22 07:00:02 2026 nginx
  812    80 80       Sun Nov 22 07:00:03 2026 nginx worker
`

func nativeHost(os string) fakeBSD {
	h := fakeBSD{os: os, output: map[string]string{
		"ps -axww -o pid= -o uid= -o user= -o lstart= -o ucomm=": usualFacts,
		"ps -axww -o pid= -o command=":                           "  640 sshd: /usr/sbin/sshd [listener]\n  811 nginx: master process nginx -c  /etc/nginx.conf\n99999 gone\n",
		"ps -axww -o pid= -o comm=":                              "  640 /usr/sbin/sshd\n  811 nginx\n",
		"ifconfig -a":                                            "lo0: flags=8049<UP>\n\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x1\n",
		"ifconfig -A":                                            "lo0: flags=8049<UP>\n\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x1\n",
	}}
	sockets := usual()
	switch os {
	case "darwin":
		h.nodes = map[string][]byte{
			"net.inet.tcp.pcblist_n": bsdrecords.PCBListN("tcp", sockets),
			"net.inet.udp.pcblist_n": bsdrecords.PCBListN("udp", sockets),
		}
		h.held = bsdrecords.HolderLines(sockets)
	case "freebsd":
		h.nodes = map[string][]byte{
			"net.inet.tcp.pcblist": bsdrecords.PCBList("tcp", sockets),
			"net.inet.udp.pcblist": bsdrecords.PCBList("udp", sockets),
			"kern.file":            bsdrecords.Xfiles(sockets),
		}
	case "openbsd":
		h.nodes = map[string][]byte{"kern.file": bsdrecords.KinfoFiles(sockets)}
	}
	return h
}

// bsdText is everything that was read of a host.
func bsdText(host BSDHost) []byte {
	rows, found := ReadBSD(host)
	var text bytes.Buffer
	for _, l := range rows {
		line := tableLine(l)
		if l.Kernel {
			line += "\n  kernel"
		}
		if !l.UIDUnknown {
			line += fmt.Sprintf("\n  socket of %d", l.UID)
		}
		fmt.Fprintln(&text, line)
	}
	for _, g := range found {
		fmt.Fprintf(&text, "gap: %s: %s. %s\n", g.Source, g.Reason, g.Hint)
	}
	return text.Bytes()
}

func TestSocketsAsTheKernelsTellThem(t *testing.T) {
	for _, os := range []string{"darwin", "freebsd", "openbsd"} {
		t.Run(os, func(t *testing.T) {
			golden.Equal(t, "bsd/"+os+".txt", bsdText(nativeHost(os)))
		})
	}
}

// A kernel whose records are of another release must not be misread: its programs
// are asked.
func TestRecordsOfAnotherReleaseAreNotMisread(t *testing.T) {
	h := nativeHost("freebsd")
	list := slices.Clone(h.nodes["net.inet.udp.pcblist"])
	list[64] += 8 // the first socket is longer
	h.nodes["net.inet.udp.pcblist"] = list
	h.output["sockstat -46l"] = "USER COMMAND PID FD PROTO LOCAL FOREIGN\nroot sshd 640 3 tcp4 *:22 *:*\n"
	rows, found := ReadBSD(h)
	if len(rows) != 1 || rows[0].Port != 22 || rows[0].Owners[0].PID != 640 || len(found) != 1 || !errors.Is(found[0].Err, errLayout) {
		t.Errorf("rows %+v, gaps %+v", rows, found)
	}
}

func TestAListThatIsCutKeepsWhatWasRead(t *testing.T) {
	h := nativeHost("freebsd")
	whole, _ := ReadBSD(h)
	list := h.nodes["net.inet.tcp.pcblist"]
	h.nodes["net.inet.tcp.pcblist"] = list[:len(list)-64-1]
	rows, found := ReadBSD(h)
	if len(rows) != len(whole)-1 || len(found) != 1 || !errors.Is(found[0].Err, errCutRecord) {
		t.Errorf("%d rows of %d, gaps %+v", len(rows), len(whole), found)
	}
}

func TestWhereNothingCanBeReadNothingIsClaimed(t *testing.T) {
	for _, os := range []string{"darwin", "freebsd", "openbsd", "netbsd"} {
		rows, found := ReadBSD(fakeBSD{os: os})
		if len(rows) > 0 || len(found) != len(bsdSources[os])+1 {
			t.Errorf("%s: rows %+v, gaps %+v", os, rows, found)
		}
		for _, g := range found {
			if g.Err == nil {
				t.Errorf("%s: %+v", os, g)
			}
		}
	}
}

// Of a socket that several processes hold macOS tells the one that used it last: who
// may not read the others' descriptors sees that one, and his own.
func TestWithoutDescriptorsTheLastUserOfASocketIsKnown(t *testing.T) {
	pids := func(h fakeBSD) (pids []int, found []gaps.Gap) {
		rows, found := ReadBSD(h)
		for _, l := range rows {
			if l.Port == 8080 {
				for _, p := range l.Owners {
					pids = append(pids, p.PID)
				}
			}
		}
		return pids, found
	}
	h := nativeHost("darwin")
	if got, found := pids(h); !slices.Equal(got, []int{811, 812}) || len(found) > 0 {
		t.Errorf("all are read: %v, gaps %+v", got, found)
	}
	h.held = ""
	if got, found := pids(h); !slices.Equal(got, []int{812}) || len(found) != 1 || !errors.Is(found[0].Err, errPermission) {
		t.Errorf("none is read: %v, gaps %+v", got, found)
	}
	h.held = "640 3 16\n811 6 19\n812 ! EPERM\nnonsense\n"
	if got, found := pids(h); !slices.Equal(got, []int{811, 812}) || len(found) != 1 || found[0].Hint == "" {
		t.Errorf("one is not read: %v, gaps %+v", got, found)
	}
}

func FuzzSocketHoldersOfMacOS(f *testing.F) {
	f.Add([]byte(bsdrecords.HolderLines(usual())))
	f.Fuzz(func(t *testing.T, text []byte) {
		holders, _ := parseSocketHolders(text)
		for handle, all := range holders {
			if handle == 0 || slices.ContainsFunc(all, func(p Process) bool { return p.PID <= 0 }) {
				t.Errorf("%#x: %+v", handle, all)
			}
		}
	})
}

// Each list, whole, cut and with any byte changed, gives rows that are whole.
func TestDamagedListsGiveNoBrokenRows(t *testing.T) {
	for _, os := range []string{"darwin", "freebsd", "openbsd"} {
		h := nativeHost(os)
		for name, list := range h.nodes {
			for at := 0; at < len(list); at += 3 {
				for _, damaged := range [][]byte{list[:at], slices.Concat(list[:at], []byte{list[at] ^ 0xff}, list[at+1:])} {
					damagedHost := h
					damagedHost.nodes = map[string][]byte{}
					for k, v := range h.nodes {
						damagedHost.nodes[k] = v
					}
					damagedHost.nodes[name] = damaged
					rows, _ := ReadBSD(damagedHost)
					checkRows(t, rows)
				}
			}
		}
	}
}

func checkRows(t *testing.T, rows []Listener) {
	t.Helper()
	for i, l := range rows {
		if !l.Address.IsValid() || l.Port == 0 || l.Protocol != "tcp" && l.Protocol != "udp" || l.Family != 4 && l.Family != 6 || l.Role == RoleUnknown {
			t.Errorf("row %+v", l)
		}
		if len(l.Owners) == 0 && l.OwnerGap == "" && !l.Kernel && l.Role != ConnectedClient {
			t.Errorf("row %+v says nothing of its owners", l)
		}
		if i > 0 && compareRows(rows[i-1], l) >= 0 {
			t.Errorf("row %d is out of order, or twice: %+v", i, l)
		}
	}
}

func fuzzList(f *testing.F, parse func(string, []byte) ([]bsdSocket, error), seeds ...[]byte) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		for _, protocol := range []string{"tcp", "udp"} {
			sockets, _ := parse(protocol, list)
			checkRows(t, bsdRows(withHolders(sockets), nil))
		}
	})
}

// withHolders gives sockets without a holder a reason, as their readers do.
func withHolders(sockets []bsdSocket) []bsdSocket {
	for i := range sockets {
		if s := &sockets[i]; len(s.holders) == 0 && !s.kernel && s.untold == "" {
			s.untold = "not asked"
		}
	}
	return sockets
}

func FuzzPCBListN(f *testing.F) {
	fuzzList(f, parsePCBListN, bsdrecords.PCBListN("tcp", usual()), bsdrecords.PCBListN("udp", usual()))
}

func FuzzPCBList(f *testing.F) {
	fuzzList(f, parsePCBList, bsdrecords.PCBList("tcp", usual()), bsdrecords.PCBList("udp", usual()))
}

func FuzzKinfoFiles(f *testing.F) {
	fuzzList(f, func(_ string, list []byte) ([]bsdSocket, error) { return parseKinfoFiles(list) }, bsdrecords.KinfoFiles(usual()))
}

func FuzzXfiles(f *testing.F) {
	f.Add(bsdrecords.Xfiles(usual()))
	f.Fuzz(func(t *testing.T, list []byte) {
		holders, _ := parseXfiles(list)
		for handle, all := range holders {
			if handle == 0 || slices.ContainsFunc(all, func(p Process) bool { return p.PID <= 0 }) {
				t.Errorf("%#x: %+v", handle, all)
			}
		}
	})
}
