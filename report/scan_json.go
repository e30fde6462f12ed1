package report

import (
	"io"
	"time"

	"github.com/netglance/netglance/scan"
	"github.com/netglance/netglance/scan/service"
)

type scanDocument struct {
	document
	Scan  scanJSON       `json:"scan"`
	Hosts []scanHostJSON `json:"hosts"`
	// Since is absent when nothing was compared.
	Since *comparisonJSON `json:"since,omitempty"`
	// Expected is absent when no recording was given.
	Expected *expectationJSON `json:"expected,omitempty"`
	// Routers is absent when they weren't asked, empty when none answered.
	Routers *[]routerJSON `json:"routers,omitempty"`
}

type scanJSON struct {
	Started string   `json:"started"`
	Seconds float64  `json:"seconds"`
	Targets []string `json:"targets"`
	TCP     string   `json:"tcp_method"`
	Probes  int      `json:"probes"`
	// Interrupted: what is missing was not asked.
	Interrupted bool `json:"interrupted"`
	// Silent are the addresses at which nobody was found.
	Silent int `json:"addresses_silent"`
}

type scanHostJSON struct {
	Address  string         `json:"address"`
	Name     string         `json:"name"`
	Own      bool           `json:"own"`
	Up       string         `json:"up"`
	Hardware string         `json:"hardware"`
	Vendor   string         `json:"vendor"`
	Latency  *float64       `json:"latency_ms"`
	Ports    []scanPortJSON `json:"ports"`
	Others   []scanRestJSON `json:"others"`
	Error    string         `json:"error,omitempty"`
}

type scanPortJSON struct {
	Protocol string               `json:"protocol"`
	Port     uint16               `json:"port"`
	State    string               `json:"state"`
	Reason   string               `json:"reason"`
	Service  string               `json:"service"`
	Told     *toldJSON            `json:"told,omitempty"`
	Findings []serviceFindingJSON `json:"findings"`
}

// toldJSON is what the service said of itself.
type toldJSON struct {
	Product  string   `json:"product"`
	Version  string   `json:"version"`
	Info     string   `json:"info"`
	Hostname string   `json:"hostname"`
	Title    string   `json:"title"`
	Banner   string   `json:"banner"`
	Access   string   `json:"access"`
	StartTLS bool     `json:"starttls"`
	TLS      *tlsJSON `json:"tls"`
}

type tlsJSON struct {
	Version     string           `json:"version"`
	Cipher      string           `json:"cipher"`
	ALPN        string           `json:"alpn"`
	Certificate *certificateJSON `json:"certificate"`
}

type certificateJSON struct {
	Subject    string   `json:"subject"`
	Issuer     string   `json:"issuer"`
	Names      []string `json:"names"`
	NotBefore  string   `json:"not_before"`
	NotAfter   string   `json:"not_after"`
	SelfSigned bool     `json:"self_signed"`
	Key        string   `json:"key"`
	Signature  string   `json:"signature"`
	SHA256     string   `json:"sha256"`
}

type serviceFindingJSON struct {
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Text     string `json:"text"`
	Remedy   string `json:"remedy"`
}

type scanRestJSON struct {
	Protocol string `json:"protocol"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Count    int    `json:"count"`
	Ports    string `json:"ports"`
}

// ScanJSON writes the answer of "netglance scan" (schema/scan.json).
func ScanJSON(w io.Writer, h Host, s Scan) error {
	d := scanDocument{document: newDocument(h), Hosts: []scanHostJSON{}, Since: s.Since.json(), Expected: s.Expected.json(), Scan: scanJSON{
		Started: s.Started.UTC().Format(time.RFC3339), Seconds: s.Took.Seconds(), Targets: cleanAll(s.Targets),
		TCP: s.TCP.String(), Probes: s.Sent, Interrupted: s.Interrupted, Silent: s.Silent,
	}}
	d.Complete = d.Complete && !s.Interrupted
	if s.Routers != nil {
		routers := s.Routers.json()
		d.Routers = &routers
	}
	for _, host := range s.Hosts {
		d.Hosts = append(d.Hosts, s.hostJSON(host))
	}
	return writeJSON(w, d)
}

func (s Scan) hostJSON(h scan.Host) scanHostJSON {
	out := scanHostJSON{
		Address: Clean(h.Address.String()), Name: Clean(h.Name), Own: h.Own, Up: h.Up, Hardware: Clean(h.Hardware), Vendor: Clean(s.vendor(h.Hardware)),
		Ports: []scanPortJSON{}, Others: []scanRestJSON{},
	}
	if h.Latency > 0 {
		ms := float64(h.Latency.Microseconds()) / 1000
		out.Latency = &ms
	}
	if h.Err != nil {
		out.Error = Clean(h.Err.Error())
	}
	rows, counted := scanRows(h)
	for _, r := range rows {
		out.Ports = append(out.Ports, r.json())
	}
	for _, g := range counted {
		out.Others = append(out.Others, scanRestJSON{g.Protocol, g.State.String(), g.Reason.String(), g.Count(), scan.Spans(g.Ports)})
	}
	return out
}

func (r scanRow) json() scanPortJSON {
	out := scanPortJSON{Protocol: r.protocol, Port: r.port, State: r.state.String(), Reason: r.reason.String(), Service: Clean(r.name()), Findings: []serviceFindingJSON{}}
	for _, f := range r.findings {
		out.Findings = append(out.Findings, serviceFindingJSON{Clean(f.Severity), Clean(f.Code), Clean(f.Text), Clean(f.Remedy)})
	}
	if r.asked {
		out.Told = told(r.service)
	}
	return out
}

func told(s service.Service) *toldJSON {
	out := &toldJSON{
		Product: Clean(s.Product), Version: Clean(s.Version), Info: Clean(s.Info), Hostname: Clean(s.Hostname), Title: Clean(s.Title),
		Banner: Clean(s.Banner), Access: s.Access.String(), StartTLS: s.StartTLS,
	}
	if s.TLS == nil {
		return out
	}
	out.TLS = &tlsJSON{Version: Clean(s.TLS.Version), Cipher: Clean(s.TLS.Cipher), ALPN: Clean(s.TLS.ALPN)}
	if c := s.TLS.Certificate; c != nil {
		out.TLS.Certificate = &certificateJSON{
			Subject: Clean(c.Subject), Issuer: Clean(c.Issuer), Names: cleanAll(c.Names), SelfSigned: c.SelfSigned,
			NotBefore: c.NotBefore.UTC().Format(time.RFC3339), NotAfter: c.NotAfter.UTC().Format(time.RFC3339),
			Key: Clean(c.Key), Signature: Clean(c.Signature), SHA256: Clean(c.SHA256),
		}
	}
	return out
}
