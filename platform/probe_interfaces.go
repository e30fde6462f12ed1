package platform

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// A Device is a network interface of this host that is up.
type Device struct {
	Name string
	// Hardware is its link address; Ethernet says that it has one of 6 bytes and
	// finds neighbours by ARP and NDP.
	Hardware [6]byte
	Ethernet bool
	// Prefixes are its addresses with the length of their networks.
	Prefixes []netip.Prefix
}

// Devices are the interfaces in the calling thread's network namespace.
func Devices() ([]Device, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("interfaces: %w", err)
	}
	var out []Device
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		d := Device{Name: i.Name}
		if len(i.HardwareAddr) == 6 && i.Flags&(net.FlagLoopback|net.FlagPointToPoint) == 0 {
			d.Hardware, d.Ethernet = [6]byte(i.HardwareAddr), true
		}
		addresses, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("addresses of %s: %w", i.Name, err)
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				d.Prefixes = append(d.Prefixes, p)
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// Resolve asks the host's resolver for the addresses of a name.
func Resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	for i, a := range found {
		found[i] = a.Unmap()
	}
	return found, err
}

// Dial opens a connection as net.Dialer does.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, network, address)
}

const dialTimeout = 5 * time.Second
