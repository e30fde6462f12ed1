package packets

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// A Kernel is a network namespace whose links' far ends are ours (platform.Twin).
type Kernel interface {
	// WriteFrame lets a frame come in by a link; ReadFrame reads one that left, 0
	// bytes if none waits.
	WriteFrame(link int, frame []byte) error
	ReadFrame(link int, buffer []byte) (int, error)
	// Receive hands every datagram that waits in a socket to got.
	Receive(got func(socket int, payload []byte)) error
	// Pin keeps the caller on one processor until release; Settle returns when the
	// kernel has dealt with all that was sent from there.
	Pin() (release func(), err error)
	Settle() error
	// ForgetFlows empties connection tracking.
	ForgetFlows() error
}

// A Link is an interface of the namespace.
type Link struct {
	Name string
	// Number is the Kernel's for its far end.
	Number int
	// MAC is where frames for the host itself are sent to: of a port of a bridge, the bridge's.
	MAC MAC
	// Bridge is the one that the interface is a port of; empty if it is none.
	Bridge string
	// Bare says that packets have no Ethernet header.
	Bare bool
}

// batchLength is how many probes go in before their outcomes are read: few
// enough for every ring to hold what they cause.
const batchLength = 1024

// flowsKept is how many flows may pile up in connection tracking before it is
// emptied. Emptying walks the kernel's whole hash table.
const flowsKept = 60000

// FarEnd is the hardware address of whoever is on the far side of a link.
var FarEnd = MAC{2, 0xff, 0, 0, 0, 1}

