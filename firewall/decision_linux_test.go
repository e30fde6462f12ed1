package firewall_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/kerneltest"
)

// A decision table is a file of testdata/decisions: what it is about in words,
// then sections.
//
//	-- network --   optional: "sysctl NAME VALUE", "route …", "ip …", "closed PORT",
//	                "listen PROTOCOL ADDRESS:PORT [transparent] [v6only] [shared]
//	                [mark N] [uid N] [device NAME] [peer ADDRESS:PORT]" a line
//	-- rules --     an nft script
//	-- packets --   VIA PROTOCOL SOURCE[:PORT] DESTINATION:PORT EXPECTED
//
// EXPECTED is "accept", "accept at PORT" (a socket of another port),
// "accept at ADDRESS:PORT via LINK" (forwarded), "reject", "drop", or
// "conditional drop|accept" with the fates that are possible. What is expected
// was written by hand; the kernel and the evaluator are both held to it. The link
// "lo" is for the kernel alone: a program of the host itself connects. A port that
// is not among the network's lines has sockets for everything.
type decisionTable struct {
	layout  kerneltest.Layout
	rules   string
	packets []decision
	sockets []kerneltest.Socket
	// named are the ports that the network's lines open or leave closed.
	named map[uint16]bool
}

type decision struct {
	line     int
	text     string
	probe    kerneltest.Probe
	expected string
}

// decisionLinks are the links of every decision table's host.
var decisionLinks = []kerneltest.Interface{
	{Name: "eth0", Index: 2, Addresses: []string{"203.0.113.7/24", "2001:db8::7/64"}},
	{Name: "eth1", Index: 7, Addresses: []string{"192.168.7.1/24", "fd00:7::1/64"}},
	{Name: "docker0", Index: 300, Addresses: []string{"172.17.0.1/16", "fd00:17::1/64"}},
}

var decisionRoutes = []string{"default via 203.0.113.1 dev eth0", "default via 2001:db8::1 dev eth0"}

func TestDecisionTables(t *testing.T) {
	files, err := filepath.Glob("testdata/decisions/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no decision tables in testdata/decisions")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			table, err := parseDecisionTable(string(text))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			table.check(t, file)
		})
	}
}

func (d decisionTable) check(t *testing.T, file string) {
	o := newOracle(t, d.layout)
	var listeners []uint16
	for _, p := range d.packets {
		listeners = append(listeners, p.probe.Port)
		if m := deliveryPattern.FindStringSubmatch(p.expected); m != nil && m[1] == "" {
			listeners = append(listeners, port(m[2]))
		}
	}
	for _, s := range d.sockets {
		if err := o.ns.Open(s); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	listeners = slices.DeleteFunc(listeners, func(port uint16) bool { return d.named[port] })
	if err := o.ns.ListenEverywhere(listeners...); err != nil {
		t.Fatal(err)
	}
	if err := o.ns.NFT(d.rules); err != nil {
		t.Fatal(err)
	}
	evaluator := o.evaluator()
	for _, p := range d.packets {
		outcome := o.alone(p.probe)
		if !p.kernelAgrees(outcome) {
			t.Errorf("%s:%d: %s\n\tthe kernel: %s, %s", file, p.line, p.text, fate(p.probe, outcome), outcome)
		}
		if p.probe.Via == "lo" {
			continue
		}
		j := judge(evaluator, p.probe)
		if j.crash != "" || j.expectation(p.probe.Port) != p.expected {
			t.Errorf("%s:%d: %s\n\tthe evaluator: %s", file, p.line, p.text, j)
		}
	}
}

var deliveryPattern = regexp.MustCompile(`^accept at (?:(.*):)?(\d+)(?: via (\S+))?$`)

func port(text string) uint16 {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		panic(err) // the pattern lets only digits through
	}
	return uint16(n)
}

func (d decision) kernelAgrees(o kerneltest.Outcome) bool {
	got := fate(d.probe, o)
	if fates, ok := strings.CutPrefix(d.expected, "conditional "); ok {
		return strings.Contains("|"+fates+"|", "|"+got.String()+"|")
	}
	m := deliveryPattern.FindStringSubmatch(d.expected)
	if m == nil {
		return got.String() == d.expected && (got != firewall.Accepted || o.Kind == kerneltest.Accepted)
	}
	if m[1] == "" { // TCP doesn't show which of the host's sockets answered
		return o.Kind == kerneltest.Accepted && (o.To.Port() == 0 || o.To.Port() == port(m[2]))
	}
	return got == firewall.Accepted && o.Kind == kerneltest.Forwarded && fmt.Sprintf("accept at %s via %s", o.To, o.Via) == d.expected
}

