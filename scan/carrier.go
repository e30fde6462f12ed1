package scan

import (
	"net/netip"
	"time"
)

// A carrier carries probes of one kind: SYNs, connections or datagrams.
type carrier interface {
	// send starts probes in their order and returns how many: fewer when no more are
	// taken now. An error is about the one after those.
	send(probes []probe, heard func(answer)) (int, error)
	// receive hands out the answers that have arrived; it waits for one if there is none.
	receive(wait time.Duration, heard func(answer)) error
	// forget says that no answer to a probe is waited for any more.
	forget(id uint32)
	// ports are the source ports, which no other program listens on.
	ports() []uint16
	// inOrder says that an answer tells that what was sent before has arrived too.
	inOrder() bool
	// unnoticed says that the program at an open port doesn't see the probe.
	unnoticed() bool
	close() error
}

// A probe is one question to a port. Each has an id of its own, in sequence.
type probe struct {
	id uint32
	to netip.AddrPort
}

// An answer is what came back.
type answer struct {
	// id is the probe's, if numbered; else the peer is all that is known.
	id       uint32
	numbered bool
	peer     netip.AddrPort // without a zone
	reason   Reason
}

// RawTCP is platform.RawTCP.
type RawTCP interface {
	Port() uint16
	Send(to []netip.Addr, packets [][]byte) (sent int, err error)
	Receive(wait time.Duration, heard func(packet []byte)) error
	Close() error
}

// Connections is platform.Connections.
type Connections interface {
	Capacity() int
	Ports() []uint16
	Connect(id uint32, to netip.AddrPort, heard func(id uint32, outcome string, icmpType, icmpCode uint8)) (bool, error)
	Receive(wait time.Duration, heard func(id uint32, outcome string, icmpType, icmpCode uint8)) error
	Forget(id uint32)
	Close() error
}

// Datagrams is platform.Datagrams.
type Datagrams interface {
	Ports() []uint16
	Send(to netip.AddrPort, payload []byte) (bool, error)
	Receive(wait time.Duration, heard func(peer netip.AddrPort, outcome string, payload []byte, icmpType, icmpCode uint8)) error
	Close() error
}

// synCarrier sends SYNs and never completes a handshake. The probe's id is its
// sequence number, so that no stranger can answer in a port's name.
type synCarrier struct {
	raw     RawTCP
	sources func(netip.Addr) (netip.Addr, error)
	known   map[netip.Addr]netip.Addr
	to      []netip.Addr
	packets [][]byte
	room    []byte
}

const synBatch = 256

func newSYNCarrier(raw RawTCP, sources func(netip.Addr) (netip.Addr, error)) *synCarrier {
	return &synCarrier{raw: raw, sources: sources, known: map[netip.Addr]netip.Addr{}, room: make([]byte, synBatch*synLength)}
}

func (c *synCarrier) send(probes []probe, _ func(answer)) (int, error) {
	c.to, c.packets = c.to[:0], c.packets[:0]
	for i, p := range probes[:min(len(probes), synBatch)] {
		from, err := c.source(p.to.Addr())
		if err != nil {
			if i > 0 {
				break // those before it go first
			}
			return 0, err
		}
		room := c.room[i*synLength : (i+1)*synLength]
		n := putSYN(room, netip.AddrPortFrom(from, c.raw.Port()), p.to, p.id)
		c.to = append(c.to, p.to.Addr())
		c.packets = append(c.packets, room[:n])
	}
	return c.raw.Send(c.to, c.packets)
}

// source is the host's own address towards a target.
func (c *synCarrier) source(to netip.Addr) (netip.Addr, error) {
	if from, ok := c.known[to]; ok {
		return from, nil
	}
	from, err := c.sources(to)
	if err != nil {
		return from, err
	}
	if len(c.known) > maxGroup {
		clear(c.known)
	}
	c.known[to] = from
	return from, nil
}

