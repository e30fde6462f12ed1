package listeners_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/platform"
)

// The test binary also plays the processes that hold sockets, or look at them
// without privilege; see TestMain.
const partVariable = "NETGLANCE_LISTENERS_PART"

func TestMain(m *testing.M) {
	switch os.Getenv(partVariable) {
	case "hold": // until its standard input is closed
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "hold as nobody":
		// A change of user leaves the process undumpable, and most of its files in
		// /proc to root.
		if err := syscall.Setreuid(-1, 65534); err != nil {
			os.Exit(1)
		}
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "read":
		all, found := listeners.Read(platform.Live())
		reasons := []string{}
		for _, g := range found {
			reasons = append(reasons, g.Reason+" / "+g.Hint)
		}
		if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"rows": all, "gaps": reasons}); err != nil {
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

var oneLink = kerneltest.Layout{
	Interfaces: []kerneltest.Interface{{Name: "eth0", Addresses: []string{"203.0.113.7/24", "2001:db8::7/64"}}},
}

// A bound is a socket to be opened in a namespace.
type bound struct {
	family, kind, protocol int
	at                     string // empty to leave it unbound
	options                [][3]int
	device                 string
	listen                 bool
	connect                string
}

func sockaddr(t *testing.T, at string, family int) unix.Sockaddr {
	t.Helper()
	a := netip.MustParseAddrPort(at)
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// open opens the socket in the namespace and returns its descriptor and inode.
func open(t *testing.T, ns *kerneltest.Namespace, b bound) (fd int, inode uint64) {
	t.Helper()
	err := ns.Do(func() (err error) {
		if fd, err = unix.Socket(b.family, b.kind|unix.SOCK_CLOEXEC, b.protocol); err != nil {
			return fmt.Errorf("socket: %w", err)
		}
		for _, o := range b.options {
			if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
				return fmt.Errorf("setsockopt %v: %w", o, err)
			}
		}
		if b.device != "" {
			if err := unix.BindToDevice(fd, b.device); err != nil {
				return fmt.Errorf("SO_BINDTODEVICE: %w", err)
			}
		}
		if b.at != "" {
			if err := unix.Bind(fd, sockaddr(t, b.at, b.family)); err != nil {
				return fmt.Errorf("bind: %w", err)
			}
		}
		if b.connect != "" {
			if err := unix.Connect(fd, sockaddr(t, b.connect, b.family)); err != nil {
				return fmt.Errorf("connect: %w", err)
			}
		}
		if b.listen {
			return unix.Listen(fd, 8)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%+v: %v", b, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		t.Fatal(err)
	}
	return fd, stat.Ino
}

// seeing is a host that hides no process: where the tests run, pid 1 may be out of
// reach even for root, and the pid namespace need not be the first.
type seeing struct{ platform.Host }

func (h seeing) SocketHolders() ([]byte, error) {
	text, err := h.Host.SocketHolders()
	var kept []byte
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(" ! ")) {
			kept = append(kept, line...)
		}
	}
	return kept, err
}

func (h seeing) Readlink(name string) (string, error) {
	if name == "/proc/self/ns/pid" {
		return "pid:[4026531836]", nil
	}
	return h.Host.Readlink(name)
}

func rowOf(t *testing.T, all []listeners.Listener, inode uint64) listeners.Listener {
	t.Helper()
	var rows []listeners.Listener
	for _, l := range all {
		if slices.Contains(l.Inodes, inode) {
			rows = append(rows, l)
		}
	}
	if len(rows) != 1 {
		t.Fatalf("socket %d is in %d rows of %d: %+v", inode, len(rows), len(all), rows)
	}
	return rows[0]
}

func TestTheKernelsSockets(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	const (
		in4, in6  = unix.AF_INET, unix.AF_INET6
		tcp, udp  = unix.SOCK_STREAM, unix.SOCK_DGRAM
		raw       = unix.SOCK_RAW
		mptcp     = 262
		udplite   = 136
		anyDevice = ""
	)
	v6only := func(value int) [][3]int { return [][3]int{{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, value}} }
	host := platform.LiveIn(ns.Path())
	for _, c := range []struct {
		name string
		bound
		protocol   string
		port       uint16
		four, six  bool
		role       listeners.Role
		wantDevice string
	}{
		{"IPv4", bound{family: in4, kind: tcp, at: "0.0.0.0:2001", listen: true}, "tcp", 2001, true, false, listeners.Server, anyDevice},
		{"dual stack", bound{family: in6, kind: tcp, at: "[::]:2002", options: v6only(0), listen: true}, "tcp", 2002, true, true, listeners.Server, anyDevice},
		{"v6only", bound{family: in6, kind: tcp, at: "[::]:2003", options: v6only(1), listen: true}, "tcp", 2003, false, true, listeners.Server, anyDevice},
		{"v4-mapped", bound{family: in6, kind: tcp, at: "[::ffff:203.0.113.7]:2004", options: v6only(0), listen: true}, "tcp", 2004, true, false, listeners.Server, anyDevice},
		{"bound to a device", bound{family: in4, kind: tcp, at: "0.0.0.0:2005", device: "eth0", listen: true}, "tcp", 2005, true, false, listeners.Server, "eth0"},
		{"MPTCP", bound{family: in4, kind: tcp, protocol: mptcp, at: "0.0.0.0:2006", listen: true}, "mptcp", 2006, true, false, listeners.Server, anyDevice},
		{"MPTCP, dual stack", bound{family: in6, kind: tcp, protocol: mptcp, at: "[::]:2007", options: v6only(0), listen: true}, "mptcp", 2007, true, true, listeners.Server, anyDevice},
		{"UDP server", bound{family: in4, kind: udp, at: "0.0.0.0:53"}, "udp", 53, true, false, listeners.Server, anyDevice},
		{"UDP server on a port of the range", bound{family: in4, kind: udp, at: "0.0.0.0:51820"}, "udp", 51820, true, false, listeners.Server, anyDevice},
		{"UDP v6only", bound{family: in6, kind: udp, at: "[::]:54", options: v6only(1)}, "udp", 54, false, true, listeners.Server, anyDevice},
		{"UDP on a chosen port", bound{family: in4, kind: udp, at: "0.0.0.0:0"}, "udp", 0, true, false, listeners.ProbableClient, anyDevice},
		{"UDP on a chosen port, IPv6", bound{family: in6, kind: udp, at: "[::1]:0"}, "udp", 0, false, true, listeners.ProbableClient, anyDevice},
		{"UDP, connected", bound{family: in4, kind: udp, connect: "203.0.113.7:9"}, "udp", 0, true, false, listeners.ConnectedClient, anyDevice},
		{"UDP-Lite", bound{family: in6, kind: udp, protocol: udplite, at: "[::]:2008", options: v6only(0)}, "udplite", 2008, true, true, listeners.Server, anyDevice},
		{"raw ICMP", bound{family: in4, kind: raw, protocol: unix.IPPROTO_ICMP}, "raw", unix.IPPROTO_ICMP, true, false, listeners.Server, anyDevice},
		{"raw ICMPv6", bound{family: in6, kind: raw, protocol: unix.IPPROTO_ICMPV6}, "raw", unix.IPPROTO_ICMPV6, false, true, listeners.Server, anyDevice},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, inode := open(t, ns, c.bound)
			all, _ := listeners.Read(host)
			l := rowOf(t, all, inode)
			if l.Protocol != c.protocol || c.port != 0 && l.Port != c.port || l.Role != c.role || l.Device != c.wantDevice {
				t.Errorf("%s port %d %s device %q, want %s %d %s %q", l.Protocol, l.Port, l.Role, l.Device, c.protocol, c.port, c.role, c.wantDevice)
			}
			if l.ServesIPv4() != c.four || l.ServesIPv6() != c.six {
				t.Errorf("serves IPv4 %t, IPv6 %t; want %t, %t", l.ServesIPv4(), l.ServesIPv6(), c.four, c.six)
			}
			if len(l.Owners) != 1 || l.Owners[0].PID != os.Getpid() || l.Kernel {
				t.Errorf("owners %+v, kernel %t; want this process", l.Owners, l.Kernel)
			}
		})
	}
}

