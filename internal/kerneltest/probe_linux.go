package kerneltest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchLength is how many probes go in before their outcomes are read: few
// enough for every ring to hold what they cause.
const batchLength = 1024

// flowsKept is how many flows may pile up in connection tracking before it is
// emptied. Emptying walks the kernel's whole hash table.
const flowsKept = 60000

// farEnd is the hardware address of whoever is on the far side of a TAP.
var farEnd = macAddress{2, 0xff, 0, 0, 0, 1}

// A prober sends probes and reads what becomes of them.
type prober struct {
	backlog   backlog
	conntrack int // netlink socket; -1 until opened
	// seen are the flows since connection tracking was emptied, by protocol and
	// source: translation can make two flows to different ports meet.
	seen map[flow]bool
	// next is the number of the next probe: its sequence number or payload.
	next   uint32
	frame  []byte
	buffer [2048]byte
}

type flow struct {
	protocol uint8
	from     netip.AddrPort
}

func (p *prober) open() error {
	if err := p.backlog.open(); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	p.conntrack = fd
	p.seen = map[flow]bool{}
	p.next = 1 << 20
	return nil
}

func (p *prober) close() {
	if p.seen == nil {
		return
	}
	unix.Close(p.conntrack)
	p.backlog.close()
}

// Probe sends the probes and tells what became of each, in their order. Every
// one is the first packet of its flow: connection tracking is emptied before a
// flow would come again.
func (ns *Namespace) Probe(probes []Probe) []Outcome {
	ns.t.Helper()
	outcomes := make([]Outcome, len(probes))
	err := ns.Do(func() error {
		release, err := pin()
		if err != nil {
			return err
		}
		defer release()
		for start := 0; start < len(probes); {
			end, err := ns.batch(probes[start:], outcomes[start:])
			if err != nil {
				return err
			}
			start += end
		}
		return nil
	})
	if err != nil {
		ns.t.Fatalf("probing: %v", err)
	}
	return outcomes
}

// Forget empties connection tracking: every flow is new again.
func (ns *Namespace) Forget() {
	ns.t.Helper()
	if err := ns.Do(ns.prober.forget); err != nil {
		ns.t.Fatalf("emptying connection tracking: %v", err)
	}
}

// pin keeps the calling thread on its processor, so that one backlog queue keeps
// the order of everything that is sent.
func pin() (release func(), err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	cpu, err := currentCPU()
	if err != nil {
		return nil, err
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("sched_setaffinity: %w", err)
	}
	return func() { unix.SchedSetaffinity(0, &before) }, nil
}

// batch sends as many probes as make one batch, and says how many those are.
func (ns *Namespace) batch(probes []Probe, outcomes []Outcome) (int, error) {
	p := &ns.prober
	base := p.next
	count := 0
	for count < len(probes) && count < batchLength {
		probe := probes[count]
		f := flow{probe.Protocol, netip.AddrPortFrom(probe.From, probe.SourcePort)}
		if p.seen[f] || len(p.seen) >= flowsKept {
			if count > 0 {
				break
			}
			if err := p.forget(); err != nil {
				return 0, err
			}
		}
		p.seen[f] = true
		if probe.Via == "lo" {
			if count > 0 {
				break
			}
			outcome, err := ns.connect(probe, base)
			outcomes[0] = outcome
			p.next++
			return 1, err
		}
		if err := ns.send(probe, base+uint32(count)); err != nil {
			return 0, err
		}
		count++
	}
	p.next += uint32(count)
	round := round{base: base, outcomes: outcomes[:count]}
	if err := ns.collect(&round); err != nil {
		return 0, err
	}
	if len(round.forwarded) == 0 {
		return count, nil
	}
	if err := ns.answer(&round); err != nil {
		return 0, err
	}
	return count, ns.collect(&round)
}

func (ns *Namespace) tap(name string) (*tap, error) {
	for _, tap := range ns.taps {
		if tap.name == name {
			return tap, nil
		}
	}
	return nil, fmt.Errorf("the namespace has no interface %q", name)
}

func (ns *Namespace) send(probe Probe, number uint32) error {
	from := netip.AddrPortFrom(probe.From, probe.SourcePort)
	to := netip.AddrPortFrom(probe.To, probe.Port)
	if from.Addr().Is4() != to.Addr().Is4() {
		return fmt.Errorf("%s: two families", probe)
	}
	if protocolName(probe.Protocol)[0] == 'p' {
		return fmt.Errorf("%s: not a protocol that is probed", probe)
	}
	tap, err := ns.tap(probe.Via)
	if err != nil {
		return fmt.Errorf("%s: %w", probe, err)
	}
	return ns.write(tap, segment{protocol: probe.Protocol, from: from, to: to, seq: number, flags: flagSYN})
}

func (ns *Namespace) write(tap *tap, s segment) error {
	ns.prober.frame = appendFrame(ns.prober.frame[:0], linkAddress(s.to.Addr(), tap.mac), farEnd, s)
	if _, err := unix.Write(tap.fd, ns.prober.frame); err != nil {
		return fmt.Errorf("sending into %s: %w", tap.name, err)
	}
	return nil
}

// A round is one batch's probes on their way. Theirs are the numbers from base on.
type round struct {
	base     uint32
	outcomes []Outcome
	// forwarded are the packets that left, each to be answered by its far end.
	forwarded []departure
	answering bool
}

// A departure is a probe that left by a TAP.
type departure struct {
	segment
	tap *tap
}

func (r *round) outcome(number uint32) *Outcome {
	i := number - r.base
	if i >= uint32(len(r.outcomes)) {
		return nil
	}
	return &r.outcomes[i]
}

