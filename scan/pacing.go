package scan

import "time"

// A pacer decides how many probes to a host may be under way: as TCP does, more with
// each answer and half as many when one is lost (RFC 5681). Silence alone tells
// nothing, since a filtered port is silent too: a loss is a lost answer of a port that
// is known to answer.
type pacer struct {
	window, threshold float64
	smoothed, varied  time.Duration // round trip, RFC 6298; 0 before the first answer
	// near says that the way is none: the host is this one.
	near bool
	// cut is the probe before which a loss has been counted already.
	cut uint32
}

const (
	firstWindow = 64
	leastWindow = 4
	// farWindow is for peers with long ways; near ones are limited by the queue that
	// the kernel has for a processor's incoming packets (netdev_max_backlog, 1000).
	nearWindow, farWindow = 512, 4096
	// silentWindow is how far the window grows while a host doesn't answer at all.
	silentWindow = 4096

	firstTimeout = 500 * time.Millisecond
	leastTimeout = 100 * time.Millisecond
	mostTimeout  = 3 * time.Second
)

func newPacer() pacer { return pacer{window: firstWindow, threshold: farWindow} }

// answered takes in a round trip.
func (p *pacer) answered(took time.Duration) {
	if p.smoothed == 0 {
		p.smoothed, p.varied = max(took, 1), took/2
		return
	}
	p.varied += ((p.smoothed - took).Abs() - p.varied) / 4
	p.smoothed += (took - p.smoothed) / 8
}

// passed says that so many probes have left the network, one of them with an answer.
func (p *pacer) passed(n int) {
	if p.window < p.threshold {
		p.window += float64(n)
	} else {
		p.window += float64(n) / p.window
	}
	p.window = min(p.window, p.most())
}

func (p *pacer) most() float64 {
	return min(nearWindow+p.smoothed.Seconds()*100_000, farWindow)
}

// silence says that so many probes to a host that never answers have timed out.
func (p *pacer) silence(n int) { p.window = min(p.window+float64(n), silentWindow) }

// lost halves the window, once for all that was under way; next is the id of the next probe.
func (p *pacer) lost(id, next uint32) {
	if int32(id-p.cut) < 0 {
		return
	}
	p.window = max(p.window/2, leastWindow)
	p.threshold, p.cut = p.window, next
}

// timeout is how long an answer is waited for.
func (p *pacer) timeout() time.Duration {
	switch {
	case p.smoothed != 0:
	case p.near:
		return leastTimeout
	default:
		return firstTimeout
	}
	return min(max(p.smoothed+4*p.varied, leastTimeout), mostTimeout)
}

// A limiter keeps to a number of packets a second; 0 is no limit.
type limiter struct {
	rate    int
	credit  float64
	updated time.Time
}

// take returns how many of so many packets may go now, and when not all may, how
// long it is until the next one.
func (l *limiter) take(wanted int, now time.Time) (int, time.Duration) {
	if l.rate <= 0 {
		return wanted, 0
	}
	if l.updated.IsZero() {
		l.updated, l.credit = now, 1
	}
	// never more at once than in 50 ms: a busy machine lets nobody run more often
	most := max(float64(l.rate)/20, 1)
	l.credit = min(l.credit+now.Sub(l.updated).Seconds()*float64(l.rate), most)
	l.updated = now
	n := min(wanted, int(l.credit))
	l.credit -= float64(n)
	if n == wanted {
		return n, 0
	}
	return n, time.Duration((1 - (l.credit - float64(int(l.credit)))) / float64(l.rate) * float64(time.Second))
}

// giveBack returns what was taken and not sent.
func (l *limiter) giveBack(n int) { l.credit += float64(n) }
