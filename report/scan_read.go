package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/netglance/netglance/scan"
	"github.com/netglance/netglance/scan/service"
)

// ErrNotScan says that a text is not what ScanJSON writes.
var ErrNotScan = errors.New("not the JSON of a scan")

// mostScanBytes is how much is ever read of a saved scan.
const mostScanBytes = 256 << 20

// ReadScan reads the hosts of a scan that ScanJSON wrote.
func ReadScan(r io.Reader) ([]scan.Host, error) {
	var d struct {
		SchemaVersion string         `json:"schema_version"`
		Scan          *scanJSON      `json:"scan"`
		Hosts         []scanHostJSON `json:"hosts"`
	}
	if err := json.NewDecoder(io.LimitReader(r, mostScanBytes)).Decode(&d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScan, err)
	}
	if d.SchemaVersion != Version || d.Scan == nil {
		return nil, fmt.Errorf("%w of version %s", ErrNotScan, Version)
	}
	var out []scan.Host
	for _, h := range d.Hosts {
		host, err := h.host()
		if err != nil {
			return nil, err
		}
		out = append(out, host)
	}
	return out, nil
}

func (h scanHostJSON) host() (scan.Host, error) {
	address, err := netip.ParseAddr(h.Address)
	if err != nil {
		return scan.Host{}, fmt.Errorf("%w: the address %q", ErrNotScan, h.Address)
	}
	out := scan.Host{Address: address, Name: h.Name, Own: h.Own, Up: h.Up, Hardware: h.Hardware, Services: map[scan.Endpoint]service.Service{}}
	add := func(protocol, state, reason string, ports []scan.Span) error {
		s, known := scan.ParseState(state)
		r, named := scan.ParseReason(reason)
		if !known || !named || protocol != "tcp" && protocol != "udp" {
			return fmt.Errorf("%w: %s: %q %q %q", ErrNotScan, address, protocol, state, reason)
		}
		out.Groups = append(out.Groups, scan.Group{Protocol: protocol, State: s, Reason: r, Ports: ports})
		return nil
	}
	for _, p := range h.Ports {
		if err := add(p.Protocol, p.State, p.Reason, []scan.Span{{First: p.Port, Last: p.Port}}); err != nil {
			return out, err
		}
		if p.Told != nil {
			out.Services[scan.Endpoint{Protocol: p.Protocol, Port: p.Port}] = service.Service{Name: p.Service, Product: p.Told.Product, Version: p.Told.Version}
		}
	}
	for _, o := range h.Others {
		spans, ok := scan.ParseSpans(o.Ports)
		if !ok {
			return out, fmt.Errorf("%w: %s: the ports %q", ErrNotScan, address, o.Ports)
		}
		if err := add(o.Protocol, o.State, o.Reason, spans); err != nil {
			return out, err
		}
	}
	return out, nil
}