func (c *synCarrier) receive(wait time.Duration, heard func(answer)) error {
	return c.raw.Receive(wait, func(packet []byte) {
		if r, ok := parseReply(packet, c.raw.Port()); ok {
			heard(answer{id: r.sequence, numbered: true, peer: r.peer, reason: r.reason})
		}
	})
}

func (c *synCarrier) forget(uint32)   {}
func (c *synCarrier) ports() []uint16 { return nil } // a SYN to it is reset as truthfully as any
func (c *synCarrier) inOrder() bool   { return true }
func (c *synCarrier) unnoticed() bool { return true }
func (c *synCarrier) close() error    { return c.raw.Close() }

// connectCarrier makes connections, as any program may.
type connectCarrier struct{ connections Connections }

func (c connectCarrier) send(probes []probe, heard func(answer)) (int, error) {
	for i, p := range probes {
		ok, err := c.connections.Connect(p.id, p.to, decided(heard))
		if !ok || err != nil {
			return i, err
		}
	}
	return len(probes), nil
}

func (c connectCarrier) receive(wait time.Duration, heard func(answer)) error {
	return c.connections.Receive(wait, decided(heard))
}

func decided(heard func(answer)) func(uint32, string, uint8, uint8) {
	return func(id uint32, outcome string, icmpType, icmpCode uint8) {
		heard(answer{id: id, numbered: true, reason: connectReason(outcome, icmpType, icmpCode)})
	}
}

func connectReason(outcome string, icmpType, icmpCode uint8) Reason {
	switch outcome {
	case "open":
		return SynAck
	case "refused":
		return ConnRefused
	case "absent":
		return NeighborAbsent
	case "icmp", "icmp6":
		return icmpReason(outcome == "icmp6", icmpType, icmpCode)
	}
	return NotSent
}

func (c connectCarrier) forget(id uint32) { c.connections.Forget(id) }
func (c connectCarrier) ports() []uint16  { return nil } // never connected to from themselves
func (c connectCarrier) inOrder() bool    { return false }
func (c connectCarrier) unnoticed() bool  { return false }
func (c connectCarrier) close() error     { return c.connections.Close() }

// udpCarrier sends each port the datagram that a service there answers.
type udpCarrier struct {
	datagrams Datagrams
	payload   func(port uint16) []byte
	// asked are the probes whose answers are waited for
	asked map[netip.AddrPort]uint32
	peers map[uint32]netip.AddrPort
}

func newUDPCarrier(d Datagrams, payload func(uint16) []byte) *udpCarrier {
	return &udpCarrier{datagrams: d, payload: payload, asked: map[netip.AddrPort]uint32{}, peers: map[uint32]netip.AddrPort{}}
}

func (c *udpCarrier) send(probes []probe, _ func(answer)) (int, error) {
	for i, p := range probes {
		ok, err := c.datagrams.Send(p.to, c.payload(p.to.Port()))
		if !ok || err != nil {
			return i, err
		}
		peer := withoutZone(p.to)
		if before, twice := c.asked[peer]; twice {
			delete(c.peers, before)
		}
		c.asked[peer], c.peers[p.id] = p.id, peer
	}
	return len(probes), nil
}

func (c *udpCarrier) receive(wait time.Duration, heard func(answer)) error {
	return c.datagrams.Receive(wait, func(peer netip.AddrPort, outcome string, _ []byte, icmpType, icmpCode uint8) {
		a := answer{peer: withoutZone(peer), reason: UDPResponse}
		if outcome != "open" {
			a.reason = icmpReason(outcome == "icmp6", icmpType, icmpCode)
		}
		a.id, a.numbered = c.asked[a.peer]
		heard(a)
	})
}

func withoutZone(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port())
}

func (c *udpCarrier) forget(id uint32) {
	if peer, ok := c.peers[id]; ok {
		delete(c.peers, id)
		delete(c.asked, peer)
	}
}

func (c *udpCarrier) ports() []uint16 { return c.datagrams.Ports() }
func (c *udpCarrier) inOrder() bool   { return true }
func (c *udpCarrier) unnoticed() bool { return false }
func (c *udpCarrier) close() error    { return c.datagrams.Close() }
