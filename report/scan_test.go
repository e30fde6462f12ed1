package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/golden"
	"github.com/netglance/netglance/scan"
	"github.com/netglance/netglance/scan/portmap"
	"github.com/netglance/netglance/scan/service"
)

func scanned() Scan {
	spans := func(first, last uint16) []scan.Span { return []scan.Span{{First: first, Last: last}} }
	return Scan{
		Result: scan.Result{
			Started: time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC), Took: 1234 * time.Millisecond, Sent: 1103, Silent: 252, TCP: scan.SYN,
			Asked: scan.Asked{TCP: []uint16{22, 23, 24, 80, 443}, UDP: []uint16{53}},
			Hosts: []scan.Host{
				{
					Address: addr("10.0.0.1"), Name: "router.lan", Up: "arp-response", Hardware: "00:00:0c:01:02:03", Latency: 1300 * time.Microsecond,
					Groups: []scan.Group{
						{Protocol: "tcp", State: scan.Open, Reason: scan.SynAck, Ports: []scan.Span{{First: 22, Last: 23}, {First: 443, Last: 443}}},
						{Protocol: "tcp", State: scan.Closed, Reason: scan.Reset, Ports: spans(100, 1000)},
						{Protocol: "tcp", State: scan.Filtered, Reason: scan.AdminProhibited, Ports: spans(80, 80)},
						{Protocol: "udp", State: scan.OpenFiltered, Reason: scan.NoResponse, Ports: spans(53, 53)},
					},
					Services: map[scan.Endpoint]service.Service{
						{Protocol: "tcp", Port: 22}: {Name: "ssh", Product: "OpenSSH", Version: "9.2p1", Info: "Debian", Banner: "SSH-2.0-OpenSSH_9.2p1"},
						{Protocol: "tcp", Port: 443}: {Name: "http", Product: "nginx", Title: "Router", Access: service.AccessDenied, TLS: &service.TLS{
							Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", ALPN: "h2",
							Certificate: &service.Certificate{Subject: "CN=router", Issuer: "CN=router", Names: []string{"router.lan"}, SelfSigned: true, Key: "RSA 2048"},
						}},
					},
				},
				{Address: addr("10.0.0.2"), Up: "user-set", Err: errors.New("no route to 10.0.0.2"), Groups: []scan.Group{
					{Protocol: "tcp", State: scan.StateUnknown, Reason: scan.NotSent, Ports: spans(22, 24)},
				}},
			},
		},
		Targets: []string{"10.0.0.0/24"}, Arguments: "netglance scan 10.0.0.0/24",
		Vendor: func(string) string { return "Cisco Systems, Inc" },
	}
}

func ownScan() Scan {
	s := scanned()
	s.Targets, s.Loopback, s.Silent, s.Interrupted = nil, true, 0, true
	s.Hosts = []scan.Host{{Address: addr("127.0.0.1"), Own: true, Up: "user-set", Groups: []scan.Group{
		{Protocol: "tcp", State: scan.Open, Reason: scan.SynAck, Ports: []scan.Span{{First: 5432, Last: 5432}}},
	}}}
	return s
}

func comparedScan() Scan {
	s := scanned()
	s.Since = &Comparison{Before: "2026-11-21T08:00:00Z", Changes: []scan.Change{
		{Address: addr("10.0.0.1"), Protocol: "tcp", Port: 22, Kind: scan.ServiceChanged, Before: "ssh OpenSSH 9.1", After: "ssh OpenSSH 9.2p1"},
		{Address: addr("10.0.0.1"), Protocol: "tcp", Port: 23, Kind: scan.PortOpened, Before: "closed", After: "open"},
		{Address: addr("10.0.0.1"), Protocol: "tcp", Port: 25, Kind: scan.PortClosed, Before: "open", After: "closed"},
		{Address: addr("10.0.0.2"), Kind: scan.HostCame},
		{Address: addr("10.0.0.3"), Kind: scan.HostWent},
	}}
	return s
}

