package listeners

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/internal/netlink"
)

func describe(all []Listener, found []gaps.Gap) []byte {
	var b strings.Builder
	for _, l := range all {
		fmt.Fprintf(&b, "%s%d %s:%d %s %s", l.Protocol, l.Family, l.Address, l.Port, l.State, l.Role)
		if l.Remote.IsValid() {
			fmt.Fprintf(&b, " remote=%s", l.Remote)
		}
		if l.Device != "" {
			fmt.Fprintf(&b, " device=%s", l.Device)
		}
		if l.Family == 6 {
			fmt.Fprintf(&b, " v6only=%t(known %t)", l.V6Only, l.V6OnlyKnown)
		}
		fmt.Fprintf(&b, " serves4=%t serves6=%t sockets=%d", l.ServesIPv4(), l.ServesIPv6(), len(l.Inodes))
		if l.Mark != 0 {
			fmt.Fprintf(&b, " mark=%d", l.Mark)
		}
		b.WriteByte('\n')
	}
	for _, g := range found {
		fmt.Fprintf(&b, "gap: %s: %s\n", g.Source, g.Reason)
	}
	return []byte(b.String())
}

func TestSocketsOfARecordedNamespace(t *testing.T) {
	all, found := Read(recordedHost(t))
	golden.Equal(t, "recorded.txt", describe(all, found))
}

func TestRefusedSockDiagFallsBackToProcNetAndSaysSo(t *testing.T) {
	h := &fakeHost{files: map[string]string{}}
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "protocols"} {
		h.files[procNet+name] = string(readTestdata(t, "procnet/"+name))
	}
	h.files[rangeFile] = "32768\t60999\n"
	all, found := Read(h)
	golden.Equal(t, "procnet.txt", describe(all, found))
	for _, l := range all {
		if l.Family == 6 && l.Protocol != "raw" && l.V6OnlyKnown {
			t.Errorf("%s port %d: v6only can't be known from /proc/net", l.Protocol, l.Port)
		}
		if l.MarkKnown || l.OptionsKnown {
			t.Errorf("%s port %d: its mark and options can't be known from /proc/net", l.Protocol, l.Port)
		}
	}
}

// The kernel lists an MPTCP listener's TCP side too, by the same inode.
func TestMPTCPListenerIsOneRow(t *testing.T) {
	all, _ := Read(recordedHost(t))
	for port, want := range map[uint16]string{7001: "mptcp", 7002: "mptcp"} {
		var protocols []string
		for _, l := range all {
			if l.Port == port {
				protocols = append(protocols, l.Protocol)
			}
		}
		if !slices.Equal(protocols, []string{want}) {
			t.Errorf("port %d: rows %v, want one of %s", port, protocols, want)
		}
	}
}

func TestUnknownMPTCPIsNotAGap(t *testing.T) {
	h := recordedHost(t)
	for _, family := range []uint8{afInet, afInet6} {
		h.netlink[string(diagRequest(family, protoMPTCP, 1<<stateListen, false))] = reply{err: fs.ErrNotExist}
	}
	all, found := Read(h)
	for _, g := range found {
		if strings.Contains(g.Reason, "mptcp") {
			t.Errorf("a kernel without MPTCP gives the gap %q", g.Reason)
		}
	}
	if i := slices.IndexFunc(all, func(l Listener) bool { return l.Port == 7001 }); all[i].Protocol != "tcp" {
		t.Errorf("port 7001 is %s, want tcp where MPTCP can't be asked for", all[i].Protocol)
	}
}

