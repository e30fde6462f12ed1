package platform

import (
	"context"
	"net"
)

// Listen opens a datagram socket as net.ListenConfig does.
func Listen(ctx context.Context, network, address string) (net.PacketConn, error) {
	var c net.ListenConfig
	return c.ListenPacket(ctx, network, address)
}
