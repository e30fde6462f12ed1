package platform

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Neighbors are the link addresses that the kernel has heard from neighbours, by
// their addresses, in the calling thread's network namespace.
func Neighbors() (map[netip.Addr]string, error) {
	all, err := netlink.NeighList(0, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("neighbours: %w", err)
	}
	const heard = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE
	out := map[netip.Addr]string{}
	for _, n := range all {
		address, ok := netip.AddrFromSlice(n.IP)
		if ok && n.State&heard != 0 && len(n.HardwareAddr) == 6 {
			out[address.Unmap()] = n.HardwareAddr.String()
		}
	}
	return out, nil
}
