package scan

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/scan/service"
)

// An Endpoint is a port of a protocol.
type Endpoint struct {
	Protocol string
	Port     uint16
}

const (
	// asked at a time, at most of one host, and for how long
	identifying    = 32
	mostIdentified = 512
	identifyTime   = 20 * time.Second
)

// identify asks what speaks at the open ports of some hosts.
func (r *run) identify(hosts []Host) {
	if !r.Services || r.Dial == nil {
		return
	}
	var asking sync.WaitGroup
	var mutex sync.Mutex
	room := make(chan struct{}, identifying)
	for i := range hosts {
		h := &hosts[i]
		h.Services = map[Endpoint]service.Service{}
		for _, e := range r.openPorts(h) {
			room <- struct{}{}
			asking.Go(func() {
				defer func() { <-room }()
				found, ok := r.ask(h, e)
				mutex.Lock()
				defer mutex.Unlock()
				if ok {
					h.Services[e] = found
				}
			})
		}
	}
	asking.Wait()
}

// openPorts are those that are asked: a host that takes every connection has no 65,535 services.
func (r *run) openPorts(h *Host) (out []Endpoint) {
	for _, g := range h.Groups {
		if g.State == Open {
			g.Each(func(port uint16) { out = append(out, Endpoint{g.Protocol, port}) })
		}
	}
	if len(out) > mostIdentified {
		r.gaps = append(r.gaps, gaps.Gap{
			Source: "services of " + h.Address.String(),
			Reason: fmt.Sprintf("%d ports are open: only the first %d were asked what they are", len(out), mostIdentified),
			Hint:   "name the ports with -p",
		})
		out = out[:mostIdentified]
	}
	return out
}

func (r *run) ask(h *Host, e Endpoint) (service.Service, bool) {
	ctx, cancel := context.WithTimeout(r.ctx, identifyTime)
	defer cancel()
	found, err := service.Identify(ctx, r.Dial, service.Target{
		Protocol: e.Protocol, Addr: netip.AddrPortFrom(h.Address, e.Port), Hostname: h.Name,
	})
	return found, err == nil
}
