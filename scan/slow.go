package scan

import "time"

// A slowPass asks the UDP ports that stayed silent, in small groups. A host sends few
// ICMP errors a second (Linux one, icmp_ratelimit in ip-sysctl), so a closed port may
// be silent because too many were asked: only silence beside the answer of a port
// that is known to be closed counts.
type slowPass struct {
	active bool
	// group are the ports that are asked, alone first, then with the canary behind.
	group      []int32
	asked      bool // they are, and not judged yet
	withCanary bool
	// size is how many are asked at a time, gap how long the host is left alone.
	size     int
	gap      time.Duration
	after    time.Time
	failures int
	// canaryHeard says that the canary answered.
	canaryHeard bool
}

const (
	firstGroup, mostGroup = 8, 64
	firstGap, mostGap     = 250 * time.Millisecond, time.Second
	mostFailures          = 8
)

// slowTurn goes on once nothing is under way, and returns when that will be.
func (s *sweep) slowTurn(h *hostSweep, now time.Time) time.Duration {
	p := &h.slow
	if p.size == 0 {
		p.size = firstGroup
	}
	ready := h.lastSent.Add(h.timeout())
	if p.after.After(ready) {
		ready = p.after
	}
	if now.Before(ready) {
		return ready.Sub(now)
	}
	if len(s.queue) > 0 {
		return 0
	}
	if p.asked {
		p.asked = false
		s.judgeGroup(h, now)
	}
	if h.done || now.Before(p.after) {
		return p.after.Sub(now)
	}
	if len(p.group) == 0 && !s.nextGroup(h) {
		h.finish(NoResponse)
		return 0
	}
	p.asked = true
	for _, port := range p.group {
		s.enqueue(h, port, false)
	}
	if p.withCanary {
		p.canaryHeard = false
		s.enqueue(h, h.canary.port(), true)
	}
	return h.timeout()
}

// judgeGroup decides on the ports that were asked last.
func (s *sweep) judgeGroup(h *hostSweep, now time.Time) {
	p := &h.slow
	left := p.group[:0]
	for _, port := range p.group {
		if h.reasons[port] == Unasked {
			left = append(left, port)
		}
	}
	p.group = left
	switch {
	case len(left) == 0:
		p.withCanary = false
	case !p.withCanary:
		p.withCanary = true
		p.after = now.Add(p.gap)
	case p.canaryHeard:
		for _, port := range left {
			h.settle(port, NoResponse)
		}
		p.group, p.withCanary, p.failures = left[:0], false, 0
		p.size, p.gap = min(p.size*2, mostGroup), p.gap*3/4
		p.after = now.Add(p.gap)
	default:
		p.slower(now)
		if p.failures >= mostFailures {
			h.finish(NoResponse)
		}
	}
}

// slower leaves the host alone for longer.
func (p *slowPass) slower(now time.Time) {
	p.failures++
	p.size = max(p.size/2, 1)
	p.group = p.group[:min(len(p.group), p.size)]
	p.gap = min(max(2*p.gap, firstGap), mostGap)
	p.after, p.withCanary = now.Add(p.gap), false
}

// nextGroup takes the next silent ports; false if there are none.
func (s *sweep) nextGroup(h *hostSweep) bool {
	for i, r := range h.reasons {
		if r == Unasked && len(h.slow.group) < h.slow.size {
			h.slow.group = append(h.slow.group, int32(i))
		}
	}
	return len(h.slow.group) > 0
}
