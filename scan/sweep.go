package scan

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"time"
)

// A sweep asks the same ports of a group of hosts, until each port has answered or
// has been silent twice.
type sweep struct {
	protocol string
	carrier  carrier
	ports    []uint16
	// index is a port's place in ports, -1 if it isn't asked.
	index     []int32
	hosts     []*hostSweep
	byAddress map[netip.Addr]*hostSweep
	limit     *limiter
	now       func() time.Time
	// first is the id of the first probe, next that of the next one. flights has the
	// probes of which something is known yet, by id modulo its length.
	first, next uint32
	flights     []flight
	// queue are the probes that are chosen and not sent.
	queue []probe
	turn  int
	sent  int
	watch func(*sweep)
}

// A flight is a probe under way.
type flight struct {
	id    uint32
	host  *hostSweep
	port  int32
	pass  int
	again bool // a canary
	stage flightStage
	sent  time.Time
}

type flightStage uint8

const (
	over flightStage = iota
	queued
	underWay
)

const (
	keptFlights = 1 << 16
	batchSize   = 256
	// mostPasses ends the retries of a host that loses answers all the time.
	mostPasses = 6
	// hopeless is how many probes can't be sent before a host is given up.
	hopeless = 16
	// denseEnough: where nearly all ports answer, one that doesn't was probably lost.
	denseEnough = 0.75
)

func newSweep(protocol string, c carrier, ports []uint16, addresses []netip.Addr, firstID uint32) *sweep {
	s := &sweep{
		protocol: protocol, carrier: c, ports: ports, index: make([]int32, 1<<16), byAddress: map[netip.Addr]*hostSweep{},
		limit: &limiter{}, now: time.Now, first: firstID, next: firstID, flights: make([]flight, keptFlights),
		watch: func(*sweep) {},
	}
	for i := range s.index {
		s.index[i] = -1
	}
	for i, p := range ports {
		s.index[p] = int32(i)
	}
	for _, a := range addresses {
		h := newHostSweep(a, len(ports))
		h.useCanary, h.cut = protocol != "udp", firstID
		s.hosts = append(s.hosts, h)
		s.byAddress[a.WithZone("")] = h
	}
	return s
}

// run asks until all is known or the context ends. What is known stays known.
func (s *sweep) run(ctx context.Context) error {
	for ctx.Err() == nil {
		now := s.now()
		wait, done := s.step(now)
		if done {
			return nil
		}
		if err := s.carrier.receive(wait, s.heard); err != nil {
			return err
		}
		s.watch(s)
	}
	return ctx.Err()
}

// mostWait is how long a Ctrl-C may go unnoticed.
const mostWait = 200 * time.Millisecond

// step looks after timeouts, sends what may be sent, and tells how long nothing
// will have to be done.
func (s *sweep) step(now time.Time) (wait time.Duration, done bool) {
	wait, done = mostWait, true
	for _, h := range s.hosts {
		if h.done {
			continue
		}
		if until, ended := s.lookAfter(h, now); !ended {
			wait, done = min(wait, until), false
		}
	}
	if done {
		return 0, true
	}
	limited := s.choose(now)
	moved := s.dispatch(now)
	switch {
	case moved:
		return 0, false
	case len(s.queue) > 0: // the way out is full
		return time.Millisecond, false
	case limited > 0:
		return min(max(wait, 0), limited), false
	}
	return max(wait, 0), false
}

// lookAfter expires probes and ends passes. It returns when it must be called again.
func (s *sweep) lookAfter(h *hostSweep, now time.Time) (until time.Duration, ended bool) {
	s.expire(h, now)
	if h.done = h.done || h.left == 0; h.done {
		return 0, true
	}
	if len(h.flights) > 0 {
		return s.flight(h.flights[0]).sent.Add(h.timeout()).Sub(now), false
	}
	if h.slow.active {
		return s.slowTurn(h, now), h.done
	}
	if h.more() {
		return max(h.after.Sub(now), mostWait), false
	}
	// An answer may still be on its way: its turn came, but it was overtaken.
	if quiet := h.lastSent.Add(h.timeout()).Sub(now); quiet > 0 {
		return quiet, false
	}
	s.endPass(h, now)
	return 0, h.done
}

