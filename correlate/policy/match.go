package policy

import (
	"path"
	"strings"

	"github.com/netglance/netglance/listeners"
)

// Match says whether a port's owners are those that an entry asks for.
type Match uint8

// The matches. Unsure is where the owners could not be seen.
const (
	Differs Match = iota
	Unsure
	Fits
)

// For says that the entry is about all ports of a protocol from first on to last.
func (e Entry) For(protocol string, first, last uint16) bool {
	return holds(e.Ports, protocol, first, last)
}

// For says that the suppression is about the ports.
func (s Suppression) For(protocol string, first, last uint16) bool {
	return holds(s.Ports, protocol, first, last)
}

func holds(all []Ports, protocol string, first, last uint16) bool {
	for _, p := range all {
		if p.holds(protocol, first, last) {
			return true
		}
	}
	return false
}

// Via says that the entry is about packets that come in by an interface.
func (e Entry) Via(iface string) bool {
	for _, pattern := range e.Interfaces {
		if matches(pattern, iface) {
			return true
		}
	}
	return len(e.Interfaces) == 0
}

// Owns says whether every one of the processes that hold a port fits: another one
// beside them takes packets too. Kernel says that no process does.
func (o Owner) Owns(all []listeners.Process, kernel bool) Match {
	switch {
	case o == Owner{}:
		return Fits
	case kernel:
		if (o == Owner{Process: "kernel"}) {
			return Fits
		}
		return Differs
	case len(all) == 0:
		return Unsure
	}
	worst := Fits
	for _, p := range all {
		worst = min(worst, o.fits(p))
	}
	return worst
}

func (o Owner) fits(p listeners.Process) Match {
	worst := Fits
	need := func(pattern string, values ...string) {
		if pattern != "" {
			worst = min(worst, anyMatches(pattern, values))
		}
	}
	if p.SocketUnit != "" && p.PID == 1 {
		// systemd holds the socket for whom it starts when a packet comes.
		need(o.Unit, p.SocketUnit, strings.TrimSuffix(p.SocketUnit, ".socket")+".service")
		return worst
	}
	need(o.Process, p.Name, p.Executable, path.Base(p.Executable))
	need(o.Unit, p.Unit, p.UserUnit, p.SocketUnit)
	need(o.User, p.User)
	if o.Container != "" {
		worst = min(worst, container(o.Container, p.Container))
	}
	if o.Image != "" {
		worst = min(worst, image(o.Image, p.Container))
	}
	return worst
}

func container(pattern string, c listeners.Container) Match {
	if c.ID != "" && (matches(pattern, c.ID) || matches(pattern, c.Name) || len(pattern) >= 12 && strings.HasPrefix(c.ID, pattern)) {
		return Fits
	}
	return Differs
}

// image is known where Docker tells it.
func image(pattern string, c listeners.Container) Match {
	switch {
	case c.ID == "":
		return Differs
	case c.Image == "":
		return Unsure
	case matches(pattern, c.Image):
		return Fits
	}
	return Differs
}

func anyMatches(pattern string, values []string) Match {
	for _, v := range values {
		if v != "" && matches(pattern, v) {
			return Fits
		}
	}
	return Differs
}

func matches(pattern, value string) bool {
	ok, err := path.Match(pattern, value)
	return ok && err == nil
}
