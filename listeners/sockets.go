package listeners

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netglance/netglance/gaps"
)

// A table is one of the kernel's socket tables, and the two ways to it.
type table struct {
	protocol string
	family   uint8
	number   uint32 // for sock_diag
	states   uint32 // bits 1<<state
	file     string // below /proc/thread-self/net; empty if there is none
	counter  string // its name in /proc/net/protocols
}

// Only listeners of TCP: the kernel then walks its small table of listeners and
// leaves the connections alone.
var tables = []table{
	{"tcp", 4, protoTCP, 1 << stateListen, "tcp", "TCP"},
	{"tcp", 6, protoTCP, 1 << stateListen, "tcp6", "TCPv6"},
	{"mptcp", 4, protoMPTCP, 1 << stateListen, "", "MPTCP"},
	{"mptcp", 6, protoMPTCP, 1 << stateListen, "", "MPTCPv6"},
	{"udp", 4, protoUDP, allStates, "udp", "UDP"},
	{"udp", 6, protoUDP, allStates, "udp6", "UDPv6"},
	{"udplite", 4, protoUDPLite, allStates, "udplite", "UDP-Lite"},
	{"udplite", 6, protoUDPLite, allStates, "udplite6", "UDPLITEv6"},
	{"raw", 4, protoRaw, allStates, "raw", "RAW"},
	{"raw", 6, protoRaw, allStates, "raw6", "RAWv6"},
}

// unreadProtocols are transports with ports whose sockets netglance doesn't read.
var unreadProtocols = map[string]string{"SCTP": "SCTP", "SCTPv6": "SCTP", "DCCP": "DCCP", "DCCPv6": "DCCP"}

func (t table) diagFamily() uint8 {
	if t.family == 4 {
		return afInet
	}
	return afInet6
}

// A census is what a network namespace says of the sockets that it has.
type census struct {
	counts map[string]int // of /proc/net/protocols; empty if it can't be read
	// listenersOfMPTCP says that MPTCP's counts have its listeners in them: since
	// Linux 6.2 (commit c558246ee73e).
	listenersOfMPTCP bool
}

func takeCensus(host Host) census {
	text, err := host.ReadFile(procNet + "protocols")
	if err != nil {
		return census{}
	}
	release, _ := host.ReadFile("/proc/sys/kernel/osrelease")
	return census{counts: parseProtocols(text), listenersOfMPTCP: atLeast(release, 6, 2)}
}

// atLeast compares a release like "6.1.0-18-amd64"; what can't be read is old.
func atLeast(release []byte, major, minor int) bool {
	a, rest, _ := strings.Cut(string(release), ".")
	digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits >= 0 {
		rest = rest[:digits]
	}
	x, err1 := strconv.Atoi(a)
	y, err2 := strconv.Atoi(rest)
	return err1 == nil && err2 == nil && (x > major || x == major && y >= minor)
}

// worthAsking says whether the table can have anything. Asking sock_diag for a
// protocol makes the kernel load its module, and for MPTCP walk a large table, so
// that is not done in vain.
func (c census) worthAsking(t table) bool {
	if len(c.counts) == 0 {
		return true
	}
	n, known := c.counts[t.counter]
	switch t.protocol {
	case "raw", "udplite":
		return n > 0
	case "mptcp":
		return known && (n > 0 || !c.listenersOfMPTCP)
	}
	return true
}

// readSockets reads all tables. Sockets that are an MPTCP listener's TCP side are
// not repeated.
func readSockets(host Host) ([]socket, []gaps.Gap) {
	here := takeCensus(host)
	found := unreadSockets(here.counts)
	asked := slices.DeleteFunc(slices.Clone(tables), func(t table) bool { return !here.worthAsking(t) })
	parts := make([][]socket, len(asked))
	var fallback refusals
	for i, d := range dumpTables(host, asked) {
		parts[i] = d.sockets
		if d.err != nil && len(d.sockets) == 0 {
			var gap []gaps.Gap
			parts[i], gap = fallback.read(host, asked[i], d.err)
			found = append(found, gap...)
		} else if d.err != nil {
			found = append(found, incomplete(asked[i].protocol, "sock_diag", d.err))
		}
	}
	return withoutSubflows(withoutSenders(slices.Concat(parts...))), append(found, fallback.gaps()...)
}

type dumped struct {
	sockets []socket
	err     error
}

// dumpTables dumps two tables at a time.
func dumpTables(host Host, asked []table) []dumped {
	dumps := make([]dumped, len(asked))
	inTurns(len(asked), func(i int) {
		dumps[i].sockets, dumps[i].err = dumpTable(host, asked[i])
	})
	return dumps
}

// tornDumps is how often a dump is repeated that was torn.
const tornDumps = 4

// dumpTable asks sock_diag. What a torn dump gave, the last time, comes with its error.
func dumpTable(host Host, t table) ([]socket, error) {
	sockets, err := dump(host, t, t.states, false)
	if t.protocol == "udp" || t.protocol == "udplite" {
		markChosenPorts(host, t, sockets)
	}
	return sockets, err
}

