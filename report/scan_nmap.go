package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/netglance/netglance/scan"
)

// The elements of nmap's XML output (nmap.dtd, version 1.05) that tools read.
type nmapRun struct {
	XMLName  xml.Name     `xml:"nmaprun"`
	Scanner  string       `xml:"scanner,attr"`
	Args     string       `xml:"args,attr"`
	Start    int64        `xml:"start,attr"`
	StartStr string       `xml:"startstr,attr"`
	Version  string       `xml:"version,attr"`
	Format   string       `xml:"xmloutputversion,attr"`
	Infos    []nmapInfo   `xml:"scaninfo"`
	Hosts    []nmapHost   `xml:"host"`
	Stats    nmapRunStats `xml:"runstats"`
}

type nmapInfo struct {
	Type     string `xml:"type,attr"`
	Protocol string `xml:"protocol,attr"`
	Number   int    `xml:"numservices,attr"`
	Services string `xml:"services,attr"`
}

type nmapHost struct {
	Status    nmapStatus    `xml:"status"`
	Addresses []nmapAddress `xml:"address"`
	Names     nmapNames     `xml:"hostnames"`
	Ports     nmapPorts     `xml:"ports"`
	Times     *nmapTimes    `xml:"times"`
}

type nmapStatus struct {
	State  string `xml:"state,attr"`
	Reason string `xml:"reason,attr"`
	TTL    int    `xml:"reason_ttl,attr"`
}

type nmapAddress struct {
	Address string `xml:"addr,attr"`
	Type    string `xml:"addrtype,attr"`
	Vendor  string `xml:"vendor,attr,omitempty"`
}

type nmapNames struct {
	Names []nmapName `xml:"hostname"`
}

type nmapName struct {
	Name string `xml:"name,attr"`
	Type string `xml:"type,attr"`
}

type nmapPorts struct {
	Extra []nmapExtra `xml:"extraports"`
	Ports []nmapPort  `xml:"port"`
}

type nmapExtra struct {
	State   string           `xml:"state,attr"`
	Count   int              `xml:"count,attr"`
	Reasons []nmapExtraCause `xml:"extrareasons"`
}

type nmapExtraCause struct {
	Reason   string `xml:"reason,attr"`
	Count    int    `xml:"count,attr"`
	Protocol string `xml:"proto,attr"`
	Ports    string `xml:"ports,attr"`
}

type nmapPort struct {
	Protocol string       `xml:"protocol,attr"`
	Port     uint16       `xml:"portid,attr"`
	State    nmapStatus   `xml:"state"`
	Service  *nmapService `xml:"service"`
}

type nmapService struct {
	Name       string `xml:"name,attr"`
	Product    string `xml:"product,attr,omitempty"`
	Version    string `xml:"version,attr,omitempty"`
	Extra      string `xml:"extrainfo,attr,omitempty"`
	Hostname   string `xml:"hostname,attr,omitempty"`
	Tunnel     string `xml:"tunnel,attr,omitempty"`
	Method     string `xml:"method,attr"`
	Confidence int    `xml:"conf,attr"`
}

type nmapTimes struct {
	Smoothed int64 `xml:"srtt,attr"`   // microseconds
	Varied   int64 `xml:"rttvar,attr"` // microseconds
	Timeout  int64 `xml:"to,attr"`     // microseconds
}

type nmapRunStats struct {
	Finished nmapFinished `xml:"finished"`
	Hosts    nmapHosts    `xml:"hosts"`
}

type nmapFinished struct {
	Time    int64  `xml:"time,attr"`
	TimeStr string `xml:"timestr,attr"`
	Elapsed string `xml:"elapsed,attr"`
	Exit    string `xml:"exit,attr"`
}

type nmapHosts struct {
	Up    int `xml:"up,attr"`
	Down  int `xml:"down,attr"`
	Total int `xml:"total,attr"`
}

// nmapTime is the format of C's ctime, which nmap writes.
const nmapTime = "Mon Jan _2 15:04:05 2006"

// ScanNmap writes the answer as nmap's XML, for programs that read that.
func ScanNmap(w io.Writer, h Host, s Scan) error {
	end := s.Started.Add(s.Took)
	out := nmapRun{
		Scanner: "netglance", Args: Clean(s.Arguments), Start: s.Started.Unix(), StartStr: s.Started.UTC().Format(nmapTime),
		Version: Clean(h.Tool), Format: "1.05", Infos: s.nmapInfos(),
		Stats: nmapRunStats{
			Finished: nmapFinished{end.Unix(), end.UTC().Format(nmapTime), fmt.Sprintf("%.2f", s.Took.Seconds()), "success"},
			Hosts:    nmapHosts{len(s.Hosts), s.Silent, len(s.Hosts) + s.Silent},
		},
	}
	if s.Interrupted {
		out.Stats.Finished.Exit = "error"
	}
	for _, host := range s.Hosts {
		out.Hosts = append(out.Hosts, s.nmapHost(host))
	}
	if _, err := io.WriteString(w, xml.Header+"<!DOCTYPE nmaprun>\n"); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s Scan) nmapInfos() (out []nmapInfo) {
	add := func(kind, protocol string, ports []uint16) {
		if len(ports) > 0 {
			out = append(out, nmapInfo{kind, protocol, len(ports), scan.Ports(ports)})
		}
	}
	add(s.TCP.String(), "tcp", s.Asked.TCP)
	add("udp", "udp", s.Asked.UDP)
	return out
}

func (s Scan) nmapHost(h scan.Host) nmapHost {
	kind := "ipv4"
	if h.Address.Is6() {
		kind = "ipv6"
	}
	out := nmapHost{
		Status:    nmapStatus{State: "up", Reason: h.Up},
		Addresses: []nmapAddress{{Address: Clean(h.Address.String()), Type: kind}},
	}
	if h.Hardware != "" {
		out.Addresses = append(out.Addresses, nmapAddress{strings.ToUpper(Clean(h.Hardware)), "mac", Clean(s.vendor(h.Hardware))})
	}
	if h.Name != "" {
		out.Names.Names = []nmapName{{Clean(h.Name), "user"}}
	}
	if h.Latency > 0 {
		us := h.Latency.Microseconds()
		out.Times = &nmapTimes{us, us / 2, 3 * us}
	}
	rows, counted := scanRows(h)
	for _, g := range counted {
		cause := nmapExtraCause{g.Reason.String(), g.Count(), g.Protocol, scan.Spans(g.Ports)}
		out.Ports.Extra = append(out.Ports.Extra, nmapExtra{g.State.String(), g.Count(), []nmapExtraCause{cause}})
	}
	for _, r := range rows {
		out.Ports.Ports = append(out.Ports.Ports, r.nmap())
	}
	return out
}

func (r scanRow) nmap() nmapPort {
	out := nmapPort{Protocol: r.protocol, Port: r.port, State: nmapStatus{State: r.state.String(), Reason: r.reason.String()}}
	name := r.name()
	if name == "" {
		return out
	}
	out.Service = &nmapService{Name: Clean(name), Method: "table", Confidence: 3}
	if r.service.Name == "" {
		return out
	}
	out.Service = &nmapService{
		Name: Clean(name), Product: Clean(r.service.Product), Version: Clean(r.service.Version), Extra: Clean(r.service.Info),
		Hostname: Clean(r.service.Hostname), Method: "probed", Confidence: 10,
	}
	if r.service.TLS != nil && !r.service.StartTLS {
		out.Service.Tunnel = "ssl"
	}
	return out
}
