package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/platform"
)

// An outsideHost lets 80/tcp in on eth0 and eth1, and keeps 81/tcp out.
type outsideHost struct {
	*kerneltest.Namespace
	t *testing.T
}

func newOutsideHost(t *testing.T) outsideHost {
	t.Helper()
	ns := kerneltest.New(t, kerneltest.Layout{
		Interfaces: []kerneltest.Interface{{Name: "eth0", Addresses: []string{"192.0.2.1/24", "2001:db8::1/64"}}, {Name: "eth1", Addresses: []string{"198.51.100.1/24"}}},
		Routes:     []string{"default via 192.0.2.254 dev eth0", "default via 2001:db8::ff dev eth0"},
		Sysctls:    map[string]string{"ipv4/tcp_syncookies": "1"}, // a cookie belongs to no socket, and meets no program of one
	})
	if err := ns.NFT("table inet filter {\nchain input {\ntype filter hook input priority 0; policy drop;\nmeta l4proto ipv6-icmp accept\ntcp dport 80 accept\n}\n}"); err != nil {
		t.Fatal(err)
	}
	for _, port := range []uint16{80, 81} {
		if err := ns.Listen("tcp", netip.AddrPortFrom(netip.IPv6Unspecified(), port)); err != nil {
			t.Fatal(err)
		}
	}
	return outsideHost{ns, t}
}

func (h outsideHost) load(kind, place uint32, name string, code []byte) int {
	h.t.Helper()
	fd, err := kerneltest.LoadProgram(kind, place, name, code)
	if err != nil {
		h.t.Fatalf("loading %s: %v", name, err)
	}
	h.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// holds keeps what is attached until the test ends.
func (h outsideHost) holds(link int, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { unix.Close(link) })
}

func (h outsideHost) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

type outsideAnswer struct {
	Verdict    string
	Conditions []struct{ Kind, Text string }
}

// explain asks live, and then from a recording of the same host, for one answer.
func (h outsideHost) explain(via, to string, port uint16) outsideAnswer {
	h.t.Helper()
	from := netip.MustParseAddr(to).Next().Next().String()
	live := func(file string) (platform.Host, error) {
		if file == "" {
			return platform.LiveIn(h.Path()), nil
		}
		return openHost(file)
	}
	recording := filepath.Join(h.t.TempDir(), "host.ng")
	if _, errs, code := netglanceIn(h.t, live, "record", recording); code != exitDone {
		h.t.Fatalf("record: %d, %s", code, errs)
	}
	var answers [2]string
	for i, host := range [][]string{nil, {"--host", recording}} {
		args := append([]string{"firewall", "explain", fmt.Sprintf("%d/tcp", port), "--from", from, "--via", via, "--to", to, "--json"}, host...)
		out, errs, code := netglanceIn(h.t, live, args...)
		if code != exitDone || errs != "" {
			h.t.Fatalf("ended with %d: %s", code, errs)
		}
		answers[i] = out
	}
	if answers[0] != answers[1] {
		h.t.Errorf("live:\n%s\nrecorded:\n%s", answers[0], answers[1])
	}
	var all struct{ Answers []outsideAnswer }
	if err := json.Unmarshal([]byte(answers[0]), &all); err != nil || len(all.Answers) != 1 {
		h.t.Fatalf("%v in %s", err, answers[0])
	}
	return all.Answers[0]
}

// kernel is what becomes of a real SYN.
func (h outsideHost) kernel(via, to string, port uint16) string {
	h.t.Helper()
	address := netip.MustParseAddr(to)
	p := kerneltest.Probe{Via: via, Protocol: 6, From: address.Next().Next(), To: address, SourcePort: 40000, Port: port}
	return h.Probe([]kerneltest.Probe{p})[0].Kind.String()
}

