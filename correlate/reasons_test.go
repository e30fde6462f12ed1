package correlate

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// byFamily analyzes a port of both families whose packets meet one part each.
func byFamily(t *testing.T, four, six firewall.Part) Exposure {
	t.Helper()
	rows := Analyze(Input{Listeners: []listeners.Listener{listener("::", 6)}, Network: network(), Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part {
			if q.Destination.Is4() {
				return []firewall.Part{four}
			}
			return []firewall.Part{six}
		})})
	if len(rows) != 1 {
		t.Fatalf("%d rows, want 1", len(rows))
	}
	return rows[0]
}

func TestReasonsSayWhichFamilyIsOpenAndWhatTheOtherIs(t *testing.T) {
	unfiltered := accepted(firewall.Decision{Text: "no rule filters it"})
	martian := dropped(firewall.Decision{Text: "martian source"})
	for _, c := range []struct {
		name      string
		four, six firewall.Part
		want      string // the codes; then the first text
	}{
		{"both open", unfiltered, unfiltered, "no_filter: no rule filters it"},
		{"IPv4 open beside filtered IPv6", unfiltered, dropped(policyOf(inputDrop)), "no_filter ipv4_open: no rule filters it over IPv4"},
		{"IPv6 open beside filtered IPv4", dropped(policyOf(inputDrop)), unfiltered, "no_filter ipv6_open: no rule filters it over IPv6"},
		{"IPv6 open beside IPv4 that is open too, and meant", accepted(by(ssh)), unfiltered, "no_filter: no rule filters it over IPv6"},
		{"IPv6 open where IPv4 has no way in, without any rule", martian, unfiltered, "no_filter: no rule filters it over IPv6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := byFamily(t, c.four, c.six)
			var codes []string
			for _, r := range e.Reasons {
				codes = append(codes, r.Code)
			}
			if got := strings.Join(codes, " ") + ": " + e.Reasons[0].Text; got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestBindingASocketIsNoRemedyForWhatGoesPastIt(t *testing.T) {
	part := accepted(policyOf(input6))
	if e := onlyRow(t, listener("0.0.0.0", 4), nil, part); !slices.ContainsFunc(e.Remedy, func(r string) bool { return strings.Contains(r, "bind sshd") }) {
		t.Errorf("remedy %q", e.Remedy)
	}
	part.DeliveredTo = &firewall.Delivery{Address: netip.MustParseAddr("172.17.0.2"), Port: 80, Interface: "docker0"}
	e := onlyRow(t, listener("0.0.0.0", 4), nil, part)
	if slices.ContainsFunc(e.Remedy, func(r string) bool { return strings.Contains(r, "bind") }) {
		t.Errorf("the packets go to a container: %q", e.Remedy)
	}
	if !slices.Contains(e.Reasons, Reason{"forwarded", "past its own socket: forwarded to 172.17.0.2:80 via docker0"}) {
		t.Errorf("reasons %+v", e.Reasons)
	}
}

func TestSourcesWithoutAWayBackAreNamed(t *testing.T) {
	lost := dropped(firewall.Decision{Text: firewall.AnswerLost + ": no route back to the source"})
	lost.Sources = firewall.Sources{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	e := onlyRow(t, listener("0.0.0.0", 4), nil, dropped(policyOf(inputDrop)), lost)
	want := "10.0.0.0/8 get in by eth0 for nothing: the answer doesn't get out: no route back to the source"
	if e.Label != Filtered || len(e.Reasons) != 2 || e.Reasons[1].Text != want {
		t.Errorf("%v: %v", e.Label, e.Reasons)
	}
}
