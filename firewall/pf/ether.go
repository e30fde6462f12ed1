package pf

import (
	"strings"
)

// etherRule reads FreeBSD's rules for frames: they come before everything else.
// Who sends which frames can't be told from addresses, so conditions on hardware
// addresses are kept as text.
func (p *parser) etherRule() error {
	d := p.newDraft()
	d.Action = Ether
	e := &EthernetRule{}
	d.Ethernet = e
	if err := p.advance(); err != nil {
		return err
	}
	switch {
	case p.is("anchor"):
		return p.etherAnchor(d)
	case p.is("block"):
		e.Block = true
	case !p.is("pass"):
		return p.unexpected()
	}
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.direction(d); err != nil {
		return err
	}
	if p.is("quick") {
		if err := p.logQuick(d); err != nil {
			return err
		}
	}
	if err := p.on(d); err != nil {
		return err
	}
	if err := p.etherHosts(e); err != nil {
		return err
	}
	l3, err := p.accept("l3")
	if err != nil {
		return err
	}
	if l3 {
		if err := p.endpoints(d); err != nil {
			return err
		}
	}
	if err := p.etherOptions(d); err != nil {
		return err
	}
	return p.expandEther(d)
}

// etherHosts reads "proto X from MAC to MAC".
func (p *parser) etherHosts(e *EthernetRule) error {
	var parts []string
	if proto, err := p.accept("proto"); err != nil {
		return err
	} else if proto {
		if e.Protocol, err = p.text(); err != nil {
			return err
		}
		e.Matched = true
	}
	for p.is("from") || p.is("to") {
		parts = append(parts, p.tok.text)
		if err := p.advance(); err != nil {
			return err
		}
		var hosts []string
		err := p.list(func() error {
			not, err := p.not()
			if err != nil {
				return err
			}
			text, err := p.text()
			if err != nil {
				return err
			}
			if ok, err := p.acceptSymbol("/"); err != nil {
				return err
			} else if ok {
				bits, err := p.text()
				if err != nil {
					return err
				}
				text += "/" + bits
			}
			if not {
				text = "! " + text
			}
			hosts = append(hosts, text)
			return nil
		})
		if err != nil {
			return err
		}
		if len(hosts) == 1 {
			parts = append(parts, hosts[0])
		} else {
			parts = append(parts, "{ "+strings.Join(hosts, ", ")+" }")
		}
		e.Matched = true
	}
	e.Text = strings.Join(parts, " ")
	return nil
}

func (p *parser) etherOptions(d *draft) error {
	for p.tok.kind == word {
		keyword := p.tok.text
		if err := p.advance(); err != nil {
			return err
		}
		switch keyword {
		case "queue", "dnpipe", "dnqueue":
			if err := p.queueOption(d, keyword); err != nil {
				return err
			}
		case "tag", "tagged", "label", "ridentifier", "bridge-to", "prio":
			if keyword == "bridge-to" {
				keyword = "prio"
			}
			if err := p.valueOption(d, keyword); err != nil {
				return err
			}
		default:
			return d.at.errorf("syntax error at %q", keyword)
		}
	}
	return nil
}

func (p *parser) etherAnchor(d *draft) error {
	if err := p.advance(); err != nil {
		return err
	}
	d.IsAnchor = true
	name, err := p.name()
	if err != nil {
		return err
	}
	d.Anchor = name
	if err := p.direction(d); err != nil {
		return err
	}
	if err := p.on(d); err != nil {
		return err
	}
	if err := p.etherHosts(d.Ethernet); err != nil {
		return err
	}
	if l3, err := p.accept("l3"); err != nil {
		return err
	} else if l3 {
		if err := p.endpoints(d); err != nil {
			return err
		}
	}
	if p.isSymbol("{") {
		if err := p.inline(d); err != nil {
			return err
		}
	}
	return p.expandEther(d)
}

func (p *parser) expandEther(d *draft) error { return p.expand(d) }
