package correlate

import (
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

func acceptAll(firewall.Query) []firewall.Part { return []firewall.Part{accepted(policyOf(input6))} }

func analyze(all ...listeners.Listener) []Exposure {
	return Analyze(Input{Listeners: all, Network: network(), Rules: &firewall.Ruleset{}, Firewall: fakeFirewall(acceptAll)})
}

func TestOneRowForAllAddressesOfTheSameOwners(t *testing.T) {
	rows := analyze(listener("::", 6), listener("0.0.0.0", 4))
	if len(rows) != 1 || len(rows[0].Addresses) != 2 {
		t.Fatalf("%+v", rows)
	}
}

func TestOneRowForEachOwner(t *testing.T) {
	other := listener("127.0.0.1", 4)
	other.Owners = []listeners.Process{{PID: 641, Name: "other"}}
	if rows := analyze(listener("203.0.113.7", 4), other); len(rows) != 2 {
		t.Fatalf("%+v", rows)
	}
}

func TestConnectedClientsAndRawSocketsAreNoPorts(t *testing.T) {
	client := listener("203.0.113.7", 4)
	client.Protocol, client.Role = "udp", listeners.ConnectedClient
	raw := listener("0.0.0.0", 4)
	raw.Protocol = "raw"
	if rows := analyze(client, raw); len(rows) != 0 {
		t.Fatalf("%+v", rows)
	}
}

func TestProbableClientIsSaidToBeOne(t *testing.T) {
	client := listener("0.0.0.0", 4)
	client.Protocol, client.Role = "udp", listeners.ProbableClient
	rows := analyze(client)
	if len(rows) != 1 || rows[0].Reasons[len(rows[0].Reasons)-1].Code != "probable_client" {
		t.Fatalf("%+v", rows)
	}
	dhcp := client
	dhcp.Port = 68
	if row := analyze(dhcp)[0]; row.Reasons[len(row.Reasons)-1].Text != "probably a client's socket: DHCP's" {
		t.Errorf("nobody chose the port of a DHCP client: %+v", row.Reasons)
	}
	if rows := analyze(client, listener("0.0.0.0", 4)); rows[0].ProbableClient || !rows[1].ProbableClient {
		t.Errorf("tcp, then udp: %+v", rows)
	}
}

func TestMPTCPListenerIsATCPPort(t *testing.T) {
	l := listener("0.0.0.0", 4)
	l.Protocol = "mptcp"
	if rows := analyze(l); rows[0].Protocol != "tcp" || rows[0].Service != "ssh" {
		t.Errorf("%+v", rows)
	}
}

func TestFingerprintSurvivesARestart(t *testing.T) {
	before, after := listener("0.0.0.0", 4), listener("0.0.0.0", 4)
	after.Owners = []listeners.Process{{PID: 9000, Name: "sshd", Executable: "/usr/sbin/sshd (deleted)", Deleted: true}}
	a, b := analyze(before)[0].Fingerprint, analyze(after)[0].Fingerprint
	if a != b || len(a) != 16 {
		t.Errorf("%q and %q", a, b)
	}
}

func TestFingerprintTellsOtherPortsAndOwners(t *testing.T) {
	seen := map[string]string{}
	for name, change := range map[string]func(*listeners.Listener){
		"the same":     func(*listeners.Listener) {},
		"port":         func(l *listeners.Listener) { l.Port = 23 },
		"protocol":     func(l *listeners.Listener) { l.Protocol = "udp" },
		"address":      func(l *listeners.Listener) { l.Address = listener("203.0.113.7", 4).Address },
		"executable":   func(l *listeners.Listener) { l.Owners = []listeners.Process{{PID: 1, Executable: "/tmp/sshd"}} },
		"unit":         func(l *listeners.Listener) { l.Owners[0].Unit = "other.service" },
		"device":       func(l *listeners.Listener) { l.Device = "eth0" },
		"the kernel":   func(l *listeners.Listener) { l.Kernel, l.Owners = true, nil },
		"owner unseen": func(l *listeners.Listener) { l.OwnerGap, l.Owners = "no permission", nil },
	} {
		l := listener("0.0.0.0", 4)
		change(&l)
		f := analyze(l)[0].Fingerprint
		if seen[f] != "" {
			t.Errorf("%s and %s share a fingerprint", name, seen[f])
		}
		seen[f] = name
	}
}

func TestUnseenOwnerIsUnknownNotAbsent(t *testing.T) {
	l := listener("0.0.0.0", 4)
	l.Owners, l.OwnerGap = nil, "no permission to read /proc/640/fd"
	e := analyze(l)[0]
	if last := e.Reasons[len(e.Reasons)-1]; last.Code != "owner_unknown" || last.Text != l.OwnerGap {
		t.Errorf("%+v", e.Reasons)
	}
}
