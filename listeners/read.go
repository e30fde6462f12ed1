package listeners

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/netglance/netglance/gaps"
)

// A Host is what Read needs of a live or recorded host. SocketHolders and Netlink
// are those of the platform's Host.
type Host interface {
	// ReadFile's errors satisfy errors.Is with fs.ErrNotExist and fs.ErrPermission.
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]string, error)
	Readlink(name string) (string, error)
	// Netlink is one request's whole answer, NLMSG_DONE included.
	Netlink(protocol int, request []byte) ([]byte, error)
	// SocketHolders has a line "PID FD INODE" for every socket that a visible process
	// holds, and "PID ! ERRNO" for a process that could not be read, by pid.
	SocketHolders() ([]byte, error)
}

var (
	errNotExist   = fs.ErrNotExist
	errPermission = fs.ErrPermission
)

// Read returns every socket of a Linux host that packets can reach, with its
// owners: TCP and MPTCP listeners, and all UDP, UDP-Lite and raw sockets, connected
// ones too (see Role, and Serving). Sorted by protocol, port, address and device.
func Read(host Host) ([]Listener, []gaps.Gap) {
	r := ReadEach([]Host{host})[0]
	return r.Listeners, r.Gaps
}

// A Reading is what Read returns of one network namespace.
type Reading struct {
	Listeners []Listener
	Gaps      []gaps.Gap
}

// ReadEach is Read for several network namespaces of one machine, whose processes
// are the same and are walked once for all: a socket's inode is the machine's, so
// that its holders are found whatever namespace they are in themselves.
func ReadEach(hosts []Host) []Reading {
	seen := observe(hosts)
	var again []int
	for i := range seen {
		if doubtful(seen[i]) {
			again = append(again, i)
		}
	}
	if len(again) > 0 {
		// Nobody was seen to hold some socket. That is so where the kernel itself
		// listens, and where a process ended, started or forked meanwhile: what nobody
		// holds twice is the kernel's.
		for i, second := range observe(chosenHosts(hosts, again)) {
			second.ownedByKernel = unheldTwice(seen[again[i]], second)
			seen[again[i]] = second
		}
	}
	readings := make([]Reading, len(hosts))
	inTurns(len(hosts), func(i int) {
		readings[i].Listeners, readings[i].Gaps = rowsOf(hosts[i], seen[i])
		letGo(hosts[i], len(hosts))
	})
	assignAll(hosts[0], readings, seen)
	for i, r := range readings {
		if gap := seen[i].holders.gap; gap.Source != "" && len(r.Listeners) > 0 {
			gap.Reason += ": owners are unknown or may be incomplete"
			readings[i].Gaps = append(r.Gaps, gap)
		}
	}
	return readings
}

func chosenHosts(hosts []Host, which []int) []Host {
	var out []Host
	for _, i := range which {
		out = append(out, hosts[i])
	}
	return out
}

// letGo closes what a host keeps open for its next question, where there are
// many hosts: each has descriptors of its own.
func letGo(host Host, hosts int) {
	if c, ok := host.(io.Closer); ok && hosts > 1 {
		c.Close()
	}
}

func rowsOf(host Host, seen observation) ([]Listener, []gaps.Gap) {
	found := slices.Concat(seen.gaps, nil)
	names, missing := deviceNames(host, seen.sockets)
	found = append(found, missing...)
	chosen, missing := portRangeFor(host, seen.sockets)
	found = append(found, missing...)
	return group(seen.sockets, names, chosen), found
}

// Serving keeps the sockets that take packets from anybody: all but the connected.
func Serving(all []Listener) []Listener {
	connected := func(l Listener) bool { return l.Role == ConnectedClient }
	if !slices.ContainsFunc(all, connected) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), connected)
}

// An observation is the sockets and their holders at about the same time.
type observation struct {
	sockets []socket
	holders *holders
	gaps    []gaps.Gap
	// ownedByKernel are the inodes that no process holds.
	ownedByKernel map[uint64]bool
}