func dump(host Host, t table, states uint32, onlyChosen bool) (sockets []socket, err error) {
	request := diagRequest(t.diagFamily(), t.number, states, onlyChosen)
	for range tornDumps {
		var answer []byte
		if answer, err = host.Netlink(netlinkSockDiag, request); err != nil {
			return nil, err
		}
		sockets, err = parseSockDiag(t.protocol, answer)
		if !errors.Is(err, errTorn) {
			break
		}
	}
	return sockets, err
}

// markChosenPorts asks once more, for the unconnected sockets whose port the
// kernel chose. A kernel that doesn't answer that leaves the port range to judge.
func markChosenPorts(host Host, t table, sockets []socket) {
	unconnected := func(s socket) bool { return s.state == stateClose }
	if !slices.ContainsFunc(sockets, unconnected) {
		return
	}
	chosen, err := dump(host, t, 1<<stateClose, true)
	if err != nil {
		return
	}
	cookies := make(map[uint64]bool, len(chosen))
	for i := range chosen {
		cookies[chosen[i].cookie] = true
	}
	for i := range sockets {
		sockets[i].binding = portAsked
		if cookies[sockets[i].cookie] {
			sockets[i].binding = portChosen
		}
	}
}

// withoutSubflows drops the TCP sockets that belong to an MPTCP listener: the
// kernel lists each under both, with the same inode (net/mptcp/subflow.c,
// mptcp_subflow_create_socket).
func withoutSubflows(sockets []socket) []socket {
	mptcp := make(map[uint64]bool)
	for i := range sockets {
		if sockets[i].protocol == "mptcp" {
			mptcp[sockets[i].inode] = true
		}
	}
	if len(mptcp) == 0 {
		return sockets
	}
	return slices.DeleteFunc(sockets, func(s socket) bool { return s.protocol == "tcp" && mptcp[s.inode] })
}

// protoRawSender is IPPROTO_RAW: such raw sockets send and never receive (raw(7)).
// Reading legacy tables needs one, too.
const protoRawSender = 255

func withoutSenders(sockets []socket) []socket {
	return slices.DeleteFunc(sockets, func(s socket) bool { return s.protocol == "raw" && s.local.Port() == protoRawSender })
}

// refusals collects the tables that sock_diag didn't give.
type refusals struct {
	tables []string
	err    error
}

// ErrSocketsUnread is in the error of a gap that may hide a listener.
var ErrSocketsUnread = errors.New("sockets were not read")

// read reads the table's file instead.
func (r *refusals) read(host Host, t table, refused error) ([]socket, []gaps.Gap) {
	if t.file == "" {
		return nil, notRead(t, refused)
	}
	text, err := host.ReadFile(procNet + t.file)
	if errors.Is(err, errNotExist) && (t.family == 6 || errors.Is(refused, errNotExist)) {
		return nil, nil // neither way knows the protocol: the kernel has none of it
	}
	if err != nil {
		return nil, []gaps.Gap{{
			Source: t.file + " sockets",
			Reason: "neither sock_diag nor " + procNet + t.file + " could be read",
			Err:    errors.Join(ErrSocketsUnread, refused, err),
		}}
	}
	sockets, err := parseProcNet(t.protocol, text)
	sockets = withoutSenders(sockets)
	if len(sockets) > 0 {
		r.tables, r.err = append(r.tables, t.file), refused
	}
	if err != nil {
		return sockets, []gaps.Gap{incomplete(t.protocol, procNet+t.file, err)}
	}
	return sockets, nil
}

// notRead is the gap of a table with no file. Without sock_diag an MPTCP listener
// still shows, as TCP.
func notRead(t table, refused error) []gaps.Gap {
	if errors.Is(refused, errNotExist) {
		return nil
	}
	return []gaps.Gap{{
		Source: "sock_diag",
		Reason: fmt.Sprintf("%s sockets over IPv%d could not be asked for: such listeners count as TCP", t.protocol, t.family),
		Err:    refused,
	}}
}

func (r *refusals) gaps() []gaps.Gap {
	if len(r.tables) == 0 {
		return nil
	}
	untold := "the bound device"
	if slices.ContainsFunc(r.tables, func(file string) bool { return strings.HasSuffix(file, "6") && file != "raw6" }) {
		untold += ", nor whether an IPv6 socket takes IPv4"
	}
	return []gaps.Gap{{
		Source: "sock_diag",
		Reason: fmt.Sprintf("the kernel refused; read from /proc/net/{%s} instead, which doesn't tell %s", strings.Join(r.tables, ","), untold),
		Err:    r.err,
	}}
}

func incomplete(protocol, source string, err error) gaps.Gap {
	return gaps.Gap{Source: source, Reason: "some " + protocol + " sockets could not be read", Err: errors.Join(ErrSocketsUnread, err)}
}

// unreadSockets names the protocols whose sockets exist and are not read.
func unreadSockets(counts map[string]int) []gaps.Gap {
	totals := make(map[string]int)
	for counter, name := range unreadProtocols {
		totals[name] += max(counts[counter], 0)
	}
	var found []gaps.Gap
	for _, name := range []string{"DCCP", "SCTP"} {
		if totals[name] > 0 {
			found = append(found, gaps.Gap{
				Source: procNet + "protocols",
				Reason: fmt.Sprintf("%d %s sockets exist, which netglance doesn't read", totals[name], name),
			})
		}
	}
	return found
}
