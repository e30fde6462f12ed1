package listeners

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netglance/netglance/gaps"
)

// A BSDHost is a host with macOS, FreeBSD or OpenBSD. The methods are those of the
// platform's Host, which says what they give.
type BSDHost interface {
	TableHost
	Sysctl(name string) ([]byte, error)
	Output(command ...string) ([]byte, error)
	// SocketHolders has a line "PID FD SOCKET" for every socket of every process; of these
	// systems macOS alone answers.
	SocketHolders() ([]byte, error)
}

// ReadBSD is Read for such hosts: TCP listeners and all UDP sockets. The kernel is
// asked; where it refuses, or has other records than those that are known, the
// system's own programs are, and at last gopsutil. Raw sockets, SCTP and the
// device that a socket is bound to are not read.
func ReadBSD(host BSDHost) ([]Listener, []gaps.Gap) {
	var refused []gaps.Gap
	for _, source := range bsdSources[host.OS()] {
		sockets, found, err := source.read(host)
		if err != nil {
			refused = append(refused, refusedSource(source.name, err))
			continue
		}
		processes, err := readPS(host)
		if err != nil {
			found = append(found, gaps.Gap{Source: "ps", Reason: "names and users of processes could not be read", Err: err})
		}
		nameZones(host, sockets)
		return bsdRows(sockets, processes), append(refused, found...)
	}
	rows, found := ReadTable(host)
	return rows, append(refused, found...)
}

// A bsdSource is a way to the sockets.
type bsdSource struct {
	name string
	read func(BSDHost) ([]bsdSocket, []gaps.Gap, error)
}

// bsdSources are those of a system, the best first.
var bsdSources = map[string][]bsdSource{
	"darwin": {
		{"net.inet.tcp.pcblist_n", readPCBListN},
		{"lsof", readLsof},
		{"netstat", readNetstat},
	},
	"freebsd": {
		{"net.inet.tcp.pcblist", readPCBList},
		{"sockstat", readSockstat},
	},
	"openbsd": {
		{"kern.file", readKinfoFiles},
		{"fstat", readFstat},
	},
}

func refusedSource(name string, err error) gaps.Gap {
	gap := gaps.Gap{Source: name, Reason: "the sockets could not be read there; asked elsewhere", Err: err}
	if errors.Is(err, errPermission) {
		gap.Hint = "run it as root"
	}
	return gap
}

// errNoSockets: a host has some; a list without any was not read.
var errNoSockets = errors.New("it tells of no socket at all")

// readLists reads TCP's list and UDP's. One that is cut keeps what was read of it,
// one of another layout is no use.
func readLists(host BSDHost, suffix string, parse func(protocol string, list []byte) ([]bsdSocket, error)) (all []bsdSocket, found []gaps.Gap, err error) {
	for _, protocol := range []string{"tcp", "udp"} {
		node := "net.inet." + protocol + "." + suffix
		list, err := host.Sysctl(node)
		if err != nil {
			return nil, nil, err
		}
		sockets, err := parse(protocol, list)
		if errors.Is(err, errLayout) {
			return nil, nil, err
		}
		if err != nil {
			found = append(found, incomplete(protocol, node, err))
		}
		all = append(all, sockets...)
	}
	if len(all) == 0 {
		return nil, nil, errNoSockets
	}
	return all, found, nil
}

// readPCBListN joins the sockets with the descriptors of all processes. A socket
// itself tells one process alone, that which used it last.
func readPCBListN(host BSDHost) ([]bsdSocket, []gaps.Gap, error) {
	sockets, found, err := readLists(host, "pcblist_n", parsePCBListN)
	if err != nil {
		return nil, nil, err
	}
	text, err := host.SocketHolders()
	if err != nil {
		return sockets, append(found, gaps.Gap{
			Source: "proc_info", Reason: "descriptors could not be read: of each socket one process is known, that which used it last", Err: err,
		}), nil
	}
	holders, unread := parseSocketHolders(text)
	if unread > 0 {
		found = append(found, gaps.Gap{
			Source: "proc_info", Reason: unreadableReason(unread) + ": their sockets show the process that used them last", Hint: "run it as root", Err: errPermission,
		})
	}
	for i := range sockets {
		s := &sockets[i]
		all := holders[s.handle]
		switch {
		case len(all) == 0:
		case unread == 0:
			s.holders, s.kernel = all, false
		default: // the last one may be among those that could not be read
			s.holders, s.kernel = append(s.holders, all...), false
		}
	}
	return sockets, found, nil
}

// parseSocketHolders is the processes by socket, and how many could not be read.
func parseSocketHolders(text []byte) (holders map[uint64][]Process, unread int) {
	holders = make(map[uint64][]Process)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 3 {
			continue
		}
		pid, err := strconv.ParseInt(words[0], 10, 32)
		handle, err2 := strconv.ParseUint(words[2], 10, 64)
		switch {
		case words[1] == "!":
			unread++
		case err == nil && err2 == nil && pid > 0 && handle != 0:
			holders[handle] = append(holders[handle], Process{PID: int(pid)})
		}
	}
	return holders, unread
}