func TestProtocolsWithoutSocketsAreNotAskedFor(t *testing.T) {
	const protocols = "protocol size sockets\nRAW 1152 0\nUDP-Lite 1344 2\nTCP 2304 0\nMPTCP 1936 0\n"
	for _, c := range []struct {
		protocol string
		family   uint8
		release  string
		want     bool
	}{
		{"tcp", 4, "6.18.0", true},
		{"udp", 6, "6.18.0", true},
		{"raw", 4, "6.18.0", false},
		{"raw", 6, "6.18.0", false},
		{"udplite", 4, "6.18.0", true},
		{"udplite", 6, "6.18.0", false},
		{"mptcp", 4, "6.2.0-26-generic", false},
		{"mptcp", 4, "6.2", false},
		{"mptcp", 4, "10.0", false},
		{"mptcp", 4, "6.1.0-18-amd64", true}, // doesn't count its listeners
		{"mptcp", 4, "5.15.0", true},
		{"mptcp", 4, "strange", true},
		{"mptcp", 6, "5.15.0", false}, // not in the kernel
	} {
		h := &fakeHost{files: map[string]string{procNet + "protocols": protocols, "/proc/sys/kernel/osrelease": c.release + "\n"}}
		i := slices.IndexFunc(tables, func(t table) bool { return t.protocol == c.protocol && t.family == c.family })
		if got := takeCensus(h).worthAsking(tables[i]); got != c.want {
			t.Errorf("%s%d on %s: asked %t, want %t", c.protocol, c.family, c.release, got, c.want)
		}
		if !takeCensus(&fakeHost{}).worthAsking(tables[i]) {
			t.Errorf("%s%d is not asked for without /proc/net/protocols", c.protocol, c.family)
		}
	}
}

func TestSCTPSocketsAreAGap(t *testing.T) {
	found := unreadSockets(parseProtocols([]byte("h\nSCTP 1 2\nSCTPv6 1 1\nDCCP 1 0\n")))
	if len(found) != 1 || !strings.Contains(found[0].Reason, "3 SCTP sockets") {
		t.Errorf("gaps %v, want one about 3 SCTP sockets", found)
	}
}

// oneListener is a host on which the TCP port 22 is open, by inode 7.
func oneListener() *fakeHost {
	line := "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0 100 0 0 10 0\n"
	return (&fakeHost{files: map[string]string{
		procNet + "protocols": "h\nTCP 1 1\n",
		procNet + "tcp":       "h\n" + line,
		procNet + "tcp6":      "h\n",
		procNet + "udp":       "h\n",
		procNet + "udp6":      "h\n",
		"/proc/5/stat":        statLine(5, "sshd", 1000),
	}}).withInitialPIDs()
}

