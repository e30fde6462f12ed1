package realhost

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An answer is what the tests look at in "firewall --json".
type answer struct {
	Complete bool
	Gaps     []struct{ Source, Reason, Hint string }
	Ports    []port
}

type port struct {
	Protocol string
	Port     uint16
	Label    string
	Owners   []owner
	Reasons  []struct{ Code, Text string }
	Remedy   []string
}

type owner struct {
	Name, Executable, User string
	Unit                   *string
}

func (p port) name() string { return fmt.Sprintf("%d/%s", p.Port, p.Protocol) }

func parse(t *testing.T, text string) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return a
}

func (a answer) port(t *testing.T, name string) port {
	t.Helper()
	for _, p := range a.Ports {
		if p.name() == name {
			return p
		}
	}
	t.Fatalf("no port %s in %+v", name, a.Ports)
	return port{}
}

func TestLabelsOfACarefulAdministrator(t *testing.T) {
	h := start(t, "web-1.nft")
	a := parse(t, h.run(netglance, "firewall", "--json").ok(t))
	if !a.Complete || len(a.Gaps) > 0 {
		t.Errorf("as root, something was left unread: %+v", a.Gaps)
	}
	rows := columns(h.run(netglance, "firewall").ok(t))
	want := []struct {
		port, label, from string
		owner, unit       string
		users             string
		executable        string
	}{
		{"22/tcp", "intentional", "10.0.0.0/8; 2001:db8:ad::/48", "sshd", "ssh.service", "root", "/usr/sbin/sshd"},
		{"53/tcp", "intentional", "203.0.113.0/24", "dnsmasq", "dnsmasq.service", "nobody", "/usr/sbin/dnsmasq"},
		{"53/udp", "intentional", "203.0.113.0/24", "dnsmasq", "dnsmasq.service", "nobody", "/usr/sbin/dnsmasq"},
		{"80/tcp", "intentional", "anywhere", "nginx", "nginx.service", "root www-data", "/usr/sbin/nginx"},
		{"443/tcp", "intentional", "anywhere", "nginx", "nginx.service", "root www-data", "/usr/sbin/nginx"},
		{"5432/tcp", "local", "this host", "postgres", "postgresql@15-main.service", "postgres", "/bin/postgres"},
		{"6379/tcp", "exposed", "anywhere, IPv6 only", "redis-server", "redis-server.service", "redis", "/usr/bin/redis-check-rdb"},
		{"8080/tcp", "filtered", "nobody", "nginx", "nginx.service", "root www-data", "/usr/sbin/nginx"},
	}
	if len(a.Ports) != len(want) {
		t.Errorf("%d ports, want %d", len(a.Ports), len(want))
	}
	for _, w := range want {
		p := a.port(t, w.port)
		if p.Label != w.label {
			t.Errorf("%s is %s, want %s: %+v", w.port, p.Label, w.label, p.Reasons)
		}
		if row := rows[w.port]; len(row) < 5 || row[0] != w.label || row[4] != w.from {
			t.Errorf("the row %q, want %s from %s", row, w.label, w.from)
		}
		if len(p.Owners) == 0 {
			t.Errorf("%s has no owner", w.port)
		}
		var users []string
		for _, o := range p.Owners {
			users = append(users, o.User)
			if o.Name != w.owner || !strings.HasSuffix(o.Executable, w.executable) {
				t.Errorf("%s is owned by %+v, want %s", w.port, o, w.owner)
			}
			if h.units && (o.Unit == nil || *o.Unit != w.unit) {
				t.Errorf("%s: %s has the unit %v, want %s", w.port, o.Name, o.Unit, w.unit)
			}
		}
		slices.Sort(users)
		if got := strings.Join(slices.Compact(users), " "); got != w.users {
			t.Errorf("%s is owned by the users %s, want %s", w.port, got, w.users)
		}
	}
	if n := len(a.port(t, "80/tcp").Owners); n != 3 {
		t.Errorf("80/tcp is owned by %d processes, want nginx's master and two workers", n)
	}
}

