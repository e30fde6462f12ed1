package service

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A network is one port of a peer, in memory. Within synctest its time costs nothing.
type network struct {
	// serve holds one connection of the peer, and is closed behind it.
	serve func(net.Conn)
	// cost of the peer: connections, bytes that were read of it, and what was said to it.
	connections atomic.Int32
	read        atomic.Int64
	said        chan string
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if n.serve == nil {
		return nil, errors.New("connection refused")
	}
	n.connections.Add(1)
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		n.serve(there)
	}()
	return &countedConn{here, n}, nil
}

type countedConn struct {
	net.Conn
	n *network
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.read.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	if c.n.said != nil {
		c.n.said <- string(b)
	}
	return c.Conn.Write(b)
}

// identify asks a peer in memory, and returns how long that took in its time.
func identify(t *testing.T, n *network, protocol string, port uint16) (s Service, took time.Duration) {
	t.Helper()
	return identifyWith(t, n.dial, protocol, port)
}

func identifyWith(t *testing.T, dial Dial, protocol string, port uint16) (s Service, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var err error
		s, err = Identify(t.Context(), dial, Target{Protocol: protocol, Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), port)})
		if err != nil {
			t.Error(err)
		}
		took = time.Since(begin)
		time.Sleep(2 * time.Second) // a peer that drips sees the end
	})
	return s, took
}

// onlyPort lets connections through to one port alone.
type onlyPort struct {
	n    *network
	port uint16
}

func (o *onlyPort) dial(ctx context.Context, protocol, address string) (net.Conn, error) {
	if netip.MustParseAddrPort(address).Port() != o.port {
		return nil, errors.New("connection refused")
	}
	return o.n.dial(ctx, protocol, address)
}

// silence reads until the other side goes.
func silence(c net.Conn) {
	b := make([]byte, 4096)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// script greets, and answers what contains a word with what stands behind that word.
// An answer to anything else is the one behind "", or silence.
func script(greeting string, words ...string) func(net.Conn) {
	return func(c net.Conn) {
		if greeting != "" {
			go c.Write([]byte(greeting)) // both sides may speak at once
		}
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			for i := 0; i+1 < len(words); i += 2 {
				if strings.Contains(string(b[:n]), words[i]) {
					if words[i+1] == hangUp {
						return
					}
					c.Write([]byte(words[i+1]))
					break
				}
			}
		}
	}
}

const hangUp = "(hang up)"
