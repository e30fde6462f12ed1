package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

var (
	containersAddress = netip.MustParseAddr("172.20.0.2")
	toContainer       = firewall.Delivery{Address: containersAddress, Port: 80, Interface: "br0"}
)

// brief is what a part comes to, in words.
func brief(parts []firewall.Part) string {
	var out []string
	for _, p := range parts {
		words := p.Fate.String()
		if len(p.Outcomes) > 0 {
			words += fmt.Sprint(p.Outcomes)
		}
		for _, c := range p.Conditions {
			words += " if " + c.Text
		}
		out = append(out, fmt.Sprintf("%v %s", p.Sources.Prefixes, words))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

func TestAContainersOwnRulesDecideOfWhatGetsThere(t *testing.T) {
	open, shut := accepted(by(whatever)), dropped(policyOf(inputDrop))
	at := func(p firewall.Part, prefix ...string) firewall.Part { return from(p, prefix...) }
	limited := conditional(firewall.Rate, by(whatever))
	limited.Outcomes = []firewall.Fate{firewall.Accepted, firewall.Dropped}
	limited.Conditions = []firewall.Condition{{Kind: firewall.Rate, Text: "a limit"}}
	unread := undecided(open, "unread")
	large := accepted(by(whatever))
	large.Sources.Sets = []firewall.SetMembership{{Set: &firewall.Set{Name: "many"}}}

	for _, c := range []struct {
		name   string
		outer  firewall.Part
		hidden bool
		inner  []firewall.Part
		want   string
	}{
		{"both let it in", open, false, []firewall.Part{open}, "[0.0.0.0/0] accept"},
		{"the container drops it", open, false, []firewall.Part{shut}, "[0.0.0.0/0] drop"},
		{"the container lets some in", at(open, "10.0.0.0/8", "192.0.2.0/24"), false,
			[]firewall.Part{at(open, "10.1.0.0/16"), at(shut, "0.0.0.0/5", "8.0.0.0/7", "10.0.0.0/16", "10.2.0.0/15", "192.0.0.0/4")},
			"[10.0.0.0/16 10.2.0.0/15 192.0.2.0/24] drop; [10.1.0.0/16] accept"},
		{"the container can't see the source", open, true, []firewall.Part{at(open, "10.0.0.0/8"), at(shut, "0.0.0.0/5")},
			"[0.0.0.0/0] conditional[accept drop] if the rules of container web go by the source, which they don't see as it came in"},
		{"it can't see it, and treats all alike", open, true, []firewall.Part{at(shut, "10.0.0.0/8"), at(shut, "0.0.0.0/5")}, "[0.0.0.0/0] drop"},
		{"sources that can't be listed", large, false, []firewall.Part{at(open, "10.0.0.0/8"), at(shut, "0.0.0.0/5")},
			"[0.0.0.0/0] conditional[accept drop] if the rules of container web go by the source, which they don't see as it came in"},
		{"the host limits, the container drops", limited, false, []firewall.Part{shut}, "[0.0.0.0/0] drop"},
		{"the host limits, the container lets in", limited, false, []firewall.Part{open}, "[0.0.0.0/0] conditional[accept drop] if a limit"},
		{"the container limits", open, false, []firewall.Part{limited}, "[0.0.0.0/0] conditional[accept drop] if a limit"},
		{"the container's rules are unread", open, false, []firewall.Part{unread}, "[0.0.0.0/0] unknown if could not be read: unread"},
		{"one part of them is", open, true, []firewall.Part{at(open, "10.0.0.0/8"), at(unread, "0.0.0.0/5")}, "[0.0.0.0/0] unknown if could not be read: unread"},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := toContainer
			to.SourceHidden = c.hidden
			c.outer.DeliveredTo = &to
			place := &Place{Namespace: "web", Title: "container web"}
			got := brief(place.join(c.outer, c.inner))
			if want := strings.ReplaceAll(c.want, "could not be read: unread", "unread"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// forwarding is a host without sockets that forwards port 8080 to a container.
func forwarding(place *Place) Input {
	part := accepted(by(whatever))
	part.DeliveredTo = &toContainer
	return Input{Network: network(), Rules: &firewall.Ruleset{},
		Firewall: natFirewall{list: []firewall.Redirection{{First: 8080, Last: 8080, Address: containersAddress, Port: 80}},
			fakeFirewall: func(q firewall.Query) []firewall.Part {
				if q.Port != 8080 || q.Destination != eth0Address {
					return []firewall.Part{dropped(policyOf(inputDrop))}
				}
				return []firewall.Part{part}
			}},
		Beyond: func(all []firewall.Delivery) map[firewall.Delivery]*Place {
			found := map[firewall.Delivery]*Place{}
			for _, d := range all {
				if d == toContainer {
					found[d] = place
				}
			}
			return found
		}}
}

func webPlace(parts ...firewall.Part) *Place {
	nginx := listener("0.0.0.0", 4)
	nginx.Port, nginx.Owners = 80, []listeners.Process{{PID: 2207, Name: "nginx"}}
	return &Place{Namespace: "web", Title: "container web", Interface: "eth0", Input: Input{
		Listeners: []listeners.Listener{nginx}, Network: network(), Rules: &firewall.Ruleset{},
		Firewall: fakeFirewall(func(q firewall.Query) []firewall.Part {
			if q.Interface != "eth0" || q.Destination != containersAddress || q.Port != 80 {
				return nil
			}
			return parts
		}),
	}}
}

func TestAPublishedPortIsTheContainersProcess(t *testing.T) {
	rows := Analyze(forwarding(webPlace(accepted(by(whatever)))))
	if len(rows) != 1 || len(rows[0].Served) != 1 || rows[0].Served[0].Owners[0].Name != "nginx" || rows[0].Reach[0].DeliveredIn != "web" {
		t.Fatalf("rows %+v", rows)
	}
	if text := fmt.Sprint(rows[0].Reasons); !strings.Contains(text, "forwarded to 172.20.0.2:80 in container web via br0") {
		t.Errorf("reasons %s", text)
	}
}

func TestAPublishedPortWhereNobodyListensIsClosed(t *testing.T) {
	place := webPlace(accepted(by(whatever)))
	place.Listeners = nil
	if rows := Analyze(forwarding(place)); len(rows) != 0 {
		t.Errorf("rows %+v", rows)
	}
	place = webPlace(accepted(by(whatever)))
	place.Listeners, place.Unsure = nil, "its sockets could not be read"
	rows := Analyze(forwarding(place))
	if len(rows) != 1 || rows[0].Label != Exposed || !slices.Contains(codes(rows[0]), "beyond_unsure") {
		t.Errorf("where it can't be told that nobody listens: %+v", rows)
	}
	// Something there may lead packets around the sockets.
	elsewhere := conditional(firewall.External, by(whatever))
	elsewhere.Outcomes = []firewall.Fate{firewall.Undecided, firewall.Accepted}
	place = webPlace(elsewhere)
	place.Listeners = nil
	if rows := Analyze(forwarding(place)); len(rows) != 1 || rows[0].Label != Unknown {
		t.Errorf("where something else may take them: %+v", rows)
	}
}

func TestNamespacesThatForwardToEachOtherAreLeftAgain(t *testing.T) {
	part := accepted(by(whatever))
	part.DeliveredTo = &toContainer
	place := webPlace(part)
	place.Beyond = func([]firewall.Delivery) map[firewall.Delivery]*Place {
		return map[firewall.Delivery]*Place{toContainer: place}
	}
	if rows := Analyze(forwarding(place)); len(rows) != 1 {
		t.Errorf("rows %+v", rows)
	}
}

func TestAProxysPortIsItsContainers(t *testing.T) {
	proxy := listener("0.0.0.0", 4)
	proxy.Owners = []listeners.Process{{PID: 1234, Name: "docker-proxy",
		Command: strings.Fields("docker-proxy -proto tcp -container-ip 172.20.0.2 -container-port 80")}}
	place := webPlace()
	in := Input{Listeners: []listeners.Listener{proxy}, Network: network(), Rules: &firewall.Ruleset{}, Firewall: fakeFirewall(acceptAll),
		HandedOn: func(p listeners.Process, to listeners.Proxy) *Place {
			if p.PID != 1234 || to.Address != containersAddress {
				return nil
			}
			return place
		}}
	e := Analyze(in)[0]
	if len(e.Served) != 1 || len(e.Served[0].Owners) != 1 || e.Served[0].Owners[0].PID != 2207 || len(e.Owners) != 1 {
		t.Errorf("row %+v", e)
	}
	if slices.Contains(codes(e), "nobody_behind") {
		t.Errorf("reasons %v", e.Reasons)
	}
	place = webPlace()
	place.Listeners = nil
	if e = Analyze(in)[0]; !slices.Contains(codes(e), "nobody_behind") || e.Label != Exposed {
		t.Errorf("with nobody behind it: %s, %v", e.Label, e.Reasons)
	}
}

func TestRouteLocalnetIsNamed(t *testing.T) {
	l := listener("127.0.0.1", 4)
	n := network()
	n.Settings = map[string]string{"ipv4/conf/eth0/route_localnet": "1"}
	e := Analyze(Input{Listeners: []listeners.Listener{l}, Network: n, Rules: &firewall.Ruleset{}, Firewall: fakeFirewall(acceptAll)})[0]
	if e.Label != Exposed || !slices.Contains(codes(e), "route_localnet") {
		t.Errorf("%s, %v", e.Label, e.Reasons)
	}
}

func TestCommonSourcesAreExact(t *testing.T) {
	for _, c := range []struct{ a, b, want []string }{
		{[]string{"0.0.0.0/0"}, []string{"10.0.0.0/8", "192.0.2.0/24"}, []string{"10.0.0.0/8", "192.0.2.0/24"}},
		{[]string{"10.0.0.0/9", "10.128.0.0/9"}, []string{"10.0.0.0/8"}, []string{"10.0.0.0/9", "10.128.0.0/9"}},
		{[]string{"10.0.0.0/8"}, []string{"11.0.0.0/8"}, nil},
		{[]string{"255.255.255.255/32"}, []string{"0.0.0.0/0"}, []string{"255.255.255.255/32"}},
		{[]string{"::/0"}, []string{"2001:db8::/32", "ffff::/16"}, []string{"2001:db8::/32", "ffff::/16"}},
	} {
		for _, pair := range [][2][]string{{c.a, c.b}, {c.b, c.a}} {
			got, ok := common(prefixes(pair[0]...), prefixes(pair[1]...))
			if want := prefixes(c.want...); !ok || !slices.Equal(got.Prefixes, want.Prefixes) {
				t.Errorf("%v and %v: %v, want %v", pair[0], pair[1], got.Prefixes, want.Prefixes)
			}
		}
	}
}