func TestMarksAndTransparencyOfSockets(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	mark := [3]int{unix.SOL_SOCKET, unix.SO_MARK, 7}
	transparent4 := [3]int{unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1}
	transparent6 := [3]int{unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, 1}
	freebind := [3]int{unix.IPPROTO_IP, unix.IP_FREEBIND, 1}
	for _, c := range []struct {
		name string
		bound
		transparent bool
		mark        uint32
	}{
		{"neither", bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:1", listen: true, options: [][3]int{freebind}}, false, 0},
		{"a mark", bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:2", listen: true, options: [][3]int{mark}}, false, 7},
		{"transparent", bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:3", listen: true, options: [][3]int{transparent4}}, true, 0},
		{"transparent, MPTCP", bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, protocol: 262, at: "0.0.0.0:4", listen: true, options: [][3]int{mark, transparent4}}, true, 7},
		{"transparent, IPv6 and UDP", bound{family: unix.AF_INET6, kind: unix.SOCK_DGRAM, at: "[::]:5", options: [][3]int{mark, transparent6}}, true, 7},
		{"neither, UDP", bound{family: unix.AF_INET, kind: unix.SOCK_DGRAM, at: "0.0.0.0:6"}, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, inode := open(t, ns, c.bound)
			all, _ := listeners.Read(platform.LiveIn(ns.Path()))
			l := rowOf(t, all, inode)
			if l.Transparent != c.transparent || !l.OptionsKnown || l.Mark != c.mark || !l.MarkKnown {
				t.Errorf("transparent %t (known %t), mark %d (known %t); want %t, %d", l.Transparent, l.OptionsKnown, l.Mark, l.MarkKnown, c.transparent, c.mark)
			}
		})
	}
}

func TestReuseportTwinsAreOneRowAndOtherUsersAnother(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	twin := bound{
		family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:8080", listen: true,
		options: [][3]int{{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1}},
	}
	_, first := open(t, ns, twin)
	_, second := open(t, ns, twin)
	twin.device = "eth0"
	_, onDevice := open(t, ns, twin)
	all, _ := listeners.Read(platform.LiveIn(ns.Path()))
	want := []uint64{min(first, second), max(first, second)}
	if l := rowOf(t, all, first); !slices.Equal(l.Inodes, want) {
		t.Errorf("sockets %v, want %v", l.Inodes, want)
	}
	if l := rowOf(t, all, onDevice); len(l.Inodes) != 1 {
		t.Errorf("the one bound to a device is in a group: %v", l.Inodes)
	}
}

func TestLinkLocalAddressKeepsItsZone(t *testing.T) {
	ns := kerneltest.New(t, kerneltest.Layout{Interfaces: []kerneltest.Interface{{Name: "eth0", Addresses: []string{"fe80::7/64"}}}})
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(fd) })
		index, err := interfaceIndex("eth0")
		if err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet6{Port: 80, Addr: netip.MustParseAddr("fe80::7").As16(), ZoneId: index}); err != nil {
			return err
		}
		return unix.Listen(fd, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	all, _ := listeners.Read(platform.LiveIn(ns.Path()))
	if len(all) != 1 || all[0].Address != netip.MustParseAddr("fe80::7%eth0") || all[0].Device != "eth0" {
		t.Errorf("%+v", all)
	}
}