// A Prober sends probes and reads what becomes of them. What it does runs where
// the Kernel's calls may be made.
type Prober struct {
	kernel Kernel
	links  []Link
	byName map[string]*Link
	// ports are those of the datagram sockets by the Kernel's number.
	ports map[int]uint16
	// batch and kept are the limits above, or what the kernel has room for.
	batch, kept int
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

// NewProber is a prober of a kernel with the links. ports are those of the
// datagram sockets by the Kernel's numbers; it may grow later.
func NewProber(kernel Kernel, links []Link, ports map[int]uint16) *Prober {
	p := &Prober{kernel: kernel, links: links, byName: map[string]*Link{}, ports: ports,
		batch: batchLength, kept: flowsKept, seen: map[flow]bool{}, next: 1 << 20}
	for i := range links {
		p.byName[links[i].Name] = &links[i]
	}
	return p
}

// Limit lowers how many probes go in at a time, and how many flows are kept: 0
// leaves as it is.
func (p *Prober) Limit(batch, flows int) {
	if batch > 0 {
		p.batch = min(p.batch, batch)
	}
	if flows > 0 {
		p.kept = min(p.kept, flows)
	}
}

// Probe sends the probes and tells what became of each, in their order. Every
// one is the first packet of its flow: connection tracking is emptied before a
// flow would come again.
func (p *Prober) Probe(probes []Probe) ([]Outcome, error) {
	release, err := p.kernel.Pin()
	if err != nil {
		return nil, err
	}
	defer release()
	outcomes := make([]Outcome, len(probes))
	for start := 0; start < len(probes); {
		count, err := p.sendBatch(probes[start:], outcomes[start:])
		if err != nil {
			return nil, err
		}
		start += count
	}
	return outcomes, nil
}

// Forget empties connection tracking: every flow is new again.
func (p *Prober) Forget() error {
	if err := p.kernel.ForgetFlows(); err != nil {
		return err
	}
	clear(p.seen)
	return nil
}

// Local has act start the probe's flow on the host itself, and reads what became
// of what bears the probe's number. With told, act knows already.
func (p *Prober) Local(probe Probe, act func(number uint32) (outcome Outcome, told bool, err error)) (Outcome, error) {
	release, err := p.kernel.Pin()
	if err != nil {
		return Outcome{}, err
	}
	defer release()
	if f := flowOf(probe); p.full(f) {
		if err := p.Forget(); err != nil {
			return Outcome{}, err
		}
	} else {
		p.seen[f] = true
	}
	number := p.next
	p.next++
	outcome, told, err := act(number)
	if err != nil || told {
		return outcome, err
	}
	r := round{base: number, outcomes: make([]Outcome, 1)}
	err = p.collect(&r)
	return r.outcomes[0], err
}

func flowOf(probe Probe) flow {
	return flow{probe.Protocol, netip.AddrPortFrom(probe.From, probe.SourcePort)}
}

// full says that connection tracking must be emptied before a flow comes.
func (p *Prober) full(f flow) bool { return p.seen[f] || len(p.seen) >= p.kept }

// sendBatch sends as many probes as make one batch, and says how many those are.
func (p *Prober) sendBatch(probes []Probe, outcomes []Outcome) (int, error) {
	base := p.next
	count := 0
	for count < len(probes) && count < p.batch {
		f := flowOf(probes[count])
		if p.full(f) {
			if count > 0 {
				break
			}
			if err := p.Forget(); err != nil {
				return 0, err
			}
		}
		p.seen[f] = true
		if err := p.send(probes[count], base+uint32(count)); err != nil {
			return 0, err
		}
		count++
	}
	p.next += uint32(count)
	r := round{base: base, outcomes: outcomes[:count]}
	if err := p.collect(&r); err != nil {
		return 0, err
	}
	if len(r.forwarded) == 0 {
		return count, nil
	}
	if err := p.answer(&r); err != nil {
		return 0, err
	}
	return count, p.collect(&r)
}

func (p *Prober) send(probe Probe, number uint32) error {
	from := netip.AddrPortFrom(probe.From, probe.SourcePort)
	to := netip.AddrPortFrom(probe.To, probe.Port)
	if from.Addr().Is4() != to.Addr().Is4() {
		return fmt.Errorf("%s: two families", probe)
	}
	if probe.Protocol != protocolTCP && probe.Protocol != protocolUDP && probe.Protocol != protocolUDPLite {
		return fmt.Errorf("%s: not a protocol that is probed", probe)
	}
	link := p.byName[probe.Via]
	if link == nil {
		return fmt.Errorf("%s: the namespace has no interface %q", probe, probe.Via)
	}
	return p.write(link, segment{protocol: probe.Protocol, from: from, to: to, seq: number, flags: flagSYN})
}

func (p *Prober) write(link *Link, s segment) error {
	p.frame = p.frame[:0]
	if !link.Bare {
		p.frame = appendEthernet(p.frame, linkAddress(s.to.Addr(), link.MAC), FarEnd, s)
	}
	p.frame = appendPacket(p.frame, s)
	return p.kernel.WriteFrame(link.Number, p.frame)
}

// A round is one batch's probes on their way. Theirs are the numbers from base on.
type round struct {
	base     uint32
	outcomes []Outcome
	// forwarded are the packets that left, each to be answered by its far end.
	forwarded []departure
	answering bool
}

// A departure is a probe that left by a link.
type departure struct {
	segment
	link *Link
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
func (p *Prober) collect(r *round) error {
	for again := true; again; {
		if err := p.kernel.Settle(); err != nil {
			return err
		}
		again = false
		for i := range p.links {
			answered, err := p.drain(&p.links[i], r)
			if err != nil {
				return err
			}
			again = again || answered
		}
	}
	return p.kernel.Receive(func(socket int, payload []byte) {
		if len(payload) == 8 && binary.BigEndian.Uint32(payload) == payloadMagic {
			r.received(binary.BigEndian.Uint32(payload[4:]), p.ports[socket])
		}
	})
}

// drain reads what left by a link. Who asked for a neighbour is answered, and then
// has more to send.
func (p *Prober) drain(link *Link, r *round) (answered bool, err error) {
	parse := parseFrame
	if link.Bare {
		parse = parsePacket
	}
	for {
		n, err := p.kernel.ReadFrame(link.Number, p.buffer[:])
		if err != nil || n == 0 {
			return answered, err
		}
		if s, ok := parse(p.buffer[:n]); ok {
			r.saw(s, link)
			continue
		}
		if link.Bare {
			continue
		}
		if q, ok := parseQuestion(p.buffer[:n]); ok {
			answered = true
			if err := p.kernel.WriteFrame(link.Number, q.appendReply(p.frame[:0])); err != nil {
				return answered, err
			}
		}
	}
}

func (r *round) received(number uint32, port uint16) {
	if o := r.outcome(number); r.open(o) {
		*o = Outcome{Kind: Accepted, To: netip.AddrPortFrom(netip.Addr{}, port)}
	}
}

// open says that a probe's outcome may still be told. What the host itself answers
// outweighs that the packet left: that was a copy, which a rule may send anywhere.
func (r *round) open(o *Outcome) bool {
	return o != nil && (o.Kind == Dropped || o.Kind == Forwarded && !r.answering)
}

// saw notes a packet that came out of a link. The first one of a probe tells.
func (r *round) saw(s sighting, link *Link) {
	isTCP := s.protocol == protocolTCP
	switch {
	case s.icmp:
		if o := r.outcome(s.seq); r.open(o) {
			*o = Outcome{Kind: Unreachable, Via: link.Name, ICMPType: s.icmpType, ICMPCode: s.icmpCode}
		}
	case isTCP && s.flags&flagRST != 0:
		if o := r.outcome(s.ack - 1); r.open(o) {
			*o = Outcome{Kind: Reset, Via: link.Name}
		}
	case isTCP && s.flags&(flagSYN|flagACK) == flagSYN|flagACK:
		r.sawAnswer(s.ack-1, s.to, link)
	case isTCP && s.flags&flagSYN != 0:
		r.sawForwarded(s, link)
	case !isTCP && r.answering:
		r.sawAnswer(s.seq, s.to, link)
	case !isTCP:
		r.sawForwarded(s, link)
	}
}

// sawAnswer notes an answer. The far end's to a forwarded probe may be answered
// itself, by a SYN proxy: what goes to the far end doesn't count.
func (r *round) sawAnswer(number uint32, to netip.AddrPort, link *Link) {
	o := r.outcome(number)
	switch {
	case r.open(o):
		*o = Outcome{Kind: Accepted, Via: link.Name}
	case o != nil && o.Kind == Forwarded && (to != o.To || o.From == o.To):
		o.Answered = true
	}
}

func (r *round) sawForwarded(s sighting, link *Link) {
	o := r.outcome(s.seq)
	if o == nil || o.Kind != Dropped || !link.Bare && linkAddress(s.to.Addr(), link.MAC) != link.MAC {
		return // nobody routes to a group, but a bridge shows its frames to all ports
	}
	*o = Outcome{Kind: Forwarded, Via: link.Name, Bridge: link.Bridge, From: s.from, To: s.to}
	r.forwarded = append(r.forwarded, departure{s.segment, link})
}

// answer lets the far end of every forwarded probe answer it.
func (p *Prober) answer(r *round) error {
	r.answering = true
	for _, d := range r.forwarded {
		if r.outcome(d.seq).Kind != Forwarded {
			continue // it was a copy
		}
		err := p.write(d.link, segment{
			protocol: d.protocol, from: d.to, to: d.from,
			seq: d.seq, ack: d.seq + 1, flags: flagSYN | flagACK,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
