package service

import (
	"slices"
	"time"
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
	for _, d := range append(list, others...) {
		if p.ctx.Err() != nil {
			break
		}
		c, err := p.open()
		if err != nil {
			return Service{}, err
		}
		s, ok, refused := c.exchange(d)
		c.close()
		if refused {
			break // port unreachable: nobody is there any more
		}
		if ok {
			if d.further != nil {
				d.further(p, &s)
			}
			p.spent.unshown = true
			return s, nil
		}
	}
	return Service{}, nil
}

// exchange asks twice, for a datagram is easily lost.
func (c *conversation) exchange(d datagram) (s Service, ok, refused bool) {
	for range 2 {
		if err := c.say(d.question); err != nil {
			return Service{}, false, true
		}
		heard, err := c.until(answerWait/3, anything)
		if len(heard) > 0 {
			s, ok = d.read(heard)
			return s, ok, false
		}
		if err != nil && time.Now().Before(c.end) && !isTimeout(err) {
			return Service{}, false, true
		}
	}
	return Service{}, false, false
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
