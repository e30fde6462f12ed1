package service

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var midday = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func tlsOf(c Certificate) *TLS {
	if c.NotAfter.IsZero() {
		c.NotAfter = midday.AddDate(1, 0, 0)
	}
	return &TLS{Version: "TLS 1.3", Certificate: &c}
}

func TestFindings(t *testing.T) {
	for _, c := range []struct {
		name     string
		protocol string
		port     uint16
		service  Service
		want     string
	}{
		{"a web server that says little", "tcp", 80, Service{Name: "http", Product: "nginx"}, ""},
		{"a web server that tells its version", "tcp", 80, Service{Name: "http", Product: "nginx", Version: "1.22.1"}, "info version-told"},
		{"an SSH server can't but tell", "tcp", 22, Service{Name: "ssh", Product: "OpenSSH", Version: "9.2p1"}, ""},
		{"SSH of the last century", "tcp", 22, Service{Name: "ssh", Obsolete: []string{"SSH 1"}}, "high obsolete-protocol"},
		{"SSH elsewhere", "tcp", 2722, Service{Name: "ssh"}, "info unusual-port"},
		{"SSH at its second port", "tcp", 2222, Service{Name: "ssh"}, ""},
		{"SSH where HTTPS is expected", "tcp", 443, Service{Name: "ssh"}, "low unusual-port"},
		{"a web page anywhere", "tcp", 8322, Service{Name: "http"}, ""},
		{"a web page where mail is expected", "tcp", 25, Service{Name: "http"}, "low unusual-port"},
		{"a page with a login", "tcp", 80, Service{Name: "http", Access: AccessDenied}, "medium plain-text"},
		{"the same over TLS", "tcp", 443, Service{Name: "http", Access: AccessDenied, TLS: tlsOf(Certificate{})}, ""},
		{"a router's page", "tcp", 80, Service{Name: "http", Title: "RouterOS router configuration page"}, "low management-interface"},
		{"telnet", "tcp", 23, Service{Name: "telnet"}, "high plain-text"},
		{"rlogin, which says nothing", "tcp", 513, Service{}, "high plain-text, low obsolete-service"},
		{"chargen", "tcp", 19, Service{}, "low obsolete-service"},
		{"FTP", "tcp", 21, Service{Name: "ftp"}, "medium plain-text"},
		{"FTP that offers TLS", "tcp", 21, Service{Name: "ftp", StartTLS: true}, "info plain-text"},
		{"IMAP within TLS", "tcp", 993, Service{Name: "imap", TLS: tlsOf(Certificate{})}, ""},
		{"mail that offers TLS", "tcp", 25, Service{Name: "smtp", StartTLS: true}, ""},
		{"Redis for all", "tcp", 6379, Service{Name: "redis", Access: AccessOpen}, "high no-authentication, low plain-text"},
		{"Redis with a password", "tcp", 6379, Service{Name: "redis", Access: AccessDenied}, "low plain-text"},
		{"Docker for all", "tcp", 2375, Service{Name: "docker", Access: AccessOpen}, "high no-authentication, medium management-interface"},
		{"VNC without a password", "tcp", 5900, Service{Name: "vnc", Access: AccessOpen}, "high no-authentication, medium management-interface, medium plain-text"},
		{"VNC in TLS", "tcp", 5900, Service{Name: "vnc", Info: "security: VeNCrypt", Access: AccessDenied}, "medium management-interface"},
		{"SNMP with the community that all know", "udp", 161, Service{Name: "snmp", Access: AccessOpen, Obsolete: []string{"SNMP 2c"}},
			"medium no-authentication, medium obsolete-protocol, low amplifier, low management-interface"},
		{"SNMP 3 alone", "udp", 161, Service{Name: "snmp"}, "low management-interface"},
		{"SMB 1", "tcp", 445, Service{Name: "microsoft-ds", Obsolete: []string{"SMB 1"}}, "high obsolete-protocol"},
		{"RDP of old", "tcp", 3389, Service{Name: "rdp", Obsolete: []string{"standard RDP security"}}, "medium management-interface, medium obsolete-protocol"},
		{"memcached over UDP", "udp", 11211, Service{Name: "memcached", Access: AccessOpen}, "high amplifier, high no-authentication, low plain-text"},
		{"a resolver", "udp", 53, Service{Name: "domain", Info: recursion}, "low amplifier"},
		{"the same over TCP", "tcp", 53, Service{Name: "domain", Info: recursion}, ""},
		{"a name server", "udp", 53, Service{Name: "domain"}, ""},
		{"NTP that talks", "udp", 123, Service{Name: "ntp", Info: "stratum 2; " + controlQueries}, "low amplifier"},
		{"a broker for all", "tcp", 1883, Service{Name: "mqtt", Access: AccessOpen}, "medium no-authentication, low plain-text"},
		{"old TLS", "tcp", 443, Service{Name: "http", TLS: tlsOf(Certificate{}), Obsolete: []string{"TLS 1.1"}}, "medium obsolete-protocol"},
		{"an ended certificate", "tcp", 443, Service{Name: "http", TLS: tlsOf(Certificate{NotAfter: midday.Add(-time.Hour)})}, "medium certificate-expired"},
		{"one that ends soon", "tcp", 443, Service{Name: "http", TLS: tlsOf(Certificate{NotAfter: midday.Add(24 * time.Hour)})}, "low certificate-ends-soon"},
		{"one of the future", "tcp", 443, Service{Name: "http", TLS: tlsOf(Certificate{NotBefore: midday.Add(time.Hour)})}, "medium certificate-not-yet-valid"},
		{"a weak one, signed by itself", "tcp", 443, Service{Name: "http", TLS: tlsOf(Certificate{SelfSigned: true, Key: "RSA 1024", Signature: "SHA1-RSA"})},
			"medium certificate-weak, medium certificate-weak, info certificate-self-signed"},
		{"a strong one", "tcp", 443, Service{Name: "http", TLS: tlsOf(Certificate{Key: "RSA 2048", Signature: "SHA256-RSA"})}, ""},
		{"nothing recognised", "tcp", 40000, Service{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, f := range findings(sighting{c.service, c.protocol, c.port, midday}) {
				got = append(got, f.Severity+" "+f.Code)
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), c.want)
			}
		})
	}
}

// Each says what is wrong and what to do, in sentences.
func TestFindingsAreSentences(t *testing.T) {
	code := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for _, c := range conversations {
		for _, protocol := range []string{"tcp", "udp"} {
			s, _ := identify(t, &network{serve: script(c.serve[0], c.serve[1:]...)}, "tcp", c.port)
			for _, f := range Findings(protocol, c.port, s) {
				if !slices.Contains(severities, f.Severity) || !code.MatchString(f.Code) || !strings.HasSuffix(f.Text, ".") || !strings.HasSuffix(f.Remedy, ".") {
					t.Errorf("%s: %+v", c.name, f)
				}
			}
		}
	}
}

// A service that can be open to all has a word on it.
func TestEveryOpenServiceIsExplained(t *testing.T) {
	for name := range openTo {
		if f := openAccess(sighting{Service: Service{Name: name, Access: AccessOpen}}); len(f) != 1 || f[0].Remedy == "" {
			t.Errorf("%s: %+v", name, f)
		}
		if name != "opensearch" && len(usualPorts(name)) == 0 {
			t.Errorf("%s is recognised nowhere", name)
		}
	}
}
