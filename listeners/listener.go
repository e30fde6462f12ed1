// Package listeners says what listens on a host and who owns it. Decoders take
// bytes and run on every system; the host that gives the bytes is declared here
// as the few methods that are needed.
package listeners

import (
	"net/netip"
	"time"
)

// A Listener is one socket, or one SO_REUSEPORT group, that packets can reach.
type Listener struct {
	// Protocol is "tcp", "udp", "udplite", "mptcp" or "raw". An MPTCP listener takes
	// plain TCP too (see Transport), and is one row.
	Protocol string
	// Family is 4 or 6: the socket's own. See V6Only.
	Family int
	// State is the kernel's word: "listen", "unconnected", "established" …
	State string
	Role  Role
	// Address is the bind address; 0.0.0.0 or :: for any. A scoped address keeps its zone.
	Address netip.Addr
	// Port is the local port; for raw sockets the IP protocol.
	Port uint16
	// Remote is the peer of a connected UDP socket; invalid otherwise.
	Remote netip.AddrPort
	// Device is the name of the interface that the socket is bound to
	// (SO_BINDTODEVICE); empty for all.
	Device string
	// V6Only says that an IPv6 socket takes no IPv4 packets (INET_DIAG_SKV6ONLY).
	// V6OnlyKnown is false where the kernel didn't say (/proc/net has no such column).
	V6Only, V6OnlyKnown bool
	// DeviceIndex is the index behind Device; 0 for all.
	DeviceIndex uint32
	// Mark is the socket's own SO_MARK, which answers carry through the output
	// hook; 0 if none, and where it was not shown (it needs CAP_NET_ADMIN).
	Mark uint32
	// MarkKnown is false where Mark was not shown.
	MarkKnown bool
	// Transparent is IP_TRANSPARENT (ip(7)): the socket takes packets for addresses
	// that are not the host's. OptionsKnown is false where the kernel didn't say
	// (before 5.10, and /proc/net).
	Transparent, OptionsKnown bool
	// CgroupID is the id of the socket's cgroup v2: the inode of its directory,
	// which nft's "socket cgroupv2" compares. 0 where the kernel didn't say (before 5.9).
	CgroupID uint64
	// UID is the socket's own: of the process that opened it, which may have
	// changed since. UIDUnknown says that the system doesn't tell.
	UID        uint32
	UIDUnknown bool
	// Namespace is the name of its network namespace where several were read; else empty.
	Namespace string
	// Inodes are the sockets of the group, ascending.
	Inodes []uint64
	// Owners are all processes that hold one of the sockets, by pid. Empty with
	// OwnerGap set where they could not be seen, and with Kernel where none exists.
	// Rows may share the slice: it is not to be changed.
	Owners []Process
	// Kernel says that no process holds a descriptor: the kernel itself listens (nfsd, wireguard).
	Kernel bool
	// Predicted says from what it was told that the socket will be there, on a host
	// that doesn't run; empty for sockets that are.
	Predicted string
	// OwnerGap says why owners are missing or may be incomplete.
	OwnerGap string
	// OwnerHint says what helps against OwnerGap; empty where nothing does.
	OwnerHint string
}

// DualStack says that an IPv6 socket also serves IPv4: [::] without v6only does,
// though it stands in the IPv6 table only. Where the kernel didn't say
// (V6OnlyKnown false), it is taken to serve both.
func (l Listener) DualStack() bool {
	return l.Family == 6 && !l.V6Only && l.Address.IsUnspecified()
}

// ServesIPv4 says that packets of IPv4 can reach the socket, for all that the
// socket itself knows. An IPv6 socket bound to ::ffff:192.0.2.1 serves IPv4 only.
func (l Listener) ServesIPv4() bool {
	return l.Family == 4 || l.Address.Is4In6() || l.DualStack()
}

// ServesIPv6 is the same for IPv6.
func (l Listener) ServesIPv6() bool { return l.Family == 6 && !l.Address.Is4In6() }

// Transport is the protocol in the packets: an MPTCP listener is reached by TCP.
func (l Listener) Transport() string {
	if l.Protocol == "mptcp" {
		return "tcp"
	}
	return l.Protocol
}

// A Process is an owner of a socket. Everything in it that a process can choose
// itself (name, command line) is an attacker's text.
type Process struct {
	PID  int
	Name string // /proc/PID/comm
	// Executable is the path; Deleted says that the file is gone or was replaced.
	Executable string
	Deleted    bool
	// Replaced says that another file stands where the deleted one stood: an update
	// that the process has not picked up, or somebody's swap.
	Replaced bool
	Command  []string
	UID      uint32
	User     string // empty where the number has no name
	Started  time.Time
	// Unit is the system's unit ("ssh.service", "session-3.scope", "user@1000.service");
	// UserUnit the unit of that user's own manager, below user@UID.service; Slice the
	// innermost slice.
	Unit     string
	UserUnit string
	Slice    string
	// SocketUnit is the .socket unit whose socket pid 1 holds. It is inferred, from the
	// addresses in the unit files: nothing in the kernel links a descriptor to a unit.
	SocketUnit string
	Container  Container
}

// A Container is what a cgroup path tells of the container that a process runs in.
type Container struct {
	ID string // full hex id or name; empty if none
	// Runtime is "docker", "podman", "containerd", "cri-o", "lxc", "systemd-nspawn", "kubernetes" …
	Runtime string
	Pod     string // Kubernetes pod uid, or the id of podman's pod
	// Name is what people call it, where Docker or a monitor told; else empty.
	Name string
	// Image is what it was made of, where Docker told; else empty.
	Image string
}
