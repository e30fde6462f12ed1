package listeners

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
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
	var sockets []bsdSocket
	for _, s := range t.sockets {
		if s.Type == 1 && s.Status != "LISTEN" {
			continue
		}
		socket, err := t.socket(s)
		if err != nil {
			t.bad++
			continue
		}
		sockets = append(sockets, socket)
	}
	processes := make(map[int]Process)
	for pid, p := range t.processes {
		if p.UID != nil {
			processes[pid] = p.process()
		}
	}
	return bsdRows(sockets, processes)
}

func (t *socketTable) socket(s tableSocket) (bsdSocket, error) {
	out := bsdSocket{protocol: map[uint32]string{1: "tcp", 2: "udp"}[s.Type], family: tableFamily(t.os, s.Family)}
	if out.protocol == "" || out.family == 0 {
		return out, fmt.Errorf("listeners: socket of type %d, family %d", s.Type, s.Family)
	}
	var err error
	if out.local, err = addressOf(s.Local, out.family); err == nil && s.Remote.Port != 0 {
		out.remote, err = addressOf(s.Remote, out.family)
	}
	if err != nil {
		return out, err
	}
	if out.state = stateListen; out.protocol == "udp" {
		out.state = udpState(out.remote)
	}
	// OpenBSD never hands IPv4 to an IPv6 socket (inet6(4)).
	out.v6only = out.family == 6 && t.os == "openbsd"
	out.v6onlyKnown = out.v6only
	if s.PID != 0 {
		out.holders = []Process{{PID: s.PID}}
		return out, nil
	}
	out.untold = t.reader.Tool + " doesn't tell which process holds it"
	if t.os == "openbsd" {
		out.hint = "fstat -n tells it"
	}
	return out, nil
}

// addressOf reads an address as lsof and netstat print it, "*" for any.
func addressOf(a tableAddress, family int) (netip.AddrPort, error) {
	if a.Port == 0 || a.Port > math.MaxUint16 {
		return netip.AddrPort{}, fmt.Errorf("listeners: port %d", a.Port)
	}
	address, err := anyAddress(family), error(nil)
	if a.IP != "*" {
		address, err = netip.ParseAddr(a.IP)
	}
	if err == nil && address.Is4() != (family == 4) {
		err = fmt.Errorf("listeners: %q in the family of IPv%d", a.IP, family)
	}
	return netip.AddrPortFrom(withoutKAME(address), uint16(a.Port)), err
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
