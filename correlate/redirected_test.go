package correlate

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// A natFirewall redirects: what Reach says, it says of every port.
type natFirewall struct {
	fakeFirewall
	list []firewall.Redirection
}

func (f natFirewall) Redirections(q firewall.Query) []firewall.Redirection {
	if q.Protocol != Protocols["tcp"] || q.Destination != eth0Address {
		return nil
	}
	return f.list
}

var (
	eth0Address = netip.MustParseAddr("203.0.113.7")
	loopback    = netip.MustParseAddr("127.0.0.1")
)

// led analyzes one listener behind a redirection whose packets are delivered to an address and port.
func led(l listeners.Listener, to firewall.Delivery, first, last uint16) []Exposure {
	part := accepted(by(whatever))
	part.DeliveredTo = &to
	return Analyze(Input{Listeners: []listeners.Listener{l}, Network: network(), Rules: &firewall.Ruleset{},
		Firewall: natFirewall{list: []firewall.Redirection{{First: first, Last: last, Address: to.Address, Port: to.Port}},
			fakeFirewall: func(q firewall.Query) []firewall.Part {
				if q.Port < first || q.Port > last || q.Destination != eth0Address {
					return []firewall.Part{dropped(policyOf(inputDrop))}
				}
				return []firewall.Part{part}
			}}})
}

func show(all []Exposure) (lines []string) {
	for _, e := range all {
		lines = append(lines, fmt.Sprintf("%s %s owners=%d", portsName(e), e.Label, len(e.Owners)))
	}
	return lines
}

func TestReachableWithoutASocket(t *testing.T) {
	for _, c := range []struct {
		name string
		bind string
		to   firewall.Delivery
		want string
	}{
		{"redirect to a port where sshd listens", "0.0.0.0", firewall.Delivery{Address: eth0Address, Port: 22}, "[22/tcp filtered owners=1 9000/tcp exposed owners=1]"},
		{"redirect to a port where nobody listens", "0.0.0.0", firewall.Delivery{Address: eth0Address, Port: 23}, "[22/tcp filtered owners=1]"},
		{"led to loopback: bound there is no proof", "127.0.0.1", firewall.Delivery{Address: loopback, Port: 22}, "[22/tcp exposed owners=1 9000/tcp exposed owners=1]"},
		{"forwarded to a container", "0.0.0.0", firewall.Delivery{Address: netip.MustParseAddr("172.17.0.2"), Port: 80, Interface: "docker0"}, "[22/tcp filtered owners=1 9000/tcp exposed owners=0]"},
		{"not translated after all: closed", "0.0.0.0", firewall.Delivery{Address: eth0Address, Port: 9000}, "[22/tcp filtered owners=1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fmt.Sprint(show(led(listener(c.bind, 4), c.to, 9000, 9000))); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestForwardedPortSaysWhereItGoes(t *testing.T) {
	all := led(listener("0.0.0.0", 4), firewall.Delivery{Address: netip.MustParseAddr("172.17.0.2"), Port: 80, Interface: "docker0"}, 9000, 9000)
	e := all[1]
	want := Reason{"forwarded", "no socket: forwarded to 172.17.0.2:80 via docker0"}
	if !e.Redirected || e.Reasons[len(e.Reasons)-1] != want {
		t.Errorf("%+v", e)
	}
}

func TestAWideRedirectionIsOneRow(t *testing.T) {
	to := firewall.Delivery{Address: eth0Address, Port: 22}
	if got := fmt.Sprint(show(led(listener("0.0.0.0", 4), to, 1000, 60000))); got != "[22/tcp filtered owners=1 1000-60000/tcp exposed owners=1]" {
		t.Error(got)
	}
	if got := led(listener("0.0.0.0", 4), to, 9000, 9003); len(got) != 5 {
		t.Errorf("a narrow one is a row a port: %v", show(got))
	}
}

func TestAWideRedirectionWhosePortsDifferIsUnknown(t *testing.T) {
	to := firewall.Delivery{Address: eth0Address, Port: 22}
	all := Analyze(Input{Listeners: []listeners.Listener{listener("0.0.0.0", 4)}, Network: network(), Rules: &firewall.Ruleset{},
		Firewall: natFirewall{list: []firewall.Redirection{{First: 1000, Last: 2000, Address: eth0Address, Port: 22}},
			fakeFirewall: func(q firewall.Query) []firewall.Part {
				if q.Port != 2000 {
					return []firewall.Part{dropped(policyOf(inputDrop))}
				}
				part := accepted(by(whatever))
				part.DeliveredTo = &to
				return []firewall.Part{part}
			}}})
	if got := fmt.Sprint(show(all)); got != "[22/tcp filtered owners=1 1000-2000/tcp unknown owners=0]" {
		t.Error(got)
	}
}

func TestAPortWithASocketIsNoRedirectionRow(t *testing.T) {
	to := firewall.Delivery{Address: netip.MustParseAddr("172.17.0.2"), Port: 80, Interface: "docker0"}
	all := led(listener("0.0.0.0", 4), to, 22, 22)
	if len(all) != 1 || all[0].Label != Exposed || all[0].Redirected || all[0].Reach[0].DeliveredTo == nil {
		t.Errorf("%+v", all)
	}
}

func TestAListenerWhosePacketsAreLedToNobodyIsFiltered(t *testing.T) {
	to := firewall.Delivery{Address: eth0Address, Port: 23}
	if all := led(listener("0.0.0.0", 4), to, 22, 22); len(all) != 1 || all[0].Label != Filtered {
		t.Errorf("%v", show(all))
	}
}
