package listeners

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/netglance/netglance/gaps"
)

// holders are the processes that hold the sockets of interest.
type holders struct {
	pids map[uint64][]int // by inode, ascending, each once
	// gap is why some processes may be missing; its Source is empty if none are.
	gap gaps.Gap
}

func (h *holders) complete() bool { return h.gap.Source == "" }

// parseHolders reads Host.SocketHolders and keeps what is about the wanted inodes.
// It also returns how many processes could not be read, and how many lines.
func parseHolders(text []byte, wanted map[uint64]bool) (pids map[uint64][]int, unreadable, bad int) {
	pids = make(map[uint64][]int, len(wanted))
	single := make([]int, 0, len(wanted)) // most sockets have one holder: one array for all
	for len(text) > 0 {
		line := text
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			line, text = text[:end], text[end+1:]
		} else {
			text = nil
		}
		pid, rest, ok := leadingNumber(line)
		if !ok || len(rest) < 2 {
			bad++
			continue
		}
		if rest[0] == '!' {
			unreadable++
			continue
		}
		_, rest, ok1 := leadingNumber(rest)
		inode, rest, ok2 := leadingNumber(rest)
		if !ok1 || !ok2 || len(rest) > 0 || pid > maxPID {
			bad++
			continue
		}
		if !wanted[inode] {
			continue
		}
		if held := pids[inode]; held != nil {
			pids[inode] = appendOnce(held, int(pid))
			continue
		}
		single = append(single, int(pid))
		pids[inode] = single[len(single)-1 : len(single) : len(single)]
	}
	return pids, unreadable, bad
}

// maxPID is PID_MAX_LIMIT of 64-bit kernels (include/linux/threads.h).
const maxPID = 1 << 22

// leadingNumber cuts a decimal number and one space after it.
func leadingNumber(text []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for i < len(text) && i < 19 && text[i] >= '0' && text[i] <= '9' {
		n = n*10 + uint64(text[i]-'0')
		i++
	}
	if i == 0 || i < len(text) && text[i] != ' ' {
		return 0, nil, false
	}
	return n, text[min(i+1, len(text)):], true
}

// appendOnce appends a pid; the lines come sorted by pid.
func appendOnce(pids []int, pid int) []int {
	if n := len(pids); n > 0 && pids[n-1] == pid {
		return pids
	}
	return append(pids, pid)
}

const privilegeHint = "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"

// ownerBlindness says what keeps processes from sight, besides descriptors that
// could not be read: nothing, if it is empty. Only asked where a socket has no
// holder.
func ownerBlindness(host Host) gaps.Gap {
	if reason := hidden(host); reason != "" {
		return gaps.Gap{Source: "/proc", Reason: reason, Hint: privilegeHint}
	}
	// The first pid namespace has a fixed inode, PROC_PID_INIT_INO
	// (include/linux/proc_ns.h, 0xEFFFFFFC).
	const hostsPIDs = "pid:[4026531836]"
	if own, err := host.Readlink("/proc/self/ns/pid"); err != nil || own != hostsPIDs {
		return gaps.Gap{
			Source: "/proc/self/ns/pid",
			Reason: "netglance runs in a pid namespace of its own (a container?): processes outside of it are out of sight",
			Hint:   "run it on the host itself, or in the host's pid namespace (--pid=host)",
			Err:    err,
		}
	}
	return gaps.Gap{}
}

// hidden says whether /proc leaves out other users' processes: by hidepid, which
// then hides pid 1 too (proc(5)).
func hidden(host Host) string {
	_, err := host.ReadFile("/proc/1/stat")
	if err == nil {
		return ""
	}
	mounts, _ := host.ReadFile("/proc/self/mountinfo")
	if option := hidepidOption(mounts); option != "" {
		return "/proc is mounted with " + option + ": other users' processes are hidden"
	}
	return fmt.Sprintf("pid 1 is hidden in /proc, and other processes may be (%v)", err)
}

// hidepidOption is the option in the line of /proc/self/mountinfo about /proc, if
// it hides anything.
func hidepidOption(mountinfo []byte) string {
	for line := range strings.Lines(string(mountinfo)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[4] != "/proc" {
			continue
		}
		for option := range strings.SplitSeq(fields[len(fields)-1], ",") {
			value, ok := strings.CutPrefix(option, "hidepid=")
			if ok && value != "0" && value != "off" {
				return option
			}
		}
	}
	return ""
}

// readHolders finds who holds the sockets of each observation. text and err are
// what SocketHolders gave.
func readHolders(host Host, seen []observation, text []byte, err error) {
	if err != nil {
		for i := range seen {
			seen[i].holders = &holders{gap: gaps.Gap{
				Source: "/proc/PID/fd",
				Reason: "the processes' descriptors could not be read",
				Hint:   privilegeHint,
				Err:    err,
			}}
		}
		return
	}
	wanted := make(map[uint64]bool)
	for _, o := range seen {
		for i := range o.sockets {
			wanted[o.sockets[i].inode] = true
		}
	}
	pids, unreadable, bad := parseHolders(text, wanted)
	blindness := sync.OnceValue(func() gaps.Gap { return ownerBlindness(host) })
	for i := range seen {
		h := &holders{pids: pids}
		switch {
		case unreadable > 0:
			h.gap = gaps.Gap{Source: "/proc/PID/fd", Reason: unreadableReason(unreadable), Hint: privilegeHint, Err: errPermission}
		case bad > 0:
			h.gap = gaps.Gap{Source: "/proc/PID/fd", Reason: strconv.Itoa(bad) + " lines about descriptors are not understood"}
		case slices.ContainsFunc(seen[i].sockets, h.unheld):
			h.gap = blindness()
		}
		seen[i].holders = h
	}
}

// unheld says that no process was seen with the socket. Inode 0 is a socket to
// which no descriptor can lead.
func (h *holders) unheld(s socket) bool { return s.inode != 0 && len(h.pids[s.inode]) == 0 }

func unreadableReason(n int) string {
	if n == 1 {
		return "the descriptors of 1 process could not be read"
	}
	return fmt.Sprintf("the descriptors of %d processes could not be read", n)
}
