package portmap

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/netglance/netglance/gaps"
)

// multicast is where devices listen for searches (UPnP Device Architecture 2.0, 1.3.2).
var multicast = netip.MustParseAddrPort("239.255.255.250:1900")

// Targets of the search: the device and the services that map ports (UPnP Forum,
// InternetGatewayDevice:1 and :2). Old devices answer for one of them alone.
var targets = []string{
	"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
	"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
	"urn:schemas-upnp-org:service:WANIPConnection:2",
	"urn:schemas-upnp-org:service:WANIPConnection:1",
	"urn:schemas-upnp-org:service:WANPPPConnection:1",
}

// search returns the places of the devices' descriptions, each on the host that
// answered: no answer can send us elsewhere.
func search(ctx context.Context, n Network) ([]*url.URL, []gaps.Gap) {
	if n.Listen == nil {
		return nil, nil
	}
	local := "0.0.0.0:0"
	if n.Local.Is4() {
		local = netip.AddrPortFrom(n.Local, 0).String()
	}
	c, err := n.Listen(ctx, "udp4", local)
	if err != nil {
		return nil, []gaps.Gap{{Source: "SSDP", Reason: "gateways could not be searched for", Err: err}}
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	to := []netip.AddrPort{multicast}
	if n.Gateway.Is4() {
		to = append(to, netip.AddrPortFrom(n.Gateway, multicast.Port()))
	}
	var sent int
	for range 2 { // a datagram is easily lost
		for _, t := range targets {
			for _, a := range to {
				if _, errSend := c.WriteTo(question(t), net.UDPAddrFromAddrPort(a)); errSend == nil {
					sent++
				} else {
					err = errSend
				}
			}
		}
	}
	if sent == 0 {
		return nil, []gaps.Gap{{Source: "SSDP", Reason: "gateways could not be searched for", Err: err}}
	}
	return answers(c), nil
}

func question(target string) []byte {
	return []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: " + target + "\r\n\r\n")
}

// answers reads until the time is up.
func answers(c net.PacketConn) []*url.URL {
	c.SetReadDeadline(time.Now().Add(searchTime))
	var places []*url.URL
	b := make([]byte, 2048)
	for range 1000 {
		size, from, err := c.ReadFrom(b)
		if err != nil {
			break
		}
		place := location(b[:size], from)
		known := place == nil || slices.ContainsFunc(places, func(u *url.URL) bool { return *u == *place })
		if !known && len(places) < maxGateways {
			places = append(places, place)
		}
	}
	slices.SortFunc(places, func(a, b *url.URL) int { return strings.Compare(a.String(), b.String()) })
	return places
}

// location is where an answer says that the device describes itself; nil when that
// is not on the device that answered, or it is no gateway.
func location(b []byte, from net.Addr) *url.URL {
	in := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	first, err := in.ReadLine()
	if err != nil || !strings.HasPrefix(first, "HTTP/1.1 200") {
		return nil
	}
	header, _ := in.ReadMIMEHeader()
	if !slices.Contains(targets, strings.TrimSpace(header.Get("St"))) {
		return nil
	}
	place, err := url.Parse(header.Get("Location"))
	if err != nil {
		return nil
	}
	sender, err := netip.ParseAddrPort(from.String())
	if err != nil || !on(place, sender.Addr()) {
		return nil
	}
	return place
}

// on says that a place is plain HTTP on a host.
func on(place *url.URL, host netip.Addr) bool {
	a, err := netip.ParseAddr(place.Hostname())
	return err == nil && place.Scheme == "http" && a == host.Unmap() && place.User == nil
}
