package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/scan/service"
)

// A Scanner asks ports. Its functions open the host's sockets, in the network
// namespace of the thread that calls Run.
type Scanner struct {
	// RawTCP fails without privilege: then connections are made.
	RawTCP      func() (RawTCP, error)
	Connections func() (Connections, error)
	Datagrams   func() (Datagrams, error)
	Link        func(device string, protocol uint16) (Link, error)
	Pings       func() (Pings, error)
	// Neighbors are the link addresses that the kernel knows, by address.
	Neighbors func() (map[netip.Addr]string, error)
	// Source is the own address from which packets to another one come.
	Source func(to netip.Addr) (netip.Addr, error)
	// Payload is the datagram that a UDP port is asked with.
	Payload func(port uint16) []byte
	// Dial opens connections for the questions to services.
	Dial service.Dial
	// Interfaces are the host's own.
	Interfaces []Interface
	// Progress is told now and then how far the scan is.
	Progress func(Progress)
}

// An Interface is a link of the host.
type Interface struct {
	Name string
	// Hardware is the link address; Ethernet says that there is one.
	Hardware [6]byte
	Ethernet bool
	Prefixes []netip.Prefix // addresses with the length of their networks
}

// Options are what is asked.
type Options struct {
	Targets []Target
	// TCP and UDP are the ports to ask; none for a protocol that isn't asked.
	TCP, UDP []uint16
	// Common are ports that are asked first.
	Common []uint16
	// Rate is the most packets a second; 0 leaves it to what the peers can take.
	Rate int
	// Method forces connections (Connect) or raw sockets (SYN); NoTCP lets privilege decide.
	Method Method
	// Services asks open ports what speaks there.
	Services bool
	// Discover looks for hosts first: for more than one target address.
	Discover bool
}

// Progress is how far a scan is.
type Progress struct {
	Hosts, HostsDone int // of those that are there, or of the addresses while they are looked for
	Looking          bool
	Sent, Remaining  int // probes; what remains is an estimate
	Elapsed          time.Duration
}

// maxGroup is how many hosts are asked at a time: what is kept of each is a byte a port.
const maxGroup = 256

type run struct {
	*Scanner
	Options
	ctx      context.Context
	result   Result
	limit    limiter
	progress Progress
	told     time.Time
	gaps     []gaps.Gap
	// noLink says that neighbours can't be asked on the link itself.
	noLink bool
}

// Run scans. It returns what was found also when the context ended in the midst of it.
func (s *Scanner) Run(ctx context.Context, o Options) (Result, []gaps.Gap, error) {
	r := &run{Scanner: s, Options: o, ctx: ctx, limit: limiter{rate: o.Rate}}
	r.result.Started, r.result.Asked = time.Now(), Asked{o.TCP, o.UDP}
	err := r.all()
	if ctx.Err() != nil {
		r.result.Interrupted = true
		err = nil
	}
	r.result.Took = time.Since(r.result.Started)
	slices.SortStableFunc(r.result.Hosts, func(a, b Host) int { return a.Address.Compare(b.Address) })
	return r.result, r.gaps, err
}

func (r *run) all() error {
	method, err := r.method()
	if err != nil {
		return err
	}
	r.result.TCP = method
	if r.Link == nil {
		r.noLink = true
	}
	for _, t := range r.Targets {
		r.progress.Hosts += t.Count()
	}
	var some []Host
	for _, t := range r.Targets {
		for address := range t.Addresses() {
			some = append(some, Host{Address: address, Name: t.Name, Own: r.own(address), Up: "user-set"})
			if len(some) < r.lookGroup() {
				continue
			}
			if err := r.lookAndScan(some); err != nil {
				return err
			}
			some = nil
		}
	}
	return r.lookAndScan(some)
}

// lookGroup is how many hosts are looked for at a time. The kernel finds few
// neighbours at a time itself (gc_thresh in arp(7)).
func (r *run) lookGroup() int {
	if r.Discover && !r.noLink {
		return 16 * maxGroup
	}
	return maxGroup
}

// lookAndScan scans those of the hosts that are there.
func (r *run) lookAndScan(hosts []Host) error {
	found := hosts
	if r.Discover && len(hosts) > 0 {
		var err error
		if found, err = r.discover(slices.Clone(hosts)); err != nil {
			r.result.Hosts = append(r.result.Hosts, found...)
			return err
		}
		r.result.Silent += len(hosts) - len(found)
	}
	r.progress.HostsDone += len(hosts) - len(found)
	for some := range slices.Chunk(found, maxGroup) {
		if err := r.group(some); err != nil {
			return err
		}
	}
	return nil
}

