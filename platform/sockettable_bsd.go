//go:build darwin || freebsd || openbsd

package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v3/net"
	"github.com/shirou/gopsutil/v3/process"
)

// tableTime is how long the tools that gopsutil runs may take together.
const tableTime = 20 * time.Second

// SocketTable is what gopsutil v3.24.5 tells. It runs "lsof -a -n -P -i tcp -i udp"
// on macOS and FreeBSD and "netstat -na" on OpenBSD, passes over lines that it
// can't parse, and says nothing of IPV6_V6ONLY, of the socket's own user and, on
// OpenBSD, of processes.
func (bsd) SocketTable() ([]byte, error) {
	limit, cancel := context.WithTimeout(context.Background(), tableTime)
	defer cancel()
	tool := "lsof"
	if runtime.GOOS == "openbsd" {
		tool = "netstat"
	}
	sockets, err := net.ConnectionsWithContext(limit, "inet")
	if err != nil {
		return nil, fmt.Errorf("socket table by %s: %w", tool, err)
	}
	var table bytes.Buffer
	lines := json.NewEncoder(&table)
	type reader struct {
		Tool string `json:"tool"`
		UID  int    `json:"uid"` // effective, of netglance
	}
	err = lines.Encode(map[string]reader{"reader": {tool, os.Geteuid()}})
	for i := 0; i < len(sockets) && err == nil; i++ {
		err = lines.Encode(map[string]net.ConnectionStat{"socket": sockets[i]})
	}
	for _, pid := range owners(sockets) {
		if err == nil {
			err = lines.Encode(map[string]owner{"process": readOwner(limit, pid)})
		}
	}
	if err == nil && table.Len() > maxFile {
		err = ErrTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("socket table: %w", err)
	}
	return table.Bytes(), nil
}

// owners are the processes whose sockets take packets from anybody. The others
// are not asked for: on macOS each costs a run of ps.
func owners(sockets []net.ConnectionStat) []int32 {
	var pids []int32
	for _, s := range sockets {
		if s.Pid > 0 && s.Raddr.Port == 0 && (s.Type == syscall.SOCK_DGRAM || s.Status == "LISTEN") {
			pids = append(pids, s.Pid)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

type owner struct {
	PID        int32    `json:"pid"`
	Name       string   `json:"name,omitempty"`
	Executable string   `json:"executable,omitempty"`
	Command    []string `json:"command,omitempty"`
	UID        *uint32  `json:"uid,omitempty"` // effective
	User       string   `json:"user,omitempty"`
	Started    int64    `json:"started,omitempty"` // milliseconds since 1970
}

// readOwner leaves out what can't be read. gopsutil indexes an empty argv on
// OpenBSD (process_openbsd.go, CmdlineSliceWithContext), and the lines of a ps that
// printed none on macOS: that must not end the run.
func readOwner(limit context.Context, pid int32) (o owner) {
	o.PID = pid
	defer func() { _ = recover() }()
	p := &process.Process{Pid: pid}
	if ids, err := p.UidsWithContext(limit); err == nil && len(ids) > 0 {
		// the effective one alone on macOS, otherwise real, effective, saved
		uid := uint32(ids[min(1, len(ids)-1)])
		o.UID = &uid
		if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
			o.User = u.Username
		}
	}
	o.Started, _ = p.CreateTimeWithContext(limit)
	if runtime.GOOS != "darwin" { // there it may be one more run of lsof
		o.Executable, _ = p.ExeWithContext(limit)
	}
	o.Name, _ = p.NameWithContext(limit)
	o.Command, _ = p.CmdlineSliceWithContext(limit)
	return o
}