func heldScan() Scan {
	s := comparedScan()
	s.Since = nil
	s.Expected = &Expectation{Recording: "web-1.ng", Compared: 1, Disagreements: []correlate.Disagreement{
		{Address: addr("10.0.0.1"), Protocol: "tcp", Port: 22, Found: scan.Open, Text: "it answers on 10.0.0.1, though the rules would drop the packet: policy drop",
			Said: &firewall.Part{Fate: firewall.Dropped, DecidedBy: firewall.Decision{Chain: &firewall.Chain{Table: inet, Name: "input"}, Text: "policy drop"}}},
		{Address: addr("10.0.0.1"), Protocol: "tcp", Port: 23, Found: scan.Open, Text: "it answers on 10.0.0.1, and no socket and no rule explains that"},
	}}
	return s
}

func behindRouter() Scan {
	s := ownScan()
	s.Interrupted = false
	s.Routers = &Routers{Own: []netip.Addr{addr("192.168.7.20")}, Gateways: []portmap.Gateway{
		{Addr: addr("192.168.7.1"), Name: "home\x1b[31m router", Model: "R1", External: addr("198.51.100.9"), Protocols: []string{"IGD 2", "NAT-PMP"}, Mappings: []portmap.Mapping{
			{Protocol: "tcp", External: netip.MustParseAddrPort("198.51.100.9:2222"), Internal: netip.MustParseAddrPort("192.168.7.20:22"), Enabled: true, Description: "ssh", Lease: time.Hour},
			{Protocol: "udp", External: netip.MustParseAddrPort("198.51.100.9:3074"), Internal: netip.MustParseAddrPort("192.168.7.30:3074"), Remote: addr("203.0.113.5")},
		}},
		{Addr: addr("192.168.7.2"), Protocols: []string{"PCP"}},
	}}
	return s
}

func scanOutputs() map[string]func(io.Writer) error {
	return map[string]func(io.Writer) error{
		"scan.txt": func(w io.Writer) error { return ScanText(w, host(), scanned(), Style{}) },
		"scan-color.txt": func(w io.Writer) error {
			return ScanText(w, host(), scanned(), Style{Color: true, Width: 80, Verbose: true})
		},
		"scan-own.txt":     func(w io.Writer) error { return ScanText(w, host(), ownScan(), Style{Width: 100}) },
		"scan.json":        func(w io.Writer) error { return ScanJSON(w, host(), scanned()) },
		"scan-own.json":    func(w io.Writer) error { return ScanJSON(w, gapped(), ownScan()) },
		"scan-nobody.json": func(w io.Writer) error { return ScanJSON(w, Host{}, Scan{}) },
		"scan-since.txt":   func(w io.Writer) error { return ScanText(w, host(), comparedScan(), Style{Quiet: true}) },
		"scan-since.json":  func(w io.Writer) error { return ScanJSON(w, host(), comparedScan()) },
		"scan-expect.txt":  func(w io.Writer) error { return ScanText(w, host(), heldScan(), Style{Quiet: true}) },
		"scan-expect.json": func(w io.Writer) error { return ScanJSON(w, host(), heldScan()) },
		"scan-router.txt":  func(w io.Writer) error { return ScanText(w, host(), behindRouter(), Style{Quiet: true}) },
		"scan-router.json": func(w io.Writer) error { return ScanJSON(w, host(), behindRouter()) },
		"scan.xml":         func(w io.Writer) error { return ScanNmap(w, host(), scanned()) },
	}
}

func TestScanGolden(t *testing.T) {
	for name, f := range scanOutputs() {
		t.Run(name, func(t *testing.T) { golden.Equal(t, name, output(t, f)) })
	}
}

