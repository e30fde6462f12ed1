package scan

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// A peer is a simulated host behind a simulated network, with a clock of its own.
type peer struct {
	clock  time.Time
	trip   time.Duration
	answer func(port uint16) (Reason, bool)
	// queue is how many answers the network holds; more are lost.
	queue int
	// lose says whether the nth packet is lost.
	lose func(n int) bool
	// perSecond limits the answers of closed UDP ports, with a burst of 6.
	perSecond float64
	tokens    float64
	refilled  time.Time
	sent      int
	asked     map[uint16]int
	underWay  []simulated
	kind      carrierKind
}

type carrierKind struct{ order, quiet bool }

type simulated struct {
	at time.Time
	answer
}

func newPeer(answer func(uint16) (Reason, bool)) *peer {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &peer{clock: start, refilled: start, tokens: 6, trip: time.Millisecond, answer: answer, queue: 1000, asked: map[uint16]int{},
		lose: func(int) bool { return false }, kind: carrierKind{true, true}}
}

func (p *peer) send(probes []probe, _ func(answer)) (int, error) {
	for _, q := range probes {
		p.sent++
		p.asked[q.to.Port()]++
		p.clock = p.clock.Add(5 * time.Microsecond)
		reason, ok := p.answer(q.to.Port())
		if !ok || p.lose(p.sent) || len(p.underWay) >= p.queue || reason == PortUnreach && !p.token() {
			continue
		}
		p.underWay = append(p.underWay, simulated{p.clock.Add(p.trip), answer{id: q.id, numbered: true, peer: q.to, reason: reason}})
	}
	return len(probes), nil
}

// token is icmpv4_xrlim_allow's bucket (net/ipv4/icmp.c).
func (p *peer) token() bool {
	if p.perSecond == 0 {
		return true
	}
	p.tokens = min(p.tokens+p.clock.Sub(p.refilled).Seconds()*p.perSecond, 6)
	p.refilled = p.clock
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}

func (p *peer) receive(wait time.Duration, heard func(answer)) error {
	end := p.clock.Add(wait)
	for len(p.underWay) > 0 && !p.underWay[0].at.After(end) {
		next := p.underWay[0]
		p.underWay = p.underWay[1:]
		if next.at.After(p.clock) {
			p.clock = next.at
		}
		heard(next.answer)
	}
	if p.clock.Before(end) {
		p.clock = end
	}
	return nil
}

func (p *peer) forget(uint32)   {}
func (p *peer) ports() []uint16 { return nil }
func (p *peer) inOrder() bool   { return p.kind.order }
func (p *peer) unnoticed() bool { return p.kind.quiet }
func (p *peer) close() error    { return nil }

func (p *peer) scan(t *testing.T, protocol string, ports []uint16, rate int) ([]Group, time.Duration) {
	t.Helper()
	start := p.clock
	// ids that wrap around zero
	s := newSweep(protocol, p, ports, []netip.Addr{netip.MustParseAddr("192.0.2.1")}, ^uint32(0)-100)
	s.now = func() time.Time { return p.clock }
	s.limit = &limiter{rate: rate}
	if err := s.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return groups(protocol, ports, s.hosts[0].reasons), p.clock.Sub(start)
}

func allPorts() []uint16 {
	ports := make([]uint16, 65535)
	for i := range ports {
		ports[i] = uint16(i + 1)
	}
	return ports
}

func openAt(open []uint16, others Reason, answered bool) func(uint16) (Reason, bool) {
	return func(port uint16) (Reason, bool) {
		if slices.Contains(open, port) {
			return SynAck, true
		}
		return others, answered
	}
}

func count(all []Group, r Reason) int {
	for _, g := range all {
		if g.Reason == r {
			return g.Count()
		}
	}
	return 0
}

var someOpen = []uint16{22, 80, 443, 5432, 60000, 65535}

func TestNoAnswerIsLost(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		others   Reason
		answered bool
		change   func(*peer)
	}{
		"all others closed":                   {Reset, true, func(*peer) {}},
		"all others silent":                   {0, false, func(*peer) {}},
		"a short queue":                       {Reset, true, func(p *peer) { p.queue = 40 }},
		"a short queue among silence":         {0, false, func(p *peer) { p.queue, p.trip = 2, 50*time.Millisecond }},
		"a long way":                          {Reset, true, func(p *peer) { p.trip, p.queue = 300*time.Millisecond, 1<<20 }},
		"a way longer than the first timeout": {Reset, true, func(p *peer) { p.trip, p.queue = 900*time.Millisecond, 1<<20 }},
		"every tenth packet lost":             {Reset, true, func(p *peer) { p.lose = func(int) bool { return random.IntN(10) == 0 } }},
		"a link that goes away for a while": {Reset, true, func(p *peer) {
			start := p.clock.Add(40 * time.Millisecond)
			p.lose = func(int) bool { return p.clock.After(start) && p.clock.Before(start.Add(60*time.Millisecond)) }
		}},
		"connections": {Reset, true, func(p *peer) { p.kind = carrierKind{} }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(openAt(someOpen, c.others, c.answered))
			c.change(p)
			got, _ := p.scan(t, "tcp", allPorts(), 0)
			if n := count(got, SynAck); n != len(someOpen) {
				t.Errorf("%d of %d open ports: %v", n, len(someOpen), got)
			}
			if n := count(got, Reset); c.answered && n != 65535-len(someOpen) {
				t.Errorf("%d closed ports; %d probes", n, p.sent)
			}
		})
	}
}

