package listeners

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// name gives every namespace a name, in this order: the one that a person gave it,
// its container's, its pod's, the unit's that has it for itself, the name of its
// first process, the file that keeps it.
func (s *spaces) name(all []Namespace, own uint64) {
	firsts := make([]Process, len(all))
	for i := range all {
		if all[i].ID != own {
			firsts[i] = firstProcess(s.host, all[i].PIDs)
			all[i].Container = firsts[i].Container
		}
	}
	nameContainers(s.host, func(yield func(*Container, int) bool) {
		for i := range all {
			if !yield(&all[i].Container, firsts[i].PID) {
				return
			}
		}
	})
	for i := range all {
		if n := &all[i]; n.ID == own {
			n.Name, n.Title = HostNamespace, "the host"
		} else {
			n.describe(firsts[i])
		}
	}
	numberTwins(all)
	slices.SortStableFunc(all[min(1, len(all)):], func(a, b Namespace) int { return strings.Compare(a.Name, b.Name) })
}

func (n *Namespace) describe(first Process) {
	for _, file := range n.Paths {
		if name := givenName(file); name != "" && !slices.Contains(n.Aliases, name) {
			n.Aliases = append(n.Aliases, name)
		}
	}
	c := n.Container
	kind := ""
	switch {
	case len(n.Aliases) > 0:
		kind, n.Name = "namespace", n.Aliases[0]
	case c.Pod != "":
		kind, n.Name = "pod", c.Pod
	case c.ID != "":
		kind, n.Name = "container", c.ShortName()
	case first.PID == 1 || first.PID == 2 && first.Name == "kthreadd":
		kind, n.Name = "namespace", "init" // netglance itself is in another
	case isService(first):
		kind, n.Name = "unit", cmp.Or(first.UserUnit, first.Unit)
	case first.Name != "":
		kind, n.Name = "process", first.Name
	case len(n.Paths) > 0 && len(n.PIDs) == 0:
		kind, n.Name = "namespace", path.Base(n.Paths[0])
	default:
		kind, n.Name = "namespace", fmt.Sprintf("net:[%d]", n.ID)
	}
	n.Title = kind + " " + n.Name
	if c.ID != "" {
		n.Aliases = append(n.Aliases, c.ShortName())
	}
}

// isService: a service has processes that it started itself, which a login session
// or a user's manager (a scope) has not.
func isService(p Process) bool { return strings.HasSuffix(cmp.Or(p.UserUnit, p.Unit), ".service") }

// numberTwins makes the names unique: "sleep", "sleep #2".
func numberTwins(all []Namespace) {
	count := map[string]int{}
	for i := range all {
		n := &all[i]
		if count[n.Name]++; count[n.Name] > 1 {
			suffix := fmt.Sprintf(" #%d", count[n.Name])
			n.Name, n.Title = n.Name+suffix, n.Title+suffix
		}
	}
}

// firstProcess is the name, the units and the container of the first of some
// processes that is still there, or of one soon after it that is in a container: a
// proxy's own may be there before the container's. Its PID is 0 if there is none.
func firstProcess(host fileHost, pids []int) Process {
	var first Process
	for _, pid := range pids[:min(len(pids), 8)] {
		dir := "/proc/" + strconv.Itoa(pid)
		cgroup, err := host.ReadFile(dir + "/cgroup")
		if err != nil {
			continue
		}
		p := Process{PID: pid}
		parseCgroup(cgroup, &p)
		if comm, err := host.ReadFile(dir + "/comm"); err == nil {
			p.Name = strings.TrimSuffix(string(comm), "\n")
		}
		if p.Container.ID != "" {
			return p
		}
		if first.PID == 0 {
			first = p
		}
	}
	return first
}

// A fileHost is a host of which only files are read.
type fileHost interface {
	ReadFile(name string) ([]byte, error)
}