// What a real program outside of netfilter does to a packet, and what is said of
// it: never "accept" where the kernel drops, and the program is named.
func TestFiltersOutsideOfNetfilterMakeAnswersConditional(t *testing.T) {
	const shot, ok = 2, 0
	for _, c := range []struct {
		name   string
		attach func(h outsideHost)
		via    string
		to     string
		port   uint16
		kernel string
		want   string // verdict
		names  string // in a condition
	}{
		{"nothing", func(outsideHost) {}, "eth0", "192.0.2.1", 80, "accepted", "accept", ""},
		{"XDP drops", func(h outsideHost) {
			h.must(h.AttachXDP("eth0", h.load(unix.BPF_PROG_TYPE_XDP, 0, "drop_all", kerneltest.Returns(1))))
		}, "eth0", "192.0.2.1", 80, "dropped", "conditional", "(drop_all) on eth0 (generic)"},
		{"XDP on another link", func(h outsideHost) {
			h.must(h.AttachXDP("eth1", h.load(unix.BPF_PROG_TYPE_XDP, 0, "drop_all", kerneltest.Returns(1))))
		}, "eth0", "192.0.2.1", 80, "accepted", "accept", ""},
		{"XDP that can only drop before rules that drop", func(h outsideHost) {
			h.must(h.AttachXDP("eth0", h.load(unix.BPF_PROG_TYPE_XDP, 0, "pass", kerneltest.Returns(2))))
		}, "eth0", "192.0.2.1", 81, "dropped", "drop", ""},
		{"tc drops", func(h outsideHost) {
			fd := h.load(unix.BPF_PROG_TYPE_SCHED_CLS, 0, "shot", kerneltest.Returns(shot))
			h.must(h.AttachTC("eth0", netlink.HANDLE_MIN_INGRESS, unix.ETH_P_ALL, fd, "shot"))
		}, "eth0", "192.0.2.1", 80, "dropped", "conditional", "tc filter bpf shot on eth0 ingress"},
		{"tc for the other family", func(h outsideHost) {
			fd := h.load(unix.BPF_PROG_TYPE_SCHED_CLS, 0, "shot", kerneltest.Returns(shot))
			h.must(h.AttachTC("eth0", netlink.HANDLE_MIN_INGRESS, unix.ETH_P_IPV6, fd, "shot6"))
		}, "eth0", "192.0.2.1", 80, "accepted", "accept", ""},
		{"tc drops the answer", func(h outsideHost) {
			fd := h.load(unix.BPF_PROG_TYPE_SCHED_CLS, 0, "shot", kerneltest.Returns(shot))
			h.must(h.AttachTC("eth0", netlink.HANDLE_MIN_EGRESS, unix.ETH_P_IP, fd, "shot"))
		}, "eth0", "192.0.2.1", 80, "dropped", "conditional", "on eth0 egress"},
		{"tc changes what rules look at", func(h outsideHost) {
			h.must(h.NFT("insert rule inet filter input meta mark 7 accept"))
			fd := h.load(unix.BPF_PROG_TYPE_SCHED_CLS, 0, "marks", kerneltest.MarksAndReturns(7, ok))
			h.must(h.AttachTC("eth0", netlink.HANDLE_MIN_INGRESS, unix.ETH_P_ALL, fd, "marks"))
		}, "eth0", "192.0.2.1", 81, "accepted", "conditional", "marks"},
		{"tc redirects", func(h outsideHost) {
			h.run("tc qdisc add dev eth0 clsact")
			h.run("tc filter add dev eth0 ingress protocol ip u32 match ip dport 80 0xffff action mirred egress redirect dev lo")
		}, "eth0", "192.0.2.1", 80, "dropped", "conditional", "tc filter u32 (mirred) on eth0 ingress"},
		{"tc copies for a listener", func(h outsideHost) {
			h.run("tc qdisc add dev eth0 clsact")
			h.run("tc filter add dev eth0 ingress protocol ip u32 match u32 0 0 action mirred egress mirror dev eth1")
		}, "eth0", "192.0.2.1", 80, "accepted", "accept", ""},
		{"tc only sorts", func(h outsideHost) {
			h.run("tc qdisc add dev eth0 ingress")
			h.run("tc filter add dev eth0 ingress protocol ip u32 match u32 0 0 flowid 1:1")
		}, "eth0", "192.0.2.1", 80, "accepted", "accept", ""},
		{"tcx drops", func(h outsideHost) {
			h.holds(h.AttachLink("eth0", unix.BPF_TCX_INGRESS, h.load(unix.BPF_PROG_TYPE_SCHED_CLS, unix.BPF_TCX_INGRESS, "tcx_shot", kerneltest.Returns(shot))))
		}, "eth0", "192.0.2.1", 80, "dropped", "conditional", "tcx program"},
		{"tcx drops the answer", func(h outsideHost) {
			h.holds(h.AttachLink("eth0", unix.BPF_TCX_EGRESS, h.load(unix.BPF_PROG_TYPE_SCHED_CLS, unix.BPF_TCX_EGRESS, "tcx_shot", kerneltest.Returns(shot))))
		}, "eth0", "192.0.2.1", 80, "dropped", "conditional", "(tcx_shot) on eth0 egress"},
		{"sk_lookup drops", func(h outsideHost) {
			h.holds(h.AttachNamespace(unix.BPF_SK_LOOKUP, h.load(unix.BPF_PROG_TYPE_SK_LOOKUP, unix.BPF_SK_LOOKUP, "nobody", kerneltest.Returns(0))))
		}, "eth0", "192.0.2.1", 80, "reset", "conditional", "sk_lookup program"},
		{"an IPsec policy wants ESP", func(h outsideHost) {
			h.run("ip xfrm policy add src 192.0.2.0/24 dst 192.0.2.1/32 dir in tmpl src 192.0.2.9 dst 192.0.2.1 proto esp mode tunnel")
		}, "eth0", "192.0.2.1", 80, "dropped", "conditional", "IPsec policy src 192.0.2.0/24 dst 192.0.2.1/32 dir in"},
		{"an IPsec policy for others", func(h outsideHost) {
			h.run("ip xfrm policy add src 192.0.2.128/25 dst 192.0.2.1/32 dir in tmpl src 192.0.2.9 dst 192.0.2.1 proto esp mode tunnel")
		}, "eth0", "192.0.2.1", 80, "accepted", "accept", ""},
		{"an IPsec policy blocks", func(h outsideHost) {
			h.run("ip xfrm policy add src 192.0.2.0/24 dst 192.0.2.1/32 proto tcp dport 80 dir in action block")
		}, "eth0", "192.0.2.1", 80, "dropped", "drop", ""},
		{"an earlier IPsec policy passes", func(h outsideHost) {
			h.run("ip xfrm policy add src 192.0.2.0/24 dst 192.0.2.1/32 dir in priority 10 action block")
			h.run("ip xfrm policy add src 192.0.2.3/32 dst 192.0.2.1/32 dir in priority 1")
		}, "eth0", "192.0.2.1", 80, "accepted", "accept", ""},
		{"a link without IPsec policies", func(h outsideHost) {
			h.run("ip xfrm policy add src 192.0.2.0/24 dst 192.0.2.1/32 dir in action block")
			h.run("sysctl -qw net.ipv4.conf.eth0.disable_policy=1")
			h.run("ip route flush cache")
		}, "eth0", "192.0.2.1", 80, "accepted", "accept", ""},
		{"IPsec for answers alone", func(h outsideHost) {
			h.run("ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.0/24 dir out action block")
		}, "eth0", "192.0.2.1", 80, "dropped", "drop", ""},
		{"IPsec blocks without a policy", func(h outsideHost) {
			h.run("ip xfrm policy setdefault in block fwd accept out accept")
		}, "eth0", "192.0.2.1", 80, "dropped", "drop", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newOutsideHost(t)
			c.attach(h)
			if got := h.kernel(c.via, c.to, c.port); got != c.kernel {
				t.Errorf("the kernel: %s, want %s", got, c.kernel)
			}
			got := h.explain(c.via, c.to, c.port)
			if got.Verdict != c.want {
				t.Errorf("%s, want %s: %v", got.Verdict, c.want, got.Conditions)
			}
			if c.names != "" && !strings.Contains(fmt.Sprint(got.Conditions), c.names) {
				t.Errorf("nothing names %q: %v", c.names, got.Conditions)
			}
		})
	}
}