var gap = regexp.MustCompile(" {2,}")

// columns are the cells of the text's rows, by port.
func columns(text string) map[string][]string {
	rows := map[string][]string{}
	for line := range strings.Lines(text) {
		if cells := gap.Split(strings.TrimSpace(line), -1); len(cells) > 1 {
			rows[cells[1]] = cells
		}
	}
	return rows
}

func TestIPv6OnlyExposureIsExplained(t *testing.T) {
	h := start(t, "web-1.nft")
	redis := parse(t, h.run(netglance, "firewall", "-p", "6379", "--json").ok(t)).port(t, "6379/tcp")
	if redis.Label != "exposed" || len(redis.Reasons) == 0 {
		t.Fatalf("%+v", redis)
	}
	for _, words := range []string{"inet filter input rule 9 accepts it for both families", `ip redis input rule 1: iifname != "lo" tcp dport 6379 drop`, "IPv6 is left open beside filtered IPv4"} {
		if !strings.Contains(fmt.Sprint(redis.Reasons), words) {
			t.Errorf("nothing says %q: %+v", words, redis.Reasons)
		}
	}
	text := h.run(netglance, "firewall").ok(t)
	first := strings.SplitN(text, "\n", 5)
	if len(first) < 5 || !strings.HasPrefix(first[3], "exposed") || !strings.Contains(first[3], "6379/tcp") || !strings.Contains(first[3], "IPv6 only") {
		t.Errorf("the first row is not redis, exposed over IPv6 only:\n%s", text)
	}

	// The first remedy, typed as it stands, closes the port.
	h.run("sh", "-c", redis.Remedy[0]).ok(t)
	if after := parse(t, h.run(netglance, "firewall", "-p", "6379", "--json").ok(t)).port(t, "6379/tcp"); after.Label != "filtered" {
		t.Errorf("after %q it is %s", redis.Remedy[0], after.Label)
	}
	p := probe{"tcp", 6379, netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8::1"), "eth0"}
	if got := h.connect(t, []probe{p}); got[0] != "drop" {
		t.Errorf("after %q a connection over IPv6 meets %s", redis.Remedy[0], got[0])
	}
}

// readings are the commands whose answers a recording must give too.
var readings = [][]string{
	{"firewall"}, {"firewall", "-v"}, {"firewall", "--json"},
	{"firewall", "rules"}, {"firewall", "rules", "--json"},
	{"listeners"}, {"listeners", "--json"},
	{"firewall", "explain", "6379/tcp"},
	{"policy", "init"}, {"firewall", "--format", "sarif"}, {"firewall", "--format", "openmetrics"},
	{"firewall", "explain", "22/tcp", "--from", "10.1.2.3", "--via", "eth0", "--json"},
	{"firewall", "--all-namespaces"}, {"firewall", "--all-namespaces", "--json"}, {"firewall", "--netns", "sleep"},
	{"firewall", "rules", "--netns", "sleep"}, {"listeners", "--all-namespaces", "--json"}, {"listeners", "--netns", "sleep"},
}

func TestTheSameFromARecordingOnAnotherMachine(t *testing.T) {
	h := start(t, "web-1.nft")
	file := filepath.Join(h.dir, "web-1.ng")
	if r := h.run(netglance, "record", file); r.code != 0 {
		t.Fatalf("record ended with %d: %s", r.code, r.stderr)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range readings {
		t.Run(strings.Join(command, " "), func(t *testing.T) {
			live := h.run(append([]string{netglance}, command...)...).ok(t)
			// Another machine: nobody, without network, rules, processes or name in common.
			args := append([]string{"unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--mount-proc",
				"sh", "-c", `hostname elsewhere; cd /; exec setpriv --reuid nobody --regid nogroup --clear-groups "$@"`, "-",
				"env", "-i", netglance}, command...)
			recorded := runHere(t, "", append(args, "--host", file)...).ok(t)
			if recorded != live {
				t.Errorf("live:\n%s\nrecorded:\n%s", live, recorded)
			}
		})
	}
}
