package platform

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// settling knows when a namespace is done with all that was sent, and makes it
// forget its flows.
type settling struct {
	// softnet is /proc/net/softnet_stat: the queues of packets that came in, a line a
	// processor. A TAP hands its frames to the protocols at once, but what a packet
	// sends to the host itself goes through lo, and waits there when the processor
	// has much to do.
	softnet   *os.File
	conntrack int // netlink socket
}

func (s *settling) open() error {
	file, err := os.Open("/proc/net/softnet_stat")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		file.Close()
		return fmt.Errorf("netlink socket: %w", err)
	}
	s.softnet, s.conntrack = file, fd
	return nil
}

func (s *settling) close() {
	if s.softnet == nil {
		return
	}
	s.softnet.Close()
	unix.Close(s.conntrack)
}

// Pin keeps the calling thread on its processor, so that one queue keeps the
// order of everything that is sent. release ends that.
func (s *settling) Pin() (release func(), err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	cpu, err := currentCPU()
	if err != nil {
		return nil, err
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("sched_setaffinity: %w", err)
	}
	return func() { _ = unix.SchedSetaffinity(0, &before) }, nil // it was allowed before
}

// Settle returns when the queue of the calling thread's processor, to which it is
// pinned, is empty. Then all that was sent has been dealt with: a task never runs
// in the midst of a packet on its own processor.
func (s *settling) Settle() error {
	cpu, err := currentCPU()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		length, err := s.waiting(cpu)
		if err != nil || length == 0 {
			return err
		}
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
	return fmt.Errorf("packets still wait on processor %d", cpu)
}

// waiting reads how many packets wait. The file has a line of hexadecimal fields a
// processor; the 12th is the length, the 13th the processor (Linux 5.14,
// net/core/net-procfs.c, softnet_seq_show).
func (s *settling) waiting(cpu int) (uint64, error) {
	var text [16384]byte
	n, err := s.softnet.ReadAt(text[:], 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	for line := range strings.Lines(string(text[:n])) {
		fields := strings.Fields(line)
		if len(fields) < 13 {
			continue
		}
		number, err := strconv.ParseUint(fields[12], 16, 32)
		if err != nil || number != uint64(cpu) {
			continue
		}
		return strconv.ParseUint(fields[11], 16, 32)
	}
	return 0, fmt.Errorf("%s has no line of processor %d", s.softnet.Name(), cpu)
}

func currentCPU() (int, error) {
	var cpu uint32
	_, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	if errno != 0 {
		return 0, fmt.Errorf("getcpu: %w", errno)
	}
	return int(cpu), nil
}

// ForgetFlows empties the namespace's connection tracking table: a delete without
// a tuple (net/netfilter/nf_conntrack_netlink.c, ctnetlink_del_conntrack).
func (s *settling) ForgetFlows() error {
	const ipctnlMsgCTDelete = 2
	var request [20]byte
	binary.NativeEndian.PutUint32(request[0:], uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.NFNL_SUBSYS_CTNETLINK<<8|ipctnlMsgCTDelete)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	if err := unix.Sendto(s.conntrack, request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("conntrack delete: %w", err)
	}
	var answer [512]byte
	n, err := unix.Read(s.conntrack, answer[:])
	if err != nil {
		return fmt.Errorf("conntrack delete: %w", err)
	}
	if n < 20 {
		return fmt.Errorf("conntrack delete: an answer of %d bytes", n)
	}
	if errno := -int32(binary.NativeEndian.Uint32(answer[16:])); errno != 0 {
		return fmt.Errorf("conntrack delete: %w", unix.Errno(errno))
	}
	return nil
}
