package pf

// antispoof makes the rules of "antispoof for em0": packets from the interface's
// networks that come in elsewhere, and packets from its own addresses, are blocked.
func (p *parser) antispoof() error {
	d := p.newDraft()
	if err := p.advance(); err != nil {
		return err
	}
	for p.is("log") || p.is("quick") {
		if err := p.logQuick(d); err != nil {
			return err
		}
	}
	if _, err := p.accept("for"); err != nil {
		return err
	}
	var links []token
	var dynamic []bool
	err := p.list(func() error {
		inParentheses := p.isSymbol("(")
		if inParentheses {
			if err := p.advance(); err != nil {
				return err
			}
		}
		if p.tok.kind == symbol {
			return p.unexpected()
		}
		links, dynamic = append(links, p.tok), append(dynamic, inParentheses)
		if _, err := p.text(); err != nil {
			return err
		}
		if inParentheses {
			return p.expectSymbol(")")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if d.Family, err = p.family(); err != nil {
		return err
	}
	for p.tok.kind == word {
		keyword := p.tok.text
		if keyword != "label" && keyword != "rtable" && keyword != "ridentifier" {
			return p.unexpected()
		}
		if err := p.advance(); err != nil {
			return err
		}
		if err := p.valueOption(d, keyword); err != nil {
			return err
		}
	}
	for i, link := range links {
		if err := p.antispoofFor(d, link.text, dynamic[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) antispoofFor(from *draft, name string, dynamic bool) error {
	loopback, known := p.isLoopback(name)
	networks, own := p.antispoofSources(name, dynamic, known)
	if len(networks) > 0 {
		d := *from
		d.Action, d.Return, d.Direction = Block, ReturnDrop, In
		d.interfaces = []linkName{{name, true}}
		d.sources = ofFamily(networks, from.Family)
		if len(d.sources) > 0 {
			if err := p.expand(&d); err != nil {
				return err
			}
		}
	}
	if loopback || len(own) == 0 {
		return nil
	}
	d := *from
	d.Action, d.Return, d.Direction = Block, ReturnDrop, In
	if d.sources = ofFamily(own, from.Family); len(d.sources) == 0 {
		return nil
	}
	return p.expand(&d)
}

// isLoopback says whether an interface is a loopback one, and whether anything is
// known of it. Names that begin with lo are.
func (p *parser) isLoopback(name string) (loopback, known bool) {
	for _, link := range p.links.of(name) {
		return link.Loopback() && link.Name == name, true // a group has no flags
	}
	if p.links.network != nil {
		return false, true
	}
	return len(name) > 1 && name[:2] == "lo" && (len(name) == 2 || name[2] >= '0' && name[2] <= '9'), false
}

// antispoofSources are the interface's networks and its own addresses.
func (p *parser) antispoofSources(name string, dynamic, known bool) (networks, own []Address) {
	if dynamic {
		return []Address{{Kind: Dynamic, Name: name + ":network", Bits: -1}}, []Address{{Kind: Dynamic, Name: name, Bits: -1}}
	}
	if !known {
		p.rules.unread("the addresses of " + name)
		return []Address{{Kind: Unresolved, Name: name + ":network", Bits: -1}}, []Address{{Kind: Unresolved, Name: name, Bits: -1}}
	}
	for _, a := range p.links.addresses(name, modifiers{network: true}) {
		networks = append(networks, maskedAddress(a.prefix.Addr(), a.prefix.Bits()))
	}
	for _, a := range p.links.addresses(name, modifiers{}) {
		address := maskedAddress(a.prefix.Addr(), a.prefix.Bits())
		address.zone = a.zone
		own = append(own, address)
	}
	return networks, own
}

func ofFamily(list []Address, family uint8) []Address {
	if family == 0 {
		return list
	}
	var out []Address
	for _, a := range list {
		if a.Family == 0 || a.Family == family {
			out = append(out, a)
		}
	}
	return out
}
