package service

import (
	"regexp"
	"slices"
	"testing"
)

func TestNamesOfWellKnownPorts(t *testing.T) {
	for _, c := range []struct {
		protocol string
		port     uint16
		want     string
	}{
		{"tcp", 22, "ssh"}, {"tcp", 80, "http"}, {"udp", 53, "domain"}, {"udp", 161, "snmp"}, {"tcp", 514, "shell"}, {"udp", 514, "syslog"},
		{"tcp", 5432, "postgresql"}, {"tcp", 9200, "elasticsearch"}, {"udp", 51820, "wireguard"}, {"tcp", 0, ""}, {"tcp", 65535, ""}, {"sctp", 22, ""},
	} {
		if got := Name(c.protocol, c.port); got != c.want {
			t.Errorf("%d/%s is %q, want %q", c.port, c.protocol, got, c.want)
		}
	}
	form := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.+*-]*$`)
	for at, name := range names() {
		if !form.MatchString(name) {
			t.Errorf("%v is named %q", at, name)
		}
	}
	if n := len(names()); n < 10000 {
		t.Errorf("%d names: the table is not IANA's", n)
	}
}

func TestCommonPortsAreAThousandAndOnlyOnce(t *testing.T) {
	for _, protocol := range []string{"tcp", "udp"} {
		ports := Common(protocol, 1000)
		if len(ports) != 1000 {
			t.Fatalf("%s: %d ports", protocol, len(ports))
		}
		sorted := slices.Sorted(slices.Values(ports))
		if len(slices.Compact(sorted)) != 1000 || sorted[0] == 0 {
			t.Errorf("%s: a port twice, or 0", protocol)
		}
		if !slices.Equal(Common(protocol, 100), ports[:100]) {
			t.Errorf("%s: the first 100 are others", protocol)
		}
	}
	for protocol, wanted := range map[string][]uint16{
		"tcp": {21, 22, 23, 25, 53, 80, 110, 111, 135, 139, 143, 389, 443, 445, 554, 631, 636, 873, 993, 995, 1433, 1883, 2049, 2375, 2379, 3306, 3389, 5432, 5672, 5900, 6379, 6443, 8080, 8443, 9100, 9200, 10250, 11211, 27017},
		"udp": {53, 67, 69, 111, 123, 137, 161, 500, 514, 1194, 1900, 4500, 5060, 5353, 51820},
	} {
		for _, p := range wanted {
			if !slices.Contains(Common(protocol, 100), p) {
				t.Errorf("%d/%s is not among the first 100", p, protocol)
			}
		}
	}
	if Common("tcp", -1) != nil || Common("sctp", 10) != nil || len(Common("tcp", 1<<20)) < 5000 {
		t.Error("a count out of range")
	}
}

// Every service that is recognised has its ports among the common ones.
func TestPortsOfRecognisedServicesAreCommon(t *testing.T) {
	tcp := Common("tcp", 1000)
	for _, k := range protocols() {
		if len(k.ports)+len(k.securePorts) == 0 || k.name == "" || k.talk == nil {
			t.Errorf("%q: no ports or no talk", k.name)
		}
		for _, p := range append(slices.Clone(k.ports), k.securePorts...) {
			if !slices.Contains(tcp, p) {
				t.Errorf("%s: %d is not among the common ports", k.name, p)
			}
		}
	}
}
