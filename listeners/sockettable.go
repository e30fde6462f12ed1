package listeners

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/netglance/netglance/gaps"
)

// A TableHost is a host of another system than Linux: macOS, FreeBSD or OpenBSD.
type TableHost interface {
	// SocketTable is JSON lines: {"reader":…}, then {"socket":…} and {"process":…}, as
	// the platform's Host describes them.
	SocketTable() ([]byte, error)
	OS() string // named like GOOS
}

// ReadTable is Read for such hosts, whose tools tell less: not the device, the
// socket's user and inode, nor whether an IPv6 socket takes IPv4. It is tested on
// recorded bytes only.
func ReadTable(host TableHost) ([]Listener, []gaps.Gap) {
	text, err := host.SocketTable()
	if err != nil {
		return nil, []gaps.Gap{{Source: "socket table", Reason: "the sockets could not be read", Hint: tableHint(host.OS()), Err: err}}
	}
	t := parseTable(text, host.OS())
	rows := t.rows()
	return rows, t.gaps()
}

func tableHint(os string) string {
	switch os {
	case "freebsd":
		return "install lsof (pkg install lsof) and run netglance as root"
	case "darwin", "openbsd":
		return "run it as root, with /usr/sbin and /usr/bin in PATH"
	}
	return "look at a host that was recorded: netglance listeners --host FILE"
}

// A socketTable is what the lines say.
type socketTable struct {
	os        string
	reader    tableReader
	sockets   []tableSocket
	processes map[int]tableProcess
	bad       int // lines that are not understood
}

type tableReader struct {
	Tool string
	UID  int
}

type tableAddress struct {
	IP   string `json:"ip"`
	Port uint32 `json:"port"`
}

// tableSocket has the fields of gopsutil's net.ConnectionStat.
type tableSocket struct {
	Family uint32       `json:"family"` // the system's own AF_ number
	Type   uint32       `json:"type"`   // SOCK_STREAM 1, SOCK_DGRAM 2
	Local  tableAddress `json:"localaddr"`
	Remote tableAddress `json:"remoteaddr"`
	Status string       `json:"status"` // of UDP always empty
	PID    int          `json:"pid"`    // 0 where the tool doesn't tell
}

type tableProcess struct {
	PID        int
	Name       string
	Executable string
	Command    []string
	UID        *uint32
	User       string
	Started    int64 // milliseconds since 1970
}

func parseTable(text []byte, os string) *socketTable {
	t := &socketTable{os: os, processes: make(map[int]tableProcess)}
	for line := range bytes.Lines(text) {
		var entry struct {
			Reader  *tableReader
			Socket  *tableSocket
			Process *tableProcess
		}
		err := json.Unmarshal(line, &entry)
		switch {
		case err != nil:
			t.bad++
		case entry.Reader != nil:
			t.reader = *entry.Reader
		case entry.Socket != nil:
			t.sockets = append(t.sockets, *entry.Socket)
		case entry.Process != nil:
			t.processes[entry.Process.PID] = *entry.Process
		default:
			t.bad++
		}
	}
	return t
}

// tableFamily is 4 or 6, of a number that differs from system to system for IPv6;
// 0 for other families.
func tableFamily(os string, number uint32) int {
	inet6 := map[string]uint32{"openbsd": 24, "freebsd": 28, "darwin": 30}
	switch number {
	case afInet:
		return 4
	case inet6[os]:
		return 6
	}
	return 0
}

// rows makes a row of the sockets with one address. Several processes that hold
// one socket, and several sockets that share an address, look the same here.
func (t *socketTable) rows() []Listener {
	held := make(map[tableKey][]int)
	for _, s := range t.sockets {
		if s.Type == 1 && s.Status != "LISTEN" {
			continue
		}
		key, err := t.key(s)
		if err != nil {
			t.bad++
			continue
		}
		held[key] = append(held[key], s.PID)
	}
	out := make([]Listener, 0, len(held))
	for key, pids := range held {
		l := t.listener(key)
		slices.Sort(pids)
		t.assign(&l, slices.Compact(pids))
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Listener) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port), a.Address.Compare(b.Address),
			cmp.Compare(a.Family, b.Family), a.Remote.Compare(b.Remote))
	})
	return out
}

// A tableKey is what tells rows apart.
type tableKey struct {
	protocol      string
	family        int
	local, remote netip.AddrPort // remote invalid if there is none
}

func (t *socketTable) key(s tableSocket) (tableKey, error) {
	protocol := map[uint32]string{1: "tcp", 2: "udp"}[s.Type]
	family := tableFamily(t.os, s.Family)
	if protocol == "" || family == 0 {
		return tableKey{}, fmt.Errorf("listeners: socket of type %d, family %d", s.Type, s.Family)
	}
	key := tableKey{protocol: protocol, family: family}
	var err error
	if key.local, err = addressOf(s.Local, family); err != nil || s.Remote.Port == 0 {
		return key, err
	}
	key.remote, err = addressOf(s.Remote, family)
	return key, err
}

