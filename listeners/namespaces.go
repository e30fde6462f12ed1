package listeners

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/gaps"
)

// A SpacedHost is what ReadNamespaces needs of a host, besides its files.
type SpacedHost interface {
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]string, error)
	Readlink(name string) (string, error)
	// NetworkNamespaces has a line "PID ID" for every visible process, and "PID !
	// ERRNO" where that could not be told.
	NetworkNamespaces() ([]byte, error)
	// Containers is Docker's list of running containers.
	Containers() ([]byte, error)
}

// HostNamespace is the name of the network namespace that was looked at first.
const HostNamespace = "host"

// A Namespace is a network namespace of the machine.
type Namespace struct {
	// ID is its inode (namespaces(7)), unique on the machine; 0 if not known.
	ID uint64
	// Name is unique among the namespaces, and the same after a restart wherever
	// something has a name: "host", a name of ip-netns(8), a container, a unit.
	Name string
	// Title is the name with what it is of: "container web", "namespace blue".
	Title string
	// Aliases are further names that people know it by.
	Aliases []string
	// Paths lead there, the most lasting first.
	Paths []string
	// PIDs are the processes in it, ascending.
	PIDs []int
	// Container is that of its first process; its ID is empty if there is none.
	Container Container
}

// maxNamespaces is how many are looked at; each costs some milliseconds.
const maxNamespaces = 4096

// ReadNamespaces finds the network namespaces of all visible processes, and those
// that a file keeps (ip-netns(8), Docker). The host's own comes first, the others
// by name. What only a descriptor or a socket keeps is not found.
func ReadNamespaces(host SpacedHost) ([]Namespace, []gaps.Gap) {
	own, err := host.Readlink("/proc/self/ns/net")
	ownID, ok := namespaceID(own)
	if err != nil || !ok {
		return nil, []gaps.Gap{{Source: "/proc/self/ns/net", Reason: "the network namespaces could not be read", Hint: namespaceHint(err), Err: err}}
	}
	spaces := &spaces{host: host, byID: map[uint64]*Namespace{}}
	spaces.add(ownID).Paths = []string{"/proc/self/ns/net"}
	var found []gaps.Gap
	text, err := host.NetworkNamespaces()
	if err != nil {
		found = append(found, gaps.Gap{Source: "/proc/PID/ns/net", Reason: "the processes' network namespaces could not be read", Hint: namespaceHint(err), Err: err})
	}
	if unread := spaces.addProcesses(text); unread > 0 {
		found = append(found, gaps.Gap{
			Source: "/proc/PID/ns/net",
			Reason: untoldReason(unread),
			Hint:   privilegeHint, Err: errPermission,
		})
	}
	spaces.addMounts()
	spaces.addLinks()
	all := spaces.sorted(ownID)
	if more := len(all) - maxNamespaces; more > 0 {
		all = all[:maxNamespaces]
		found = append(found, gaps.Gap{
			Source: "network namespaces",
			Reason: fmt.Sprintf("%d more than the %d that are looked at were left out", more, maxNamespaces),
			Hint:   "ask for one of them with --netns",
		})
	}
	spaces.name(all, ownID)
	return all, found
}

func namespaceHint(err error) string {
	if errors.Is(err, errNotExist) {
		return "the recording lacks them: record the host again with this netglance"
	}
	return privilegeHint
}

// namespaceID is the number in "net:[4026531840]".
func namespaceID(link string) (uint64, bool) {
	number, ok1 := strings.CutPrefix(link, "net:[")
	number, ok2 := strings.CutSuffix(number, "]")
	id, err := strconv.ParseUint(number, 10, 64)
	return id, ok1 && ok2 && err == nil && id != 0
}

// spaces gathers namespaces from all that leads to them.
type spaces struct {
	host SpacedHost
	byID map[uint64]*Namespace
	ofID map[int]uint64 // by pid
}

func (s *spaces) add(id uint64) *Namespace {
	n := s.byID[id]
	if n == nil {
		n = &Namespace{ID: id}
		s.byID[id] = n
	}
	return n
}

// addProcesses reads the lines of NetworkNamespaces, and counts the processes of
// which it could not be told.
func (s *spaces) addProcesses(text []byte) (unread int) {
	s.ofID = map[int]uint64{}
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		pid, rest, ok1 := leadingNumber(line)
		id, _, ok2 := leadingNumber(rest)
		if !ok1 || !ok2 || pid > maxPID || id == 0 {
			unread++
			continue
		}
		n := s.add(id)
		n.PIDs = append(n.PIDs, int(pid))
		s.ofID[int(pid)] = id
	}
	return unread
}

// addMounts adds the namespaces that files are mounted on (proc_pid_mountinfo(5)):
// their root is "net:[ID]".
func (s *spaces) addMounts() {
	mounts, err := s.host.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return // the processes' are there all the same
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		id, ok := namespaceID(fields[3])
		if !ok {
			continue
		}
		if n, file := s.add(id), unescapeMount(fields[4]); !slices.Contains(n.Paths, file) {
			n.Paths = append(n.Paths, file)
		}
	}
}

// unescapeMount undoes mangle_path (fs/seq_file.c): "\040" is a space.
func unescapeMount(name string) string {
	for _, c := range []byte(" \t\n\\") {
		name = strings.ReplaceAll(name, fmt.Sprintf(`\%03o`, c), string(c))
	}
	return name
}

// namedDirectories are where ip-netns(8) looks.
var namedDirectories = []string{"/run/netns", "/var/run/netns"}

