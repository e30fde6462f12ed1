package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/report"
	"github.com/netglance/netglance/scan"
	"github.com/netglance/netglance/scan/oui"
	"github.com/netglance/netglance/scan/service"
)

// formatNmap is nmap's XML, which only a scan has.
const formatNmap = "nmap-xml"

// scanFlags are the flags of scan.
type scanFlags struct {
	ports       string
	top         int
	tcp, udp    bool
	four, six   bool
	connect     bool
	rate        int
	services    bool
	noDiscovery bool
	router      bool
	public      bool
	file        string
	save, diff  bool
	expect      string
}

// commonPorts is how many ports are asked when none are named: of TCP the ones that
// nearly every service has, of UDP those that answer in reasonable time.
const commonPorts, commonUDPPorts = 1000, 100

func newScan(a *app) *cobra.Command {
	var f scanFlags
	c := &cobra.Command{
		Use:         "scan [HOST|NETWORK|RANGE]...",
		Annotations: map[string]string{formatsOf: "text,json," + formatNmap},
		Short:       "What answers, on this host or on the local network?",
		Long: `scan asks ports and tells what came back: open, closed, filtered or, where silence
may mean either, open|filtered, each with the reason in nmap's words.

Without a target it is all ports of this host: loopback and each own address. A target is
an address, a name, a network (192.168.1.0/24) or a range (192.168.1.10-20). Networks
are searched for hosts first. Only private addresses and this host's own networks
are scanned, others need --allow-public: ask their owner first.

--format nmap-xml writes what tools that read nmap's output take.

With root it sends first packets alone (SYN scan), without it makes connections.
It sends as fast as the peers answer, and asks twice what stays silent.`,
		Example: `  sudo netglance scan                           this host
  sudo netglance scan 192.168.1.0/24            what is on the network
  netglance scan printer.lan -p- --services     all ports, and what speaks there
  sudo netglance scan --router                  this host, and what the router leads to it
  sudo netglance scan 192.168.1.1 -u            the 100 most common UDP ports
  sudo netglance scan 192.168.1.0/24 --diff --save   what changed since the last time
  sudo netglance scan web-1.lan -p- --expect web-1.ng     does it answer as its recorded rules say?
  netglance scan 10.0.0.5 -p 22,80,8000-8100 --json`,
		RunE: func(c *cobra.Command, words []string) error { return a.scan(c.Context(), f, words) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.ports, "ports", "p", "", "these `PORTS`: 22,80,8000-8100 or ssh,http; -p- is all")
	flags.IntVar(&f.top, "top", 0, "the `N` most common ports (default 1000 of TCP, 100 of UDP; of this host all of TCP)")
	flags.BoolVarP(&f.tcp, "tcp", "t", false, "TCP (default; with -u: both)")
	flags.BoolVarP(&f.udp, "udp", "u", false, "UDP")
	flags.BoolVarP(&f.four, "ipv4", "4", false, "IPv4 addresses only")
	flags.BoolVarP(&f.six, "ipv6", "6", false, "IPv6 addresses only")
	flags.BoolVarP(&f.services, "services", "s", false, "ask open ports what speaks there")
	flags.BoolVar(&f.connect, "connect", false, "make connections, also as root")
	flags.IntVar(&f.rate, "rate", 0, "at most `N` packets a second")
	flags.BoolVar(&f.noDiscovery, "no-discovery", false, "ask every address, without looking for hosts first")
	flags.BoolVar(&f.public, "allow-public", false, "scan addresses that are neither private nor in own networks")
	flags.BoolVar(&f.save, "save", false, "keep the answer, to compare later scans with")
	flags.BoolVar(&f.diff, "diff", false, "what changed since the scan of these targets that was saved last")
	flags.StringVar(&f.expect, "expect", "", "hold the answers against the host recorded in `FILE`: its sockets and its rules")
	flags.BoolVar(&f.router, "router", false, "ask the router which ports it leads to hosts behind it (UPnP, NAT-PMP, PCP)")
	flags.StringVar(&f.file, "targets", "", "read targets from `FILE` too, one a line; - is standard input")
	return c
}

func (a *app) scan(ctx context.Context, f scanFlags, words []string) error {
	if a.host != "" {
		return usage("name a host to scan instead", "a recorded host answers no packets: scan and --host exclude each other")
	}
	scanner, err := a.scanner()
	if err != nil {
		return internal(err)
	}
	if f.file != "" {
		more, err := a.targetFile(f.file)
		if err != nil {
			return err
		}
		words = append(slices.Clone(words), more...)
	}
	if len(words) == 0 && f.ports == "" && f.top == 0 && !f.udp {
		f.ports = "-" // over lo all ports take half a second
	}
	o := scan.Options{Rate: f.rate, Services: f.services}
	if err := f.ask(&o); err != nil {
		return err
	}
	var unresolved []gaps.Gap
	if len(words) == 0 && f.file == "" {
		o.Targets = f.family(scan.OwnAddresses(scanner.Interfaces))
	} else if o.Targets, unresolved, err = f.targets(ctx, words, scanner.Interfaces); err != nil {
		return err
	}
	var expected *expectation
	if f.expect != "" {
		if len(words) == 0 {
			return usage("name the host: netglance scan HOST --expect FILE", "--expect needs a target; of this host itself: netglance firewall --scan")
		}
		if expected, err = a.expect(f.expect); err != nil {
			return err
		}
	}
	earlier, save, err := a.kept(f, words)
	if err != nil {
		return err
	}
	o.Discover = !f.noDiscovery && len(words) > 0 && slices.ContainsFunc(o.Targets, func(t scan.Target) bool { return t.First != t.Last })

	clear := a.showProgress(scanner)
	result, missing, err := scanner.Run(ctx, o)
	clear()
	if err != nil {
		return scanFailed(err)
	}
	answer := report.Scan{Result: result, Targets: words, Loopback: len(words) == 0, Vendor: oui.Vendor,
		Arguments: strings.Join(append([]string{"netglance", "scan"}, words...), " ")}
	missing = append(missing, unresolved...)
	if expected != nil {
		found, compared, unheld := expected.hold(result.Hosts, scanner.Source)
		answer.Expected = &report.Expectation{Recording: f.expect, Compared: compared, Disagreements: found}
		missing = append(missing, unheld...)
	}
	if f.router && !result.Interrupted {
		var unread []gaps.Gap
		answer.Routers, unread = a.routers(ctx, ownAddresses(scanner.Interfaces))
		missing = append(missing, unread...)
	}
	about := a.scannedFrom(missing)
	earlier.compare(&answer)
	if err := save(about, answer); err != nil {
		return err
	}
	if err := a.writeScan(about, answer); err != nil {
		return internal(err)
	}
	if result.Interrupted {
		return scanInterrupted
	}
	return nil
}

// kept is the scan to compare with, and what saves the new one. Both are looked
// after before a packet is sent.
func (a *app) kept(f scanFlags, words []string) (earlier *earlierScan, save func(report.Host, report.Scan) error, err error) {
	save = func(report.Host, report.Scan) error { return nil }
	if !f.save && !f.diff {
		return nil, save, nil
	}
	store, err := openScanStore(a.getenv)
	if err != nil {
		return nil, nil, err
	}
	if f.diff {
		if earlier, err = store.earlier(words, f.save); err != nil {
			return nil, nil, err
		}
	}
	if f.save {
		save = func(about report.Host, answer report.Scan) error {
			if answer.Interrupted { // what is missing would look closed
				return nil
			}
			if err := store.save(words, about, answer); err != nil {
				return usage("set XDG_STATE_HOME to a directory that you may write to", "the scan can't be saved: %w", err)
			}
			return nil
		}
	}
	return earlier, save, nil
}

func (a *app) writeScan(about report.Host, answer report.Scan) error {
	switch {
	case a.prints(formatNmap):
		return report.ScanNmap(a.out, about, answer)
	case a.json:
		return report.ScanJSON(a.out, about, answer)
	}
	return report.ScanText(a.out, about, answer, a.style())
}

// scannedFrom is this host, which asked.
func (a *app) scannedFrom(missing []gaps.Gap) report.Host {
	about := report.Host{OS: "", Tool: toolVersion()}
	if host, err := a.open(""); err == nil {
		about = describe(host)
	}
	about.Gaps = missing
	return about
}

// ask sets the ports.
func (f scanFlags) ask(o *scan.Options) error {
	if f.rate < 0 || f.top < 0 {
		return usage("use a positive number", "--rate and --top can't be negative")
	}
	if f.ports != "" && f.top > 0 {
		return usage("use one of them", "--ports and --top exclude each other")
	}
	if f.connect {
		o.Method = scan.Connect
	}
	if f.tcp || !f.udp {
		ports, err := f.portsOf("tcp", commonPorts)
		if err != nil {
			return err
		}
		o.TCP = ports
	}
	if f.udp {
		ports, err := f.portsOf("udp", commonUDPPorts)
		if err != nil {
			return err
		}
		o.UDP = ports
	}
	o.Common = service.Common("tcp", commonPorts)
	return nil
}

func (f scanFlags) portsOf(protocol string, common int) ([]uint16, error) {
	if f.ports == "" {
		if f.top > 0 {
			common = f.top
		}
		ports := slices.Clone(service.Common(protocol, common))
		slices.Sort(ports)
		return ports, nil
	}
	ports, err := scan.ParsePorts(f.ports, func(name string) []uint16 { return portsNamed(protocol, name) })
	if err != nil {
		return nil, usage("write ports like 22,80,8000-8100, or - for all", "--ports %q: %w", f.ports, err)
	}
	return ports, nil
}

// portsNamed are the ports of a service's name.
func portsNamed(protocol, name string) (out []uint16) {
	for p := 1; p < 1<<16; p++ {
		if service.Name(protocol, uint16(p)) == name {
			out = append(out, uint16(p))
		}
	}
	return out
}

func (f scanFlags) family(targets []scan.Target) []scan.Target {
	return slices.DeleteFunc(targets, func(t scan.Target) bool {
		return f.four != f.six && t.First.Is4() != f.four
	})
}

// targets reads the words of the command line, asking the resolver for names.
func (f scanFlags) targets(ctx context.Context, words []string, own []scan.Interface) (out []scan.Target, unresolved []gaps.Gap, err error) {
	for _, word := range words {
		t, err := scan.ParseTarget(word)
		switch {
		case err == nil:
			out = append(out, t)
		case errors.Is(err, scan.ErrTooMany):
			return nil, nil, usage("scan a smaller network; of IPv6 name single addresses", "%w", err)
		default:
			found, err := platform.Resolve(ctx, word)
			if err != nil {
				unresolved = append(unresolved, gaps.Gap{Source: word, Reason: "no such name: " + err.Error(), Hint: "write an address, a name, a network like 192.168.1.0/24 or a range like 192.168.1.10-20", Err: err})
			}
			for _, address := range found {
				out = append(out, scan.Target{Name: word, First: address, Last: address})
			}
		}
	}
	out = f.family(out)
	if len(out) == 0 && len(unresolved) > 0 {
		return nil, nil, usage(unresolved[0].Hint, "%q: %s", unresolved[0].Source, unresolved[0].Reason)
	}
	if len(out) == 0 {
		return nil, nil, usage("leave -4 and -6 out, or name another target", "no target has an address of the family that was asked for")
	}
	if err := scan.CheckCount(out); err != nil {
		return nil, nil, usage("scan one network after the other", "%w", err)
	}
	return out, unresolved, f.checkPublic(out, own)
}

func (f scanFlags) checkPublic(targets []scan.Target, own []scan.Interface) error {
	for _, t := range targets {
		if !f.public && t.Public(own) {
			return usage("if its owner agrees: --allow-public", "%s is neither private nor in one of this host's networks", t)
		}
	}
	return nil
}

// targetFile reads a target a line; what follows a # is a comment.
func (a *app) targetFile(name string) ([]string, error) {
	var from io.Reader = a.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usage("name a file with a target a line", "--targets: %w", err)
		}
		defer file.Close()
		from = file
	}
	var words []string
	lines := bufio.NewScanner(io.LimitReader(from, 64<<20))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words = append(words, strings.Fields(line)...)
	}
	if err := lines.Err(); err != nil {
		return nil, usage("name a file with a target a line", "--targets %q: %w", name, err)
	}
	return words, nil
}