// interfaceIndex asks in the calling thread's namespace.
func interfaceIndex(name string) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	return request.Uint32(), err
}

// holder starts a process that holds a socket as its descriptor 3.
func holder(t *testing.T, executable string, fd int) *exec.Cmd {
	t.Helper()
	return holderOf(t, "hold", executable, fd)
}

func holderOf(t *testing.T, part, executable string, fd int) *exec.Cmd {
	t.Helper()
	duplicate, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(duplicate), "socket")
	defer file.Close()
	cmd := exec.Command(executable)
	cmd.Env = append(os.Environ(), partVariable+"="+part)
	cmd.ExtraFiles = []*os.File{file}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if part != "hold" {
		if _, err := stdout.Read(make([]byte, 8)); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	return cmd
}

// ownCopy is a copy of the test binary that anybody may run.
func ownCopy(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "netglance-listeners-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "holder")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, self, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestEveryOwnerOfAnInheritedSocket(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	fd, inode := open(t, ns, bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:22", listen: true})
	executable := ownCopy(t)
	before := time.Now().Add(-2 * time.Second)
	child := holder(t, executable, fd)

	all, _ := listeners.Read(platform.LiveIn(ns.Path()))
	l := rowOf(t, all, inode)
	want := []int{os.Getpid(), child.Process.Pid}
	slices.Sort(want)
	var pids []int
	var held listeners.Process
	for _, p := range l.Owners {
		pids = append(pids, p.PID)
		if p.PID == child.Process.Pid {
			held = p
		}
	}
	if !slices.Equal(pids, want) {
		t.Fatalf("owners %v, want %v", pids, want)
	}
	if held.Name != "holder" || held.Executable != executable || held.Deleted || !slices.Equal(held.Command, []string{executable}) ||
		held.UID != 0 || held.User != "root" {
		t.Errorf("%+v", held)
	}
	if held.Started.Before(before) || held.Started.After(time.Now().Add(2*time.Second)) {
		t.Errorf("started %s, it is %s", held.Started, time.Now().UTC())
	}
}

