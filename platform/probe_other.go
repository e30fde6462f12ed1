//go:build !linux

package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// errNoProbe says that probes of a kind are for Linux.
func errNoProbe(what string) error {
	return fmt.Errorf("%s on %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

// RawTCP is for Linux.
type RawTCP struct{}

// OpenRawTCP is for Linux: elsewhere connections are made.
func OpenRawTCP() (*RawTCP, error) { return nil, errNoProbe("raw sockets") }

func (*RawTCP) Port() uint16                              { return 0 }
func (*RawTCP) Send([]netip.Addr, [][]byte) (int, error)  { return 0, errNoProbe("raw sockets") }
func (*RawTCP) Receive(time.Duration, func([]byte)) error { return errNoProbe("raw sockets") }
func (*RawTCP) Close() error                              { return nil }

// Link is for Linux.
type Link struct{}

// OpenLink is for Linux: elsewhere hosts are found by connections.
func OpenLink(string, uint16) (*Link, error) { return nil, errNoProbe("link sockets") }

func (*Link) Send([6]byte, []byte) (bool, error)                 { return false, errNoProbe("link sockets") }
func (*Link) Receive(time.Duration, func([6]byte, []byte)) error { return errNoProbe("link sockets") }
func (*Link) Close() error                                       { return nil }

// Datagrams is for Linux: other systems don't tell which peer an ICMP error is about.
type Datagrams struct{}

// OpenDatagrams is for Linux.
func OpenDatagrams() (*Datagrams, error) { return nil, errNoProbe("UDP probes") }

func (*Datagrams) Ports() []uint16                           { return nil }
func (*Datagrams) Send(netip.AddrPort, []byte) (bool, error) { return false, errNoProbe("UDP probes") }
func (*Datagrams) Receive(time.Duration, func(netip.AddrPort, string, []byte, uint8, uint8)) error {
	return errNoProbe("UDP probes")
}
func (*Datagrams) Close() error { return nil }

// Connections makes connections, each in a goroutine. Not for concurrent use.
type Connections struct {
	most      int
	underWay  sync.WaitGroup
	cancel    map[uint32]context.CancelFunc
	decisions chan decision
}

type decision struct {
	id      uint32
	outcome string
}

// OpenConnections prepares for at most a number of connections at a time.
func OpenConnections(most int) (*Connections, error) {
	most = min(most, 200) // the limit of open files is often 256
	return &Connections{most: most, cancel: map[uint32]context.CancelFunc{}, decisions: make(chan decision, most)}, nil
}

// Capacity is how many connections there can be at a time.
func (c *Connections) Capacity() int { return c.most }

// Ports is nil: the system chooses.
func (c *Connections) Ports() []uint16 { return nil }

// Connect begins a connection; false when as many as there can be are under way.
func (c *Connections) Connect(id uint32, to netip.AddrPort, _ func(id uint32, outcome string, icmpType, icmpCode uint8)) (bool, error) {
	if len(c.cancel) >= c.most {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	c.cancel[id] = cancel
	c.underWay.Go(func() {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", to.String())
		outcome := "failed"
		switch {
		case err == nil && conn.LocalAddr().String() != conn.RemoteAddr().String():
			outcome = "open"
		case err == nil || errors.Is(err, syscall.ECONNREFUSED):
			outcome = "refused"
		case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
			outcome = ""
		case errors.Is(err, syscall.EHOSTUNREACH):
			outcome = "absent"
		}
		if conn != nil {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
		c.decisions <- decision{id, outcome}
	})
	return true, nil
}

// Receive tells heard of the connections that are decided.
func (c *Connections) Receive(wait time.Duration, heard func(id uint32, outcome string, icmpType, icmpCode uint8)) error {
	timer := time.After(max(wait, 0))
	for {
		select {
		case d := <-c.decisions:
			if cancel, asked := c.cancel[d.id]; asked {
				cancel()
				delete(c.cancel, d.id)
				if d.outcome != "" {
					heard(d.id, d.outcome, 0, 0)
				}
			}
			if len(c.decisions) == 0 {
				return nil
			}
		case <-timer:
			return nil
		}
	}
}

// Forget gives up on a connection.
func (c *Connections) Forget(id uint32) {
	if cancel, ok := c.cancel[id]; ok {
		cancel()
	}
}

// Close ends all connections.
func (c *Connections) Close() error {
	for _, cancel := range c.cancel {
		cancel()
	}
	go func() {
		c.underWay.Wait()
		close(c.decisions)
	}()
	for range c.decisions {
	}
	return nil
}

// SourceTowards is the own address from which packets to another one would come.
func SourceTowards(to netip.Addr) (netip.Addr, error) {
	conn, err := net.Dial("udp", netip.AddrPortFrom(to, 9).String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("no route to %s: %w", to, err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone(""), nil
}

// Neighbors is for Linux.
func Neighbors() (map[netip.Addr]string, error) { return nil, errNoProbe("neighbours") }

// Pings is for Linux.
type Pings struct{}

// OpenPings is for Linux.
func OpenPings() (*Pings, error) { return nil, errNoProbe("pings") }

func (*Pings) Send(netip.Addr) (bool, error)                 { return false, errNoProbe("pings") }
func (*Pings) Receive(time.Duration, func(netip.Addr)) error { return errNoProbe("pings") }
func (*Pings) Close() error                                  { return nil }
