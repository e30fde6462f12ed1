package listeners

// Role tells servers from sockets that only look like them.
type Role uint8

// The roles. A UDP socket has no listening state: connected ones are clients, or
// a server's socket for one peer; an unconnected one on a port that the kernel
// chose is probably a client's, which can be said but not known.
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

// Ports that a client binds by its protocol's word: DHCP (RFC 2131 section 4.1)
// and DHCPv6 (RFC 8415 section 7.2).
const (
	dhcpClient   = 68
	dhcpv6Client = 546
)

// role judges one socket.
//
// For unconnected UDP the kernel tells whether the port was asked for by number
// or chosen (see portBinding); a number asked for is a server's, wherever it lies.
// Where the kernel was not heard, a port in the range that it chooses from counts
// as chosen. What can't be known from outside: a server that lets the kernel
// choose and announces the port elsewhere (ONC RPC: statd, mountd) looks like a
// client; a client that draws its own random port (unbound, dnsmasq) looks like a
// server; a socket's own range (IP_LOCAL_PORT_RANGE) is not shown.
func role(s *socket, chosen portRange) Role {
	switch {
	case s.protocol == "tcp" || s.protocol == "mptcp":
		return Server
	case s.state == stateEstablished:
		return ConnectedClient
	case s.protocol == "raw":
		return Server
	case s.local.Port() == dhcpClient || s.local.Port() == dhcpv6Client:
		return ProbableClient
	case s.binding == portChosen:
		return ProbableClient
	case s.binding == portUnknown && chosen.contains(s.local.Port()):
		return ProbableClient
	}
	return Server
}