// BPF_PROG_TYPE_NETFILTER and BPF_NETFILTER (include/uapi/linux/bpf.h).
const progTypeNetfilter, attachNetfilter = 32, 45

// The kernel doesn't tell whose namespace such a program is in, so that it stays
// attached for as long as it is asked about alone: other tests run beside.
func TestProgramsAtNetfiltersHooksAreFound(t *testing.T) {
	h := newOutsideHost(t)
	link, err := h.AttachNetfilter(h.load(progTypeNetfilter, attachNetfilter, "nf_drop", kerneltest.Returns(0)))
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := platform.LiveIn(h.Path()).Programs("netfilter")
	unix.Close(link)
	if err != nil || !strings.Contains(string(hooks), "netfilter 10 3 10 ") { // IPv6, output
		t.Errorf("%v, %q", err, hooks)
	}
}

// A hookedHost has a program at IPv4's input hook, of some namespace.
type hookedHost struct{ platform.Host }

func (h hookedHost) Programs(where string) ([]byte, error) {
	switch where {
	case "netfilter":
		return []byte("netfilter 2 1 10 7\n"), nil
	case "program 7":
		return []byte("netfilter \"nf_drop\" \n"), nil
	}
	return h.Host.Programs(where)
}

func TestProgramsAtNetfiltersHooksMakeAnswersConditional(t *testing.T) {
	h := newOutsideHost(t)
	open := func(string) (platform.Host, error) { return hookedHost{platform.LiveIn(h.Path())}, nil }
	for to, want := range map[string]string{"192.0.2.1": "(nf_drop) at netfilter's input hook", "2001:db8::1": `"verdict": "accept"`} {
		out, _, _ := netglanceIn(t, open, "firewall", "explain", "80/tcp", "--to", to, "--from", netip.MustParseAddr(to).Next().Next().String(), "--via", "eth0", "--json")
		if !strings.Contains(out, want) {
			t.Errorf("%s: no %s in %s", to, want, out)
		}
	}
}