// expectation is a judgement about a packet to the port in the words of the tables.
func (j judgement) expectation(port uint16) string {
	switch {
	case j.Fate == firewall.Conditional:
		var fates []string
		for _, fate := range j.Outcomes {
			fates = append(fates, fate.String())
		}
		return "conditional " + strings.Join(fates, "|")
	case j.Fate == firewall.Accepted && j.DeliveredTo != nil && j.DeliveredTo.Interface != "":
		return fmt.Sprintf("accept at %s via %s", netip.AddrPortFrom(j.DeliveredTo.Address, j.DeliveredTo.Port), j.DeliveredTo.Interface)
	case j.Fate == firewall.Accepted && j.DeliveredTo != nil && j.DeliveredTo.Port != port:
		return fmt.Sprintf("accept at %d", j.DeliveredTo.Port)
	}
	return j.Fate.String()
}

func parseDecisionTable(text string) (decisionTable, error) {
	table := decisionTable{named: map[uint16]bool{}, layout: kerneltest.Layout{
		Interfaces: decisionLinks, Routes: decisionRoutes[:len(decisionRoutes):len(decisionRoutes)],
		Sysctls: map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"},
	}}
	section := ""
	for i, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "-- "); ok {
			section = strings.TrimSuffix(name, " --")
			continue
		}
		var err error
		switch section {
		case "":
		case "network":
			err = table.addNetwork(line)
		case "rules":
			table.rules += line + "\n"
		case "packets":
			err = table.addPacket(i+1, line)
		default:
			err = fmt.Errorf("unknown section %q", section)
		}
		if err != nil {
			return table, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if len(table.packets) == 0 {
		return table, fmt.Errorf("no packets")
	}
	return table, nil
}

func (d *decisionTable) addNetwork(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "":
	case "sysctl":
		name, value, ok := strings.Cut(rest, " ")
		if !ok {
			return fmt.Errorf("want sysctl NAME VALUE: %q", line)
		}
		d.layout.Sysctls[name] = value
	case "route":
		d.layout.Routes = append(d.layout.Routes, rest)
	case "ip":
		d.layout.Setup = append(d.layout.Setup, rest)
	case "closed":
		n, err := strconv.ParseUint(rest, 10, 16)
		d.named[uint16(n)] = true
		return err
	case "listen":
		s, err := parseSocket(strings.Fields(rest))
		d.named[s.At.Port()] = true
		d.sockets = append(d.sockets, s)
		return err
	default:
		return fmt.Errorf("want sysctl, route, ip, listen or closed: %q", line)
	}
	return nil
}

func parseSocket(words []string) (s kerneltest.Socket, err error) {
	if len(words) < 2 {
		return s, fmt.Errorf("want listen PROTOCOL ADDRESS:PORT: %q", words)
	}
	s.Protocol = protocols[words[0]]
	if s.At, err = netip.ParseAddrPort(words[1]); err != nil {
		return s, err
	}
	for words = words[2:]; len(words) > 0 && err == nil; words = words[1:] {
		switch words[0] {
		case "transparent":
			s.Transparent = true
			continue
		case "v6only":
			s.V6Only = true
			continue
		case "shared":
			s.Shared = true
			continue
		}
		if len(words) < 2 {
			return s, fmt.Errorf("%q is no option or lacks its value", words[0])
		}
		switch words[0] {
		case "mark":
			s.Mark, err = strconv.Atoi(words[1])
		case "uid":
			s.UID, err = strconv.Atoi(words[1])
		case "device":
			s.Device = words[1]
		case "peer":
			s.Peer, err = netip.ParseAddrPort(words[1])
		default:
			return s, fmt.Errorf("unknown option %q", words[0])
		}
		words = words[1:]
	}
	return s, err
}

var protocols = map[string]uint8{"tcp": 6, "udp": 17}

func (d *decisionTable) addPacket(number int, line string) error {
	line, _, _ = strings.Cut(line, "#")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return nil
	}
	if len(fields) < 5 {
		return fmt.Errorf("want VIA PROTOCOL SOURCE DESTINATION:PORT EXPECTED: %q", line)
	}
	to, err := netip.ParseAddrPort(fields[3])
	if err != nil {
		return err
	}
	from, err := netip.ParseAddrPort(fields[2])
	if err != nil {
		address, err := netip.ParseAddr(fields[2])
		if err != nil {
			return err
		}
		from = netip.AddrPortFrom(address, 40000)
	}
	protocol, ok := protocols[fields[1]]
	if !ok {
		return fmt.Errorf("unknown protocol %q", fields[1])
	}
	d.packets = append(d.packets, decision{
		line: number, text: strings.Join(fields, " "), expected: strings.Join(fields[4:], " "),
		probe: kerneltest.Probe{Via: fields[0], Protocol: protocol, From: from.Addr(), SourcePort: from.Port(), To: to.Addr(), Port: to.Port()},
	})
	return nil
}