// A port is called silent when it was asked at least twice.
func TestSilentPortsAreAskedAgain(t *testing.T) {
	p := newPeer(openAt(someOpen, 0, false))
	got, _ := p.scan(t, "tcp", allPorts(), 0)
	if n := count(got, NoResponse); n != 65535-len(someOpen) {
		t.Fatal(got)
	}
	for _, port := range allPorts() {
		if p.asked[port] < 2 && !slices.Contains(someOpen, port) {
			t.Fatalf("port %d was asked %d times", port, p.asked[port])
		}
	}
}

// A filter's errors don't tell an open port from a lost one, so they are no reason
// to ask a thousand silent ports again and again.
func TestRejectsThatAreRareDontProlongAScan(t *testing.T) {
	n := 0
	p := newPeer(func(port uint16) (Reason, bool) {
		n++
		return AdminProhibited, n%1000 == 0
	})
	p.scan(t, "tcp", allPorts(), 0)
	if p.sent > 2*65535+5000 {
		t.Errorf("%d probes", p.sent)
	}
}

// Linux sends one ICMP error a second to a peer: a closed port is not open|filtered.
func TestClosedUDPPortsBehindAnICMPLimit(t *testing.T) {
	silent := []uint16{53, 123}
	for name, tokens := range map[string]float64{"fresh": 6, "used up": 0} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(func(port uint16) (Reason, bool) { return PortUnreach, !slices.Contains(silent, port) })
			p.perSecond, p.tokens = 1, tokens
			var ports []uint16
			for port := uint16(40); port < 140; port++ {
				ports = append(ports, port)
			}
			got, took := p.scan(t, "udp", ports, 0)
			if count(got, PortUnreach) != 98 || count(got, NoResponse) != 2 {
				t.Errorf("%v", got)
			}
			if took > 5*time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestUDPPortsOfASilentHost(t *testing.T) {
	p := newPeer(func(uint16) (Reason, bool) { return 0, false })
	got, took := p.scan(t, "udp", []uint16{53, 123, 161}, 0)
	if len(got) != 1 || got[0].State != OpenFiltered || took > 10*time.Second {
		t.Errorf("%v after %v", got, took)
	}
}

func TestRateIsNeverExceeded(t *testing.T) {
	for _, answered := range []bool{true, false} {
		p := newPeer(openAt(someOpen, Reset, answered))
		const rate = 5000
		_, took := p.scan(t, "tcp", allPorts()[:20000], rate)
		if most := int(took.Seconds()*rate) + rate/20 + 1; p.sent > most {
			t.Errorf("answered %v: %d packets in %v, %d allowed", answered, p.sent, took, most)
		}
	}
}

// Nobody who can't see the probes can make a port look open.
func TestAnswersToNoQuestionAreIgnored(t *testing.T) {
	p := newPeer(func(uint16) (Reason, bool) { return 0, false })
	target := netip.MustParseAddr("192.0.2.1")
	s := newSweep("tcp", p, []uint16{22}, []netip.Addr{target}, 1000)
	for name, a := range map[string]answer{
		"a number that wasn't given out": {id: 7, numbered: true, peer: netip.AddrPortFrom(target, 22), reason: SynAck},
		"another host":                   {id: 1000, numbered: true, peer: netip.MustParseAddrPort("192.0.2.9:22"), reason: SynAck},
		"a port that wasn't asked":       {id: 1000, numbered: true, peer: netip.AddrPortFrom(target, 23), reason: SynAck},
	} {
		s.enqueue(s.hosts[0], 0, false)
		s.dispatch(p.clock)
		s.heard(a)
		if s.hosts[0].reasons[0] != Unasked {
			t.Errorf("%s: %v", name, s.hosts[0].reasons[0])
		}
	}
}

// Ctrl-C leaves what is known, and nothing is guessed about the rest.
func TestWhatWasNotAskedIsLeftOut(t *testing.T) {
	p := newPeer(openAt(someOpen, Reset, true))
	ctx, cancel := context.WithCancel(context.Background())
	s := newSweep("tcp", p, allPorts(), []netip.Addr{netip.MustParseAddr("192.0.2.1")}, 5)
	s.now = func() time.Time { return p.clock }
	s.watch = func(s *sweep) {
		if s.sent > 1000 {
			cancel()
		}
	}
	if err := s.run(ctx); err == nil {
		t.Fatal("it wasn't interrupted")
	}
	got := groups("tcp", s.ports, s.hosts[0].reasons)
	if n := count(got, Reset); n < 500 || n > 5000 || count(got, SynAck) != 3 || len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// noWay is a network to which nothing can be sent.
type noWay struct {
	*peer
	err error
}

func (n noWay) send(probes []probe, _ func(answer)) (int, error) {
	n.sent++
	return 0, n.err
}

func TestAHostWithoutARouteIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		most int
	}{
		"no route":             {errors.New("network is unreachable"), hopeless},
		"forbidden, each port": {fs.ErrPermission, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			p := noWay{newPeer(nil), c.err}
			s := newSweep("tcp", p, allPorts()[:1000], []netip.Addr{netip.MustParseAddr("192.0.2.1")}, 5)
			s.now = func() time.Time { return p.clock }
			if err := s.run(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := groups("tcp", s.ports, s.hosts[0].reasons); count(got, NotSent) != 1000 || p.sent != c.most || s.hosts[0].err != c.err {
				t.Errorf("%v after %d attempts, %v", got, p.sent, s.hosts[0].err)
			}
		})
	}
}
