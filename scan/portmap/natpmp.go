package portmap

import (
	"context"
	"encoding/binary"
	"net/netip"
	"time"
)

// mappingPort is where NAT-PMP and PCP listen (RFC 6886, 3; RFC 6887, 19.1).
const mappingPort = 5351

// pmpAnswer says that NAT-PMP is spoken, and the external address where it is told.
type pmpAnswer struct {
	spoken   bool
	external netip.Addr
}

// askNATPMP asks for the external address (RFC 6886, 3.2).
func askNATPMP(ctx context.Context, n Network) pmpAnswer {
	var out pmpAnswer
	exchange(ctx, n, []byte{0, 0}, func(b []byte) bool {
		if len(b) < 8 || b[0] != 0 || b[1] != 128 {
			return false
		}
		out.spoken = true
		const success = 0
		if len(b) >= 12 && binary.BigEndian.Uint16(b[2:]) == success {
			if a, ok := netip.AddrFromSlice(b[8:12]); ok && !a.IsUnspecified() {
				out.external = a
			}
		}
		return true
	})
	return out
}

// askPCP announces nothing, which a server answers (RFC 6887, 14.1.1).
func askPCP(ctx context.Context, n Network) bool {
	const version, announce, response = 2, 0, 0x80
	request := make([]byte, 24)
	request[0], request[1] = version, announce
	return exchange(ctx, n, request, func(b []byte) bool {
		return len(b) >= 24 && len(b)%4 == 0 && b[0] == version && b[1] == response|announce
	})
}

// exchange asks the gateway three times, each time waiting twice as long as before
// (RFC 6886, 3.1), until an answer is accepted. A request's 4 bytes from 8 on are
// the client's address in PCP, which the connection alone knows.
func exchange(ctx context.Context, n Network, request []byte, accept func([]byte) bool) bool {
	if !n.Gateway.IsValid() || n.Dial == nil {
		return false
	}
	c, err := n.Dial(ctx, "udp", netip.AddrPortFrom(n.Gateway, mappingPort).String())
	if err != nil {
		return false
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if local, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil && len(request) == 24 {
		client := local.Addr().As16()
		copy(request[8:], client[:])
	}
	answer := make([]byte, 1100+1) // PCP's largest (RFC 6887, 7)
	for wait := 250 * time.Millisecond; wait <= time.Second; wait *= 2 {
		if _, err := c.Write(request); err != nil {
			return false
		}
		c.SetReadDeadline(time.Now().Add(wait))
		for range 10 { // answers to somebody else's question
			size, err := c.Read(answer)
			if err != nil {
				break
			}
			if accept(answer[:size]) {
				return true
			}
		}
	}
	return false
}
