package correlate

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/scan"
)

// Seen is what a scan found at one address of a host, to be held against what is
// known of the host.
type Seen struct {
	scan.Host
	// Method is how the packets were sent: "loopback" or "lan".
	Method string
	// Expect is what the rules do to a packet like the scan's.
	Expect func(protocol uint8, port uint16) firewall.Part
}

// A Disagreement is a port at which a packet found other than sockets and rules say.
type Disagreement struct {
	Address  netip.Addr
	Protocol string
	Port     uint16
	// Found is what the scan says.
	Found scan.State
	// Said is what the rules do to the packet; nil where no socket and no rule is
	// known that could answer.
	Said *firewall.Part
	Text string
}

// Hold compares rows with what was seen. Where the rules can't be told, or silence
// may mean anything, nothing disagrees.
func Hold(rows []Exposure, seen []Seen) (out []Disagreement) {
	for _, s := range seen {
		for _, row := range rows {
			if d, ok := s.holdRow(row); ok {
				out = append(out, d)
			}
		}
		s.eachOpen(func(protocol string, port uint16) {
			if !slices.ContainsFunc(rows, func(e Exposure) bool { return e.Protocol == protocol && e.has(port) && s.serves(e) != servesNever }) {
				out = append(out, Disagreement{
					Address: s.Address, Protocol: protocol, Port: port, Found: scan.Open,
					Text: fmt.Sprintf("it answers on %s, and no socket and no rule explains that", s.Address),
				})
			}
		})
	}
	return out
}

func (s Seen) eachOpen(f func(protocol string, port uint16)) {
	for _, g := range s.Groups {
		if g.State == scan.Open {
			g.Each(func(port uint16) { f(g.Protocol, port) })
		}
	}
}

func (e Exposure) has(port uint16) bool {
	return e.Port == port || e.LastPort != 0 && e.Port <= port && port <= e.LastPort
}

type serving uint8

const (
	servesNever  serving = iota
	servesMaybe          // through a rule, a device, or an IPv6 socket that may serve IPv4
	servesAlways         // a socket is bound to the address
)

// serves says whether a row's sockets take packets for the address.
func (s Seen) serves(e Exposure) serving {
	if e.Redirected || len(e.Devices) > 0 || e.ProbableClient {
		return servesMaybe
	}
	address := s.Address.WithZone("")
	unspecified := netip.IPv6Unspecified()
	if address.Is4() {
		unspecified = netip.IPv4Unspecified()
	}
	for _, a := range e.Addresses {
		if a = a.WithZone(""); a == address || a == unspecified {
			return servesAlways
		}
	}
	if address.Is4() && slices.Contains(e.Addresses, netip.IPv6Unspecified()) {
		return servesMaybe
	}
	return servesNever
}

func (s Seen) holdRow(e Exposure) (Disagreement, bool) {
	if s.serves(e) != servesAlways || e.LastPort != 0 {
		return Disagreement{}, false
	}
	found := s.State(scan.Endpoint{Protocol: e.Protocol, Port: e.Port})
	if found == scan.StateUnknown || found == scan.OpenFiltered {
		return Disagreement{}, false
	}
	said := s.Expect(Protocols[e.Protocol], e.Port)
	d := Disagreement{Address: s.Address, Protocol: e.Protocol, Port: e.Port, Found: found, Said: &said}
	switch {
	case found == scan.Open && (said.Fate == firewall.Dropped || said.Fate == firewall.Rejected):
		d.Text = fmt.Sprintf("it answers on %s, though the rules would %s the packet: %s", s.Address, said.Fate, said.DecidedBy.Text)
	case found != scan.Open && said.Fate == firewall.Accepted:
		d.Text = fmt.Sprintf("it is %s on %s, though it listens there and the rules let the packet in", found, s.Address)
	default:
		return Disagreement{}, false
	}
	return d, true
}

// Probed notes at each row what was seen, and as a conflict what disagrees. A port
// that answers, though no socket and no rule explains it, is a row of its own.
func Probed(rows []Exposure, seen []Seen) []Exposure {
	for i := range rows {
		rows[i].Probe = probe(rows[i], seen)
	}
	for _, d := range Hold(rows, seen) {
		i := slices.IndexFunc(rows, func(e Exposure) bool { return d.of(e) })
		if i < 0 {
			rows = append(rows, unexplained(d, seen[0].Method))
			continue
		}
		rows[i].Reasons = append(rows[i].Reasons, Reason{Code: "conflict", Text: d.Text})
	}
	Sort(rows)
	return rows
}

// of says whether a row is the one that a disagreement is about.
func (d Disagreement) of(e Exposure) bool {
	if e.Protocol != d.Protocol || e.Port != d.Port || e.LastPort != 0 {
		return false
	}
	if d.Said == nil {
		return len(e.Reasons) > 0 && e.Reasons[0].Code == reasonUnexplained
	}
	return Seen{Host: scan.Host{Address: d.Address}}.serves(e) == servesAlways
}

// reasonUnexplained is a port that answers and has neither a socket nor a rule.
const reasonUnexplained = "unexplained"

func unexplained(d Disagreement, method string) Exposure {
	e := Exposure{
		Protocol: d.Protocol, Port: d.Port, Addresses: []netip.Addr{d.Address}, Namespace: "host", Label: Unknown, Service: Service(d.Protocol, d.Port),
		Reasons: []Reason{
			{Code: reasonUnexplained, Text: "a packet found it open, and it is not known who answers"},
			{Code: "conflict", Text: d.Text},
		},
		Remedy: []string{"look whether it was opened or closed just now: run this again", "look for BPF programs that hand packets to other sockets: bpftool net, bpftool link"},
		Probe:  Probe{State: scan.Open.String(), Method: method},
	}
	e.Fingerprint = fingerprint(e)
	return e
}

// probe is what was seen of a row at all addresses together: open before filtered
// before closed.
func probe(e Exposure, seen []Seen) Probe {
	rank := []scan.State{scan.StateUnknown, scan.OpenFiltered, scan.Closed, scan.Filtered, scan.Open}
	best, method := 0, ""
	for _, s := range seen {
		if s.serves(e) == servesNever || e.LastPort != 0 {
			continue
		}
		state := s.State(scan.Endpoint{Protocol: e.Protocol, Port: e.Port})
		if r := slices.Index(rank, state); r > best {
			best, method = r, s.Method
		}
	}
	switch best {
	case 0:
		return Probe{}
	case 1:
		return Probe{State: "unconfirmed", Method: method}
	}
	return Probe{State: rank[best].String(), Method: method}
}
