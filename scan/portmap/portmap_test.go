package portmap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netglance/netglance/gaps"
)

// A router is one in memory: what it answers to a search, to HTTP, and at port 5351.
type router struct {
	addr    string // "192.168.7.1"
	answers []string
	from    string // of the answers; addr when empty
	page    http.HandlerFunc
	pmp     func([]byte) []byte
}

func (r *router) network() Network {
	return Network{Gateway: netip.MustParseAddr(r.addr), Local: netip.MustParseAddr("192.168.7.20"), Dial: r.dial,
		Listen: func(context.Context, string, string) (net.PacketConn, error) { return &searcher{r: r}, nil }}
}

func (r *router) dial(_ context.Context, network, address string) (net.Conn, error) {
	here, there := net.Pipe()
	switch {
	case network == "udp" && r.pmp != nil && address == r.addr+":5351":
		go func() {
			defer there.Close()
			b := make([]byte, 1100)
			for {
				n, err := there.Read(b)
				if err != nil {
					return
				}
				if answer := r.pmp(bytes.Clone(b[:n])); answer != nil {
					there.Write(answer)
				}
			}
		}()
	case network == "udp":
		go func() { defer there.Close(); io.Copy(io.Discard, there) }()
	case r.page != nil && strings.HasPrefix(address, r.addr+":"):
		listener := &once{conn: there, done: make(chan struct{})}
		go http.Serve(listener, r.page)
	default:
		return nil, errors.New("connection refused by " + address)
	}
	return here, nil
}

// once is a listener of one connection.
type once struct {
	conn net.Conn
	done chan struct{}
}

func (o *once) Accept() (net.Conn, error) {
	if c := o.conn; c != nil {
		o.conn = nil
		return c, nil
	}
	return nil, io.EOF
}
func (o *once) Close() error   { return nil }
func (o *once) Addr() net.Addr { return &net.TCPAddr{} }

// searcher is the socket that the search is sent from.
type searcher struct {
	net.PacketConn
	r     *router
	until time.Time
	next  int
	asked bool
}

func (s *searcher) WriteTo(b []byte, _ net.Addr) (int, error) {
	s.asked = s.asked || bytes.HasPrefix(b, []byte("M-SEARCH * HTTP/1.1\r\n"))
	return len(b), nil
}
func (s *searcher) SetReadDeadline(t time.Time) error { s.until = t; return nil }
func (s *searcher) Close() error                      { return nil }
func (s *searcher) ReadFrom(b []byte) (int, net.Addr, error) {
	if !s.asked || s.next == len(s.r.answers) {
		time.Sleep(time.Until(s.until))
		return 0, nil, errors.New("timeout")
	}
	from := s.r.from
	if from == "" {
		from = s.r.addr
	}
	s.next++
	return copy(b, s.r.answers[s.next-1]), net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 1900)), nil
}

func found(target, location string) string {
	return "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: " + target + "\r\nLOCATION: " + location + "\r\nSERVER: Debian/12 UPnP/1.1 MiniUPnPd/2.3.1\r\n\r\n"
}