// observe reads the sockets before their holders: the walk over the descriptors
// takes all processors, so that both together take longer.
func observe(hosts []Host) []observation {
	if h, ok := hosts[0].(expectant); ok {
		go h.ExpectSocketHolders()
	}
	seen := make([]observation, len(hosts))
	some := false
	inTurns(len(hosts), func(i int) {
		seen[i].sockets, seen[i].gaps = readSockets(hosts[i])
		seen[i].holders = &holders{}
		letGo(hosts[i], len(hosts))
	})
	for i := range seen {
		some = some || len(seen[i].sockets) > 0
	}
	if some {
		text, err := hosts[0].SocketHolders()
		readHolders(hosts[0], seen, text, err)
	}
	return seen
}

// expectant is a host that can prepare for SocketHolders meanwhile.
type expectant interface{ ExpectSocketHolders() }

func doubtful(o observation) bool {
	return o.holders.complete() && slices.ContainsFunc(o.sockets, o.holders.unheld)
}

func unheldTwice(first, second observation) map[uint64]bool {
	before, twice := make(map[uint64]bool), make(map[uint64]bool)
	for _, s := range first.sockets {
		before[s.inode] = first.holders.unheld(s)
	}
	for _, s := range second.sockets {
		twice[s.inode] = before[s.inode] && second.holders.unheld(s) && second.holders.complete()
	}
	return twice
}

// portRangeFor reads the port range only if a socket's role depends on it.
func portRangeFor(host Host, sockets []socket) (portRange, []gaps.Gap) {
	depends := func(s socket) bool {
		return (s.protocol == "udp" || s.protocol == "udplite") && s.state == stateClose && s.binding == portUnknown
	}
	if !slices.ContainsFunc(sockets, depends) {
		return portRange{}, nil
	}
	return readPortRange(host)
}

// assignAll gives every listener its owners. Rows of one process share a slice.
func assignAll(host Host, readings []Reading, seen []observation) {
	processes := readOwners(host, holding(readings, seen))
	if h, ok := host.(namingHost); ok {
		nameContainers(h, func(yield func(*Container, int) bool) {
			for _, pid := range slices.Sorted(maps.Keys(processes)) {
				if p := processes[pid]; p != nil && !yield(&p.Container, pid) {
					return
				}
			}
		})
	}
	shared := make(map[int][]Process, len(processes))
	for pid, p := range processes {
		if p != nil {
			shared[pid] = []Process{*p}
		}
	}
	for i := range readings {
		for j := range readings[i].Listeners {
			l := &readings[i].Listeners[j]
			pids := holdersOf(l.Inodes, seen[i].holders)
			if len(pids) == 1 {
				l.Owners = shared[pids[0]]
			} else {
				for _, pid := range pids {
					l.Owners = append(l.Owners, shared[pid]...)
				}
			}
			explainOwners(l, pids, seen[i])
		}
		nameSocketUnits(host, readings[i].Listeners)
	}
}

// holding are all processes that hold one of the sockets, ascending.
func holding(readings []Reading, seen []observation) []int {
	pids := make(map[int]bool)
	for i, r := range readings {
		for _, l := range r.Listeners {
			for _, pid := range holdersOf(l.Inodes, seen[i].holders) {
				pids[pid] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(pids))
}

// explainOwners says why owners are missing, if they are.
func explainOwners(l *Listener, pids []int, o observation) {
	for _, pid := range pids {
		if len(l.Owners) == len(pids) {
			break
		}
		if !slices.ContainsFunc(l.Owners, func(p Process) bool { return p.PID == pid }) {
			l.OwnerGap = fmt.Sprintf("process %d, which held it, ended while it was read", pid)
		}
	}
	unheld, kernel := 0, 0
	for _, inode := range l.Inodes {
		switch {
		case inode == 0 || o.ownedByKernel[inode]:
			kernel++
		case len(o.holders.pids[inode]) == 0:
			unheld++
		}
	}
	switch {
	case kernel == len(l.Inodes):
		l.Kernel = true
	case unheld == 0:
	case !o.holders.complete():
		l.OwnerGap, l.OwnerHint = o.holders.gap.Reason, o.holders.gap.Hint
	default:
		l.OwnerGap = "no process held it when the descriptors were read: it was being opened, closed or passed on"
	}
}

// holdersOf is the processes that hold any of the sockets, ascending.
func holdersOf(inodes []uint64, h *holders) []int {
	if len(inodes) == 1 {
		return h.pids[inodes[0]]
	}
	var pids []int
	for _, inode := range inodes {
		pids = append(pids, h.pids[inode]...)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}
