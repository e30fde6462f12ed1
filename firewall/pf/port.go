package pf

import (
	"strconv"
	"strings"
)

// ports reads "port" conditions: one, or a list.
func (p *parser) ports() ([]Port, error) {
	var out []Port
	err := p.list(func() error {
		port, err := p.port()
		out = append(out, port)
		return err
	})
	return out, err
}

func (p *parser) port() (Port, error) {
	if p.tok.kind == symbol {
		op, ok := unaryOps[p.tok.text]
		if !ok {
			return Port{}, p.unexpected()
		}
		if err := p.advance(); err != nil {
			return Port{}, err
		}
		low, high, err := p.portRange()
		if err == nil && low != high {
			err = p.tok.errorf("a port range can't be compared")
		}
		return Port{Op: op, Low: low, High: low}, err
	}
	low, high, err := p.portRange()
	if err != nil {
		return Port{}, err
	}
	if op, ok := binaryOps[p.tok.text]; ok && p.tok.kind == symbol {
		if err := p.advance(); err != nil {
			return Port{}, err
		}
		_, high, err := p.portRange()
		return Port{Op: op, Low: low, High: high}, err
	}
	if low > high {
		return Port{}, p.tok.errorf("invalid port range: %d:%d", low, high)
	}
	if low != high {
		return Port{Op: Through, Low: low, High: high}, nil
	}
	return Port{Op: Equal, Low: low, High: low}, nil
}

var (
	unaryOps  = map[string]PortOp{"=": Equal, "!=": NotEqual, "<": Less, "<=": LessEqual, ">": Greater, ">=": GreaterEqual}
	binaryOps = map[string]PortOp{"><": Between, "<>": Outside}
)

// portRange takes "80", "http" or "1024:2048".
func (p *parser) portRange() (low, high uint16, err error) {
	at := p.tok
	text, err := p.text()
	if err != nil {
		return 0, 0, err
	}
	from, to, isRange := strings.Cut(text, ":")
	if low, err = portNumber(at, from); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return low, low, nil
	}
	high, err = portNumber(at, to)
	return low, high, err
}

func portNumber(at token, text string) (uint16, error) {
	if n, err := strconv.ParseUint(text, 0, 32); err == nil {
		if n > 65535 {
			return 0, at.errorf("illegal port value %d", n)
		}
		return uint16(n), nil
	}
	if n, ok := services()[text]; ok {
		return n, nil
	}
	return 0, at.errorf("unknown port %q", text)
}

// endpoints reads "all", or "from X port Y to Z port W", each part optional.
func (p *parser) endpoints(d *draft) error {
	all, err := p.accept("all")
	if err != nil || all {
		return err
	}
	if from, err := p.accept("from"); err != nil {
		return err
	} else if from {
		if d.sources, d.sourcePorts, err = p.endpoint(); err != nil {
			return err
		}
	}
	if os, err := p.accept("os"); err != nil {
		return err
	} else if os {
		if d.systems, err = p.texts(); err != nil {
			return err
		}
	}
	to, err := p.accept("to")
	if err != nil || !to {
		return err
	}
	d.destinations, d.destinationPorts, err = p.endpoint()
	return err
}

func (p *parser) endpoint() (hosts []Address, ports []Port, err error) {
	if !p.is("port") {
		if hosts, err = p.hosts(); err != nil {
			return nil, nil, err
		}
	}
	given, err := p.accept("port")
	if err != nil || !given {
		return hosts, nil, err
	}
	ports, err = p.ports()
	return hosts, ports, err
}

// texts reads a string or a list of them.
func (p *parser) texts() ([]string, error) {
	var out []string
	err := p.list(func() error {
		s, err := p.text()
		out = append(out, s)
		return err
	})
	return out, err
}
