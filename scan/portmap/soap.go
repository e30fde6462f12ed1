package portmap

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netglance/netglance/gaps"
)

// fetch gets a page, or posts a SOAP action. It follows no redirects.
func fetch(ctx context.Context, n Network, place *url.URL, action string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, soapTime)
	defer cancel()
	method := http.MethodGet
	if action != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, place.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "netglance")
	if action != "" {
		request.Header.Set("Content-Type", `text/xml; charset="utf-8"`)
		request.Header["SOAPAction"] = []string{`"` + action + `"`} // devices want it written so
	}
	client := http.Client{
		Transport:     &http.Transport{DialContext: n.Dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxXML+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxXML:
		return nil, fmt.Errorf("%s: more than %d bytes", place, maxXML)
	case answer.StatusCode == http.StatusInternalServerError && action != "": // a fault
		return text, nil
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", place, answer.Status)
	}
	return text, nil
}

// A fault is UPnP's error (UPnP Device Architecture 2.0, 3.2.5).
type fault struct {
	Code        int    `xml:"Body>Fault>detail>UPnPError>errorCode"`
	Description string `xml:"Body>Fault>detail>UPnPError>errorDescription"`
}

func (f fault) Error() string {
	return fmt.Sprintf("UPnP error %d: %s", f.Code, strconv.Quote(clip(f.Description)))
}

// Errors that end a list: no such index, no such entry, and invalid arguments, which
// some devices answer instead (WANIPConnection:1, 2.4.14).
var endOfList = []int{713, 714, 402}

// call asks a service to do one of its actions, with arguments in XML.
func call(ctx context.Context, n Network, control *url.URL, serviceType, action, arguments string, answer any) error {
	var kind bytes.Buffer
	if err := xml.EscapeText(&kind, []byte(serviceType)); err != nil {
		return err
	}
	body := `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ` +
		`s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:` + action + ` xmlns:u="` + kind.String() + `">` +
		arguments + `</u:` + action + `></s:Body></s:Envelope>`
	text, err := fetch(ctx, n, control, serviceType+"#"+action, []byte(body))
	if err != nil {
		return err
	}
	var f fault
	if err := decode(text, &f); err != nil {
		return err
	}
	if f.Code != 0 {
		return f
	}
	return decode(text, answer)
}

// readConnection asks for the external address and, entry by entry, for the mappings.
func (g *Gateway) readConnection(ctx context.Context, n Network, control *url.URL, serviceType string) []gaps.Gap {
	var outside struct {
		Address string `xml:"Body>GetExternalIPAddressResponse>NewExternalIPAddress"`
	}
	var external netip.Addr
	if err := call(ctx, n, control, serviceType, "GetExternalIPAddress", "", &outside); err == nil {
		external, _ = netip.ParseAddr(strings.TrimSpace(outside.Address))
		if external.IsValid() && external.IsUnspecified() {
			external = netip.Addr{} // not connected
		}
	}
	if !g.External.IsValid() {
		g.External = external
	}
	source := "UPnP " + control.Host
	for index := 0; ; index++ {
		if len(g.Mappings) >= maxMappings {
			return []gaps.Gap{{Source: source, Reason: fmt.Sprintf("the gateway lists more than %d mappings: the rest was not read", maxMappings)}}
		}
		var e entry
		err := call(ctx, n, control, serviceType, "GetGenericPortMappingEntry",
			fmt.Sprintf("<NewPortMappingIndex>%d</NewPortMappingIndex>", index), &e)
		if f, ok := errors.AsType[fault](err); ok && slices.Contains(endOfList, f.Code) {
			return nil
		}
		if err != nil {
			return []gaps.Gap{{Source: source, Reason: fmt.Sprintf("the gateway's list of mappings ended with an error after %d", index), Err: err,
				Hint: "The gateway's own pages show all of its mappings."}}
		}
		m, ok := e.mapping(external)
		if !ok {
			return []gaps.Gap{{Source: source, Reason: fmt.Sprintf("mapping %d of the gateway is not understood", index)}}
		}
		if slices.Contains(g.Mappings, m) { // a device that ignores the index tells the same for ever
			return []gaps.Gap{{Source: source, Reason: fmt.Sprintf("the gateway's list of mappings repeats itself after %d: the rest was not read", index)}}
		}
		g.Mappings = append(g.Mappings, m)
	}
}

// An entry is the answer to GetGenericPortMappingEntry (WANIPConnection:2, 2.5.18).
type entry struct {
	Response struct {
		RemoteHost     string `xml:"NewRemoteHost"`
		ExternalPort   string `xml:"NewExternalPort"`
		Protocol       string `xml:"NewProtocol"`
		InternalPort   string `xml:"NewInternalPort"`
		InternalClient string `xml:"NewInternalClient"`
		Enabled        string `xml:"NewEnabled"`
		Description    string `xml:"NewPortMappingDescription"`
		LeaseDuration  string `xml:"NewLeaseDuration"`
	} `xml:"Body>GetGenericPortMappingEntryResponse"`
}

func (e entry) mapping(external netip.Addr) (Mapping, bool) {
	r := e.Response
	outside, errOutside := strconv.ParseUint(strings.TrimSpace(r.ExternalPort), 10, 16)
	inside, errInside := strconv.ParseUint(strings.TrimSpace(r.InternalPort), 10, 16)
	client, errClient := netip.ParseAddr(strings.TrimSpace(r.InternalClient))
	protocol := strings.ToLower(strings.TrimSpace(r.Protocol))
	if errOutside != nil || errInside != nil || errClient != nil || protocol != "tcp" && protocol != "udp" {
		return Mapping{}, false
	}
	m := Mapping{
		Protocol: protocol, External: netip.AddrPortFrom(external, uint16(outside)), Internal: netip.AddrPortFrom(client, uint16(inside)),
		Enabled: isTrue(r.Enabled), Description: clip(strings.TrimSpace(r.Description)),
	}
	m.Remote, _ = netip.ParseAddr(strings.TrimSpace(r.RemoteHost)) // empty, or a name, which nothing follows from
	if seconds, err := strconv.ParseUint(strings.TrimSpace(r.LeaseDuration), 10, 32); err == nil {
		m.Lease = time.Duration(seconds) * time.Second
	}
	return m, true
}

// isTrue reads a boolean of UPnP, which is true also where the device leaves it out.
func isTrue(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "0", "false", "no":
		return false
	}
	return true
}
