package pf

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
)

// pool reads where translated packets go: addresses, ports, how one is chosen.
func (p *parser) pool() (*Pool, error) {
	pool, err := p.redirection()
	if err != nil {
		return nil, err
	}
	return pool, p.poolOptions(pool)
}

// redirection reads the addresses and ports of a pool.
func (p *parser) redirection() (*Pool, error) {
	pool := &Pool{NoPort: true}
	hosts, err := p.hosts()
	if err != nil {
		return nil, err
	}
	pool.Addresses = hosts
	for _, h := range hosts {
		if h.Not {
			return nil, p.tok.errorf("a negated address can't be translated to")
		}
	}
	given, err := p.accept("port")
	if err != nil || !given {
		return pool, err
	}
	pool.NoPort = false
	return pool, p.poolPort(pool)
}

// poolPort takes "80", "1024:2048" or "8000:*".
func (p *parser) poolPort(pool *Pool) error {
	at := p.tok
	if text, star := strings.CutSuffix(p.tok.text, ":*"); star && p.tok.kind != symbol {
		n, err := portNumber(at, text)
		pool.Low, pool.Star = n, true
		if err != nil {
			return err
		}
		return p.advance()
	}
	var err error
	pool.Low, pool.High, err = p.portRange()
	if pool.Low == pool.High && strings.Contains(at.text, ":") {
		pool.High = 0
	}
	if !strings.Contains(at.text, ":") {
		pool.High = 0
	}
	return err
}

// poolOptions reads how an address of several is chosen, and more that may
// stand behind a pool.
func (p *parser) poolOptions(pool *Pool) error {
	for p.tok.kind == word {
		keyword := p.tok.text
		switch keyword {
		case "bitmask", "random", "round-robin", "least-states", "source-hash":
			if pool.Type != "" {
				return p.tok.errorf("pool type cannot be redefined")
			}
			pool.Type = keyword
		case "sticky-address":
			pool.Sticky = true
		case "static-port":
			pool.StaticPort = true
		case "endpoint-independent", "prefer-ipv6-nexthop":
			pool.Options = append(pool.Options, keyword)
		case "extfilter":
			if err := p.extFilter(pool); err != nil {
				return err
			}
			continue
		case "map-e-portset":
			if err := p.mapE(pool); err != nil {
				return err
			}
			continue
		case "weight":
			if err := p.advance(); err != nil {
				return err
			}
		default:
			return nil
		}
		if err := p.advance(); err != nil {
			return err
		}
		if keyword == "source-hash" {
			if err := p.hashKey(pool); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashKey takes the key of source-hash: 32 hexadecimal digits, or a string whose
// MD5 sum is the key. Without one pfctl makes it up.
func (p *parser) hashKey(pool *Pool) error {
	if p.tok.kind != quoted && (p.tok.kind != word || poolWord(p.tok.text)) {
		return nil
	}
	key := p.tok.text
	if digits, ok := strings.CutPrefix(key, "0x"); ok {
		if _, err := hex.DecodeString(digits); err != nil || len(digits) != 32 {
			return p.tok.errorf("hex key must be 128 bits (32 hex digits) long")
		}
		pool.Key = "0x" + strings.ToLower(digits)
		return p.advance()
	}
	sum := md5.Sum([]byte(key))
	pool.Key = "0x" + hex.EncodeToString(sum[:])
	return p.advance()
}

// poolWord says that a word behind source-hash is no key.
func poolWord(s string) bool {
	switch s {
	case "sticky-address", "static-port", "endpoint-independent", "prefer-ipv6-nexthop", "map-e-portset", "tag", "tagged", "label", "round-robin",
		"rtable", "route-to", "reply-to", "dup-to", "rdr-to", "nat-to", "to", "inet", "inet6", "proto", "from", "all", "keep", "flags", "extfilter":
		return true
	}
	return false
}

// extFilter reads macOS's "extfilter ei" or "ad": how far replies from other
// hosts are let in.
func (p *parser) extFilter(pool *Pool) error {
	if err := p.advance(); err != nil {
		return err
	}
	kind, err := p.text()
	pool.Options = append(pool.Options, "extfilter "+kind)
	return err
}

// mapE reads "map-e-portset 6/8/0x34".
func (p *parser) mapE(pool *Pool) error {
	if err := p.advance(); err != nil {
		return err
	}
	var parts []string
	for i := range 3 {
		if i > 0 {
			if err := p.expectSymbol("/"); err != nil {
				return err
			}
		}
		n, err := p.number("map-e-portset", 0, 65535)
		if err != nil {
			return err
		}
		parts = append(parts, itoa(n))
	}
	pool.MapE = strings.Join(parts, "/")
	return nil
}

// routePool reads the gateways of route-to, reply-to and dup-to: addresses, and
// as older grammars have it, (em0 192.0.2.1) or em0.
func (p *parser) routePool() (*Pool, error) {
	pool := &Pool{NoPort: true}
	err := p.list(func() error {
		if !p.isSymbol("(") {
			return p.routeHost(pool)
		}
		next, err := p.peek()
		if err != nil {
			return err
		}
		if strings.Contains(next.text, ":") && p.options.Dialect == OpenBSD {
			return p.routeHost(pool)
		}
		return p.gateway(pool, next)
	})
	if err != nil {
		return nil, err
	}
	return pool, p.poolOptions(pool)
}

func (p *parser) routeHost(pool *Pool) error {
	if p.options.Dialect != OpenBSD && p.tok.kind == word && !strings.ContainsAny(p.tok.text, ".:") {
		name, err := p.text()
		pool.Interfaces = append(pool.Interfaces, name)
		pool.Addresses = append(pool.Addresses, Address{})
		return err
	}
	hosts, err := p.host()
	for _, h := range hosts {
		pool.Interfaces = append(pool.Interfaces, "")
		pool.Addresses = append(pool.Addresses, h)
	}
	return err
}

// gateway reads "(em0 192.0.2.1)"; "(em0)" is em0's own peers at run time.
func (p *parser) gateway(pool *Pool, name token) error {
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.advance(); err != nil {
		return err
	}
	if ok, err := p.acceptSymbol(")"); err != nil || ok {
		a := Address{Kind: Dynamic, Name: ordered(withoutCount(name.text)), Bits: -1}
		if a.Bits, err = p.mask(name); err != nil {
			return err
		}
		pool.Interfaces = append(pool.Interfaces, "")
		pool.Addresses = append(pool.Addresses, a)
		return nil
	}
	hosts, err := p.host()
	if err != nil {
		return err
	}
	for _, h := range hosts {
		pool.Interfaces = append(pool.Interfaces, name.text)
		pool.Addresses = append(pool.Addresses, h)
	}
	return p.expectSymbol(")")
}
