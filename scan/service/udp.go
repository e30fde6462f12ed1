package service

import (
	"slices"
	"sync"
)

// A datagram is one kind of UDP service: the question that it answers, and what the
// answer tells.
type datagram struct {
	name     string
	ports    []uint16
	question []byte
	read     func([]byte) (Service, bool)
	// further asks for what the first answer doesn't tell. nil for most.
	further func(*peer, *Service)
	// everywhere says that other ports are asked too, where nothing usual answers.
	everywhere bool
}

// datagrams in the order in which a port without a usual service is asked.
func datagrams() []datagram {
	return []datagram{
		dnsDatagram, ntpDatagram, snmpDatagram, ssdpDatagram, sipDatagram, stunDatagram, coapDatagram, memcachedDatagram, mdnsDatagram,
		netbiosDatagram, tftpDatagram, rpcbindDatagram, ikeDatagram, natTraversalDatagram, quicDatagram, radiusDatagram, ipmiDatagram,
		cldapDatagram, sqlBrowserDatagram, openVPNDatagram, natPMPDatagram, wsDiscoveryDatagram,
	}
}

// identifyUDP asks the port's usual question, then those of services that are often
// elsewhere. Nothing heard is no error: silence says nothing.
func (p *peer) identifyUDP() (Service, error) {
	var list, others []datagram
	for _, d := range datagrams() {
		if slices.Contains(d.ports, p.port()) {
			list = append(list, d)
		} else if d.everywhere {
			others = append(others, d)
		}
	}
	for _, some := range [][]datagram{list, others} {
		answers := make([]answered, len(some))
		var all sync.WaitGroup
		for i, d := range some {
			all.Go(func() { answers[i] = p.exchange(d) })
		}
		all.Wait()
		for i, a := range answers {
			if a.ok {
				p.heard = a.peer.heard
				p.heard.unshown = true
				if d := some[i]; d.further != nil {
					d.further(p, &a.service)
				}
				return a.service, nil
			}
		}
		for _, a := range answers {
			if a.err != nil { // it can't be sent to, or nobody is there any more
				return Service{}, a.err
			}
			if p.heard.first == nil {
				p.heard = a.peer.heard
			}
		}
	}
	return Service{}, nil
}

// answered is what one question came to.
type answered struct {
	peer    peer
	service Service
	ok      bool
	err     error
}

// exchange asks twice, for a datagram is easily lost.
func (p *peer) exchange(d datagram) answered {
	a := answered{peer: *p}
	a.peer.heard = &hearing{}
	c, err := a.peer.open()
	if err != nil {
		a.err = err
		return a
	}
	defer c.close()
	for range 2 {
		if c.say(d.question) != nil {
			return a
		}
		heard, err := c.until(answerWait/3, anything)
		if len(heard) > 0 {
			a.service, a.ok = d.read(heard)
			return a
		}
		if !isTimeout(err) {
			return a // port unreachable
		}
	}
	return a
}

// ask1 sends one datagram on a connection of its own and returns the answer, nil without one.
func (p *peer) ask1(question []byte) []byte {
	c, err := p.open()
	if err != nil {
		return nil
	}
	defer c.close()
	if c.say(question) != nil {
		return nil
	}
	heard, _ := c.until(answerWait/3, anything)
	return heard
}
