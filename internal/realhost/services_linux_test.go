package realhost

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/netglance/netglance/scan/service"
)

// identifyVariable has the test binary ask services: it is run again beside the daemons.
const identifyVariable = "NETGLANCE_REALHOST_IDENTIFY"

// A seen is a service as it is handed over.
type seen struct {
	Service  service.Service
	Findings []service.Finding
	Error    string
}

// identifyAll reads lines of "tcp 127.0.0.1:22", asks all at once, and prints a line
// of JSON for each.
func identifyAll(in io.Reader, out io.Writer) int {
	var targets []service.Target
	for lines := bufio.NewScanner(in); lines.Scan(); {
		protocol, address, _ := strings.Cut(lines.Text(), " ")
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		targets = append(targets, service.Target{Protocol: protocol, Addr: at})
	}
	results := make([]seen, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			s, err := service.Identify(context.Background(), (&net.Dialer{}).DialContext, t)
			results[i] = seen{Service: s, Findings: service.Findings(t.Protocol, t.Addr.Port(), s)}
			if err != nil {
				results[i].Error = err.Error()
			}
		})
	}
	all.Wait()
	for _, r := range results {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return 1
		}
	}
	return 0
}

var servicePackages = map[string]string{
	"nginx": "nginx-light", "openssl": "openssl", "redis-server": "redis-server", "sshd": "openssh-server", "dnsmasq": "dnsmasq-base",
	"mariadbd": "mariadb-server", "memcached": "memcached", "vsftpd": "vsftpd", "exim4": "exim4-daemon-light", "snmpd": "snmpd",
	"mosquitto": "mosquitto", "avahi-daemon": "avahi-daemon", "ss": "iproute2", "/usr/lib/postgresql/*/bin/postgres": "postgresql",
}

func TestRealServicesAreRecognised(t *testing.T) {
	requirePackages(t, servicePackages)
	pid := startServices(t, "testdata/services.sh")
	number := `\d[\w.]*`
	want := []struct{ protocol, at, service, findings string }{
		{"tcp", "127.0.0.1:21", "ftp vsFTPd " + number, "plain-text version-told"},
		{"tcp", "127.0.0.1:22", "ssh OpenSSH " + number, ""},
		{"tcp", "127.0.0.1:25", "smtp Exim " + number, "version-told"},
		{"tcp", "127.0.0.1:53", "domain dnsmasq " + number, "version-told"},
		{"udp", "127.0.0.1:53", "domain dnsmasq " + number, "amplifier version-told"},
		{"tcp", "127.0.0.1:80", "http nginx " + number, "version-told"},
		{"tcp", "127.0.0.1:443", "http nginx " + number + " TLS 1.[23] web-1.example.org", "certificate-self-signed version-told"},
		{"tcp", "127.0.0.1:1883", "mqtt mosquitto " + number, "no-authentication plain-text version-told"},
		{"tcp", "127.0.0.1:3306", "mysql MariaDB " + number, "plain-text"},
		{"tcp", "127.0.0.1:5432", "postgresql PostgreSQL " + number + ".*", "plain-text"},
		{"tcp", "127.0.0.1:6379", "redis Redis " + number, "no-authentication plain-text"},
		{"tcp", "127.0.0.1:11211", "memcached Memcached " + number, "no-authentication plain-text"},
		{"udp", "127.0.0.1:11211", "memcached Memcached " + number, "amplifier no-authentication plain-text"},
		{"udp", "127.0.0.1:161", "snmp net-snmp ", "amplifier management-interface no-authentication obsolete-protocol"},
		{"udp", "192.0.2.7:5353", "mdns  ", ""},
		// At ports where nobody expects them.
		{"tcp", "127.0.0.1:2722", "ssh OpenSSH " + number, "unusual-port"},
		{"tcp", "127.0.0.1:6390", "redis Redis ", "plain-text unusual-port"},
		{"tcp", "127.0.0.1:8322", "http nginx " + number, "version-told"},
		{"tcp", "127.0.0.1:9643", "http nginx " + number + " TLS 1.[23] web-1.example.org", "certificate-self-signed version-told"},
	}
	var questions strings.Builder
	for _, w := range want {
		fmt.Fprintln(&questions, w.protocol, w.at)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	answers := json.NewDecoder(strings.NewReader(inNamespaces(t, pid, questions.String(), "env", identifyVariable+"=1", self).ok(t)))
	for _, w := range want {
		var got seen
		if err := answers.Decode(&got); err != nil {
			t.Fatal(err)
		}
		s := got.Service
		line := s.Name + " " + s.Product + " " + s.Version
		if s.TLS != nil && s.TLS.Certificate != nil {
			line += " " + s.TLS.Version + " " + strings.Join(s.TLS.Certificate.Names, " ")
		}
		if got.Error != "" || !regexp.MustCompile("^"+w.service+"$").MatchString(line) {
			t.Errorf("%s %s: %q %s, want %q", w.protocol, w.at, line, got.Error, w.service)
		}
		var codes []string
		for _, f := range got.Findings {
			codes = append(codes, f.Code)
		}
		slices.Sort(codes)
		if strings.Join(codes, " ") != w.findings {
			t.Errorf("%s %s: findings %v, want %s", w.protocol, w.at, codes, w.findings)
		}
	}
}

// startServices runs a script in namespaces of its own until the test ends, and
// returns its process.
func startServices(t *testing.T, script string) int {
	t.Helper()
	scratch := filepath.Join(publicDirectory(t), "scratch")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--net", "--uts", "--ipc", "--mount", "--propagation", "private",
		"--pid", "--fork", "--kill-child", "--mount-proc", "bash", script)
	cmd.Env = append(os.Environ(), "SCRATCH="+scratch, "LC_ALL=C.UTF-8")
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		cmd.Wait()
	})
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if lines.Text() == "ready" {
			return firstChild(t, cmd.Process.Pid)
		}
	}
	cmd.Wait()
	t.Fatalf("the daemons did not start:\n%s", complaints.String())
	return 0
}

// firstChild is the process that unshare forked.
func firstChild(t *testing.T, parent int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", parent))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.Fields(string(text) + " none")[0])
	if err != nil {
		t.Fatal(err)
	}
	return child
}

// inNamespaces runs a command beside a process.
func inNamespaces(t *testing.T, pid int, input string, command ...string) result {
	t.Helper()
	return runHere(t, input, append([]string{"nsenter", "--target", strconv.Itoa(pid), "--net", "--uts", "--mount", "--pid"}, command...)...)
}