// collect waits until the namespace is done with all that was sent, and reads
// what it did.
func (ns *Namespace) collect(r *round) error {
	if err := ns.prober.backlog.wait(); err != nil {
		return err
	}
	for _, tap := range ns.taps {
		if err := ns.drain(tap, r); err != nil {
			return err
		}
	}
	return ns.sockets.receive(r.received)
}

func (ns *Namespace) drain(tap *tap, r *round) error {
	for {
		n, err := unix.Read(tap.fd, ns.prober.buffer[:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("reading from %s: %w", tap.name, err)
		}
		if s, ok := parseFrame(ns.prober.buffer[:n]); ok {
			r.saw(s, tap)
		}
	}
}

func (r *round) received(number uint32, socket datagramSocket) {
	if o := r.outcome(number); o != nil && o.Kind == Dropped {
		*o = Outcome{Kind: Accepted, To: netip.AddrPortFrom(netip.Addr{}, socket.port)}
	}
}

// saw notes a packet that came out of a TAP. The first one of a probe tells.
func (r *round) saw(s sighting, tap *tap) {
	isTCP := s.protocol == protocolTCP
	switch {
	case s.icmp:
		if o := r.outcome(s.seq); o != nil && o.Kind == Dropped {
			*o = Outcome{Kind: Unreachable, Via: tap.name, ICMPType: s.icmpType, ICMPCode: s.icmpCode}
		}
	case isTCP && s.flags&flagRST != 0:
		if o := r.outcome(s.ack - 1); o != nil && o.Kind == Dropped {
			*o = Outcome{Kind: Reset, Via: tap.name}
		}
	case isTCP && s.flags&(flagSYN|flagACK) == flagSYN|flagACK:
		r.sawAnswer(s.ack-1, tap)
	case isTCP && s.flags&flagSYN != 0:
		r.sawForwarded(s, tap)
	case !isTCP && r.answering:
		r.sawAnswer(s.seq, tap)
	case !isTCP:
		r.sawForwarded(s, tap)
	}
}

func (r *round) sawAnswer(number uint32, tap *tap) {
	o := r.outcome(number)
	if o == nil {
		return
	}
	switch o.Kind {
	case Dropped:
		*o = Outcome{Kind: Accepted, Via: tap.name}
	case Forwarded:
		o.Answered = true
	}
}

func (r *round) sawForwarded(s sighting, tap *tap) {
	o := r.outcome(s.seq)
	if o == nil || o.Kind != Dropped || linkAddress(s.to.Addr(), tap.mac) != tap.mac {
		return // nobody routes to a group, but a bridge shows its frames to all ports
	}
	*o = Outcome{Kind: Forwarded, Via: tap.name, Bridge: tap.bridge, From: s.from, To: s.to}
	r.forwarded = append(r.forwarded, departure{s.segment, tap})
}

// answer lets the far end of every forwarded probe answer it.
func (ns *Namespace) answer(r *round) error {
	r.answering = true
	for _, d := range r.forwarded {
		err := ns.write(d.tap, segment{
			protocol: d.protocol, from: d.to, to: d.from,
			seq: d.seq, ack: d.seq + 1, flags: flagSYN | flagACK,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forget empties the namespace's connection tracking table: a delete without a
// tuple (net/netfilter/nf_conntrack_netlink.c, ctnetlink_del_conntrack).
func (p *prober) forget() error {
	const ipctnlMsgCTDelete = 2
	var request [20]byte
	binary.NativeEndian.PutUint32(request[0:], uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.NFNL_SUBSYS_CTNETLINK<<8|ipctnlMsgCTDelete)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	if err := unix.Sendto(p.conntrack, request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("conntrack delete: %w", err)
	}
	n, err := unix.Read(p.conntrack, p.buffer[:])
	if err != nil {
		return fmt.Errorf("conntrack delete: %w", err)
	}
	if n < 20 {
		return fmt.Errorf("conntrack delete: an answer of %d bytes", n)
	}
	if errno := -int32(binary.NativeEndian.Uint32(p.buffer[16:])); errno != 0 {
		return fmt.Errorf("conntrack delete: %w", unix.Errno(errno))
	}
	clear(p.seen)
	return nil
}

// A backlog is one processor's queue of packets that came in. A TAP hands its
// frames to the protocols at once, but what a packet sends to the host itself goes
// through lo, and waits there when the processor has much to do.
type backlog struct{ file *os.File }

func (b *backlog) open() error {
	file, err := os.Open("/proc/net/softnet_stat")
	b.file = file
	return err
}

func (b *backlog) close() { b.file.Close() }

// wait returns when the backlog of the calling thread's processor, to which it
// is pinned, is empty. Then all that was sent has been dealt with: a task never
// runs in the midst of a packet on its own processor.
func (b *backlog) wait() error {
	cpu, err := currentCPU()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		length, err := b.length(cpu)
		if err != nil || length == 0 {
			return err
		}
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
	return fmt.Errorf("packets still wait on processor %d", cpu)
}

// length reads how many packets wait. The file has a line of hexadecimal fields a
// processor; the 12th is the length, the 13th the processor (Linux 5.14,
// net/core/net-procfs.c, softnet_seq_show).
func (b *backlog) length(cpu int) (uint64, error) {
	var text [16384]byte
	n, err := b.file.ReadAt(text[:], 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	for _, line := range strings.Split(string(text[:n]), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 13 {
			continue
		}
		number, err := strconv.ParseUint(fields[12], 16, 32)
		if err != nil || number != uint64(cpu) {
			continue
		}
		return strconv.ParseUint(fields[11], 16, 32)
	}
	return 0, fmt.Errorf("%s has no line of processor %d", b.file.Name(), cpu)
}

func currentCPU() (int, error) {
	var cpu uint32
	_, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	if errno != 0 {
		return 0, fmt.Errorf("getcpu: %w", errno)
	}
	return int(cpu), nil
}
