package realhost

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A containedPort is what the JSON says of a port and who serves it where.
type containedPort struct {
	managedPort
	Namespace string
	Owners    []struct {
		Name, Namespace string
		Container       string
		ContainerName   string `json:"container_name"`
		Holder          bool
	}
	Reach []struct {
		Interface, Verdict string
		DecidedBy          struct{ Text string }                `json:"decided_by"`
		DeliveredTo        *struct{ Address, Namespace string } `json:"delivered_to"`
	}
}

// inDocker asks on a host with Docker: at once, of all namespaces, of a recording,
// and under a trace.
const inDocker = `
"$NETGLANCE" firewall --json >"$OUT/host.json"
"$NETGLANCE" firewall --all-namespaces --json >"$OUT/all.json"
"$NETGLANCE" firewall --netns web --json >"$OUT/web.json"
"$NETGLANCE" listeners --all-namespaces --json >"$OUT/listeners.json"
"$NETGLANCE" record -q "$OUT/host.ng"
"$NETGLANCE" firewall --all-namespaces --json --host "$OUT/host.ng" >"$OUT/recorded.json"
"$NETGLANCE" listeners --all-namespaces --json --host "$OUT/host.ng" >"$OUT/listeners-recorded.json"
: | strace -ff -o "$OUT/thread" -X raw -y -v -s 4096 -e signal=none -qq -- "$NETGLANCE" firewall --all-namespaces >"$OUT/all.txt"
`

func TestContainersOwnWhatDockerHoldsForThem(t *testing.T) {
	requirePackages(t, managerPackages)
	requirePackages(t, map[string]string{"strace": "strace"})
	out := publicDirectory(t)
	cmd := exec.Command("bash", "testdata/managers.sh", "nft", "docker", "bash", "-euc", inDocker)
	cmd.Env = append(os.Environ(), "SCRATCH="+t.TempDir(), "OUT="+out, "NETGLANCE="+netglance)
	if complaint, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	ports := func(name string) (ports []containedPort) {
		var answer struct {
			Complete bool
			Gaps     []struct{ Source, Reason string }
			Ports    []containedPort
		}
		if err := json.Unmarshal([]byte(read(name)), &answer); err != nil || !answer.Complete {
			t.Fatalf("%s: %v, gaps %v", name, err, answer.Gaps)
		}
		return answer.Ports
	}
	find := func(all []containedPort, namespace string, port int) containedPort {
		t.Helper()
		at := slices.IndexFunc(all, func(p containedPort) bool { return p.Namespace == namespace && p.Port == port })
		if at < 0 {
			t.Fatalf("no port %d of %s", port, namespace)
		}
		return all[at]
	}
	host, all := ports("host.json"), ports("all.json")
	for port, name := range map[int]string{8080: "web", 8081: "loop"} {
		p := find(host, "host", port)
		if len(p.Owners) != 2 || p.Owners[0].Name != "docker-proxy" || !p.Owners[0].Holder ||
			p.Owners[1].Name != "busybox" || p.Owners[1].Namespace != name || p.Owners[1].ContainerName != name || len(p.Owners[1].Container) != 64 {
			t.Errorf("%d is owned by %+v", port, p.Owners)
		}
		if !slices.ContainsFunc(p.Reach, func(r struct {
			Interface, Verdict string
			DecidedBy          struct{ Text string }                `json:"decided_by"`
			DeliveredTo        *struct{ Address, Namespace string } `json:"delivered_to"`
		}) bool {
			return r.Interface == "eth0" && r.DeliveredTo != nil && r.DeliveredTo.Namespace == name
		}) {
			t.Errorf("%d is not delivered to %s: %+v", port, name, p.Reach)
		}
	}
	// Packets from outside find nobody; what a container sends meets docker-proxy.
	dead := find(host, "host", 8082)
	for _, r := range dead.Reach {
		if r.Interface == "eth0" && r.Verdict == "accept" && r.DeliveredTo != nil {
			t.Errorf("8082 of dead, where nobody listens, is open: %+v", r)
		}
	}
	if !dead.has("nobody_behind", "container dead") && !dead.has("nobody_listens", "container dead") {
		t.Errorf("8082 doesn't say that nobody listens: %+v", dead.Reasons)
	}
	for _, name := range []string{"web", "loop", "dead"} {
		if p := find(all, name, 80); p.Label != "exposed" || len(p.Owners) != 1 || p.Owners[0].Holder {
			t.Errorf("80 of %s: %+v", name, p)
		}
	}
	if inside := ports("web.json"); len(inside) != 1 || inside[0].Namespace != "web" || inside[0].Port != 80 {
		t.Errorf("inside of web: %+v", inside)
	}
	if read("recorded.json") != read("all.json") {
		t.Errorf("live:\n%s\nrecorded:\n%s", read("all.json"), read("recorded.json"))
	}
	if read("listeners-recorded.json") != read("listeners.json") {
		t.Errorf("live:\n%s\nrecorded:\n%s", read("listeners.json"), read("listeners-recorded.json"))
	}
	if text := read("all.txt"); !strings.Contains(text, "docker-proxy") || !strings.Contains(text, "in container web") || !strings.Contains(text, "NAMESPACE") {
		t.Errorf("in text:\n%s", text)
	}
	var calls trace
	files, _ := filepath.Glob(filepath.Join(out, "thread.*"))
	for _, file := range files {
		calls = append(calls, readTrace(t, file)...)
	}
	if !slices.ContainsFunc(calls, func(c call) bool { return c.name == "write" && asksDocker(c) }) || !slices.ContainsFunc(calls, func(c call) bool { return c.name == "setns" }) {
		t.Error("the trace shows no question to Docker, or no namespace entered: it shows too little")
	}
	for _, c := range calls.changes("") {
		t.Error(c)
	}
}
