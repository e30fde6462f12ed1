package kerneltest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace of a test's own. It ends with the test. Its
// methods are for one goroutine at a time.
type Namespace struct {
	t testing.TB
	// work runs on the one thread that is in the namespace.
	work    chan func()
	file    *os.File
	taps    []*tap
	prober  prober
	sockets sockets
}

// New makes a namespace with the layout's interfaces up and "lo" too.
func New(t testing.TB, layout Layout) *Namespace {
	t.Helper()
	Require(t)
	ns := &Namespace{t: t, work: make(chan func())}
	ready := make(chan error)
	go ns.thread(ready)
	if err := <-ready; err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(ns.close)
	if err := ns.Do(func() error { return ns.setUp(layout) }); err != nil {
		t.Fatalf("setting up the network namespace: %v", err)
	}
	return ns
}

// thread moves one operating system thread into a new namespace and works there.
// The thread is never unlocked, so it dies with the goroutine, and the namespace
// with it.
func (ns *Namespace) thread(ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread can't end, and /proc/self/net would be the namespace's.
		// While it is held here, another goroutine gets another thread.
		started := make(chan error)
		go ns.thread(started)
		ready <- <-started
		runtime.UnlockOSThread()
		return
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		ready <- fmt.Errorf("unshare: %w", err)
		return
	}
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		ready <- err
		return
	}
	ns.file = file
	ready <- nil
	for f := range ns.work {
		f()
	}
}

func (ns *Namespace) close() {
	for _, tap := range ns.taps {
		unix.Close(tap.fd)
	}
	ns.sockets.close()
	ns.prober.close()
	close(ns.work)
	ns.file.Close()
}

// Do runs f on the thread that is in the namespace. What f starts or opens is in
// the namespace too. f must not call Do, nor end the test.
func (ns *Namespace) Do(f func() error) error {
	done := make(chan error)
	ns.work <- func() { done <- f() }
	return <-done
}

// Path names the namespace for as long as the test runs, from any process.
func (ns *Namespace) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.file.Fd())
}

// NFT runs "nft -f -" with the script and returns what went wrong.
func (ns *Namespace) NFT(script string) error {
	_, err := ns.run(script, "nft", "-f", "-")
	return err
}

// Bridge is the bridge that an interface is a port of; empty if it is none.
func (ns *Namespace) Bridge(name string) string {
	for _, tap := range ns.taps {
		if tap.name == name {
			return tap.bridge
		}
	}
	return ""
}

// Run runs a command in the namespace and returns what it printed.
func (ns *Namespace) Run(command ...string) (string, error) {
	return ns.run("", command...)
}

func (ns *Namespace) run(input string, command ...string) (output string, err error) {
	err = ns.Do(func() error {
		output, err = runHere(input, command...)
		return err
	})
	return output, err
}