// A recording lacks the owners of files, so both ways to the user must agree.
func TestEffectiveUserOfAProcessThatChangedIt(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	fd, inode := open(t, ns, bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:22", listen: true})
	child := holderOf(t, "hold as nobody", ownCopy(t), fd)
	live := platform.LiveIn(ns.Path())
	for name, host := range map[string]listeners.Host{"live": live, "as from a recording": seeing{live}} {
		all, _ := listeners.Read(host)
		i := slices.IndexFunc(rowOf(t, all, inode).Owners, func(p listeners.Process) bool { return p.PID == child.Process.Pid })
		if i < 0 {
			t.Fatalf("%s: the child is no owner", name)
		}
		if p := rowOf(t, all, inode).Owners[i]; p.UID != 65534 || p.User != "nobody" {
			t.Errorf("%s: user %d %q, want 65534 nobody", name, p.UID, p.User)
		}
	}
	if _, ok := live.(interface{ FileOwner(string) (uint32, error) }); !ok {
		t.Error("the live host doesn't tell owners of files: both ways were the same")
	}
}

func TestDeletedAndReplacedExecutables(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	fd, inode := open(t, ns, bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:22", listen: true})
	executable := ownCopy(t)
	child := holder(t, executable, fd)
	look := func() (deleted, replaced bool) {
		all, _ := listeners.Read(platform.LiveIn(ns.Path()))
		for _, p := range rowOf(t, all, inode).Owners {
			if p.PID == child.Process.Pid {
				if p.Executable != executable {
					t.Errorf("executable %q", p.Executable)
				}
				return p.Deleted, p.Replaced
			}
		}
		t.Fatal("the child is no owner")
		return false, false
	}
	if deleted, replaced := look(); deleted || replaced {
		t.Errorf("untouched: deleted %t, replaced %t", deleted, replaced)
	}
	if err := os.Remove(executable); err != nil {
		t.Fatal(err)
	}
	if deleted, replaced := look(); !deleted || replaced {
		t.Errorf("removed: deleted %t, replaced %t", deleted, replaced)
	}
	if err := os.WriteFile(executable, []byte("another"), 0o755); err != nil {
		t.Fatal(err)
	}
	if deleted, replaced := look(); !deleted || !replaced {
		t.Errorf("replaced: deleted %t, replaced %t", deleted, replaced)
	}
}

func TestOwnerThatEndsMeanwhileLeavesTheRow(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	fd, inode := open(t, ns, bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:22", listen: true})
	child := holder(t, ownCopy(t), fd)
	host := &endsMeanwhile{Host: platform.LiveIn(ns.Path()), child: child}
	all, _ := listeners.Read(host)
	l := rowOf(t, all, inode)
	if len(l.Owners) != 1 || !strings.Contains(l.OwnerGap, fmt.Sprintf("process %d, which held it, ended", child.Process.Pid)) {
		t.Errorf("owners %+v, gap %q", l.Owners, l.OwnerGap)
	}
}

// endsMeanwhile ends a process between the walk over descriptors and the reading
// of the processes.
type endsMeanwhile struct {
	platform.Host
	child *exec.Cmd
}

func (h *endsMeanwhile) SocketHolders() ([]byte, error) {
	text, err := h.Host.SocketHolders()
	_ = h.child.Process.Kill()
	_ = h.child.Wait()
	return text, err
}

func TestKernelsOwnSocketIsNamedAsSuch(t *testing.T) {
	layout := oneLink
	layout.Setup = []string{"link add vx0 type vxlan id 5 dstport 4789", "link set vx0 up"}
	ns := kerneltest.New(t, layout)
	host := platform.LiveIn(ns.Path())
	all, _ := listeners.Read(seeing{host})
	found := 0
	for _, l := range all {
		if l.Port != 4789 {
			continue
		}
		found++
		if !l.Kernel || len(l.Owners) > 0 || l.OwnerGap != "" || l.Role != listeners.Server {
			t.Errorf("vxlan's socket: kernel %t, owners %v, gap %q, %s", l.Kernel, l.Owners, l.OwnerGap, l.Role)
		}
	}
	if found == 0 {
		t.Errorf("vxlan's socket is not among %d", len(all))
	}
}

// A view is what the test binary saw as another process.
type view struct {
	Rows []listeners.Listener
	Gaps []string
}

// readAs has a process in the namespace read, started by a command that ends with
// the copy of the test binary.
func readAs(t *testing.T, ns *kerneltest.Namespace, identity *syscall.Credential, command ...string) view {
	t.Helper()
	var output []byte
	err := ns.Do(func() (err error) {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(os.Environ(), partVariable+"=read")
		cmd.Dir = "/"
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: identity}
		output, err = cmd.Output()
		return err
	})
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	var seen view
	if err := json.Unmarshal(output, &seen); err != nil {
		t.Fatalf("%v in %q", err, output)
	}
	return seen
}

// Trap 16: without privilege the owner is unknown, not absent.
func TestWithoutPrivilegeOwnersAreUnknown(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	_, inode := open(t, ns, bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:22", listen: true})
	executable := ownCopy(t)
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	hidden := "mount -t proc -o hidepid=invisible proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups " + executable
	for _, c := range []struct {
		name string
		seen view
		gap  string
	}{
		{"nobody", readAs(t, ns, nobody, executable), "could not be read"},
		{"nobody, with hidepid", readAs(t, ns, nil, "unshare", "--mount", "--propagation", "private", "sh", "-c", hidden), "hidepid=invisible"},
		{"root in a pid namespace", readAs(t, ns, nil, "unshare", "--pid", "--fork", "--mount-proc", executable), "pid namespace"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := rowOf(t, c.seen.Rows, inode)
			if len(l.Owners) != 0 || l.Kernel || !strings.Contains(l.OwnerGap, c.gap) || l.OwnerHint == "" {
				t.Errorf("owners %v, kernel %t, gap %q, hint %q", l.Owners, l.Kernel, l.OwnerGap, l.OwnerHint)
			}
			if !slices.ContainsFunc(c.seen.Gaps, func(g string) bool { return strings.Contains(g, l.OwnerHint) }) {
				t.Errorf("gaps %q", c.seen.Gaps)
			}
		})
	}
}

// What /proc/net tells and what sock_diag tells must be the same sockets.
func TestProcNetAgreesWithSockDiag(t *testing.T) {
	ns := kerneltest.New(t, oneLink)
	for _, at := range []string{"0.0.0.0:22", "127.0.0.1:5432", "[::]:80", "[2001:db8::7]:443"} {
		for _, network := range []string{"tcp", "udp", "udplite"} {
			if err := ns.Listen(network, netip.MustParseAddrPort(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	host := platform.LiveIn(ns.Path())
	asked, _ := listeners.Read(host)
	refused, found := listeners.Read(withoutSockDiag{host})
	if len(found) == 0 {
		t.Error("no gap says that sock_diag was refused")
	}
	var a, b []string
	for _, l := range asked {
		a = append(a, fmt.Sprint(l.Protocol, l.Family, l.Address, l.Port, l.State, l.Inodes, l.UID, len(l.Owners)))
	}
	for _, l := range refused {
		b = append(b, fmt.Sprint(l.Protocol, l.Family, l.Address, l.Port, l.State, l.Inodes, l.UID, len(l.Owners)))
	}
	if !slices.Equal(a, b) || len(a) != 12 {
		t.Errorf("sock_diag:\n%s\n/proc/net:\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
}

// A recorded host is a host: with owners, a deleted executable and a gap.
func TestARecordingGivesTheSameListeners(t *testing.T) {
	layout := oneLink
	layout.Setup = []string{"link add vx0 type vxlan id 5 dstport 4789", "link set vx0 up"}
	ns := kerneltest.New(t, layout)
	fd, _ := open(t, ns, bound{family: unix.AF_INET, kind: unix.SOCK_STREAM, at: "0.0.0.0:22", device: "eth0", listen: true})
	open(t, ns, bound{family: unix.AF_INET6, kind: unix.SOCK_DGRAM, at: "[::]:0"})
	open(t, ns, bound{family: unix.AF_INET, kind: unix.SOCK_RAW, protocol: unix.IPPROTO_ICMP})
	executable := ownCopy(t)
	holder(t, executable, fd)
	if err := os.Remove(executable); err != nil {
		t.Fatal(err)
	}
	recorder := platform.NewRecorder(platform.LiveIn(ns.Path()), "test")
	live, liveGaps := listeners.Read(recorder)
	file := filepath.Join(t.TempDir(), "host.ng")
	if err := recorder.Recording().Save(file); err != nil {
		t.Fatal(err)
	}
	recording, err := platform.OpenRecording(file)
	if err != nil {
		t.Fatal(err)
	}
	replayed, replayedGaps := listeners.Read(recording)
	if len(live) < 4 || !reflect.DeepEqual(live, replayed) {
		t.Errorf("live\n%+v\nreplayed\n%+v", live, replayed)
	}
	if fmt.Sprint(liveGaps) != fmt.Sprint(replayedGaps) {
		t.Errorf("gaps live\n%v\nreplayed\n%v", liveGaps, replayedGaps)
	}
}

type withoutSockDiag struct{ platform.Host }

func (h withoutSockDiag) Netlink(protocol int, request []byte) ([]byte, error) {
	if protocol == 4 {
		return nil, unix.EPERM
	}
	return h.Host.Netlink(protocol, request)
}

// BenchmarkRead reads the host that it runs on: run it beside many listeners.
func BenchmarkRead(b *testing.B) {
	host := platform.Live()
	for b.Loop() {
		listeners.Read(host)
	}
}