func TestOwnersWhoseAbsenceMeansDifferentThings(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*fakeHost)
		owners  []int
		kernel  bool
		gap     string // part of OwnerGap
		hint    string
		general bool // a gap in the list too
	}{
		{name: "held", change: func(h *fakeHost) { h.holders = []string{"5 3 7\n"} }, owners: []int{5}},
		{name: "held twice by one process", change: func(h *fakeHost) { h.holders = []string{"5 3 7\n5 4 7\n"} }, owners: []int{5}},
		{
			name:   "nobody, twice: the kernel's",
			change: func(h *fakeHost) { h.holders = []string{"5 3 8\n"} },
			kernel: true,
		},
		{
			name:   "nobody at first: passed on during the walk",
			change: func(h *fakeHost) { h.holders = []string{"", "5 3 7\n"} },
			owners: []int{5},
		},
		{
			name:   "nobody, but some could not be read",
			change: func(h *fakeHost) { h.holders = []string{"5 3 8\n6 ! EACCES\n9 ! EACCES\n"} },
			gap:    "descriptors of 2 processes could not be read", hint: privilegeHint, general: true,
		},
		{
			name:   "held, and others could not be read",
			change: func(h *fakeHost) { h.holders = []string{"5 3 7\n6 ! EACCES\n"} },
			owners: []int{5}, general: true,
		},
		{
			name: "nobody, but hidepid hides processes",
			change: func(h *fakeHost) {
				delete(h.files, "/proc/1/stat")
				h.files["/proc/self/mountinfo"] = "22 28 0:21 / /proc rw,nosuid - proc proc rw,hidepid=invisible\n"
			},
			gap: "hidepid=invisible", hint: privilegeHint, general: true,
		},
		{
			name:   "nobody, but this pid namespace is not the host's",
			change: func(h *fakeHost) { h.links["/proc/self/ns/pid"] = "pid:[4026532222]" },
			gap:    "pid namespace", hint: "--pid=host", general: true,
		},
		{
			name: "the holder ended meanwhile",
			change: func(h *fakeHost) {
				h.holders = []string{"5 3 7\n"}
				delete(h.files, "/proc/5/stat")
			},
			gap: "process 5, which held it, ended",
		},
		{
			name: "one of two holders ended meanwhile",
			change: func(h *fakeHost) {
				h.holders = []string{"4 3 7\n5 3 7\n"}
			},
			owners: []int{5}, gap: "process 4, which held it, ended",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := oneListener()
			c.change(h)
			all, found := Read(h)
			if len(all) != 1 {
				t.Fatalf("%d rows, want 1", len(all))
			}
			l := all[0]
			var owners []int
			for _, p := range l.Owners {
				owners = append(owners, p.PID)
			}
			if !slices.Equal(owners, c.owners) || l.Kernel != c.kernel {
				t.Errorf("owners %v kernel %t, want %v %t", owners, l.Kernel, c.owners, c.kernel)
			}
			if c.gap == "" && l.OwnerGap != "" || !strings.Contains(l.OwnerGap, c.gap) || !strings.Contains(l.OwnerHint, c.hint) {
				t.Errorf("owner gap %q, hint %q, want %q, %q", l.OwnerGap, l.OwnerHint, c.gap, c.hint)
			}
			general := slices.ContainsFunc(found, func(g gaps.Gap) bool { return strings.Contains(g.Reason, "owners are unknown") })
			if general != c.general {
				t.Errorf("gaps %v: one about owners is %t, want %t", found, general, c.general)
			}
		})
	}
}

func TestSocketThatAppearedMeanwhileIsNotCalledTheKernels(t *testing.T) {
	h := oneListener()
	h.holders = []string{"", ""}
	first := observe([]Host{h})[0]
	for i := range first.sockets {
		first.sockets[i].inode = 6 // another one then
	}
	second := observe([]Host{h})[0]
	second.ownedByKernel = unheldTwice(first, second)
	rows := group(second.sockets, nil, portRange{})
	assignAll(h, []Reading{{Listeners: rows}}, []observation{second})
	l := rows[0]
	if l.Kernel || !strings.Contains(l.OwnerGap, "being opened") {
		t.Errorf("kernel %t, gap %q", l.Kernel, l.OwnerGap)
	}
}

func TestTornDumpsAreRepeatedAndThenSaid(t *testing.T) {
	h := recordedHost(t)
	torn := slices.Clone(h.netlink[string(diagRequest(afInet, protoTCP, 1<<stateListen, false))].data)
	torn[6] |= netlink.FlagDumpIntr
	h.netlink[string(diagRequest(afInet, protoTCP, 1<<stateListen, false))] = reply{data: torn}
	whole, _ := Read(recordedHost(t))
	all, found := Read(h)
	if len(all) != len(whole) {
		t.Errorf("%d rows of a torn dump, want the %d that it has", len(all), len(whole))
	}
	if !slices.ContainsFunc(found, func(g gaps.Gap) bool { return errors.Is(g.Err, errTorn) }) {
		t.Errorf("gaps %v, want one that says that the dump was torn", found)
	}
}

func TestServingLeavesConnectedSocketsOut(t *testing.T) {
	all, _ := Read(recordedHost(t))
	serving := Serving(all)
	connected := 0
	for _, l := range all {
		if l.Role == ConnectedClient {
			connected++
		}
	}
	if connected == 0 || len(serving) != len(all)-connected {
		t.Errorf("%d rows, %d connected, %d serving", len(all), connected, len(serving))
	}
}
