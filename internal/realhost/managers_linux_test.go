package realhost

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// managerPackages are the Debian packages of the managers, by a file of theirs.
var managerPackages = map[string]string{
	"/usr/sbin/ufw":             "ufw",
	"/usr/sbin/firewalld":       "firewalld",
	"/usr/bin/dbus-daemon":      "dbus",
	"/usr/sbin/dockerd":         "docker.io",
	"/bin/busybox":              "busybox-static",
	"/usr/sbin/iptables-legacy": "iptables",
	"unshare":                   "util-linux",
}

// A managedPort is what the JSON says of a port.
type managedPort struct {
	Port      int
	Label     string
	Addresses []string
	Reasons   []struct{ Code, Text string }
	Remedy    []string
	Reach     []struct {
		Interface, Family, Verdict string
		Sources                    []string
		DeliveredTo                *struct {
			Address, Interface string
			Port               int
		} `json:"delivered_to"`
	}
}

func (p managedPort) has(code, text string) bool {
	return slices.ContainsFunc(p.Reasons, func(r struct{ Code, Text string }) bool {
		return r.Code == code && strings.Contains(r.Text, text)
	})
}

// managed asks on a host whose rules the managers keep. The port's row is the
// first one that serves IPv4.
func managed(t *testing.T, backend, managers string) (ports map[int]managedPort, text string) {
	t.Helper()
	requirePackages(t, managerPackages)
	cmd := exec.Command("bash", "testdata/managers.sh", backend, managers, netglance, "firewall", "--json")
	cmd.Env = append(os.Environ(), "SCRATCH="+t.TempDir())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	var answer struct {
		Host  struct{ Backends []string }
		Gaps  []struct{ Source, Reason string }
		Ports []managedPort
	}
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	for _, g := range answer.Gaps {
		t.Errorf("unread: %s: %s", g.Source, g.Reason)
	}
	if managers != "firewalld" && !slices.Contains(answer.Host.Backends, "iptables-"+backend) {
		t.Errorf("backends %v", answer.Host.Backends)
	}
	ports = map[int]managedPort{}
	for _, p := range answer.Ports {
		if _, known := ports[p.Port]; !known {
			ports[p.Port] = p
		}
	}
	return ports, out.String()
}

func labelsAre(t *testing.T, ports map[int]managedPort, want map[int]string) {
	t.Helper()
	for port, label := range want {
		if ports[port].Label != label {
			t.Errorf("%d is %q, want %q: %+v", port, ports[port].Label, label, ports[port])
		}
	}
}

var iptablesBackends = []string{"nft", "legacy"}

func TestUFWsOwnRulesAreIntended(t *testing.T) {
	for _, backend := range iptablesBackends {
		t.Run(backend, func(t *testing.T) {
			ports, _ := managed(t, backend, "ufw")
			labelsAre(t, ports, map[int]string{22: "intentional", 5432: "intentional", 6379: "filtered"})
			if !ports[22].has("rule_names_port", "ufw rule 1: allow 22/tcp") || !ports[5432].has("rule_names_port", "ufw rule 2: allow 5432/tcp from 10.0.0.0/8") ||
				!ports[6379].has("policy_drop", "ufw's default") {
				t.Errorf("not in ufw's words: %v, %v, %v", ports[22].Reasons, ports[5432].Reasons, ports[6379].Reasons)
			}
			for _, r := range ports[5432].Reach {
				if r.Verdict == "accept" && !slices.Equal(r.Sources, []string{"10.0.0.0/8"}) {
					t.Errorf("5432 is open to %v", r.Sources)
				}
			}
		})
	}
}

func TestFirewalldsServicesAreIntended(t *testing.T) {
	ports, _ := managed(t, "nft", "firewalld")
	labelsAre(t, ports, map[int]string{22: "intentional", 5432: "filtered", 6379: "filtered"})
	if !ports[22].has("rule_names_port", "firewalld zone public: service ssh") {
		t.Errorf("not in firewalld's words: %v", ports[22].Reasons)
	}
}

func TestDockersPortsAreFollowedToTheContainer(t *testing.T) {
	for _, backend := range iptablesBackends {
		t.Run(backend, func(t *testing.T) {
			ports, text := managed(t, backend, "docker")
			labelsAre(t, ports, map[int]string{8080: "exposed", 8081: "local"})
			delivered := false
			for _, r := range ports[8080].Reach {
				d := r.DeliveredTo
				delivered = delivered || d != nil && r.Interface == "eth0" && r.Verdict == "accept" && strings.HasPrefix(d.Address, "172.17.0.") && d.Port == 80 && d.Interface == "docker0"
			}
			if !delivered {
				t.Errorf("8080 is not followed to its container: %s", text)
			}
			if !ports[8080].has("automatic_rule", "Docker: published port 80 of container web") {
				t.Errorf("8080's reasons don't name the container: %v", ports[8080].Reasons)
			}
			if !ports[8081].has("link_reaches", "eth0") {
				t.Errorf("8081 doesn't tell of neighbours: %v", ports[8081].Reasons)
			}
			if !slices.ContainsFunc(ports[8080].Remedy, func(r string) bool { return strings.Contains(r, "-I DOCKER-USER") }) {
				t.Errorf("remedy %q", ports[8080].Remedy)
			}
		})
	}
}

func TestDockerGoesAroundUFW(t *testing.T) {
	for _, backend := range iptablesBackends {
		t.Run(backend, func(t *testing.T) {
			ports, _ := managed(t, backend, "docker ufw")
			labelsAre(t, ports, map[int]string{8080: "exposed", 22: "intentional", 6379: "filtered"})
			if !ports[8080].has("bypasses", "ufw") {
				t.Errorf("8080 doesn't say that it bypasses ufw: %v", ports[8080].Reasons)
			}
		})
	}
}

func TestDockerGoesAroundFirewalld(t *testing.T) {
	ports, _ := managed(t, "nft", "firewalld docker")
	labelsAre(t, ports, map[int]string{8080: "exposed"})
	if !ports[8080].has("bypasses", "firewalld") {
		t.Errorf("8080 doesn't say that it bypasses firewalld: %v", ports[8080].Reasons)
	}
}
