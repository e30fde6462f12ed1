package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

// A pair is a host that forwards to a container behind a bridge. Every pair has
// the same addresses, names and indexes.
type pair struct {
	host, container *kerneltest.Namespace
	// process is one in the container's namespace, whose only other visitor is a
	// thread of the test.
	process int
}

const forwardingRules = `table ip nat {
	chain prerouting {
		type nat hook prerouting priority dstnat;
		iifname eth0 tcp dport 8080 dnat to 172.20.0.2:80
		iifname eth0 tcp dport 8081 dnat to 172.20.0.2:81
		iifname eth0 tcp dport 8082 dnat to 172.20.0.2:82
		iifname eth0 tcp dport 8083 meta mark set 7 dnat to 172.20.0.2:82
		iifname eth0 tcp dport 8084 dnat to 172.20.0.9:80
	}
	chain postrouting {
		type nat hook postrouting priority srcnat;
		meta mark 7 masquerade
	}
}`

const containersRules = `table ip filter {
	chain input {
		type filter hook input priority filter; policy accept;
		ip saddr != 10.0.0.0/8 tcp dport 82 drop
	}
}`

func newPair(t *testing.T) pair {
	t.Helper()
	p := pair{
		host: kerneltest.New(t, kerneltest.Layout{
			Interfaces: []kerneltest.Interface{{Name: "eth0", Addresses: []string{"203.0.113.7/24"}}},
			Routes:     []string{"default via 203.0.113.1 dev eth0"},
			Sysctls:    map[string]string{"ipv4/ip_forward": "1"},
		}),
		container: kerneltest.New(t, kerneltest.Layout{}),
	}
	sleep := exec.Command("nsenter", "--net="+p.container.Path(), "sleep", "600")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sleep.Process.Kill(); sleep.Wait() })
	p.process = sleep.Process.Pid
	run := func(ns *kerneltest.Namespace, line string) {
		t.Helper()
		if out, err := ns.Run(strings.Fields(line)...); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	// nsenter is there before it has entered: it is awaited by the link's way in.
	run(p.host, "ip link add br0 type bridge")
	run(p.host, "ip addr add 172.20.0.1/24 dev br0")
	run(p.host, "ip link set br0 up")
	run(p.host, "ip link add port1 index 50 type veth peer name inside index 60")
	run(p.host, "ip link set port1 master br0 up")
	awaitEntered(t, p)
	run(p.host, fmt.Sprintf("ip link set inside netns %d", p.process))
	run(p.container, "ip addr add 172.20.0.2/24 dev inside")
	run(p.container, "ip link set inside up")
	run(p.container, "ip route add default via 172.20.0.1")
	for _, port := range []uint16{80, 82} {
		if err := p.container.Listen("tcp", netip.AddrPortFrom(netip.IPv4Unspecified(), port)); err != nil {
			t.Fatal(err)
		}
	}
	for ns, rules := range map[*kerneltest.Namespace]string{p.host: forwardingRules, p.container: containersRules} {
		if err := ns.NFT(rules); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// awaitEntered waits until the process is in the container's namespace.
func awaitEntered(t *testing.T, p pair) {
	t.Helper()
	for range 500 {
		out, _ := exec.Command("nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", p.process), "readlink", "/proc/self/ns/net").Output()
		want, _ := exec.Command("nsenter", "--net="+p.container.Path(), "readlink", "/proc/self/ns/net").Output()
		if string(out) == string(want) && len(out) > 0 {
			return
		}
	}
	t.Fatal("nsenter doesn't enter")
}

// A row is what the tests look at in "firewall --json".
type row struct {
	Port             int
	Label, Namespace string
	Owners           []struct {
		PID             int
		Name, Namespace string
	}
	Reach []struct {
		Interface, Verdict string
		Sources            []string
		DecidedBy          struct{ Text, Namespace string }     `json:"decided_by"`
		DeliveredTo        *struct{ Address, Namespace string } `json:"delivered_to"`
		Conditions         []struct{ Text string }
	}
}

func rowsOf(t *testing.T, text string) map[int]row {
	t.Helper()
	var answer struct {
		Ports []row
		Gaps  []struct{ Source, Reason string }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	rows := map[int]row{}
	for _, r := range answer.Ports {
		rows[r.Port] = r
	}
	return rows
}

var tens = []string{"10.0.0.0/8"}

// openTo are the sources that surely get in.
func openTo(r row) (sources []string) {
	for _, part := range r.Reach {
		if part.Verdict == "accept" {
			sources = append(sources, part.Sources...)
		}
	}
	return sources
}

func TestForwardedPortsAreFollowedIntoTheNamespaceThatServesThem(t *testing.T) {
	p, _ := newPair(t), newPair(t) // the second one must not be taken for the first
	live := func(file string) (platform.Host, error) {
		if file == "" {
			return platform.LiveIn(p.host.Path()), nil
		}
		return openHost(file)
	}
	recording := filepath.Join(t.TempDir(), "host.ng")
	if _, errs, code := netglanceIn(t, live, "record", recording); code != exitDone {
		t.Fatalf("record: %d, %s", code, errs)
	}
	for name, host := range map[string][]string{"live": nil, "recorded": {"--host", recording}} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := netglanceIn(t, live, append([]string{"firewall", "--json"}, host...)...)
			if code != exitDone {
				t.Fatalf("ended with %d: %s", code, errs)
			}
			checkFollowed(t, rowsOf(t, out))
		})
	}
}