// addressOf reads an address as lsof and netstat print it, "*" for any.
func addressOf(a tableAddress, family int) (netip.AddrPort, error) {
	if a.Port == 0 || a.Port > math.MaxUint16 {
		return netip.AddrPort{}, fmt.Errorf("listeners: port %d", a.Port)
	}
	var address netip.Addr
	var err error
	switch {
	case a.IP != "*":
		address, err = netip.ParseAddr(a.IP)
	case family == 4:
		address = netip.IPv4Unspecified()
	default:
		address = netip.IPv6Unspecified()
	}
	if err == nil && address.Is4() != (family == 4) {
		err = fmt.Errorf("listeners: %q in the family of IPv%d", a.IP, family)
	}
	return netip.AddrPortFrom(withoutKAME(address), uint16(a.Port)), err
}

// withoutKAME gives a link-local address the zone that KAME's kernels keep in its
// second 16 bits (macOS: fe80:4::1 for fe80::1%4; RFC 4291 section 2.5.6 has zeros there).
func withoutKAME(a netip.Addr) netip.Addr {
	if !a.Is6() || !a.IsLinkLocalUnicast() {
		return a
	}
	b := a.As16()
	index := int(b[2])<<8 | int(b[3])
	if index == 0 {
		return a
	}
	b[2], b[3] = 0, 0
	return netip.AddrFrom16(b).WithZone(cmp.Or(a.Zone(), strconv.Itoa(index)))
}

func (t *socketTable) listener(key tableKey) Listener {
	l := Listener{
		Protocol:   key.protocol,
		Family:     key.family,
		State:      "listen",
		Role:       Server,
		Address:    key.local.Addr(),
		Port:       key.local.Port(),
		Remote:     key.remote,
		UIDUnknown: true,
	}
	// OpenBSD never hands IPv4 to an IPv6 socket (inet6(4)).
	l.V6OnlyKnown = key.family == 4 || t.os == "openbsd"
	l.V6Only = key.family == 6 && t.os == "openbsd"
	if key.protocol == "udp" {
		s := socket{protocol: "udp", state: stateClose, local: key.local}
		if key.remote.IsValid() {
			s.state = stateEstablished
		}
		// Which ports the system chooses from is not told: a client on such a port
		// counts as a server.
		l.State, l.Role = stateName(s.state), role(&s, portRange{})
	}
	return l
}

// assign gives a row its owners; 0 among the pids is a process that was not told.
func (t *socketTable) assign(l *Listener, pids []int) {
	for _, pid := range pids {
		p, known := t.processes[pid]
		switch {
		case pid == 0:
			l.OwnerGap = t.reader.Tool + " doesn't tell which process holds it"
			if t.os == "openbsd" {
				l.OwnerHint = "fstat -n tells it"
			}
		case !known || p.UID == nil:
			if l.Role != ConnectedClient { // whose processes are not read
				l.OwnerGap = fmt.Sprintf("process %d, which held it, could not be read: it may have ended", pid)
			}
		default:
			l.Owners = append(l.Owners, p.process())
		}
	}
}

func (p tableProcess) process() Process {
	out := Process{PID: p.PID, Name: p.Name, Executable: p.Executable, Command: p.Command, UID: *p.UID, User: p.User}
	const year9999 = 253402300799999
	if p.Started > 0 && p.Started <= year9999 {
		out.Started = time.UnixMilli(p.Started).UTC()
	}
	return out
}

// cutAt is how long an IPv6 address may be in netstat's column of local
// addresses, before it is cut.
const cutAt = 16

func (t *socketTable) gaps() []gaps.Gap {
	var found []gaps.Gap
	add := func(reason, hint string) {
		found = append(found, gaps.Gap{Source: cmp.Or(t.reader.Tool, "socket table"), Reason: reason, Hint: hint})
	}
	if t.reader.Tool == "lsof" && t.reader.UID != 0 {
		add("lsof shows a user his own processes' sockets: those of others are missing", "run it as root")
	}
	if t.bad > 0 {
		add(strconv.Itoa(t.bad)+" lines about sockets are not understood", "")
	}
	untold, cut := 0, 0
	for _, s := range t.sockets {
		if tableFamily(t.os, s.Family) != 6 || s.Type == 1 && s.Status != "LISTEN" {
			continue
		}
		if s.Local.IP == "*" || s.Local.IP == "::" {
			untold++
		}
		if len(s.Local.IP) >= cutAt {
			cut++
		}
	}
	if untold > 0 && t.os != "openbsd" {
		add("it isn't told whether IPv6 sockets take IPv4: taken to", "")
	}
	if cut > 0 && t.reader.Tool == "netstat" {
		add("netstat may have cut the ends of "+strconv.Itoa(cut)+" IPv6 addresses", "netstat -nal shows them whole")
	}
	return found
}
