package kerneltest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netglance/netglance/internal/kerneltest/needs"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/scan/packets"
)

// Require skips the test, naming what is missing, where no namespace can be
// made. With NETGLANCE_REQUIRE_KERNEL=1 the test fails instead.
func Require(t testing.TB) {
	t.Helper()
	needs.Kernel(t)
}

// A Namespace is a network namespace of a test's own. It ends with the test. Its
// methods are for one goroutine at a time.
type Namespace struct {
	t       testing.TB
	twin    *platform.Twin
	links   []packets.Link
	prober  *packets.Prober
	sockets sockets
}

// New makes a namespace with the layout's interfaces up and "lo" too.
func New(t testing.TB, layout Layout) *Namespace {
	t.Helper()
	Require(t)
	twin, err := platform.NewTwin()
	if err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(twin.Close)
	ns := &Namespace{t: t, twin: twin, sockets: newSockets()}
	if err := ns.Do(func() error { return ns.setUp(layout) }); err != nil {
		t.Fatalf("setting up the network namespace: %v", err)
	}
	ns.prober = packets.NewProber(twin, ns.links, ns.sockets.datagrams)
	return ns
}

// Do runs f on the thread that is in the namespace. What f starts or opens is in
// the namespace too. f must not call Do, nor end the test.
func (ns *Namespace) Do(f func() error) error { return ns.twin.Do(f) }

// Path names the namespace for as long as the test runs, from any process.
func (ns *Namespace) Path() string { return ns.twin.Path() }

// Twin is the namespace itself.
func (ns *Namespace) Twin() *platform.Twin { return ns.twin }

// NFT runs "nft -f -" with the script and returns what went wrong.
func (ns *Namespace) NFT(script string) error {
	_, err := ns.run(script, "nft", "-f", "-")
	return err
}

// Bridge is the bridge that an interface is a port of; empty if it is none.
func (ns *Namespace) Bridge(name string) string {
	for _, link := range ns.links {
		if link.Name == name {
			return link.Bridge
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
		output, err = ns.twin.Run(input, command[0], command[1:]...)
		return err
	})
	return output, err
}

func (ns *Namespace) setUp(layout Layout) error {
	// Before the links exist: the settings of new links come from "default".
	if err := ns.writeSysctls(packets.Quiet); err != nil {
		return err
	}
	links := []string{"link set lo up"}
	bridges := map[string]packets.MAC{}
	for i, bridge := range layout.Bridges {
		mac := packets.MAC{2, 0, 0, 0, 1, byte(i + 1)}
		bridges[bridge.Name] = mac
		links = append(links, bridgeLines(bridge, mac)...)
	}
	var queues []string
	for i, iface := range layout.Interfaces {
		number, err := ns.twin.OpenLink(iface.Name, iface.Index, ethernet)
		if err != nil {
			return err
		}
		mac := packets.MAC{2, 0, 0, 0, 0, byte(i + 1)}
		link := packets.Link{Name: iface.Name, Number: number, MAC: mac, Bridge: iface.Bridge}
		if iface.Bridge != "" {
			link.MAC = bridges[iface.Bridge] // for the host itself, not for a port of it
		}
		ns.links = append(ns.links, link)
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
	if err := ns.ipBatch(links); err != nil {
		return err
	}
	if len(queues) > 0 {
		if _, err := ns.twin.Run(strings.Join(queues, "\n"), "tc", "-batch", "-"); err != nil {
			return err
		}
	}
	if err := ns.writeSysctls(layout.Sysctls); err != nil {
		return err
	}
	return awaitAddresses(layout)
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

func linkLines(iface Interface, mac packets.MAC) []string {
	// NOARP spares address resolution: whatever is sent out appears at once. The
	// ring of a TAP is as long as its queue. The kernel makes a link-local address
	// when it comes to it; ours is the same one, there from the start.
	lines := []string{
		fmt.Sprintf("link set %s address %s txqueuelen %d arp off addrgenmode none", iface.Name, mac, platform.TwinRing),
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
func bridgeLines(bridge Interface, mac packets.MAC) []string {
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
		lines = append(lines, fmt.Sprintf("neigh add %s lladdr %s dev %s nud permanent", gateway, packets.FarEnd, bridge.Name))
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

func (ns *Namespace) ipBatch(lines []string) error {
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
		if _, err := ns.twin.Run(script.String(), command[0], command[1:]...); err != nil {
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

func (ns *Namespace) writeSysctls(settings map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if err := ns.twin.WriteSetting(name, settings[name]); err != nil {
			return err
		}
	}
	return nil
}

// ethernet is ARPHRD_ETHER (include/uapi/linux/if_arp.h).
const ethernet = 1

// Probe sends the probes and tells what became of each, in their order. Every
// one is the first packet of its flow: connection tracking is emptied before a
// flow would come again.
func (ns *Namespace) Probe(probes []Probe) []Outcome {
	ns.t.Helper()
	outcomes := make([]Outcome, 0, len(probes))
	err := ns.Do(func() error {
		for len(probes) > 0 {
			if probes[0].Via == "lo" {
				outcome, err := ns.connect(probes[0])
				if err != nil {
					return err
				}
				outcomes, probes = append(outcomes, outcome), probes[1:]
				continue
			}
			count := slices.IndexFunc(probes, func(p Probe) bool { return p.Via == "lo" })
			if count < 0 {
				count = len(probes)
			}
			next, err := ns.prober.Probe(probes[:count])
			if err != nil {
				return err
			}
			outcomes, probes = append(outcomes, next...), probes[count:]
		}
		return nil
	})
	if err != nil {
		ns.t.Fatalf("probing: %v", err)
	}
	return outcomes
}

// Forget empties connection tracking: every flow is new again.
func (ns *Namespace) Forget() {
	ns.t.Helper()
	if err := ns.Do(ns.prober.Forget); err != nil {
		ns.t.Fatalf("emptying connection tracking: %v", err)
	}
}
