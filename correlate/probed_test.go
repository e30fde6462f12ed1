package correlate

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/scan"
)

// seenAt is what a scan found of TCP ports at an address: lists like "22,80-90".
func seenAt(t *testing.T, address string, fate firewall.Fate, states map[scan.State]string) Seen {
	t.Helper()
	h := scan.Host{Address: netip.MustParseAddr(address)}
	for state, list := range states {
		spans, ok := scan.ParseSpans(list)
		if !ok {
			t.Fatal(list)
		}
		h.Groups = append(h.Groups, scan.Group{Protocol: "tcp", State: state, Ports: spans})
	}
	return Seen{Host: h, Method: "loopback", Expect: func(uint8, uint16) firewall.Part {
		return firewall.Part{Fate: fate, DecidedBy: firewall.Decision{Text: "policy drop"}}
	}}
}

func listening(port uint16, addresses ...string) Exposure {
	e := Exposure{Protocol: "tcp", Port: port, Namespace: "host", Label: Filtered}
	for _, a := range addresses {
		e.Addresses = append(e.Addresses, netip.MustParseAddr(a))
	}
	return e
}

func TestProbesAgainstRules(t *testing.T) {
	device := listening(22, "0.0.0.0")
	device.Devices = []string{"eth1"}
	redirected := listening(22, "0.0.0.0")
	redirected.Redirected = true
	for name, c := range map[string]struct {
		row   Exposure
		fate  firewall.Fate
		state scan.State
		at    string
		want  string // in the disagreement; empty for none
	}{
		"open as the rules say":           {listening(22, "0.0.0.0"), firewall.Accepted, scan.Open, "10.0.0.1", ""},
		"open though dropped":             {listening(22, "0.0.0.0"), firewall.Dropped, scan.Open, "10.0.0.1", "it answers on 10.0.0.1, though the rules would drop the packet: policy drop"},
		"open though rejected":            {listening(22, "10.0.0.1"), firewall.Rejected, scan.Open, "10.0.0.1", "would reject"},
		"closed though let in":            {listening(22, "::"), firewall.Accepted, scan.Closed, "fd00::1", "it is closed on fd00::1"},
		"filtered though let in":          {listening(22, "0.0.0.0"), firewall.Accepted, scan.Filtered, "10.0.0.1", "it is filtered on 10.0.0.1"},
		"filtered as the rules say":       {listening(22, "0.0.0.0"), firewall.Dropped, scan.Filtered, "10.0.0.1", ""},
		"rules that can't tell":           {listening(22, "0.0.0.0"), firewall.Conditional, scan.Filtered, "10.0.0.1", ""},
		"rules that could not be read":    {listening(22, "0.0.0.0"), firewall.Undecided, scan.Open, "10.0.0.1", ""},
		"silence that means anything":     {listening(22, "0.0.0.0"), firewall.Accepted, scan.OpenFiltered, "10.0.0.1", ""},
		"bound to another address":        {listening(22, "10.0.0.9"), firewall.Accepted, scan.Closed, "10.0.0.1", ""},
		"IPv6 that may not serve IPv4":    {listening(22, "::"), firewall.Accepted, scan.Closed, "10.0.0.1", ""},
		"bound to another device":         {device, firewall.Accepted, scan.Closed, "10.0.0.1", ""},
		"led elsewhere by a rule":         {redirected, firewall.Accepted, scan.Closed, "10.0.0.1", ""},
		"open with a rule and no socket":  {redirected, firewall.Dropped, scan.Open, "10.0.0.1", ""},
		"open where nobody listens":       {listening(23, "0.0.0.0"), firewall.Accepted, scan.Open, "10.0.0.1", "it answers on 10.0.0.1, and no socket and no rule explains that"},
		"open at an address nobody is on": {listening(22, "127.0.0.1"), firewall.Accepted, scan.Open, "10.0.0.1", "no socket and no rule"},
		"closed, as nobody listens":       {listening(23, "0.0.0.0"), firewall.Accepted, scan.Closed, "10.0.0.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Hold([]Exposure{c.row}, []Seen{seenAt(t, c.at, c.fate, map[scan.State]string{c.state: "22"})})
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0].Text, c.want)) {
				t.Errorf("%+v, want %q", got, c.want)
			}
		})
	}
}

func TestAPortThatNobodyExplainsIsARow(t *testing.T) {
	seen := []Seen{
		seenAt(t, "127.0.0.1", firewall.Accepted, map[scan.State]string{scan.Open: "22,6000", scan.Closed: "80"}),
		seenAt(t, "10.0.0.1", firewall.Accepted, map[scan.State]string{scan.Open: "6000", scan.Filtered: "22", scan.Closed: "80"}),
	}
	rows := Probed([]Exposure{listening(22, "0.0.0.0"), listening(80, "127.0.0.1"), listening(443, "0.0.0.0")}, seen)
	var got []string
	for _, e := range rows {
		words := []string{e.Label.String(), portText(e), e.Probe.State}
		for _, r := range e.Reasons {
			words = append(words, r.Code)
		}
		got = append(got, strings.Join(words, " "))
	}
	want := []string{
		"filtered 22 open conflict",                       // let in, and filtered at one address
		"filtered 80 closed conflict",                     // bound to 127.0.0.1, and closed there
		"filtered 443 ",                                   // not asked
		"unknown 6000 open unexplained conflict conflict", // at both addresses
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if rows[3].Fingerprint == "" || rows[3].Probe.Method != "loopback" {
		t.Errorf("%+v", rows[3])
	}
}

func portText(e Exposure) string {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), e.Port).String()[8:]
}
