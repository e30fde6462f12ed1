package scan

import (
	"net/netip"
	"slices"
	"time"
)

// A hostSweep is the state of one host while its ports are asked.
type hostSweep struct {
	pacer
	address netip.Addr
	// reasons are by the port's index; left is how many have none.
	reasons []Reason
	left    int
	// pass 0 asks every port, those after it the ones that stayed silent; cursor is
	// the next index, found counts the ports that answered in this pass.
	pass, cursor, found int
	lastSent            time.Time
	after               time.Time // nothing is sent before
	// flights are the ids of the probes under way, oldest first, some of them
	// answered; inFlight counts those that aren't.
	flights  []uint32
	inFlight int
	canary   canary
	// useCanary asks it among the others; a slow pass has its own way.
	useCanary bool
	// sinceAnswer counts the probes sent since the last answer or canary.
	sinceAnswer int
	// dense is how many of the last probes were answered, from 0 to 1.
	dense float64
	slow  slowPass
	// unsent counts the probes that could not be sent.
	unsent int
	done   bool
	err    error
}

// A canary is a port that is known to answer. It is asked again among probes that
// stay silent: its answer tells that those have arrived, its silence that answers are lost.
type canary struct {
	ports  []int32 // indexes, the best last
	misses int
	out    bool // one is under way
}

const (
	keptCanaries   = 4
	canaryPatience = 3
)

func newHostSweep(address netip.Addr, ports int) *hostSweep {
	return &hostSweep{pacer: newPacer(), address: address, reasons: make([]Reason, ports), left: ports}
}

func (c *canary) known() bool { return len(c.ports) > 0 }

// add keeps a port; closed ones are taken before open ones, which a program serves.
func (c *canary) add(port int32, closed bool) {
	switch {
	case len(c.ports) == keptCanaries:
	case closed:
		c.ports = append(c.ports, port)
	default:
		c.ports = slices.Insert(c.ports, 0, port)
	}
}

func (c *canary) port() int32 { return c.ports[len(c.ports)-1] }

// missed drops a port that answers no more.
func (c *canary) missed() {
	c.out = false
	if c.misses++; c.misses >= canaryPatience && c.known() {
		c.ports, c.misses = c.ports[:len(c.ports)-1], 0
	}
}

// more says whether a port is still to be asked in this pass, and moves the cursor there.
func (h *hostSweep) more() bool {
	for h.cursor < len(h.reasons) && h.reasons[h.cursor] != Unasked {
		h.cursor++
	}
	return h.cursor < len(h.reasons)
}

// next is the next port to ask, or a canary's; ok is false at the end of the pass.
func (h *hostSweep) next() (port int32, again, ok bool) {
	if !h.more() {
		return 0, false, false
	}
	if h.useCanary && h.canary.known() && !h.canary.out && h.sinceAnswer >= max(int(h.window)/2, 2) {
		return h.canary.port(), true, true
	}
	h.cursor++
	return int32(h.cursor - 1), false, true
}

// maySend says whether the window has room, and it is time.
func (h *hostSweep) maySend(now time.Time) bool {
	return !h.done && h.inFlight < int(h.window) && !now.Before(h.after)
}

// settle takes an answer for a port; it says whether it is its first.
func (h *hostSweep) settle(port int32, r Reason) bool {
	if h.reasons[port] != Unasked {
		return false
	}
	h.reasons[port] = r
	h.left--
	return true
}

// finish gives up on the ports without an answer.
func (h *hostSweep) finish(r Reason) {
	for i, reason := range h.reasons {
		if reason == Unasked {
			h.reasons[i] = r
		}
	}
	h.left, h.done = 0, true
}

// ended notes how a probe ended that left the network.
func (h *hostSweep) ended(answered bool) {
	value := 0.0
	if answered {
		value = 1
	}
	h.dense += (value - h.dense) / 32
}
