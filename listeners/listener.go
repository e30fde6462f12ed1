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
	// Protocol is "tcp", "udp", "udplite", "mptcp" or "raw".
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
	UID                 uint32
	// Inodes are the sockets of the group, ascending.
	Inodes []uint64
	// Owners are all processes that hold one of the sockets, by pid. Empty with
	// OwnerGap set where they could not be seen, and with Kernel where none exists.
	Owners []Process
	// Kernel says that no process holds a descriptor: the kernel itself listens (nfsd, wireguard).
	Kernel bool
	// OwnerGap says why owners are missing or may be incomplete.
	OwnerGap string
}

// DualStack says that an IPv6 socket also serves IPv4 (trap: [::] without v6only).
func (l Listener) DualStack() bool { return l.Family == 6 && !l.V6Only }

// Role tells servers from sockets that only look like them.
type Role uint8

// The roles. A UDP socket has no listening state: connected ones are clients;
// an unconnected one on a port that was chosen for it (Ephemeral) is probably a
// client's, which can be said but not known.
const (
	RoleUnknown Role = iota
	Server
	ConnectedClient
	ProbableClient
)

func (r Role) String() string {
	names := [...]string{"unknown", "server", "connected client", "probable client"}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}

// A Process is an owner of a socket. Everything in it that a process can choose
// itself (name, command line) is an attacker's text.
type Process struct {
	PID  int
	Name string // /proc/PID/comm
	// Executable is the path; Deleted says that the file is gone or was replaced.
	Executable string
	Deleted    bool
	Command    []string
	UID        uint32
	User       string // empty where the number has no name
	Started    time.Time
	// Unit is the systemd unit ("ssh.service"); SocketUnit the .socket unit whose
	// socket pid 1 holds.
	Unit       string
	SocketUnit string
	Container  Container
}

// A Container is what a cgroup path tells of the container that a process runs in.
type Container struct {
	ID string // full hex id or name; empty if none
	// Runtime is "docker", "podman", "containerd", "cri-o", "lxc", "systemd-nspawn", "kubernetes" …
	Runtime string
	Pod     string // Kubernetes pod uid
}
