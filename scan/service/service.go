// Package service tells what speaks behind an open port: its protocol, product
// and version, what is worrying about it, the usual name of a port, and the first
// datagram that makes a UDP service answer.
//
// A peer is a stranger: each question to it is bounded in time, in bytes and in
// number. It is never logged in to, and asked only what changes nothing on it.
package service

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// A Target is an open port.
type Target struct {
	Protocol string // "tcp" or "udp"
	Addr     netip.AddrPort
	// Hostname is the name that the user gave, sent as the HTTP host and TLS server
	// name; empty for an address.
	Hostname string
}

// A Service is what a peer told of itself. Its texts are the peer's: bounded and
// valid UTF-8, but not yet cleaned for a terminal.
type Service struct {
	// Name is the protocol that was spoken, without the TLS around it: "http" for
	// HTTPS. Empty when nothing was recognised: then the port's usual Name is all
	// there is.
	Name string
	// Product and Version are empty where the service doesn't tell.
	Product, Version string
	// Info is what else it told, in a few words.
	Info string
	// Hostname is the name that it gives itself.
	Hostname string
	// Title is that of the web page.
	Title string
	// TLS is nil when nothing was spoken over it.
	TLS *TLS
	// StartTLS says that a plain-text connection can be upgraded.
	StartTLS bool
	// Obsolete are protocol versions that it speaks and nobody should: "SMB 1", "TLS 1.0".
	Obsolete []string
	// Access is what a stranger may do.
	Access Access
	// Banner is the beginning of what it said first, or answered.
	Banner string
}

// Access is what a service gives to who didn't log in.
type Access uint8

const (
	AccessUnknown Access = iota // not asked, or nothing follows from the answer
	AccessOpen                  // it answered a question about its data or settings
	AccessDenied                // it asked for a login first
)

func (a Access) String() string {
	switch a {
	case AccessOpen:
		return "open"
	case AccessDenied:
		return "denied"
	}
	return "unknown"
}

// TLS is what a handshake showed. The certificate was not verified.
type TLS struct {
	Version string // "TLS 1.3"
	Cipher  string // IANA's name
	ALPN    string // empty when none was agreed on
	// Certificate is nil when the peer showed none.
	Certificate *Certificate
}

// A Certificate is the server's own, the first of its chain.
type Certificate struct {
	Subject, Issuer     string
	Names               []string // subject alternative names: host names and addresses
	NotBefore, NotAfter time.Time
	SelfSigned          bool
	Key                 string // "RSA 2048", "ECDSA P-256", "Ed25519"
	Signature           string // "SHA256-RSA"
	SHA256              string // fingerprint, lower-case hexadecimal
}

// A Dial opens a connection to the peer. netglance's own is net.Dialer's; tests give others.
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)