// runHere runs a command in the calling thread's namespace.
func runHere(input string, command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(input)
	// There is no name server here to wait for.
	cmd.Env = append(os.Environ(), "RES_OPTIONS=timeout:1 attempts:1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

func (ns *Namespace) setUp(layout Layout) error {
	// Before the links exist: the settings of new links come from "default".
	if err := writeSysctls(baseSysctls); err != nil {
		return err
	}
	links := []string{"link set lo up"}
	bridges := map[string]macAddress{}
	for i, bridge := range layout.Bridges {
		mac := macAddress{2, 0, 0, 0, 1, byte(i + 1)}
		bridges[bridge.Name] = mac
		links = append(links, bridgeLines(bridge, mac)...)
	}
	var queues []string
	for i, iface := range layout.Interfaces {
		tap, err := openTAP(iface.Name, iface.Index)
		if err != nil {
			return err
		}
		mac := macAddress{2, 0, 0, 0, 0, byte(i + 1)}
		tap.mac, tap.bridge = mac, iface.Bridge
		if iface.Bridge != "" {
			tap.mac = bridges[iface.Bridge] // for the host itself, not for a port of it
		}
		ns.taps = append(ns.taps, tap)
		links = append(links, linkLines(iface, mac)...)
		queues = append(queues, "qdisc replace dev "+iface.Name+" root noqueue")
	}
	links = append(links, layout.Setup...)
	for _, route := range layout.Routes {
		family := "-4"
		if strings.Contains(route, ":") {
			family = "-6"
		}
		links = append(links, family+" route add "+route)
	}
	if err := ipBatch(links); err != nil {
		return err
	}
	if len(queues) > 0 {
		if _, err := runHere(strings.Join(queues, "\n"), "tc", "-batch", "-"); err != nil {
			return err
		}
	}
	if err := writeSysctls(layout.Sysctls); err != nil {
		return err
	}
	if err := awaitAddresses(layout); err != nil {
		return err
	}
	return ns.prober.open()
}

// awaitAddresses returns when the kernel takes packets for all IPv6 addresses: it
// adds their local routes in its own time (net/ipv6/addrconf.c, addrconf_dad_work).
func awaitAddresses(layout Layout) error {
	var missing []string
	for _, iface := range append(layout.Interfaces[:len(layout.Interfaces):len(layout.Interfaces)], layout.Bridges...) {
		for _, address := range iface.Addresses {
			if prefix, err := netip.ParsePrefix(address); err == nil && prefix.Addr().Is6() {
				missing = append(missing, hex.EncodeToString(prefix.Addr().AsSlice())+" 80 ")
			}
		}
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		routes, err := os.ReadFile("/proc/thread-self/net/ipv6_route")
		if err != nil {
			return err
		}
		missing = slices.DeleteFunc(missing, func(start string) bool { return bytes.Contains(routes, []byte(start)) })
		if len(missing) == 0 {
			return nil
		}
	}
	return fmt.Errorf("IPv6 addresses %q are not there after 10 seconds", missing)
}

func linkLines(iface Interface, mac macAddress) []string {
	// NOARP spares address resolution: whatever is sent out appears at once. The
	// ring of a TAP is as long as its queue. The kernel makes a link-local address
	// when it comes to it; ours is the same one, there from the start.
	lines := []string{
		fmt.Sprintf("link set %s address %s txqueuelen %d arp off addrgenmode none", iface.Name, mac, ringLength),
		fmt.Sprintf("link set %s up", iface.Name),
	}
	if iface.Bridge != "" {
		return append(lines, fmt.Sprintf("link set %s master %s", iface.Name, iface.Bridge))
	}
	lines = append(lines, fmt.Sprintf("addr add fe80::ff:fe00:%x/64 dev %s scope link nodad", mac[5], iface.Name))
	return append(lines, addressLines(iface)...)
}

// bridgeLines make a bridge. It has no link-local address: what it would send to
// one waits for an answer to a neighbour solicitation.
func bridgeLines(bridge Interface, mac macAddress) []string {
	add := "link add name " + bridge.Name
	if bridge.Index != 0 {
		add += fmt.Sprintf(" index %d", bridge.Index)
	}
	lines := []string{
		fmt.Sprintf("%s address %s type bridge mcast_snooping 0", add, mac),
		fmt.Sprintf("link set %s addrgenmode none", bridge.Name),
		fmt.Sprintf("link set %s up", bridge.Name),
	}
	lines = append(lines, addressLines(bridge)...)
	for _, gateway := range bridge.Gateways {
		lines = append(lines, fmt.Sprintf("neigh add %s lladdr %s dev %s nud permanent", gateway, farEnd, bridge.Name))
	}
	return lines
}

func addressLines(iface Interface) []string {
	var lines []string
	for _, address := range iface.Addresses {
		line := fmt.Sprintf("addr add %s dev %s", address, iface.Name)
		if strings.Contains(address, ":") {
			line += " nodad"
		} else {
			line += " brd +"
		}
		lines = append(lines, line)
	}
	return lines
}

func ipBatch(lines []string) error {
	// One "ip -batch" a family: the option can't stand in a line.
	for len(lines) > 0 {
		family, n := batchFamily(lines[0]), 1
		for n < len(lines) && batchFamily(lines[n]) == family {
			n++
		}
		command := []string{"ip", "-batch", "-"}
		if family != "" {
			command = []string{"ip", family, "-batch", "-"}
		}
		var script strings.Builder
		for _, line := range lines[:n] {
			script.WriteString(strings.TrimPrefix(line, family+" ") + "\n")
		}
		if _, err := runHere(script.String(), command...); err != nil {
			return fmt.Errorf("%w%s", err, script.String())
		}
		lines = lines[n:]
	}
	return nil
}

func batchFamily(line string) string {
	for _, family := range []string{"-4", "-6"} {
		if strings.HasPrefix(line, family+" ") {
			return family
		}
	}
	return ""
}

// baseSysctls make a namespace quiet, answer every probe, and forget nothing for
// the sake of a rate.
var baseSysctls = map[string]string{
	"ipv4/tcp_syncookies":                    "2", // a SYN leaves no state behind
	"ipv4/icmp_ratelimit":                    "0",
	"ipv4/icmp_msgs_per_sec":                 "1000000000",
	"ipv4/icmp_msgs_burst":                   "1000000000",
	"ipv6/icmp/ratelimit":                    "0",
	"ipv4/conf/all/rp_filter":                "0",
	"ipv4/conf/default/rp_filter":            "0",
	"ipv4/conf/all/send_redirects":           "0",
	"ipv4/conf/default/send_redirects":       "0",
	"ipv6/conf/default/accept_dad":           "0",
	"ipv6/conf/default/accept_ra":            "0",
	"ipv6/conf/default/router_solicitations": "0",
}

func writeSysctls(settings map[string]string) error {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		file := filepath.Join("/proc/sys/net", name)
		if err := os.WriteFile(file, []byte(settings[name]), 0); err != nil {
			return fmt.Errorf("setting %s to %s: %w", name, settings[name], err)
		}
	}
	return nil
}