// readPCBList joins the sockets with the descriptors of all processes, which the
// kernel lists apart.
func readPCBList(host BSDHost) ([]bsdSocket, []gaps.Gap, error) {
	sockets, found, err := readLists(host, "pcblist", parsePCBList)
	if err != nil {
		return nil, nil, err
	}
	list, err := host.Sysctl("kern.file")
	holders, cut := parseXfiles(list)
	if err == nil {
		err = cut
	}
	if err != nil {
		found = append(found, gaps.Gap{
			Source: "kern.file", Reason: "descriptors could not be read: owners are unknown or may be incomplete", Hint: "run it as root", Err: err,
		})
	}
	for i := range sockets {
		s := &sockets[i]
		s.holders = holders[s.handle]
		switch {
		case len(s.holders) > 0:
		case err != nil:
			s.untold, s.hint = "descriptors could not be read", "run it as root"
		default:
			// nfsd's sockets; or of a process that this user may not see
			// (security.bsd.see_other_uids, jails)
			s.untold = "no process that may be seen holds it: the kernel itself listens, or the process is hidden"
			s.hint = "run it as root, outside of jails"
		}
	}
	return sockets, found, nil
}

func readKinfoFiles(host BSDHost) ([]bsdSocket, []gaps.Gap, error) {
	list, err := host.Sysctl("kern.file")
	if err != nil {
		return nil, nil, err
	}
	if len(list)%kinfoFileSize != 0 {
		return nil, nil, fmt.Errorf("%d bytes: %w", len(list), errLayout)
	}
	sockets, err := parseKinfoFiles(list)
	if len(sockets) == 0 && err == nil {
		err = errNoSockets
	}
	return sockets, nil, err
}

// readText runs a program and reads what it prints.
func readText(host BSDHost, parse func([]byte) ([]bsdSocket, int), command ...string) ([]bsdSocket, []gaps.Gap, error) {
	text, err := host.Output(command...)
	if err != nil {
		return nil, nil, err
	}
	sockets, bad := parse(text)
	if len(sockets) == 0 {
		return nil, nil, errNoSockets
	}
	var found []gaps.Gap
	if bad > 0 {
		found = append(found, gaps.Gap{Source: command[0], Reason: fmt.Sprintf("%d lines about sockets are not understood", bad)})
	}
	return sockets, found, nil
}

func readLsof(host BSDHost) ([]bsdSocket, []gaps.Gap, error) {
	sockets, found, err := readText(host, parseLsof, "lsof", "-nP", "-iTCP", "-sTCP:LISTEN", "-iUDP", "-F", "pcuLftPnT")
	if err != nil {
		return nil, nil, err
	}
	if id, err := host.Output("id", "-u"); err != nil || strings.TrimSpace(string(id)) != "0" {
		found = append(found, gaps.Gap{Source: "lsof", Reason: "lsof shows a user his own processes' sockets: those of others are missing", Hint: "run it as root"})
	}
	for _, s := range sockets {
		if s.family == 6 && s.local.Addr().IsUnspecified() {
			found = append(found, gaps.Gap{Source: "lsof", Reason: "it isn't told whether IPv6 sockets take IPv4: taken to"})
			break
		}
	}
	return sockets, found, nil
}

func readNetstat(host BSDHost) ([]bsdSocket, []gaps.Gap, error) {
	return readText(host, parseNetstat, "netstat", "-anvl")
}

// readSockstat: old sockstats know no -w, without which long names run together
// with what follows.
func readSockstat(host BSDHost) ([]bsdSocket, []gaps.Gap, error) {
	sockets, found, err := readText(host, parseSockstat, "sockstat", "-46lw")
	if err != nil {
		return readText(host, parseSockstat, "sockstat", "-46l")
	}
	return sockets, found, nil
}

func readFstat(host BSDHost) ([]bsdSocket, []gaps.Gap, error) {
	return readText(host, parseFstat, "fstat", "-n")
}

// nameZones gives link-local addresses the names of their interfaces, as ifconfig
// tells them, in place of the kernel's numbers.
func nameZones(host BSDHost, sockets []bsdSocket) {
	var names map[string]string
	for i := range sockets {
		s := &sockets[i]
		zone := s.local.Addr().Zone()
		if zone == "" || strings.Trim(zone, "0123456789") != "" {
			continue
		}
		if names == nil {
			names = zoneNames(host)
		}
		if name := names[zone]; name != "" {
			s.local = netip.AddrPortFrom(s.local.Addr().WithZone(name), s.local.Port())
		}
	}
}

// zoneNames are the names of interfaces by the number that ifconfig shows after an
// address: "inet6 fe80::1%em0 prefixlen 64 scopeid 0x1".
func zoneNames(host BSDHost) map[string]string {
	names := map[string]string{}
	option := "-a"
	if host.OS() == "openbsd" {
		option = "-A"
	}
	text, err := host.Output("ifconfig", option)
	if err != nil {
		return names // numbers do as well
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "inet6" {
			continue
		}
		_, name, zoned := strings.Cut(words[1], "%")
		for i, word := range words[:len(words)-1] {
			var index uint32
			if word != "scopeid" || !zoned {
				continue
			}
			if _, err := fmt.Sscanf(words[i+1], "0x%x", &index); err == nil {
				names[fmt.Sprint(index)] = name
			}
		}
	}
	return names
}