func TestScanJSONFitsItsPublishedSchema(t *testing.T) {
	for name, f := range scanOutputs() {
		if strings.HasSuffix(name, ".json") {
			if err := validate(t, schema(t, "scan.json"), output(t, f)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A scan that was interrupted is not complete, whoever reads its JSON.
func TestAnInterruptedScanIsNotComplete(t *testing.T) {
	for want, s := range map[bool]Scan{true: scanned(), false: ownScan()} {
		var got struct{ Complete bool }
		if err := json.Unmarshal(output(t, func(w io.Writer) error { return ScanJSON(w, host(), s) }), &got); err != nil {
			t.Fatal(err)
		}
		if got.Complete != want {
			t.Errorf("interrupted %v: complete %v", s.Interrupted, got.Complete)
		}
	}
}

// Banners, names and titles are the peer's.
func TestAPeersTextIsNeutralizedInScans(t *testing.T) {
	s := scanned()
	s.Vendor = func(string) string { return hostile }
	h := &s.Hosts[0]
	h.Name, h.Err = hostile, errors.New(hostile)
	h.Services[scan.Endpoint{Protocol: "tcp", Port: 22}] = service.Service{
		Name: hostile, Product: hostile, Version: hostile, Info: hostile, Hostname: hostile, Title: hostile, Banner: hostile,
		TLS: &service.TLS{Version: hostile, Cipher: hostile, ALPN: hostile, Certificate: &service.Certificate{
			Subject: hostile, Issuer: hostile, Names: []string{hostile}, Key: hostile, Signature: hostile, SHA256: hostile}},
	}
	for name, f := range map[string]func(io.Writer) error{
		"text": func(w io.Writer) error { return ScanText(w, host(), s, Style{Verbose: true}) },
		"json": func(w io.Writer) error { return ScanJSON(w, host(), s) },
		"xml":  func(w io.Writer) error { return ScanNmap(w, host(), s) },
	} {
		shown := string(output(t, f))
		for _, r := range strings.ReplaceAll(shown, "\n", "") {
			if r == 0xfffd || r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x200b {
				t.Fatalf("%s: %U in %q", name, r, shown)
			}
		}
		if !strings.Contains(shown, `x1b]0;owned`) {
			t.Errorf("%s: the text is gone: %q", name, shown)
		}
	}
}

func TestNmapsFormatIsWellFormed(t *testing.T) {
	d := xml.NewDecoder(bytes.NewReader(output(t, scanOutputs()["scan.xml"])))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestProgress(t *testing.T) {
	for want, p := range map[string]scan.Progress{
		"starting":                               {},
		"looking for hosts: 12 of 254 addresses": {Looking: true, HostsDone: 12, Hosts: 254},
		"25% · 500 probes · 1000 a second · about 2s left":                          {Sent: 500, Remaining: 1500, Elapsed: 500 * time.Millisecond},
		"99% · 990 probes · 1980 a second · 3 of 4 addresses · under a second left": {Sent: 990, Remaining: 10, Hosts: 4, HostsDone: 3, Elapsed: 500 * time.Millisecond},
	} {
		if got := ScanProgress(p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What is saved is read back as it was, as far as later scans are compared with it.
func TestASavedScanIsReadBack(t *testing.T) {
	var saved bytes.Buffer
	if err := ScanJSON(&saved, host(), scanned()); err != nil {
		t.Fatal(err)
	}
	hosts, err := ReadScan(&saved)
	if err != nil {
		t.Fatal(err)
	}
	if changes := append(scan.Diff(hosts, scanned().Hosts), scan.Diff(scanned().Hosts, hosts)...); len(changes) > 0 {
		t.Errorf("%v", changes)
	}
}

func TestWhatIsNoScanIsRefused(t *testing.T) {
	for _, text := range []string{
		``, `{}`, `[]`, `{"schema_version":"2","scan":{},"hosts":[]}`, `{"schema_version":"1","hosts":[]}`,
		`{"schema_version":"1","scan":{},"hosts":[{"address":"x"}]}`,
		`{"schema_version":"1","scan":{},"hosts":[{"address":"::1","ports":[{"protocol":"sctp","port":1,"state":"open","reason":"reset"}]}]}`,
		`{"schema_version":"1","scan":{},"hosts":[{"address":"::1","ports":[{"protocol":"tcp","port":1,"state":"ajar","reason":"reset"}]}]}`,
		`{"schema_version":"1","scan":{},"hosts":[{"address":"::1","others":[{"protocol":"tcp","ports":"9-1","state":"open","reason":"reset"}]}]}`,
	} {
		if hosts, err := ReadScan(strings.NewReader(text)); !errors.Is(err, ErrNotScan) {
			t.Errorf("%s: %v, %v", text, hosts, err)
		}
	}
}

// A host that takes every connection must not take the memory of a whole scan.
func TestATarpitIsCountedNotListed(t *testing.T) {
	s := scanned()
	s.Hosts = []scan.Host{{Address: addr("10.0.0.1"), Groups: []scan.Group{{Protocol: "tcp", State: scan.Open, Reason: scan.SynAck, Ports: []scan.Span{{First: 1, Last: 65535}}}}}}
	if out := output(t, func(w io.Writer) error { return ScanJSON(w, host(), s) }); len(out) > 3000 || !bytes.Contains(out, []byte(`"ports": "1-65535"`)) {
		t.Errorf("%d bytes: %.2000s", len(out), out)
	}
}
