package listeners

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// readOwners reads the processes that hold sockets, and no others. One that is gone
// meanwhile is nil in the result.
func readOwners(host Host, sorted []int) map[int]*Process {
	pids := make(map[int]*Process, len(sorted))
	if len(sorted) == 0 {
		return pids
	}
	read := make([]*Process, len(sorted))
	facts := &hostFacts{boot: bootTime(host), users: readUsers(host)}
	facts.owners, _ = host.(fileOwners)
	inTurns(len(sorted), func(i int) { read[i] = readProcess(host, sorted[i], facts) })
	for i, pid := range sorted {
		pids[pid] = read[i]
	}
	return pids
}

// hostFacts are what all processes of a host share.
type hostFacts struct {
	boot  time.Time // zero if unknown
	users map[uint32]string
	// owners is nil where the host doesn't tell the owners of files
	owners fileOwners
}

// fileOwners is a host that can tell who owns a file. /proc/PID is owned by the
// effective user of the process (fs/proc/base.c, task_dump_owner), which costs a
// tenth of reading it in /proc/PID/status. Recordings have that file instead.
type fileOwners interface {
	FileOwner(name string) (uid uint32, err error)
}

// effectiveUser is the user id of a process; 0 and false if it can't be told.
func effectiveUser(host Host, dir string, facts *hostFacts) (uint32, bool) {
	if facts.owners != nil {
		uid, err := facts.owners.FileOwner(dir)
		return uid, err == nil
	}
	text, err := host.ReadFile(dir + "/status")
	if err != nil {
		return 0, false
	}
	return parseStatusUID(text)
}

// readProcess reads few small files: each costs the kernel some 10 µs. It is nil
// for a process that has ended. What only the owner or root may see (executable)
// stays empty without permission.
func readProcess(host Host, pid int, facts *hostFacts) *Process {
	dir := "/proc/" + strconv.Itoa(pid)
	text, err := host.ReadFile(dir + "/stat")
	if err != nil {
		return nil
	}
	p := &Process{PID: pid}
	ticks, ok := parseStat(text, p)
	if !ok {
		return nil
	}
	if !facts.boot.IsZero() {
		p.Started = facts.boot.Add(ticks)
	}
	if p.UID, ok = effectiveUser(host, dir, facts); ok {
		p.User = facts.users[p.UID]
	}
	if text, err = host.ReadFile(dir + "/cmdline"); err == nil {
		p.Command = parseCommandLine(text)
	}
	if text, err = host.ReadFile(dir + "/cgroup"); err == nil {
		parseCgroup(text, p)
	}
	readExecutable(host, dir, p)
	return p
}

// deletedSuffix is what the kernel appends to the path of a file that has no name
// any more (fs/d_path.c).
const deletedSuffix = " (deleted)"

// readExecutable follows /proc/PID/exe. A file may really be called "x (deleted)",
// so the name is looked up in the process's own root.
func readExecutable(host Host, dir string, p *Process) {
	target, err := host.Readlink(dir + "/exe")
	if err != nil {
		return
	}
	name, marked := strings.CutSuffix(target, deletedSuffix)
	if !marked || exists(host, dir+"/root"+target) {
		p.Executable = target
		return
	}
	p.Executable, p.Deleted = name, true
	p.Replaced = exists(host, dir+"/root"+name)
}

// exists asks without opening the file, which a device would notice: readlink(2)
// tells a file that is no link (EINVAL) from none.
func exists(host Host, name string) bool {
	_, err := host.Readlink(name)
	return err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission)
}

// clockTick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on every
// architecture that Go runs on (include/asm-generic/param.h).
const clockTick = 10 * time.Millisecond

// parseStat reads the name and the start, in time since boot, of /proc/PID/stat
// (proc_pid_stat(5)). The name is in parentheses and may contain any.
func parseStat(text []byte, p *Process) (start time.Duration, ok bool) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return 0, false
	}
	p.Name = string(text[open+1 : end])
	// field 3 is the first after the name; starttime is field 22
	const starttime = 22 - 3
	var fields [starttime + 1][]byte
	if !splitFields(bytes.TrimRight(text[end+1:], "\n"), fields[:]) {
		return 0, false
	}
	ticks, err := strconv.ParseInt(string(fields[starttime]), 10, 64)
	if err != nil || ticks < 0 || ticks > int64(maxUptime/clockTick) {
		return 0, false
	}
	return time.Duration(ticks) * clockTick, true
}

const maxUptime = 200 * 365 * 24 * time.Hour

// parseStatusUID is the effective user id: the second number of "Uid:" in
// /proc/PID/status (proc_pid_status(5)).
func parseStatusUID(text []byte) (uint32, bool) {
	at := bytes.Index(text, []byte("\nUid:\t"))
	if at < 0 {
		return 0, false
	}
	line, _, _ := bytes.Cut(text[at+len("\nUid:\t"):], []byte{'\n'})
	var fields [2][]byte
	if !splitFields(line, fields[:]) {
		return 0, false
	}
	uid, err := strconv.ParseUint(string(fields[1]), 10, 32)
	return uint32(uid), err == nil
}

// maxCommandLine bounds what is kept of a command line, which may have megabytes.
const maxCommandLine = 16 << 10

// parseCommandLine splits /proc/PID/cmdline at its zero bytes. A process that sets
// its title ("nginx: worker process") leaves one argument and zeros after it.
func parseCommandLine(text []byte) []string {
	text = bytes.TrimRight(text[:min(len(text), maxCommandLine)], "\x00")
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(text), "\x00")
}

// bootTime is the line "btime" of /proc/stat, in seconds since 1970; zero if it
// can't be read.
func bootTime(host Host) time.Time {
	text, err := host.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}
	}
	seconds, err := parseBootTime(text)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

func parseBootTime(text []byte) (int64, error) {
	_, rest, found := bytes.Cut(text, []byte("\nbtime "))
	if !found {
		return 0, fmt.Errorf("listeners: /proc/stat without btime")
	}
	line, _, _ := bytes.Cut(rest, []byte{'\n'})
	seconds, err := strconv.ParseUint(string(line), 10, 40)
	if err != nil {
		return 0, fmt.Errorf("listeners: btime: %w", err)
	}
	return int64(seconds), nil
}
