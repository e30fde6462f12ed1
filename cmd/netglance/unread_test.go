package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/netglance/netglance/platform"
)

// A lockedHost is a recorded one of which some sources can't be read.
type lockedHost struct {
	platform.Host
	netlink map[int]error
	files   map[string]error
	holders error
	os      string
}

func (h lockedHost) Netlink(protocol int, request []byte) ([]byte, error) {
	if err := h.netlink[protocol]; err != nil {
		return nil, err
	}
	return h.Host.Netlink(protocol, request)
}

func (h lockedHost) ReadFile(name string) ([]byte, error) {
	if err := h.files[name]; err != nil {
		return nil, err
	}
	return h.Host.ReadFile(name)
}

func (h lockedHost) SocketHolders() ([]byte, error) {
	if h.holders != nil {
		return nil, h.holders
	}
	return h.Host.SocketHolders()
}

func (h lockedHost) OS() string {
	if h.os != "" {
		return h.os
	}
	return h.Host.OS()
}

const netfilter, route, sockDiag = 12, 0, 4

func refused(what string) error { return fmt.Errorf("%s: %w", what, fs.ErrPermission) }

// locked opens web-1 with changes.
func locked(t *testing.T, change func(*lockedHost)) func(string) (platform.Host, error) {
	t.Helper()
	recorded, err := platform.OpenRecording("../../testdata/hosts/web-1.ng")
	if err != nil {
		t.Fatal(err)
	}
	h := lockedHost{Host: recorded, netlink: map[int]error{}, files: map[string]error{}}
	change(&h)
	return func(string) (platform.Host, error) { return h, nil }
}

