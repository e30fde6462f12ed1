package twin_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/netglance/netglance/internal/kerneltest"
	"github.com/netglance/netglance/scan/packets"
)

// sets leave numbers out, and one is a list of others.
const sets = `create gone0 hash:ip
create admins hash:net family inet
add admins 198.51.100.0/24
add admins 198.51.100.9 nomatch
create gone1 bitmap:port range 0-100
create web hash:ip,port family inet timeout 600
add web 198.51.100.77,tcp:80
create six hash:net family inet6 comment
add six 2001:db8:51::/48 comment "the office"
create hosts bitmap:ip range 198.51.100.0-198.51.100.255
add hosts 198.51.100.8-198.51.100.9
create links hash:net,iface
add links 198.51.100.8,eth1
add links 0.0.0.0/0,eth0
create both list:set size 8
add both admins
destroy gone0
destroy gone1
`

// rules4 has the extensions that insist on their protocol, and sets by number.
const rules4 = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -p udp -m udp --dport 5353 -j REDIRECT --to-ports 53
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:web - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -m set --match-set admins src -j ACCEPT
-A INPUT -p tcp -m multiport --dports 80,443 -j web
-A INPUT -p udp -m conntrack --ctstate NEW -m udp --dport 53 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset
-A INPUT -m set --match-set hosts src -m set --match-set links src,src -p tcp -m tcp --dport 8080 -j ACCEPT
-A INPUT -m set --match-set both src -p tcp -m tcp --dport 9090 -j ACCEPT
-A FORWARD -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i eth1 ! -p udp -j REJECT --reject-with icmp-host-prohibited
-A web -m set --match-set web src,dst -j DROP
-A web -m mac --mac-source 02:FF:00:00:00:01 -j ACCEPT
COMMIT
`

const rules6 = `*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 22 -m set --match-set six src -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -j REJECT --reject-with icmp6-port-unreachable
COMMIT
`

var iptablesProbes = func() (list []packets.Probe) {
	ports := []uint16{22, 25, 53, 80, 443, 5353, 8080, 9090}
	for i, from := range addresses("198.51.100.8 198.51.100.9 198.51.100.77 203.0.113.200 172.17.0.9 2001:db8:51::9 2001:db8:52::9") {
		for j, to := range addresses("203.0.113.7 192.168.7.1 192.168.7.9 172.17.0.2 2001:db8::7") {
			if from.Is4() != to.Is4() {
				continue
			}
			for k, port := range ports {
				for _, protocol := range []uint8{6, 17} {
					via := []string{"eth0", "eth1", "docker0"}[(i+j+k)%3]
					list = append(list, packets.Probe{Via: via, Protocol: protocol, From: from, To: to, SourcePort: uint16(30000 + 100*i + j), Port: port})
				}
			}
		}
	}
	return list
}()

func TestTheTwinHasTheTablesOfIptables(t *testing.T) {
	for _, backend := range []string{"legacy", "nft"} {
		t.Run(backend, func(t *testing.T) {
			ns := kerneltest.New(t, router)
			load := func(input string, program string, arguments ...string) {
				t.Helper()
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("needs the command %s", program)
				}
				err := ns.Do(func() error { _, err := ns.Twin().Run(input, program, arguments...); return err })
				if err != nil {
					t.Fatal(err)
				}
			}
			load(sets, "ipset", "restore")
			load(rules4, "iptables-"+backend+"-restore")
			load(rules6, "ip6tables-"+backend+"-restore")
			if err := ns.ListenEverywhere(22, 25, 53, 80, 443, 5353, 8080, 9090); err != nil {
				t.Fatal(err)
			}
			made, kernel := build(t, ns)
			defer kernel.Close()
			for _, command := range [][]string{{"ipset", "save"}, {"iptables-" + backend + "-save"}, {"ip6tables-" + backend + "-save"}} {
				if got, want := sorted(listing(t, kernel, command...)), sorted(listing(t, ns.Twin(), command...)); !slices.Equal(got, want) {
					t.Errorf("%s: the twin:\n%s\nthe host:\n%s", command, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
			outcomes, err := made.Probe(iptablesProbes)
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[packets.Kind]int{}
			for i, want := range ns.Probe(iptablesProbes) {
				kinds[want.Kind]++
				if outcomes[i] != want {
					t.Errorf("%s: the twin: %s, the host: %s", iptablesProbes[i], outcomes[i], want)
				}
			}
			for _, kind := range []packets.Kind{packets.Dropped, packets.Accepted, packets.Reset, packets.Unreachable, packets.Forwarded} {
				if kinds[kind] == 0 {
					t.Errorf("no probe is %s: the test shows too little", kind)
				}
			}
		})
	}
}

// changing is what differs from one listing to the next.
var changing = regexp.MustCompile(`(?m)^#.*$|timeout \d+$|initval \S+|\[\d+:\d+\]`)

// sorted are the lines of a listing: the kernel lists the members of sets in the
// order of its hash.
func sorted(text string) []string {
	lines := strings.Split(changing.ReplaceAllString(text, ""), "\n")
	slices.Sort(lines)
	return lines
}
