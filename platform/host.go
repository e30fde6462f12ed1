// Package platform is the host: the only package with system calls, sockets to
// the kernel and build tags. It hands out raw bytes and imports no decoder. A
// recorded host is a host: Live, LiveIn and OpenRecording give the same interface.
//
// Everything here reads. Files are opened O_RDONLY, and Netlink refuses every
// request that is not on a list of reads.
package platform

import (
	"errors"
	"time"
)

// A Host gives the bytes from which decoders tell what it does. All methods are
// safe for concurrent use.
type Host interface {
	// ReadFile is the content of a file of at most 64 MiB. Errors satisfy
	// errors.Is with fs.ErrNotExist and fs.ErrPermission.
	ReadFile(name string) ([]byte, error)
	// ReadDir is the sorted names in a directory.
	ReadDir(name string) ([]string, error)
	Readlink(name string) (string, error)
	// Netlink sends one request, built by internal/netlink.Request with sequence and
	// port zero, on a netlink protocol (0 NETLINK_ROUTE, 4 NETLINK_SOCK_DIAG,
	// 6 NETLINK_XFRM, 12 NETLINK_NETFILTER). It returns all messages of the reply one after the
	// other, each aligned to 4 bytes, with the NLMSG_DONE of a dump and without the
	// acknowledgement. An NLMSG_ERROR becomes an error with its syscall.Errno inside.
	// A dump that was torn keeps NLM_F_DUMP_INTR in its messages' flags: retrying is
	// the caller's choice.
	Netlink(protocol int, request []byte) ([]byte, error)
	// Getsockopt reads an option of a raw socket of an address family: size bytes
	// that start as argument, as the legacy tables (IPT_SO_GET_INFO, 64, and
	// IPT_SO_GET_ENTRIES, 65) and ipset (83) are asked. Other options are refused.
	Getsockopt(family, level, option int, argument []byte, size int) ([]byte, error)
	// IptablesSave is what iptables-legacy-save -c prints, or ip6tables-legacy-save, of
	// an address family's tables. It runs that program: ask only where Getsockopt was
	// refused, and ip_tables_names lists a table.
	IptablesSave(family int) ([]byte, error)
	// SocketHolders is text: a line "PID FD INODE" for every descriptor of every
	// visible process that is a socket, and a line "PID ! EACCES" (or another errno's
	// name) for a process whose descriptors could not all be read, after the lines of
	// those that could. Sorted by pid, then descriptor.
	SocketHolders() ([]byte, error)
	// SocketTable is the sockets of a system without netlink and /proc (macOS, FreeBSD,
	// OpenBSD) as JSON lines, of three kinds. {"reader":{"tool":…,"uid":…}} comes first:
	// what they were read with and as whom. {"socket":…} is a socket as gopsutil's
	// net.ConnectionStat has it, with the system's own address family number.
	// {"process":…} is an owner; without a "uid" nothing more could be read of it.
	// On Linux the error is errors.ErrUnsupported.
	SocketTable() ([]byte, error)
	// Sysctl is a node of the kernel's MIB on macOS, FreeBSD and OpenBSD, as raw bytes in
	// the kernel's own layout and byte order. Nodes that are not on a list of reads are
	// refused. "kern.file" of OpenBSD is the descriptors of all processes, as records of
	// KinfoFileSize bytes. On Linux the error is errors.ErrUnsupported.
	Sysctl(name string) ([]byte, error)
	// Output is what a program of macOS, FreeBSD or OpenBSD prints on its standard
	// output: ifconfig, pfctl, ps … Commands that are not on a list of reads are refused.
	// Where the program, or the device that it wanted to read, is missing, the error
	// satisfies errors.Is with syscall.ENOENT; where it was denied that, with
	// fs.ErrPermission.
	Output(command ...string) ([]byte, error)
	// Programs tells of BPF programs, by the kernel's numbers for them, in lines:
	//   "cgroup ID"    "ingress PATH PROGRAM" and "egress PATH PROGRAM": those that see the packets of
	//                  sockets in a cgroup v2, with the cgroup each is attached to as a Go string
	//   "link INDEX"   "ingress PROGRAM" and "egress PROGRAM": tcx programs of a link
	//   "netns"        "sk_lookup PROGRAM"
	//   "netfilter"    "netfilter FAMILY HOOK PRIORITY PROGRAM", of any network namespace
	//   "program ID"   TYPE, name as a Go string, and the instructions in hex where the kernel shows them
	// No line means that nothing is there, or that the kernel has no such place.
	Programs(where string) ([]byte, error)
	// NetworkNamespaces is text: a line "PID ID" for every visible process, ID being
	// the inode of its network namespace (namespaces(7)), and a line "PID ! EACCES" (or
	// another errno's name) where it could not be told. Sorted by pid.
	NetworkNamespaces() ([]byte, error)
	// Containers is what Docker's API says of the running containers (GET
	// /containers/json), where dockerd runs and its socket may be used: else the error
	// satisfies errors.Is with fs.ErrNotExist or fs.ErrPermission.
	Containers() ([]byte, error)
	// In is the same host with the network of another network namespace: netlink,
	// socket options, /proc/net and /proc/sys/net are those of the namespace, all else
	// is as before. path leads there, like /proc/812/ns/net or /run/netns/blue; id is
	// its inode, and 0 takes whichever is there. Errors come with the first question.
	In(path string, id uint64) Host
	// OS is the operating system of the host, named like GOOS.
	OS() string
	// Time is the host's clock in UTC; of a recorded host, when it was recorded.
	Time() time.Time
}

// Limits of what is read from one source.
const (
	maxFile  = 64 << 20
	maxNames = 1 << 22
	// a million set elements take about 100 MiB
	maxReply = 1 << 30
)

// ErrTooLarge says that a source gave more than is ever read from it.
var ErrTooLarge = errors.New("more than netglance reads from one source")
