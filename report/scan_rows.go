package report

import (
	"cmp"
	"slices"

	"github.com/netglance/netglance/scan"
	"github.com/netglance/netglance/scan/service"
)

// A Scan is the answer of "netglance scan".
type Scan struct {
	scan.Result
	// Targets are the words of the command line.
	Targets []string
	// Arguments is the whole command line.
	Arguments string
	// Loopback says that no target was given: the host scanned itself.
	Loopback bool
	// Vendor names the maker of a link address; empty if unknown.
	Vendor func(hardware string) string
	// Since is how it differs from an earlier scan; nil if that wasn't asked.
	Since *Comparison
	// Expected is how it differs from what a recording of the host says; nil if that
	// wasn't asked.
	Expected *Expectation
	// Routers are the gateways that map ports; nil if they weren't asked.
	Routers *Routers
}

// listedPorts is how many ports of one state and reason are listed one by one when
// they aren't open; more are counted, as nmap does.
const listedPorts = 25

// listedOpenPorts is the same for open ports: a host with more takes every connection,
// whatever the port.
const listedOpenPorts = 5000

// A scanRow is a port that is listed.
type scanRow struct {
	protocol string
	port     uint16
	state    scan.State
	reason   scan.Reason
	service  service.Service
	asked    bool // the service was
	findings []service.Finding
}

// scanRows are the ports of a host that are listed, by protocol and number, and the
// groups of those that are only counted.
func scanRows(h scan.Host) (rows []scanRow, counted []scan.Group) {
	for _, g := range h.Groups {
		if n := g.Count(); n > listedOpenPorts || n > listedPorts && g.State != scan.Open {
			counted = append(counted, g)
			continue
		}
		g.Each(func(port uint16) {
			row := scanRow{protocol: g.Protocol, port: port, state: g.State, reason: g.Reason}
			row.service, row.asked = h.Services[scan.Endpoint{Protocol: g.Protocol, Port: port}]
			if row.asked {
				row.findings = service.Findings(g.Protocol, port, row.service)
			}
			rows = append(rows, row)
		})
	}
	slices.SortStableFunc(rows, func(a, b scanRow) int {
		return cmp.Or(cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.port, b.port))
	})
	return rows, counted
}

// name is what was spoken at a port, or else what usually is.
func (r scanRow) name() string {
	return cmp.Or(r.service.Name, service.Name(r.protocol, r.port))
}

func (s Scan) vendor(hardware string) string {
	if s.Vendor == nil || hardware == "" {
		return ""
	}
	return s.Vendor(hardware)
}
