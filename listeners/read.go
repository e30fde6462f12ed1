package listeners

import (
	"fmt"
	"io/fs"
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
	seen := observe(host)
	if doubtful(seen) {
		// Nobody was seen to hold some socket. That is so where the kernel itself
		// listens, and where a process ended, started or forked meanwhile: what nobody
		// holds twice is the kernel's.
		first := seen
		seen = observe(host)
		seen.ownedByKernel = unheldTwice(first, seen)
	}
	found := slices.Concat(seen.gaps, nil)
	names, missing := deviceNames(host, seen.sockets)
	found = append(found, missing...)
	chosen, missing := portRangeFor(host, seen.sockets)
	found = append(found, missing...)

	listeners := group(seen.sockets, names, chosen)
	assignAll(listeners, seen, readOwners(host, seen.holders))
	nameSocketUnits(host, listeners)
	if gap := seen.holders.gap; gap.Source != "" && len(listeners) > 0 {
		gap.Reason += ": owners are unknown or may be incomplete"
		found = append(found, gap)
	}
	return listeners, found
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
func observe(host Host) observation {
	if h, ok := host.(expectant); ok {
		go h.ExpectSocketHolders()
	}
	sockets, found := readSockets(host)
	if len(sockets) == 0 {
		return observation{gaps: found, holders: &holders{}}
	}
	text, err := host.SocketHolders()
	return observation{sockets: sockets, gaps: found, holders: readHolders(host, sockets, text, err)}
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
func assignAll(listeners []Listener, o observation, processes map[int]*Process) {
	shared := make(map[int][]Process, len(processes))
	for pid, p := range processes {
		if p != nil {
			shared[pid] = []Process{*p}
		}
	}
	for i := range listeners {
		l := &listeners[i]
		pids := holdersOf(l.Inodes, o.holders)
		if len(pids) == 1 {
			l.Owners = shared[pids[0]]
		} else {
			for _, pid := range pids {
				l.Owners = append(l.Owners, shared[pid]...)
			}
		}
		explainOwners(l, pids, o)
	}
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
