package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/netglance/netglance/gaps"
)

// Pings is platform.Pings.
type Pings interface {
	Send(to netip.Addr) (bool, error)
	Receive(wait time.Duration, heard func(from netip.Addr)) error
	Close() error
}

// knocks are the TCP ports by which a host is found that isn't on the link.
var knocks = []uint16{443, 80, 22, 445}

// discover returns those of the hosts that are there: the host's own addresses,
// neighbours that answer ARP or NDP, and others that answer a ping or on a port.
func (r *run) discover(hosts []Host) ([]Host, error) {
	found := map[netip.Addr]string{}
	var far []netip.Addr
	byDevice := map[string][]netip.Addr{}
	for _, h := range hosts {
		device, onLink := r.device(h.Address)
		switch {
		case h.Own:
			found[h.Address] = "localhost-response"
		case onLink && !r.noLink:
			byDevice[device.Name] = append(byDevice[device.Name], h.Address)
		default:
			far = append(far, h.Address)
		}
	}
	hardware := map[netip.Addr]string{}
	for _, i := range r.Interfaces {
		wanted := byDevice[i.Name]
		err := r.solicit(i, wanted, func(a netip.Addr, at string) {
			found[a], hardware[a] = neighborWord(a), at
		})
		if err != nil && r.ctx.Err() == nil {
			r.withoutLink(err)
			far = append(far, wanted...)
		}
	}
	if err := r.knock(far, found); err != nil {
		return nil, err
	}
	r.heardByKernel(far, found)
	out := slices.DeleteFunc(hosts, func(h Host) bool { return found[h.Address] == "" })
	for i := range out {
		out[i].Up, out[i].Hardware = found[out[i].Address], hardware[out[i].Address]
	}
	return out, r.ctx.Err()
}

func neighborWord(a netip.Addr) string {
	if a.Is4() {
		return "arp-response"
	}
	return "nd-response"
}

// device is the Ethernet interface whose network has an address.
func (r *run) device(a netip.Addr) (Interface, bool) {
	for _, i := range r.Interfaces {
		if !i.Ethernet || a.Zone() != "" && a.Zone() != i.Name {
			continue
		}
		if slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Masked().Contains(a.WithZone("")) }) {
			return i, true
		}
	}
	return Interface{}, false
}

func (r *run) withoutLink(err error) {
	r.noLink = true
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) {
		r.gaps = append(r.gaps, gaps.Gap{Source: "ARP and NDP", Reason: err.Error(), Hint: "hosts were looked for by other means", Err: err})
	}
}

// knock pings addresses and asks some ports of those that don't answer that.
func (r *run) knock(addresses []netip.Addr, found map[netip.Addr]string) error {
	if len(addresses) == 0 {
		return nil
	}
	r.ping(addresses, found)
	silent := slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool { return found[a] != "" })
	if len(silent) == 0 {
		return r.ctx.Err()
	}
	c, err := r.open("tcp")
	if err != nil {
		return err
	}
	defer c.close()
	s := newSweep("tcp", c, knocks, silent, rand.Uint32())
	s.limit, s.watch = &r.limit, r.watchLooking
	err = s.run(r.ctx)
	for _, h := range s.hosts {
		for _, reason := range h.reasons {
			switch reason {
			case SynAck, Reset, ConnRefused, PortUnreach:
				found[h.address] = reason.String()
			}
		}
	}
	return err
}

// heardByKernel adds those that the kernel itself has just found on the link, though
// no port answered.
func (r *run) heardByKernel(addresses []netip.Addr, found map[netip.Addr]string) {
	if r.Neighbors == nil || len(addresses) == 0 {
		return
	}
	known, err := r.Neighbors()
	if err != nil {
		return // a second witness, and no more
	}
	for _, a := range addresses {
		if found[a] == "" && known[a.WithZone("")] != "" {
			found[a] = neighborWord(a)
		}
	}
}

const (
	// rounds of asking who is silent, and how long the answers of each are waited for
	lookRounds = 2
	lookWait   = 300 * time.Millisecond
	// lookRate is how many packets a second look for hosts: on radio links a broadcast is slow.
	lookRate = 2000
)

// A look sends packets that ask who is there, and hears the answers.
type look struct {
	send    func(netip.Addr) (bool, error)
	receive func(time.Duration, func(from netip.Addr, hardware string)) error
}

// ping sends echo requests, where that is allowed.
func (r *run) ping(addresses []netip.Addr, found map[netip.Addr]string) {
	if r.Pings == nil {
		return
	}
	pings, err := r.Pings()
	if err != nil {
		return // ports are asked anyway
	}
	defer pings.Close()
	wanted := map[netip.Addr]netip.Addr{}
	for _, a := range addresses {
		wanted[a.WithZone("")] = a
	}
	receive := func(wait time.Duration, heard func(netip.Addr, string)) error {
		return pings.Receive(wait, func(from netip.Addr) { heard(from, "") })
	}
	r.askTwice(addresses, look{pings.Send, receive}, func(from netip.Addr, _ string) bool {
		a, ok := wanted[from.WithZone("")]
		if ok {
			found[a] = "echo-reply"
		}
		return ok
	})
}

// askTwice asks each address until it is heard, at most twice.
func (r *run) askTwice(addresses []netip.Addr, l look, heard func(netip.Addr, string) bool) error {
	silent := map[netip.Addr]bool{}
	for _, a := range addresses {
		silent[a.WithZone("")] = true
	}
	note := func(from netip.Addr, hardware string) {
		if heard(from, hardware) {
			delete(silent, from.WithZone(""))
		}
	}
	pace := limiter{rate: lookRate}
	for range lookRounds {
		for _, a := range addresses {
			if !silent[a.WithZone("")] {
				continue
			}
			if err := r.askOne(a, l, note, &pace); err != nil {
				return err
			}
		}
		for end := time.Now().Add(lookWait); len(silent) > 0 && r.ctx.Err() == nil; {
			left := time.Until(end)
			if left <= 0 {
				break
			}
			if err := l.receive(left, note); err != nil {
				return err
			}
		}
	}
	return r.ctx.Err()
}

// askOne sends one question as soon as the limits allow.
func (r *run) askOne(a netip.Addr, l look, note func(netip.Addr, string), pace *limiter) error {
	for r.ctx.Err() == nil {
		now := time.Now()
		n, wait := pace.take(1, now)
		if n == 1 && r.limit.rate > 0 {
			if n, wait = r.limit.take(1, now); n == 0 {
				pace.giveBack(1)
			}
		}
		if n == 1 {
			sent, err := l.send(a)
			if sent || err != nil { // where nothing can be sent to, nobody is found
				return nil
			}
			wait = time.Millisecond
		}
		if err := l.receive(wait, note); err != nil {
			return err
		}
	}
	return r.ctx.Err()
}

// solicit asks for the link addresses of neighbours.
func (r *run) solicit(i Interface, addresses []netip.Addr, heard func(a netip.Addr, hardware string)) error {
	if len(addresses) == 0 {
		return nil
	}
	for _, six := range []bool{false, true} {
		of := slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool { return a.Is6() != six })
		if len(of) == 0 {
			continue
		}
		link, err := r.Link(i.Name, etherType(six))
		if err != nil {
			return fmt.Errorf("%s: %w", i.Name, err)
		}
		err = r.askTwice(of, neighborLook(link, i), neighborHeard(of, heard))
		link.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