func scanInterfaces() ([]scan.Interface, error) {
	devices, err := platform.Devices()
	if err != nil {
		return nil, err
	}
	out := make([]scan.Interface, len(devices))
	for i, d := range devices {
		out[i] = scan.Interface{Name: d.Name, Hardware: d.Hardware, Ethernet: d.Ethernet, Prefixes: d.Prefixes}
	}
	return out, nil
}

// mostConnections is how many connections are made at a time.
const mostConnections = 4000

func newScanner() (*scan.Scanner, error) {
	own, err := scanInterfaces()
	if err != nil {
		return nil, err
	}
	return &scan.Scanner{
		RawTCP:      func() (scan.RawTCP, error) { return platform.OpenRawTCP() },
		Connections: func() (scan.Connections, error) { return platform.OpenConnections(mostConnections) },
		Datagrams:   func() (scan.Datagrams, error) { return platform.OpenDatagrams() },
		Link:        func(name string, protocol uint16) (scan.Link, error) { return platform.OpenLink(name, protocol) },
		Pings:       func() (scan.Pings, error) { return platform.OpenPings() },
		Neighbors:   platform.Neighbors,
		Source:      func(to netip.Addr) (netip.Addr, error) { return platform.SourceTowards(to) },
		Payload:     service.Payload,
		Dial:        platform.Dial,
		Interfaces:  own,
	}, nil
}

// showProgress draws a line on standard error while a scan takes its time, if that is
// a terminal. The function returned clears it.
func (a *app) showProgress(s *scan.Scanner) (clear func()) {
	if a.quiet || a.errTerminal == nil || !a.errTerminal() {
		return func() {}
	}
	drawn := false
	s.Progress = func(p scan.Progress) {
		drawn = true
		fmt.Fprintf(a.err, "\r\x1b[K%s", report.ScanProgress(p))
	}
	return func() {
		if drawn {
			fmt.Fprint(a.err, "\r\x1b[K")
		}
	}
}

func scanFailed(err error) error {
	return &failure{code: exitInternal, err: err, hint: "without root, --connect makes connections instead"}
}