func (h outsideHost) run(command string) {
	h.t.Helper()
	if _, err := h.Run(strings.Fields(command)...); err != nil {
		h.t.Fatal(err)
	}
}

// inCgroup starts a server on a port in a new cgroup with a name like systemd's.
func (h outsideHost) inCgroup(unit string, port uint16) (dir string) {
	h.t.Helper()
	mount := "/sys/fs/cgroup"
	if _, err := os.Stat(mount + "/cgroup.procs"); err != nil {
		mount += "/unified"
	}
	above, err := os.MkdirTemp(mount, "netglance-test-")
	if err != nil {
		h.t.Skipf("left out: no cgroup v2 can be made: %v", err)
	}
	dir = filepath.Join(above, unit)
	if err := os.Mkdir(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	server := exec.Command("nsenter", "--net="+h.Path(), "sh", "-c", fmt.Sprintf("echo 0 > %s/cgroup.procs; exec busybox httpd -f -p %d", dir, port))
	if err := server.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		for _, d := range []string{dir, above} {
			if err := os.Remove(d); err != nil {
				h.t.Errorf("%v", err)
			}
		}
	})
	for range 200 {
		if out, _ := h.Run("ss", "-Htln", fmt.Sprintf("sport = %d", port)); out != "" {
			return dir
		}
	}
	h.t.Fatal("the server did not start")
	return ""
}

func TestAProgramOfACgroupIsForTheSocketsMadeInIt(t *testing.T) {
	h := newOutsideHost(t)
	h.must(h.NFT("add rule inet filter input tcp dport 6379 accept"))
	dir := h.inCgroup("redis.service", 6379)
	if got := h.explain("eth0", "192.0.2.1", 6379).Verdict; got != "accept" {
		t.Errorf("without a program: %s", got)
	}
	answers, err := kerneltest.AttachCgroup(dir, unix.BPF_CGROUP_INET_EGRESS, h.load(unix.BPF_PROG_TYPE_CGROUP_SKB, unix.BPF_CGROUP_INET_EGRESS, "sd_fw_egress", kerneltest.Returns(0)))
	h.must(err)
	if got := h.kernel("eth0", "192.0.2.1", 6379); got != "dropped" {
		t.Errorf("answers that are dropped: the kernel: %s", got)
	}
	if got := h.explain("eth0", "192.0.2.1", 6379); got.Verdict != "conditional" || !strings.Contains(fmt.Sprint(got.Conditions), "(sd_fw_egress) of cgroup") {
		t.Errorf("answers that are dropped: %+v", got)
	}
	unix.Close(answers)
	fd := h.load(unix.BPF_PROG_TYPE_CGROUP_SKB, unix.BPF_CGROUP_INET_INGRESS, "sd_fw_ingress", kerneltest.Returns(0))
	h.holds(kerneltest.AttachCgroup(filepath.Dir(dir), unix.BPF_CGROUP_INET_INGRESS, fd)) // above the socket's own
	if got := h.kernel("eth0", "192.0.2.1", 6379); got != "dropped" {
		t.Errorf("the kernel: %s", got)
	}
	got := h.explain("eth0", "192.0.2.1", 6379)
	if got.Verdict != "conditional" || !strings.Contains(fmt.Sprint(got.Conditions), "(sd_fw_ingress) of cgroup /netglance-test-") {
		t.Errorf("%+v", got)
	}
	if got := h.explain("eth0", "192.0.2.1", 80); got.Verdict != "accept" {
		t.Errorf("a socket of another cgroup: %+v", got)
	}
	open := func(string) (platform.Host, error) { return platform.LiveIn(h.Path()), nil }
	out, _, _ := netglanceIn(t, open, "firewall", "-p", "6379,80", "--json")
	var answer struct{ Ports []portAnswer }
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	for _, p := range answer.Ports {
		want := map[int]string{80: "intentional", 6379: "unknown"}[p.Port]
		if p.Label != want {
			t.Errorf("%d is %s, want %s: %+v", p.Port, p.Label, want, p.Reasons)
		}
	}
	if i := slices.IndexFunc(answer.Ports, func(p portAnswer) bool { return p.Port == 6379 }); i < 0 || !strings.Contains(fmt.Sprint(answer.Ports[i].Reasons), "sd_fw_ingress") {
		t.Errorf("6379's reasons don't name the program: %s", out)
	}
}
