package service

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// A protocol recognises one kind of service.
type protocol struct {
	name  string
	ports []uint16 // where it is asked first
	// securePorts is where it is asked first within TLS.
	securePorts []uint16
	// claims says that a peer's words, whatever the question was, are surely of this
	// protocol. nil when they never are.
	claims func([]byte) bool
	// talk holds a conversation that begins with nothing said by either side.
	talk func(*conversation) (Service, bool)
	// greets says that the server speaks first: at other ports listening is enough.
	greets bool
	// ownPorts says that other ports are never asked.
	ownPorts bool
	// plain says that it is not looked for within TLS, which it begins itself if at all.
	plain bool
	// binary says that its words are nothing to show as a banner.
	binary bool
}

// protocols are tried in this order where neither port nor greeting tell. A test
// reads the table.
func protocols() []protocol {
	return []protocol{
		sshProtocol, smtpProtocol, ftpProtocol, imapProtocol, pop3Protocol, mysqlProtocol, vncProtocol, telnetProtocol,
		rsyncProtocol, nntpProtocol, jetDirectProtocol,
		tlsProtocol, mongodbProtocol, httpProtocol, redisProtocol, memcachedProtocol, postgresqlProtocol, rdpProtocol,
		smbProtocol, dnsProtocol, mqttProtocol, ldapProtocol, rtspProtocol, amqpProtocol, mssqlProtocol,
	}
}

// Identify asks what speaks at an open port. An error says that the port could
// not be asked at all; a service that says nothing recognisable is no error.
func Identify(ctx context.Context, dial Dial, t Target) (Service, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	p := &peer{ctx: ctx, dial: dial, target: t, all: protocols(), patience: answerWait, connections: &atomic.Int32{}, heard: &hearing{}}
	var s Service
	var err error
	switch t.Protocol {
	case "tcp":
		s, err = p.identify()
	case "udp":
		s, err = p.identifyUDP()
	default:
		return Service{}, errors.ErrUnsupported
	}
	s.tidy(p.heard.banner())
	return s, err
}

// identify asks the protocols usual at the port, listens, says something that many
// servers complain about in their own way, and at last asks one after the other.
func (p *peer) identify() (Service, error) {
	left := slices.DeleteFunc(slices.Clone(p.all), func(k protocol) bool {
		return k.ownPorts && !slices.Contains(k.ports, p.port()) || k.plain && p.secure
	})
	usual, listened := p.usual(left)
	for _, k := range usual {
		s, ok, claimed, err := p.try(k, left)
		if err != nil {
			return Service{}, err
		}
		if ok {
			return s, nil
		}
		if claimed != nil {
			if s, ok, _, _ := p.try(*claimed, nil); ok {
				return s, nil
			}
		}
		if k.ownPorts {
			return Service{}, nil // nothing else may be sent here
		}
		left = without(left, k)
	}
	s, ok, err := p.listen(left, listened)
	if ok || err != nil {
		return s, err
	}
	return p.guess(left), nil
}

// guess asks the protocols in which the client speaks first, some at a time. The
// first in the list that recognises the peer counts.
func (p *peer) guess(left []protocol) Service {
	type guessed struct {
		peer    peer
		service Service
		ok      bool
		claimed *protocol
	}
	left = slices.DeleteFunc(slices.Clone(left), func(k protocol) bool { return k.greets })
	for some := range slices.Chunk(left, guesses) {
		if p.ctx.Err() != nil {
			break
		}
		results := make([]guessed, len(some))
		var all sync.WaitGroup
		for i, k := range some {
			all.Go(func() {
				r := &results[i]
				r.peer = *p
				r.peer.heard, r.peer.patience = &hearing{}, guessWait
				r.service, r.ok, r.claimed, _ = r.peer.try(k, left)
			})
		}
		all.Wait()
		for _, r := range results {
			if r.ok {
				p.heard = r.peer.heard
				return r.service
			}
		}
		for _, r := range results {
			if r.claimed == nil {
				continue
			}
			if s, ok, _, _ := p.try(*r.claimed, nil); ok {
				return s
			}
		}
	}
	return Service{}
}

// usual are the protocols expected at the port. listened says that one of them
// waits for a greeting, which another need not do again.
func (p *peer) usual(all []protocol) (usual []protocol, listened bool) {
	for _, k := range all {
		ports := k.ports
		if p.secure {
			ports = k.securePorts
		}
		if slices.Contains(ports, p.port()) {
			usual = append(usual, k)
			listened = listened || k.greets
		}
	}
	return usual, listened
}

func without(list []protocol, k protocol) []protocol {
	return slices.DeleteFunc(slices.Clone(list), func(o protocol) bool { return o.name == k.name })
}

// try holds one protocol's conversation. claimed is another protocol that knew
// the peer's words for its own. Only a connection that can't be opened is an error.
func (p *peer) try(k protocol, others []protocol) (s Service, ok bool, claimed *protocol, err error) {
	c, err := p.open()
	if err != nil {
		return Service{}, false, nil, err
	}
	defer c.close()
	if s, ok := k.recognise(c); ok {
		return s, true, nil, nil
	}
	return Service{}, false, claimant(others, c.first), nil
}

func (k protocol) recognise(c *conversation) (Service, bool) {
	s, ok := k.talk(c)
	if ok && k.binary {
		c.peer.heard.unshown = true
	}
	return s, ok
}

func claimant(list []protocol, words []byte) *protocol {
	if len(words) == 0 {
		return nil
	}
	for i, k := range list {
		if k.claims != nil && k.claims(words) {
			return &list[i]
		}
	}
	return nil
}

// listen waits for a greeting, and without one asks as HTTP does, for what
// others say of it: Redis, memcached, MongoDB, RTSP, TLS and mail servers have
// words of their own. (HTTP/1.0 without a Host line is no alarm in Redis's log.)
func (p *peer) listen(left []protocol, listened bool) (Service, bool, error) {
	c, err := p.open()
	if err != nil {
		return Service{}, false, err
	}
	defer c.close()
	wait := greetingUnlikely
	switch {
	case listened:
		wait = quiet
	case p.secure:
		wait = greetingUnlikely / 2 // there is less to choose from
	}
	if greeting := c.greeting(wait); len(greeting) > 0 {
		if k := claimant(left, greeting); k != nil {
			if s, ok := k.recognise(c); ok {
				return s, true, nil
			}
		}
		return Service{}, true, nil // what speaks first and unknown is not asked: its banner is shown
	}
	if p.ctx.Err() != nil || c.say([]byte("GET / HTTP/1.0\r\n\r\n")) != nil {
		return Service{}, false, nil
	}
	c.until(greetingUnlikely, anything)
	k := claimant(left, c.rest())
	if k == nil {
		return Service{}, false, nil
	}
	s, ok, _, _ := p.try(*k, nil)
	return s, ok, nil
}
