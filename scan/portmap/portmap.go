// Package portmap reads which ports a gateway leads to hosts behind it: it finds
// gateways by SSDP and lists their mappings over UPnP's Internet Gateway Device 1
// and 2, and asks by NAT-PMP (RFC 6886) and PCP (RFC 6887) whether mappings can be
// made. It never makes, renews or removes one.
//
// NAT-PMP and PCP have no request that lists mappings. So a port that a host opened
// through them alone is not seen, unless the gateway shows it over UPnP too, as
// miniupnpd does. The answer says which of the protocols the gateway speaks.
package portmap

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/netglance/netglance/gaps"
)

// A Network is how the gateway is reached. net.Dialer and net.ListenConfig have the
// two methods.
type Network struct {
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Listen func(ctx context.Context, network, address string) (net.PacketConn, error)
	// Gateway is the default route's next hop; the zero address is none.
	Gateway netip.Addr
	// Local is the address that the search for gateways is sent from; the zero
	// address leaves that to the system.
	Local netip.Addr
}

// A Gateway is a device that maps ports.
type Gateway struct {
	Addr netip.Addr
	// Name and Model are what the device calls itself; its texts are not cleaned.
	Name, Model string
	// External is its address outside; the zero address is not known.
	External netip.Addr
	// Protocols are those that it speaks: "IGD 1", "IGD 2", "NAT-PMP", "PCP".
	Protocols []string
	Mappings  []Mapping
}

// A Mapping is a port of a gateway that leads to a host behind it.
type Mapping struct {
	Protocol string // "tcp" or "udp"
	// External is the gateway's port; its Addr is the zero address where not known.
	External netip.AddrPort
	Internal netip.AddrPort
	// Remote is the only address that may use it; the zero address is everybody.
	Remote      netip.Addr
	Enabled     bool
	Description string // whoever made it chose it
	// Lease is what is left of its time; 0 is for ever.
	Lease time.Duration
}

func (m Mapping) String() string {
	return fmt.Sprintf("%d/%s → %s", m.External.Port(), m.Protocol, m.Internal)
}

// To are the enabled mappings that lead to one of a host's addresses.
func (g Gateway) To(host []netip.Addr) []Mapping {
	var out []Mapping
	for _, m := range g.Mappings {
		if m.Enabled && slices.Contains(host, m.Internal.Addr()) {
			out = append(out, m)
		}
	}
	return out
}

// The bounds of what gateways can cost.
const (
	searchTime  = 2 * time.Second // how long answers to a search are waited for
	maxGateways = 8
	maxMappings = 1000 // of one gateway
	maxText     = 256  // bytes of a name or a description
	maxXML      = 256 << 10
	soapTime    = 5 * time.Second // for a request
	maxTime     = 20 * time.Second
)

// Read finds the gateways and their mappings. What could not be read is a gap; that
// no gateway answers is none.
func Read(ctx context.Context, n Network) ([]Gateway, []gaps.Gap) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	var outside pmpAnswer
	var wait sync.WaitGroup
	wait.Go(func() { outside = askNATPMP(ctx, n) })
	var pcp bool
	wait.Go(func() { pcp = askPCP(ctx, n) })
	places, unread := search(ctx, n)
	var found []Gateway
	for _, place := range places {
		g, gap, isGateway := readDevice(ctx, n, place)
		unread = append(unread, gap...)
		if isGateway {
			found = append(found, g)
		}
	}
	wait.Wait()
	if outside.spoken || pcp {
		found = addPMP(found, n.Gateway, outside, pcp)
	}
	for i := range found {
		slices.SortFunc(found[i].Mappings, func(a, b Mapping) int {
			return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), a.External.Compare(b.External), a.Internal.Compare(b.Internal), a.Remote.Compare(b.Remote))
		})
	}
	slices.SortFunc(found, func(a, b Gateway) int { return a.Addr.Compare(b.Addr) })
	return found, unread
}

// addPMP joins what the default gateway said by itself with what UPnP told of it.
func addPMP(found []Gateway, at netip.Addr, outside pmpAnswer, pcp bool) []Gateway {
	i := slices.IndexFunc(found, func(g Gateway) bool { return g.Addr == at })
	if i < 0 {
		found = append(found, Gateway{Addr: at})
		i = len(found) - 1
	}
	g := &found[i]
	if outside.spoken {
		g.Protocols = append(g.Protocols, "NAT-PMP")
	}
	if pcp {
		g.Protocols = append(g.Protocols, "PCP")
	}
	if !g.External.IsValid() {
		g.External = outside.external
	}
	for j := range g.Mappings {
		if m := &g.Mappings[j]; !m.External.Addr().IsValid() {
			m.External = netip.AddrPortFrom(g.External, m.External.Port())
		}
	}
	return found
}

func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return s
}