const root = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:%d</deviceType><friendlyName>home router</friendlyName><modelName>R1</modelName><modelNumber>7</modelNumber>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:%[1]d</serviceType><controlURL>%s</controlURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>`

func envelope(body string) string {
	return `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>` + body + `</s:Body></s:Envelope>`
}

func mapped(protocol string, external int, client string, internal int, more string) string {
	return envelope(fmt.Sprintf(`<u:GetGenericPortMappingEntryResponse xmlns:u="urn:x"><NewExternalPort>%d</NewExternalPort><NewProtocol>%s</NewProtocol>`+
		`<NewInternalPort>%d</NewInternalPort><NewInternalClient>%s</NewInternalClient>%s</u:GetGenericPortMappingEntryResponse>`, external, protocol, internal, client, more))
}

func faulty(w http.ResponseWriter, code int) {
	w.WriteHeader(500)
	io.WriteString(w, envelope(fmt.Sprintf(`<s:Fault><faultcode>s:Client</faultcode><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode><errorDescription>no</errorDescription></UPnPError></detail></s:Fault>`, code)))
}

// igd serves a description and its mappings, and fails the test when it is asked for
// anything but to read.
func igd(t *testing.T, version int, control string, mappings ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch _, action, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), "#"); action {
		case "":
			fmt.Fprintf(w, root, version, control)
		case "GetExternalIPAddress":
			io.WriteString(w, envelope(`<u:GetExternalIPAddressResponse xmlns:u="urn:x"><NewExternalIPAddress>198.51.100.9</NewExternalIPAddress></u:GetExternalIPAddressResponse>`))
		case "GetGenericPortMappingEntry":
			var index int
			_, after, _ := strings.Cut(string(body), "<NewPortMappingIndex>")
			fmt.Sscanf(after, "%d", &index)
			if index >= len(mappings) {
				faulty(w, 713)
				return
			}
			io.WriteString(w, mappings[index])
		default:
			t.Errorf("the router was asked to %s", action)
		}
	}
}

func read(t *testing.T, n Network) (out []Gateway, unread []gaps.Gap) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		out, unread = Read(t.Context(), n)
		if took := time.Since(begin); took > maxTime {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Minute) // the router's ends
	})
	return out, unread
}

func describe(found []Gateway, unread []gaps.Gap) string {
	var b strings.Builder
	for _, g := range found {
		fmt.Fprintf(&b, "%s %s %s outside %s by %s\n", g.Addr, g.Name, g.Model, g.External, strings.Join(g.Protocols, ", "))
		for _, m := range g.Mappings {
			fmt.Fprintf(&b, "  %s %s→%s enabled %v %q %v", m.Protocol, m.External, m.Internal, m.Enabled, m.Description, m.Lease)
			if m.Remote.IsValid() {
				fmt.Fprintf(&b, " from %s", m.Remote)
			}
			b.WriteByte('\n')
		}
	}
	for _, g := range unread {
		fmt.Fprintf(&b, "gap %s: %s\n", g.Source, g.Reason)
	}
	return b.String()
}

const igd1, igd2 = "urn:schemas-upnp-org:device:InternetGatewayDevice:1", "urn:schemas-upnp-org:device:InternetGatewayDevice:2"

func TestMappingsOfAGateway(t *testing.T) {
	ssh := mapped("TCP", 2222, "192.168.7.20", 22, "<NewEnabled>1</NewEnabled><NewPortMappingDescription>ssh</NewPortMappingDescription><NewLeaseDuration>3600</NewLeaseDuration>")
	game := mapped("UDP", 3074, "192.168.7.30", 3074, "<NewRemoteHost>203.0.113.5</NewRemoteHost><NewEnabled>0</NewEnabled>")
	outside := func(b []byte) []byte {
		if len(b) == 2 {
			return []byte{0, 128, 0, 0, 0, 0, 1, 0, 198, 51, 100, 9}
		}
		return []byte{0, 128, 0, 1, 0, 0, 1, 0} // NAT-PMP refuses PCP's version (RFC 6886, 3.5)
	}
	pcp := func(b []byte) []byte {
		if len(b) != 24 || b[0] != 2 {
			return []byte{2, 128, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0} // unsupported version
		}
		return append([]byte{2, 128, 0, 0}, make([]byte, 20)...)
	}
	for _, c := range []struct {
		name   string
		router router
		want   string
	}{
		{"IGD 1", router{answers: []string{found(igd1, "http://192.168.7.1:5000/root.xml")}, page: igd(t, 1, "/ctl", ssh, game)},
			"192.168.7.1 home router R1 7 outside 198.51.100.9 by IGD 1\n" +
				"  tcp 198.51.100.9:2222→192.168.7.20:22 enabled true \"ssh\" 1h0m0s\n  udp 198.51.100.9:3074→192.168.7.30:3074 enabled false \"\" 0s from 203.0.113.5\n"},
		{"IGD 2 that answers for both, NAT-PMP and PCP", router{answers: []string{found(igd2, "http://192.168.7.1:5000/root.xml"), found(igd1, "http://192.168.7.1:5000/root.xml")}, page: igd(t, 2, "http://192.168.7.1:5000/ctl", ssh),
			pmp: func(b []byte) []byte {
				if len(b) == 2 {
					return outside(b)
				}
				return pcp(b)
			}},
			"192.168.7.1 home router R1 7 outside 198.51.100.9 by IGD 2, NAT-PMP, PCP\n  tcp 198.51.100.9:2222→192.168.7.20:22 enabled true \"ssh\" 1h0m0s\n"},
		{"NAT-PMP alone", router{pmp: outside}, "192.168.7.1   outside 198.51.100.9 by NAT-PMP\n"},
		{"PCP alone", router{pmp: pcp}, "192.168.7.1   outside invalid IP by PCP\n"},
		{"no gateway that maps", router{}, ""},
		{"another device answers", router{answers: []string{found("upnp:rootdevice", "http://192.168.7.1:80/tv.xml")}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.router.addr = "192.168.7.1"
			if got := describe(read(t, c.router.network())); got != c.want {
				t.Errorf("got:\n%swant:\n%s", got, c.want)
			}
		})
	}
}

func TestAMappingLeadsToThisHost(t *testing.T) {
	at := func(s string, enabled bool) Mapping {
		return Mapping{Protocol: "tcp", Internal: netip.MustParseAddrPort(s), Enabled: enabled}
	}
	g := Gateway{Mappings: []Mapping{at("192.168.7.20:22", true), at("192.168.7.20:23", false), at("192.168.7.30:22", true)}}
	got := g.To([]netip.Addr{netip.MustParseAddr("192.168.7.20")})
	if len(got) != 1 || got[0].Internal.Port() != 22 {
		t.Errorf("%v", got)
	}
}

// Whatever is on the local network may answer a search.
func TestHostileGateways(t *testing.T) {
	endless := func(begin, again string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, begin)
			for {
				if _, err := io.WriteString(w, strings.Repeat(again, 100)); err != nil {
					return
				}
			}
		}
	}
	root1 := found(igd1, "http://192.168.7.1:5000/root.xml")
	same := mapped("TCP", 2222, "192.168.7.20", 22, "")
	var many []string
	for i := range maxMappings + 10 {
		many = append(many, mapped("TCP", i+1, "192.168.7.20", i+1, ""))
	}
	for _, c := range []struct {
		name   string
		router router
		want   string
	}{
		{"a place on another host", router{answers: []string{found(igd1, "http://192.0.2.1/root.xml"), found(igd1, "http://localhost:22/"), found(igd1, "file:///etc/passwd")}}, ""},
		{"the answer comes from elsewhere", router{from: "192.168.7.66", answers: []string{root1}, page: igd(t, 1, "/ctl", same)}, ""},
		{"control on another host", router{answers: []string{root1}, page: igd(t, 1, "http://192.0.2.1/ctl", same)}, "not its own: it was not asked"},
		{"a redirect", router{answers: []string{root1}, page: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}}, "could not be read"},
		{"an endless description", router{answers: []string{root1}, page: endless("<root>", "<device>")}, "could not be read"},
		{"a description that is none", router{answers: []string{root1}, page: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<\x1b[2J") }}, "is not understood"},
		{"no answer to the request", router{answers: []string{root1}, page: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, "could not be read"},
		{"the same mapping for ever", router{answers: []string{root1}, page: igd(t, 1, "/ctl", same, same, same)}, "repeats itself after 1"},
		{"more mappings than there can be", router{answers: []string{root1}, page: igd(t, 1, "/ctl", many...)}, "more than 1000 mappings"},
		{"a mapping of nonsense", router{answers: []string{root1}, page: igd(t, 1, "/ctl", mapped("SCTP", 99999, "here", -1, ""))}, "mapping 0 of the gateway is not understood"},
		{"a refusal", router{answers: []string{root1}, page: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("SOAPAction") == "" {
				fmt.Fprintf(w, root, 1, "/ctl")
				return
			}
			faulty(w, 606)
		}}, "ended with an error after 0"},
		{"garbage at the port of NAT-PMP", router{pmp: func([]byte) []byte { return bytes.Repeat([]byte{0xff}, 1000) }}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.router.addr = "192.168.7.1"
			gateways, unread := read(t, c.router.network())
			got := describe(gateways, unread)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got:\n%swant: %s", got, c.want)
			}
		})
	}
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(root, 1, "/ctl")), found(igd1, "http://192.168.7.1:5000/root.xml"))
	f.Add([]byte(mapped("TCP", 2222, "192.168.7.20", 22, "")), found(igd2, "http://192.168.7.1/"))
	f.Add([]byte(`<?xml version="1.0" encoding="iso-8859-1"?><root><device><friendlyName>`+"\xfc"+`</friendlyName></device></root>`), "HTTP/1.1 200 OK\r\n")
	f.Fuzz(func(t *testing.T, text []byte, answer string) {
		var d description
		if decode(text, &d) == nil {
			connections(d.Device, 0)
		}
		var e entry
		if decode(text, &e) == nil {
			e.mapping(netip.Addr{})
		}
		from := &net.UDPAddr{IP: net.IP{192, 168, 7, 1}, Port: 1900}
		if place := location([]byte(answer), from); place != nil && place.Hostname() != "192.168.7.1" {
			t.Errorf("sent to %s", place)
		}
	})
}
