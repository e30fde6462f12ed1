package listeners

import (
	"strings"
)

// parseCgroup reads /proc/PID/cgroup (cgroups(7)): lines "ID:CONTROLLERS:PATH".
// systemd's own hierarchy tells the unit: "name=systemd" of version 1, else the
// one of version 2, whose id is 0. A container may be told by any.
func parseCgroup(text []byte, p *Process) {
	var systemd, unified string
	for line := range strings.Lines(string(text)) {
		_, rest, ok1 := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, ok2 := strings.Cut(rest, ":")
		if !ok1 || !ok2 {
			continue
		}
		switch controllers {
		case "":
			unified = path
		case "name=systemd":
			systemd = path
		}
		if p.Container == (Container{}) {
			p.Container = containerOf(path)
		}
	}
	path := systemd
	if path == "" || path == "/" {
		path = unified
	}
	unitsOf(path, p)
}

// unitsOf reads the units in a cgroup path of systemd's:
//
//	/system.slice/ssh.service
//	/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service
//
// The first service or scope is the system's unit; below user@UID.service, the
// next is the user's. What is below a unit is the unit's own business.
func unitsOf(path string, p *Process) {
	for name := range components(path) {
		name = strings.TrimPrefix(name, "_") // how systemd escapes a name (cg_escape)
		switch {
		case strings.HasSuffix(name, ".slice") && p.UserUnit == "":
			p.Slice = name
		case !isUnit(name):
		case p.Unit == "":
			p.Unit = name
			if !isUserManager(name) {
				return
			}
		default:
			p.UserUnit = name
			return
		}
	}
}

// unitSuffixes are the kinds of units that have processes (systemd.unit(5)).
var unitSuffixes = []string{".service", ".scope", ".socket", ".mount", ".swap"}

func isUnit(name string) bool {
	for _, suffix := range unitSuffixes {
		if len(name) > len(suffix) && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func isUserManager(unit string) bool {
	return strings.HasPrefix(unit, "user@") && strings.HasSuffix(unit, ".service")
}

// components are the names in a path, without empty ones and "..", with which a
// path begins that is outside of the reader's cgroup namespace.
func components(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range strings.SplitSeq(path, "/") {
			if name == "" || name == ".." {
				continue
			}
			if !yield(name) {
				return
			}
		}
	}
}