// addLinks adds the names that are symbolic links, as people make them for
// containers: /run/netns/web → /proc/812/ns/net.
func (s *spaces) addLinks() {
	for _, dir := range namedDirectories {
		names, err := s.host.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, name := range names[:min(len(names), maxNamespaces)] {
			target, err := s.host.Readlink(dir + "/" + name)
			if err != nil {
				continue // the usual: a file with the namespace mounted on it
			}
			if n := s.leadingTo(path.Join(dir, target), target); n != nil {
				n.Paths = append(n.Paths, dir+"/"+name)
			}
		}
	}
}

// leadingTo is the namespace that one of the files leads to; nil if none does.
func (s *spaces) leadingTo(files ...string) *Namespace {
	for _, file := range files {
		if id, ok := s.ofID[processOf(file)]; ok {
			return s.byID[id]
		}
		for _, n := range s.byID {
			if slices.Contains(n.Paths, file) {
				return n
			}
		}
	}
	return nil
}

// processOf is the process of "/proc/812/ns/net"; 0 for other files.
func processOf(file string) int {
	number, ok1 := strings.CutPrefix(path.Clean(file), "/proc/")
	number, ok2 := strings.CutSuffix(number, "/ns/net")
	pid, err := strconv.Atoi(number)
	if !ok1 || !ok2 || err != nil || pid <= 0 {
		return 0
	}
	return pid
}

// sorted are the namespaces by id, the host's own first.
func (s *spaces) sorted(own uint64) []Namespace {
	var all []Namespace
	for _, n := range s.byID {
		slices.SortFunc(n.Paths, func(a, b string) int { return cmp.Or(cmp.Compare(pathRank(a), pathRank(b)), strings.Compare(a, b)) })
		for _, pid := range n.PIDs[:min(len(n.PIDs), 4)] { // of several, one may live on
			n.Paths = append(n.Paths, fmt.Sprintf("/proc/%d/ns/net", pid))
		}
		all = append(all, *n)
	}
	slices.SortFunc(all, func(a, b Namespace) int {
		if a.ID == own || b.ID == own {
			return cmp.Compare(b2i(b.ID == own), b2i(a.ID == own))
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return all
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// pathRank puts names that people gave before those that programs gave.
func pathRank(file string) int {
	switch {
	case givenName(file) != "":
		return 0
	case slices.Contains(namedDirectories, path.Dir(file)):
		return 1
	}
	return 2
}

// givenName is the name that a person gave a namespace with ip-netns(8); empty for
// other files, and for names that CNI and podman make up.
func givenName(file string) string {
	name := path.Base(file)
	if !slices.Contains(namedDirectories, path.Dir(file)) || strings.HasPrefix(name, "cni-") || strings.HasPrefix(name, "netns-") {
		return ""
	}
	return name
}

// Find is the namespace that a person means: "host", a name, a container's name
// or the beginning of its id, a pid, or a path. A path that none of them is known
// by stands for itself.
func Find(all []Namespace, word string) (Namespace, error) {
	if strings.Contains(word, "/") {
		return findPath(all, word), nil
	}
	if pid, err := strconv.Atoi(word); err == nil {
		i := slices.IndexFunc(all, func(n Namespace) bool { _, found := slices.BinarySearch(n.PIDs, pid); return found })
		if i < 0 {
			return Namespace{}, fmt.Errorf("no process %d whose network namespace could be told", pid)
		}
		return all[i], nil
	}
	for _, fits := range []func(Namespace) bool{
		func(n Namespace) bool { return n.Name == word },
		func(n Namespace) bool { return slices.Contains(n.Aliases, word) },
		func(n Namespace) bool { return len(word) >= 4 && strings.HasPrefix(n.Container.ID, word) },
	} {
		switch found := slices.DeleteFunc(slices.Clone(all), func(n Namespace) bool { return !fits(n) }); len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return Namespace{}, fmt.Errorf("%q is %d network namespaces", word, len(found))
		}
	}
	return Namespace{}, fmt.Errorf("no network namespace %q", word)
}

func findPath(all []Namespace, file string) Namespace {
	file = path.Clean(file)
	pid := processOf(file)
	for _, n := range all {
		if _, found := slices.BinarySearch(n.PIDs, pid); found && pid != 0 || slices.Contains(n.Paths, file) {
			return n
		}
	}
	return Namespace{Name: file, Title: "namespace " + file, Paths: []string{file}}
}

// ServedBy is the namespace that a process serves of which only the container, or
// a child in the namespace, is known; false if there is none, or several.
func ServedBy(host SpacedHost, all []Namespace, p Process, proxy Proxy) (Namespace, bool) {
	var found []Namespace
	for _, n := range all {
		if proxy.Container.ID != "" && n.Container.ID == proxy.Container.ID || proxy.Container.ID == "" && hasChild(host, n, p.PID) {
			found = append(found, n)
		}
	}
	if len(found) != 1 {
		return Namespace{}, false
	}
	return found[0], true
}

// hasChild says that the process started one of the first in a namespace that it
// is not in itself.
func hasChild(host SpacedHost, n Namespace, pid int) bool {
	if _, in := slices.BinarySearch(n.PIDs, pid); in {
		return false
	}
	return slices.ContainsFunc(n.PIDs[:min(len(n.PIDs), 4)], func(child int) bool { return parentOf(host, child) == pid })
}

func untoldReason(n int) string {
	if n == 1 {
		return "the network namespace of 1 process could not be told"
	}
	return fmt.Sprintf("the network namespaces of %d processes could not be told", n)
}