func checkFollowed(t *testing.T, rows map[int]row) {
	served := rows[8080]
	if served.Label != "exposed" || len(served.Owners) != 1 || served.Owners[0].Namespace == "" {
		t.Errorf("8080: %+v", served)
	}
	for _, r := range served.Reach {
		if r.Verdict == "accept" && (r.DeliveredTo == nil || r.DeliveredTo.Namespace != served.Owners[0].Namespace) {
			t.Errorf("8080 is delivered to %+v", r.DeliveredTo)
		}
	}
	if r, found := rows[8081]; found {
		t.Errorf("8081, where nobody listens, is a row: %+v", r)
	}

	guarded := rows[8082]
	for _, r := range guarded.Reach {
		if strings.Contains(r.DecidedBy.Text, "dport 82") && r.DecidedBy.Namespace == "" {
			t.Errorf("8082: whose rule decides is not said: %+v", r.DecidedBy)
		}
	}
	if open := openTo(guarded); !slices.Equal(open, tens) {
		t.Errorf("8082 is open to %v, but the container's own rules let %v in alone", open, tens)
	}

	hidden := rows[8083]
	for _, r := range hidden.Reach {
		if r.Verdict == "accept" {
			t.Errorf("8083: behind masquerading the container can't see the source, and yet: %+v", r)
		}
	}
	if hidden.Label != "unknown" {
		t.Errorf("8083 is %s", hidden.Label)
	}
	if beyond := rows[8084]; beyond.Label != "exposed" || len(beyond.Owners) != 0 {
		t.Errorf("8084, of which nobody knows where it leads: %+v", beyond)
	}
}

func TestEveryNamespaceIsAnsweredByItsOwnRules(t *testing.T) {
	p := newPair(t)
	if err := p.host.Listen("tcp", netip.AddrPortFrom(netip.IPv4Unspecified(), 82)); err != nil {
		t.Fatal(err)
	}
	live := func(string) (platform.Host, error) { return platform.LiveIn(p.host.Path()), nil }
	out, errs, code := netglanceIn(t, live, "firewall", "--json", "--netns", fmt.Sprint(p.process))
	if code != exitDone {
		t.Fatalf("ended with %d: %s", code, errs)
	}
	inside := rowsOf(t, out)
	if len(inside) != 2 || len(openTo(inside[80])) < 2 || !slices.Equal(openTo(inside[82]), tens) || inside[80].Namespace == "host" {
		t.Errorf("inside: %+v", inside)
	}
	name := inside[80].Namespace

	out, errs, code = netglanceIn(t, live, "firewall", "--json", "--all-namespaces", "-p", "80,82")
	if code != exitDone {
		t.Fatalf("ended with %d: %s", code, errs)
	}
	var answer struct{ Ports []row }
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, r := range answer.Ports {
		guarded := slices.Equal(openTo(r), tens)
		switch {
		case r.Namespace == "host" && r.Port == 82 && !guarded, r.Namespace == name && guarded == (r.Port == 82):
			seen++
		case r.Namespace == "host" || r.Namespace == name:
			t.Errorf("%s %d is open to %v", r.Namespace, r.Port, openTo(r))
		}
	}
	if seen != 3 {
		t.Errorf("%d rows of the two namespaces, want 3", seen)
	}

	out, errs, code = netglanceIn(t, live, "firewall", "explain", "82/tcp", "--from", "192.0.2.1", "--netns", fmt.Sprintf("/proc/%d/ns/net", p.process))
	if code != exitDone || !strings.Contains(out, ": drop") {
		t.Errorf("explain ended with %d: %s%s", code, out, errs)
	}
	out, errs, code = netglanceIn(t, live, "firewall", "rules", "--netns", fmt.Sprint(p.process))
	if code != exitDone || !strings.Contains(out, "tcp dport 82 drop") || strings.Contains(out, "dnat") {
		t.Errorf("rules ended with %d: %s%s", code, out, errs)
	}
	if _, errs, code = netglanceIn(t, live, "listeners", "--netns", "no-such"); code != exitUsage || !strings.Contains(errs, "no network namespace") {
		t.Errorf("a name that is none ended with %d: %s", code, errs)
	}
}