func (s *sweep) endPass(h *hostSweep, now time.Time) {
	// A host may have used up its ICMP errors before this scan: it gets time for more.
	mute := s.protocol == "udp" && h.pass == 1 && !h.canary.known()
	if mute {
		h.after = now.Add(mostGap + leastTimeout)
	}
	if h.pass == 0 || mute || h.found > 0 && h.pass < mostPasses {
		h.pass, h.cursor, h.found = h.pass+1, 0, 0
		return
	}
	if s.protocol == "udp" && h.canary.known() {
		h.slow.active = true
		return
	}
	h.finish(NoResponse)
}

func (s *sweep) flight(id uint32) *flight { return &s.flights[id%keptFlights] }

// oldest is a host's first probe that may be under way; it is no longer the host's
// when its place has been taken by a later one.
func (s *sweep) oldest(h *hostSweep) (f *flight, mine bool) {
	f = s.flight(h.flights[0])
	return f, f.id == h.flights[0]
}

// expire gives up on the probes whose answers are overdue.
func (s *sweep) expire(h *hostSweep, now time.Time) {
	silent, timeout := 0, h.timeout()
	for len(h.flights) > 0 {
		f, mine := s.oldest(h)
		if mine && (f.stage == queued || f.stage == underWay && now.Sub(f.sent) < timeout) {
			break
		}
		if mine && f.stage == underWay {
			silent++
			s.unanswered(f)
		}
		h.flights = h.flights[1:]
	}
	if silent > 0 && (!h.useCanary || !h.canary.known()) {
		h.silence(silent)
	}
}

// unanswered ends a probe that was lost, or is silent.
func (s *sweep) unanswered(f *flight) {
	h := f.host
	f.stage = over
	h.inFlight--
	s.carrier.forget(f.id)
	h.ended(false)
	switch {
	case f.again:
		h.canary.missed()
		h.lost(f.id, s.next)
	case h.useCanary && h.dense > denseEnough:
		h.lost(f.id, s.next)
	}
}

// choose queues the next probes, host by host, as many as windows and limit allow.
// It returns how long the limit forbids more.
func (s *sweep) choose(now time.Time) (limited time.Duration) {
	if len(s.queue) > 0 {
		return 0
	}
	allowed, limited := s.limit.take(batchSize, now)
	share := max(allowed/len(s.hosts), 1)
	for n := 0; n < len(s.hosts) && len(s.queue) < allowed; n++ {
		s.turn = (s.turn + 1) % len(s.hosts)
		h := s.hosts[s.turn]
		for range min(share, allowed-len(s.queue)) {
			if !h.maySend(now) || h.slow.active || s.flight(s.next).stage != over {
				break
			}
			port, again, ok := h.next()
			if !ok {
				break
			}
			s.enqueue(h, port, again)
		}
	}
	s.limit.giveBack(allowed - len(s.queue))
	if len(s.queue) > 0 {
		return 0
	}
	return limited
}

func (s *sweep) enqueue(h *hostSweep, port int32, again bool) {
	id := s.next
	s.next++
	*s.flight(id) = flight{id: id, host: h, port: port, pass: h.pass, again: again, stage: queued}
	h.flights = append(h.flights, id)
	h.inFlight++
	if again {
		h.canary.out, h.sinceAnswer = true, 0
	} else {
		h.sinceAnswer++
	}
	s.queue = append(s.queue, probe{id, netip.AddrPortFrom(h.address, s.ports[port])})
}

// dispatch sends what is queued; it says whether something went out.
func (s *sweep) dispatch(now time.Time) bool {
	if len(s.queue) == 0 {
		return false
	}
	// before sending: a connection may be answered at once
	for _, p := range s.queue {
		f := s.flight(p.id)
		f.stage, f.sent, f.host.lastSent = underWay, now, now
	}
	n, err := s.carrier.send(s.queue, s.heard)
	s.sent += n
	if err != nil && n < len(s.queue) {
		s.notSent(s.queue[n], err)
		n++
	}
	for _, p := range s.queue[n:] {
		s.flight(p.id).stage = queued
	}
	s.queue = append(s.queue[:0], s.queue[n:]...)
	return n > 0
}

