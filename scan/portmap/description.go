package portmap

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"

	"github.com/netglance/netglance/gaps"
)

// A device is that of a description document (UPnP Device Architecture 2.0, 2.3).
type device struct {
	DeviceType   string    `xml:"deviceType"`
	FriendlyName string    `xml:"friendlyName"`
	ModelName    string    `xml:"modelName"`
	ModelNumber  string    `xml:"modelNumber"`
	Services     []service `xml:"serviceList>service"`
	Devices      []device  `xml:"deviceList>device"`
}

type service struct {
	ServiceType string `xml:"serviceType"`
	ControlURL  string `xml:"controlURL"`
}

type description struct {
	URLBase string `xml:"URLBase"`
	Device  device `xml:"device"`
}

// decode reads XML as devices write it: not always well formed, and now and then in
// Latin-1, whose bytes are the code points.
func decode(text []byte, v any) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if !strings.HasPrefix(strings.ToLower(charset), "iso-8859-1") && !strings.EqualFold(charset, "us-ascii") {
			return nil, fmt.Errorf("character set %q: %w", charset, errors.ErrUnsupported)
		}
		latin, err := io.ReadAll(in)
		runes := make([]rune, len(latin))
		for i, b := range latin {
			runes[i] = rune(b)
		}
		return strings.NewReader(string(runes)), err
	}
	return d.Decode(v)
}

// readDevice reads a description and the mappings of the connections in it.
func readDevice(ctx context.Context, n Network, place *url.URL) (Gateway, []gaps.Gap, bool) {
	host, err := netip.ParseAddr(place.Hostname())
	if err != nil {
		return Gateway{}, nil, false
	}
	source := "UPnP " + place.Host
	body, err := fetch(ctx, n, place, "", nil)
	if err != nil {
		return Gateway{}, []gaps.Gap{{Source: source, Reason: "the gateway's description could not be read", Err: err}}, false
	}
	var d description
	if err := decode(body, &d); err != nil {
		return Gateway{}, []gaps.Gap{{Source: source, Reason: "the gateway's description is not understood", Err: err}}, false
	}
	g := Gateway{Addr: host, Name: clip(d.Device.FriendlyName), Model: clip(strings.TrimSpace(d.Device.ModelName + " " + d.Device.ModelNumber))}
	base := place
	if d.URLBase != "" { // UPnP 1.0
		if b, err := place.Parse(d.URLBase); err == nil && on(b, host) {
			base = b
		}
	}
	switch {
	case strings.HasSuffix(d.Device.DeviceType, ":InternetGatewayDevice:2"):
		g.Protocols = []string{"IGD 2"}
	case strings.HasSuffix(d.Device.DeviceType, ":InternetGatewayDevice:1"):
		g.Protocols = []string{"IGD 1"}
	default:
		return Gateway{}, nil, false
	}
	var unread []gaps.Gap
	for _, s := range connections(d.Device, 0) {
		control, err := base.Parse(s.ControlURL)
		if err != nil || !on(control, host) {
			unread = append(unread, gaps.Gap{Source: source, Reason: "the gateway names a control address that is not its own: it was not asked"})
			continue
		}
		unread = append(unread, g.readConnection(ctx, n, control, s.ServiceType)...)
	}
	return g, unread, true
}

// connections are the services of a device, and of those in it, that map ports.
func connections(d device, depth int) []service {
	const deepest, most = 5, 4
	var out []service
	if depth > deepest {
		return nil
	}
	for _, s := range d.Services {
		if strings.Contains(s.ServiceType, ":WANIPConnection:") || strings.Contains(s.ServiceType, ":WANPPPConnection:") {
			out = append(out, s)
		}
	}
	for _, inner := range d.Devices {
		out = append(out, connections(inner, depth+1)...)
	}
	return out[:min(len(out), most)]
}
