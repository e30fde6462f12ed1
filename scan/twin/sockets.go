package twin

import (
	"fmt"
	"net/netip"

	"github.com/netglance/netglance/firewall"
)

// Options of sockets, as the Kernel takes them.
const (
	socketV6Only = 1 << iota
	socketTransparent
	socketShared
)

// forgetFlows makes every flow new again.
func (t *Twin) forgetFlows() error {
	if t.halfOpen {
		t.kernel.CloseSockets()
		clear(t.ports)
		if err := t.openSockets(); err != nil {
			return err
		}
	}
	return t.prober.Forget()
}

// openSockets opens sockets like the host's, and joins its groups. All share their
// ports: who may on the host is not told, and here it makes no difference.
func (t *Twin) openSockets() error {
	names := map[int]string{}
	for _, l := range t.host.Network.Interfaces {
		names[l.Index] = l.Name
	}
	open := map[socketPlace]bool{}
	for _, s := range t.host.Network.Sockets {
		place := socketPlace{s.Protocol, netip.AddrPortFrom(s.Address.WithZone(""), s.Port)}
		number, err := t.listen(s, names)
		if err != nil {
			if !open[place] {
				t.unlike(fmt.Sprintf("the socket %s, protocol %d", place.at, s.Protocol), err)
			}
			continue
		}
		open[place] = true
		if s.Protocol != protocolTCP {
			t.ports[number] = s.Port
		}
	}
	for _, g := range t.host.Network.Groups {
		if err := t.kernel.Join(g.Interface, g.Address); err != nil {
			t.gap(fmt.Sprintf("the multicast group %s of link %s", g.Address, names[g.Interface]), err)
		}
	}
	return nil
}

// protocolTCP is the IP protocol number.
const protocolTCP = 6

type socketPlace struct {
	protocol uint8
	at       netip.AddrPort
}

func (t *Twin) listen(s firewall.LocalSocket, names map[int]string) (int, error) {
	options := socketShared
	if s.V6Only {
		options |= socketV6Only
	}
	if s.Transparent {
		options |= socketTransparent
	}
	at := netip.AddrPortFrom(s.Address.WithZone(""), s.Port)
	if s.Family == firewall.FamilyIPv6 && at.Addr().Is4() {
		at = netip.AddrPortFrom(netip.AddrFrom16(at.Addr().As16()), s.Port)
	}
	device := names[s.Device]
	if zone := s.Address.Zone(); zone != "" && device == "" {
		device = zone
	}
	return t.kernel.Listen(s.Protocol, at, s.Remote, device, options, s.Mark, s.UID)
}