// labels are the labels in a JSON answer, by port.
func labels(t *testing.T, out string) map[int]string {
	t.Helper()
	var answer struct {
		Complete bool
		Gaps     []struct{ Hint string }
		Ports    []struct {
			Port  int
			Label string
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Complete || len(answer.Gaps) == 0 {
		t.Error("the answer says that it is complete")
	}
	all := map[int]string{}
	for _, p := range answer.Ports {
		all[p.Port] = p.Label
	}
	return all
}

func TestRulesThatCantBeReadAreUnknownNotNoFirewall(t *testing.T) {
	open := locked(t, func(h *lockedHost) { h.netlink[netfilter] = refused("nf_tables") })
	out, _, code := netglanceIn(t, open, "firewall", "--json")
	got := labels(t, out)
	if code != exitDone || got[6379] != "unknown" || got[22] != "unknown" || got[5432] != "local" {
		t.Errorf("ended with %d, labels %v", code, got)
	}
	_, errs, code := netglanceIn(t, open, "firewall", "--fail-on", "exposed")
	if code != exitUnread || !strings.Contains(errs, "nf_tables") || !strings.Contains(errs, "root") {
		t.Errorf("asked to judge: ended with %d, %q", code, errs)
	}
	out, errs, code = netglanceIn(t, open, "firewall", "rules")
	if code != exitDone || out != "" || !strings.Contains(errs, "no permission") {
		t.Errorf("rules: ended with %d, stdout %q, stderr %q", code, out, errs)
	}
	out, _, _ = netglanceIn(t, open, "firewall", "explain", "22", "--from", "192.0.2.1")
	if !strings.Contains(out, ": unknown") {
		t.Errorf("explain: %q", out)
	}
}

func TestLegacyTablesThatFilterBesideAreNotForgotten(t *testing.T) {
	recorded := locked(t, func(*lockedHost) {})
	host, _ := recorded("")
	out, _, _ := netglanceIn(t, func(string) (platform.Host, error) { return legacyHost{host}, nil }, "firewall", "--json")
	if got := labels(t, out); got[6379] != "unknown" || !strings.Contains(out, "iptables-legacy") {
		t.Errorf("labels %v", got)
	}
}

func TestWhetherThereAreLegacyTablesCanBeUnknown(t *testing.T) {
	open := locked(t, func(h *lockedHost) { h.files["/proc/net/ip_tables_names"] = refused("ip_tables_names") })
	out, _, _ := netglanceIn(t, open, "firewall", "--json")
	if got := labels(t, out); got[6379] != "unknown" || got[5432] != "local" || !strings.Contains(out, "whether iptables-legacy filters") || !strings.Contains(out, "run it as root") {
		t.Errorf("labels %v\n%s", got, out)
	}
}

// A legacyHost has loaded tables of iptables-legacy.
type legacyHost struct{ platform.Host }

func (h legacyHost) ReadFile(name string) ([]byte, error) {
	if name == "/proc/net/ip_tables_names" {
		return []byte("nat\nfilter\n"), nil
	}
	return h.Host.ReadFile(name)
}

func TestUnreadNetworkIsUnknown(t *testing.T) {
	out, _, _ := netglanceIn(t, locked(t, func(h *lockedHost) { h.netlink[route] = refused("rtnetlink") }), "firewall", "--json")
	for port, label := range labels(t, out) {
		if label != "unknown" {
			t.Errorf("%d is %s", port, label)
		}
	}
}

func TestUnreadSocketsAreNotNoSockets(t *testing.T) {
	open := locked(t, func(h *lockedHost) {
		h.netlink[sockDiag] = refused("sock_diag")
		for _, name := range []string{"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6"} {
			h.files["/proc/net/"+name] = refused(name)
		}
	})
	out, _, code := netglanceIn(t, open, "firewall", "--json")
	if got := labels(t, out); code != exitDone || len(got) != 0 {
		t.Errorf("ended with %d, labels %v", code, got)
	}
	if _, errs, code := netglanceIn(t, open, "firewall", "--fail-on", "exposed"); code != exitUnread {
		t.Errorf("asked to judge: ended with %d, %q", code, errs)
	}
}

func TestUnseenOwnersAreNullWithAGap(t *testing.T) {
	out, _, code := netglanceIn(t, locked(t, func(h *lockedHost) { h.holders = refused("/proc") }), "firewall", "--json")
	if got := labels(t, out); code != exitDone || got[6379] != "exposed" || !strings.Contains(out, `"owners":null`) {
		t.Errorf("ended with %d, labels %v", code, got)
	}
}

// A tableHost is a host whose sockets come as a table, and whose rules can't be read.
type tableHost struct {
	platform.Host // nil: nothing else is asked for
	os, table     string
}

func (h tableHost) OS() string { return h.os }
func (h tableHost) SocketTable() ([]byte, error) {
	if h.table == "" {
		return nil, fmt.Errorf("lsof: %w", fs.ErrNotExist)
	}
	return []byte(h.table), nil
}

func (h tableHost) SocketHolders() ([]byte, error)     { return nil, refused("proc_info") }
func (h tableHost) Sysctl(name string) ([]byte, error) { return nil, refused("sysctl " + name) }
func (h tableHost) Output(command ...string) ([]byte, error) {
	return nil, refused(command[0])
}

func tableOf(h tableHost) func(string) (platform.Host, error) {
	return func(string) (platform.Host, error) { return h, nil }
}

// 28 is AF_INET6 of FreeBSD.
const freeBSDTable = `{"reader":{"tool":"lsof","uid":0}}
{"socket":{"family":28,"type":1,"localaddr":{"ip":"*","port":22},"remoteaddr":{"ip":"","port":0},"status":"LISTEN","pid":640}}
{"socket":{"family":2,"type":1,"localaddr":{"ip":"127.0.0.1","port":5432},"remoteaddr":{"ip":"","port":0},"status":"LISTEN","pid":701}}
{"process":{"pid":640,"name":"sshd","uid":0,"user":"root"}}
{"process":{"pid":701,"name":"postgres","uid":770,"user":"postgres"}}
`

func TestWhereRulesCantBeReadPortsAreUnknownAndOwned(t *testing.T) {
	open := tableOf(tableHost{os: "freebsd", table: freeBSDTable})
	out, _, code := netglanceIn(t, open, "firewall", "--json")
	if got := labels(t, out); code != exitDone || len(got) != 2 || got[22] != "unknown" || got[5432] != "unknown" {
		t.Errorf("ended with %d, labels %v", code, got)
	}
	out, _, code = netglanceIn(t, open, "firewall")
	if code != exitDone || !strings.Contains(out, "sshd 640") || !strings.Contains(out, "the rules could not be read – run it as root") || !strings.Contains(out, "interfaces and addresses could not be read") {
		t.Errorf("ended with %d: %q", code, out)
	}
	out, _, code = netglanceIn(t, open, "listeners")
	if code != exitDone || !strings.Contains(out, "sshd 640") || !strings.Contains(out, "postgres") {
		t.Errorf("listeners ended with %d: %q", code, out)
	}
	out, _, code = netglanceIn(t, open, "listeners", "--json")
	if code != exitDone || !strings.Contains(out, `"uid":null`) || !strings.Contains(out, `"v6only":null`) {
		t.Errorf("listeners --json ended with %d: %q", code, out)
	}
	if _, errs, code := netglanceIn(t, open, "firewall", "--fail-on", "exposed"); code != exitUnread || !strings.Contains(errs, "pf") {
		t.Errorf("asked to judge: ended with %d, %q", code, errs)
	}
}

func TestASystemWhoseSocketsCantBeReadSaysSo(t *testing.T) {
	for _, os := range []string{"freebsd", "windows"} {
		open := tableOf(tableHost{os: os})
		for _, args := range [][]string{{"firewall"}, {"listeners"}, {"firewall", "--json"}, {"listeners", "--json"}} {
			out, errs, code := netglanceIn(t, open, args...)
			if code != exitDone || !strings.Contains(out+errs, "the sockets could not be read") {
				t.Errorf("%s: %v ended with %d: %q %q", os, args, code, out, errs)
			}
		}
		if _, errs, code := netglanceIn(t, open, "firewall", "rules"); code != exitDone || !strings.Contains(errs, "the rules could not be read") && !strings.Contains(errs, "does not read this system's rules") {
			t.Errorf("%s: rules ended with %d: %q", os, code, errs)
		}
		if _, _, code := netglanceIn(t, open, "firewall", "--fail-on", "exposed"); code != exitUnread {
			t.Errorf("%s: asked to judge: ended with %d", os, code)
		}
	}
}

func TestHostThatCantBeOpenedIsUsage(t *testing.T) {
	_, errs, code := netglanceIn(t, func(string) (platform.Host, error) { return nil, errors.New("broken") }, "listeners", "--host", "x")
	if code != exitUsage || !strings.Contains(errs, "broken") {
		t.Errorf("ended with %d, %q", code, errs)
	}
}