// method is raw sockets where they can be had, if nothing else was asked for.
func (r *run) method() (Method, error) {
	if len(r.TCP) == 0 {
		return NoTCP, nil
	}
	if r.Method == Connect || r.RawTCP == nil {
		return Connect, nil
	}
	raw, err := r.RawTCP()
	if err == nil {
		return SYN, raw.Close()
	}
	if r.Method == SYN {
		return NoTCP, fmt.Errorf("SYN scan: %w", err)
	}
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) {
		r.gaps = append(r.gaps, gaps.Gap{Source: "raw sockets", Reason: err.Error(), Hint: "connections were made instead", Err: err})
	}
	return Connect, nil
}

func (r *run) own(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(r.Interfaces, func(i Interface) bool {
		return slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a.WithZone("") })
	})
}

// group scans some hosts at the same time.
func (r *run) group(hosts []Host) error {
	var err error
	for _, protocol := range []string{"tcp", "udp"} {
		if err = r.sweep(protocol, hosts); err != nil {
			break
		}
	}
	if err == nil {
		r.identify(hosts)
	}
	r.nameHardware(hosts)
	r.progress.HostsDone += len(hosts)
	r.result.Hosts = append(r.result.Hosts, hosts...)
	return err
}

// nameHardware adds the link addresses that the kernel has learnt by now.
func (r *run) nameHardware(hosts []Host) {
	if r.Neighbors == nil {
		return
	}
	known, err := r.Neighbors()
	if err != nil {
		return // they are an addition
	}
	for i := range hosts {
		hosts[i].Hardware = cmp.Or(hosts[i].Hardware, known[hosts[i].Address.WithZone("")])
	}
}

func (r *run) sweep(protocol string, hosts []Host) error {
	ports := r.TCP
	if protocol == "udp" {
		ports = r.UDP
	}
	if len(ports) == 0 || len(hosts) == 0 || r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	c, err := r.open(protocol)
	if err != nil {
		return err
	}
	defer c.close()
	ports = askFirst(ports, r.Common)
	addresses := make([]netip.Addr, len(hosts))
	for i, h := range hosts {
		addresses[i] = h.Address
	}
	s := newSweep(protocol, c, ports, addresses, rand.Uint32())
	s.limit, s.watch = &r.limit, r.watch
	for i, h := range s.hosts {
		if h.near = hosts[i].Own; h.near {
			s.leaveOut(h, c.ports())
		}
	}
	err = s.run(r.ctx)
	r.result.Sent += s.sent
	for i, h := range s.hosts {
		hosts[i].take(h, protocol, ports)
	}
	return err
}

// leaveOut calls closed, on the host itself, the ports that the scan asks from: IPv4's
// and IPv6's. It holds them, so nobody listens there.
func (s *sweep) leaveOut(h *hostSweep, own []uint16) {
	if len(own) < 2 {
		return
	}
	port := own[0]
	if h.address.Is6() {
		port = own[1]
	}
	if i := s.index[port]; i >= 0 {
		h.settle(i, OwnProbe)
	}
}

func (h *Host) take(s *hostSweep, protocol string, ports []uint16) {
	h.Groups = append(h.Groups, groups(protocol, ports, s.reasons)...)
	h.Latency = cmp.Or(h.Latency, s.smoothed)
	if h.Err == nil {
		h.Err = s.err
	}
}

func (r *run) open(protocol string) (carrier, error) {
	switch {
	case protocol == "udp":
		d, err := r.Datagrams()
		if err != nil {
			return nil, fmt.Errorf("UDP scan: %w", err)
		}
		return newUDPCarrier(d, r.Payload), nil
	case r.result.TCP == SYN:
		raw, err := r.RawTCP()
		if err != nil {
			return nil, fmt.Errorf("SYN scan: %w", err)
		}
		return newSYNCarrier(raw, r.Source), nil
	}
	connections, err := r.Connections()
	if err != nil {
		return nil, fmt.Errorf("connect scan: %w", err)
	}
	return connectCarrier{connections}, nil
}

const tellEvery = 100 * time.Millisecond

func (r *run) watch(s *sweep)        { r.tell(s, false) }
func (r *run) watchLooking(s *sweep) { r.tell(s, true) }

func (r *run) tell(s *sweep, looking bool) {
	if r.Progress == nil {
		return
	}
	now := time.Now()
	if now.Sub(r.told) < tellEvery {
		return
	}
	r.told = now
	p := r.progress
	p.Looking = looking
	p.Sent, p.Remaining = r.result.Sent+s.sent, s.remaining()
	p.Elapsed = now.Sub(r.result.Started)
	r.Progress(p)
}