// notSent ends a probe that the host itself refuses to send: there is no way there,
// or its own rules forbid it.
func (s *sweep) notSent(p probe, err error) {
	f := s.flight(p.id)
	if f.stage == over {
		return
	}
	f.stage = over
	f.host.inFlight--
	if f.host.err == nil {
		f.host.err = err
	}
	if f.again {
		f.host.canary.missed()
		return
	}
	f.host.settle(f.port, NotSent)
	// Its own rules may forbid the host one port and not the other; else there is no way.
	if f.host.unsent++; f.host.unsent >= hopeless && f.host.smoothed == 0 && !errors.Is(err, fs.ErrPermission) {
		f.host.finish(NotSent)
	}
}

// heard takes an answer in.
func (s *sweep) heard(a answer) {
	f, ok := s.asked(a)
	if !ok {
		s.heardLate(a)
		return
	}
	h := f.host
	if f.stage == underWay {
		f.stage = over
		h.inFlight--
		h.ended(true)
	}
	h.answered(s.now().Sub(f.sent))
	h.sinceAnswer = 0
	if f.again {
		h.canary.out, h.canary.misses, h.slow.canaryHeard = false, 0, true
	} else if h.settle(f.port, a.reason) {
		s.firstAnswer(f, a)
	}
	h.passed(1 + s.overtaken(h, f.id))
}

// asked is the probe that an answer is for.
func (s *sweep) asked(a answer) (*flight, bool) {
	if !a.numbered {
		return nil, false
	}
	f := s.flight(a.id)
	if f.host == nil || f.id != a.id {
		return nil, false
	}
	peer := netip.AddrPortFrom(f.host.address.WithZone(""), s.ports[f.port])
	return f, !a.peer.IsValid() || a.peer == peer
}

// firstAnswer is what follows from the first answer of a port.
func (s *sweep) firstAnswer(f *flight, a answer) {
	h := f.host
	state := a.reason.state(s.protocol)
	// Its first answer was lost; but a filter's errors are few by design, and say no
	// more than silence does.
	if f.pass > 0 && state != Filtered {
		h.found++
		h.lost(f.id, s.next)
	}
	if a.reason.answered() && (state == Closed || state == Open && s.carrier.unnoticed()) {
		h.canary.add(f.port, state == Closed)
	}
	s.carrier.forget(f.id)
}

// overtaken ends the probes that were sent to a host before one that is answered.
func (s *sweep) overtaken(h *hostSweep, id uint32) (n int) {
	if !s.carrier.inOrder() {
		return 0
	}
	for len(h.flights) > 0 {
		f, mine := s.oldest(h)
		if int32(h.flights[0]-id) > 0 || mine && f.stage == queued {
			break
		}
		if mine && f.stage == underWay {
			s.unanswered(f)
			n++
		}
		h.flights = h.flights[1:]
	}
	return n
}

// heardLate takes in an answer to a probe that was given up. A numbered answer must
// have one of the numbers that were given out.
func (s *sweep) heardLate(a answer) {
	if a.numbered && a.id-s.first >= s.next-s.first {
		return
	}
	h, ok := s.byAddress[a.peer.Addr()]
	if !ok {
		return
	}
	port := s.index[a.peer.Port()]
	if port < 0 {
		return
	}
	if h.settle(port, a.reason) && a.reason.state(s.protocol) != Filtered {
		h.found++
	}
}

// remaining is about how many probes are still to be sent.
func (s *sweep) remaining() (n int) {
	for _, h := range s.hosts {
		switch {
		case h.done:
		case h.pass == 0:
			n += h.left + (len(h.reasons) - h.cursor)
		case h.slow.active:
			n += h.left
		default:
			n += len(h.reasons[h.cursor:]) * h.left / max(len(h.reasons), 1)
		}
	}
	return n
}
