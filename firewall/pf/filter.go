package pf

// A draft is a rule before its lists are expanded: nil lists stand for what the
// rule doesn't name.
type draft struct {
	Rule
	interfaces                    []linkName
	protocols                     []int
	icmp                          []icmpMatch
	sources, destinations         []Address
	sourcePorts, destinationPorts []Port
	systems                       []string
	users, groups                 []Owner
	// blockICMP codes as written: they are looked up when the family is known.
	at token
}

// A linkName is an interface in an "on" clause.
type linkName struct {
	name string
	not  bool
}

// An icmpMatch is an icmp-type or icmp6-type condition.
type icmpMatch struct {
	family     uint8
	kind, code int
}

func (p *parser) newDraft() *draft {
	return &draft{at: p.tok, Rule: Rule{
		File: p.tok.file, Line: p.tok.line,
		ReturnICMP4: -1, ReturnICMP6: -1, RDomain: -1, Protocol: -1, ICMPType: -1, ICMPCode: -1, TOS: -1, RTable: -1,
	}}
}

// filterRule reads a pass, block or match rule.
func (p *parser) filterRule() error {
	d := p.newDraft()
	action := p.tok.text
	if err := p.advance(); err != nil {
		return err
	}
	switch action {
	case "pass":
		d.Action = Pass
	case "match":
		d.Action = Match
		if p.options.Dialect == MacOS {
			return d.at.errorf("macOS has no match rules")
		}
	default:
		d.Action = Block
		if err := p.blockSpec(d); err != nil {
			return err
		}
	}
	if err := p.head(d); err != nil {
		return err
	}
	if err := p.filterOptions(d); err != nil {
		return err
	}
	return p.expand(d)
}

// blockSpec reads how a block rule answers; without it "set block-policy" says.
func (p *parser) blockSpec(d *draft) error {
	d.Return = p.policy
	if p.tok.kind != word {
		return nil
	}
	switch p.tok.text {
	case "drop":
		d.Return = ReturnDrop
	case "return":
		d.Return = ReturnAny
	case "return-rst":
		d.Return = ReturnRST
	case "return-icmp", "return-icmp6":
		return p.returnICMP(d)
	default:
		return nil
	}
	if err := p.advance(); err != nil {
		return err
	}
	if d.Return == ReturnRST && p.isSymbol("(") {
		return p.between("(", ")", func() (err error) {
			if ok, err := p.accept("ttl"); err != nil || !ok {
				return orUnexpected(p, err)
			}
			d.ReturnTTL, err = p.number("ttl", 0, 255)
			return err
		})
	}
	return nil
}

func (p *parser) returnICMP(d *draft) error {
	families := []uint8{4, 6}
	six := p.tok.text == "return-icmp6"
	if six {
		families = families[1:]
	}
	d.Return, d.ReturnICMP4, d.ReturnICMP6 = ReturnICMP, 3, 4 // port-unr
	if err := p.advance(); err != nil {
		return err
	}
	if !p.isSymbol("(") {
		return nil
	}
	return p.between("(", ")", func() error {
		if len(families) == 0 {
			return p.unexpected()
		}
		family := families[0]
		families = families[1:]
		kind := 3
		if family == 6 {
			kind = 1
		}
		code, ok := icmpCodeNumber(p.tok.text, family, kind)
		if !ok {
			return p.tok.errorf("unknown icmp code %v", p.tok)
		}
		if family == 4 {
			d.ReturnICMP4 = code
		} else {
			d.ReturnICMP6 = code
		}
		return p.advance()
	})
}

// head reads what stands between the action and the options: direction, log,
// quick, interface, route, family, protocol, addresses.
func (p *parser) head(d *draft) error {
	if err := p.direction(d); err != nil {
		return err
	}
	for p.is("log") || p.is("quick") {
		if err := p.logQuick(d); err != nil {
			return err
		}
	}
	if err := p.on(d); err != nil {
		return err
	}
	if p.options.Dialect != OpenBSD {
		if err := p.oldRoute(d); err != nil {
			return err
		}
	}
	return p.familyToHosts(d)
}

func (p *parser) direction(d *draft) error {
	switch {
	case p.is("in"):
		d.Direction = In
	case p.is("out"):
		d.Direction = Out
	default:
		return nil
	}
	return p.advance()
}

func (p *parser) logQuick(d *draft) error {
	if p.is("quick") {
		d.Quick = true
		return p.advance()
	}
	if err := p.advance(); err != nil {
		return err
	}
	d.Log = &Log{}
	if !p.isSymbol("(") {
		return nil
	}
	return p.between("(", ")", func() error {
		option, err := p.text()
		switch {
		case err != nil:
			return err
		case option == "all":
			d.Log.All = true
		case option == "user":
			d.Log.User = true
		case option == "matches":
			d.Log.Matches = true
		case option == "to":
			d.Log.To, err = p.text()
			return err
		default:
			return d.at.errorf("unknown log option %q", option)
		}
		return nil
	})
}

// on reads "on em0", "on ! em0", "on { em0 em1 }", "on any", "on rdomain 1".
func (p *parser) on(d *draft) error {
	on, err := p.accept("on")
	if err != nil || !on {
		return err
	}
	if p.is("rdomain") {
		if err := p.advance(); err != nil {
			return err
		}
		d.RDomain, err = p.number("rdomain", 0, 255)
		return err
	}
	return p.list(func() error {
		not, err := p.not()
		if err != nil {
			return err
		}
		if p.is("rdomain") {
			d.NotRDomain = not
			if err := p.advance(); err != nil {
				return err
			}
			d.RDomain, err = p.number("rdomain", 0, 255)
			return err
		}
		name, err := p.text()
		if len(name) > 15 {
			return d.at.errorf("interface name %q is longer than 15 characters", name)
		}
		d.interfaces = append(d.interfaces, linkName{name, not})
		return err
	})
}

func (p *parser) family() (uint8, error) {
	switch {
	case p.is("inet"):
		return 4, p.advance()
	case p.is("inet6"):
		return 6, p.advance()
	}
	return 0, nil
}

func (p *parser) familyToHosts(d *draft) (err error) {
	if d.Family, err = p.family(); err != nil {
		return err
	}
	given, err := p.accept("proto")
	if err != nil {
		return err
	}
	if given {
		if err := p.list(func() error { return p.protocol(d) }); err != nil {
			return err
		}
	}
	return p.endpoints(d)
}

func (p *parser) protocol(d *draft) error {
	at := p.tok
	name, err := p.text()
	if err != nil {
		return err
	}
	n, ok := protocolNumber(name)
	if !ok {
		return at.errorf("unknown protocol %q", name)
	}
	d.protocols = append(d.protocols, n)
	return nil
}
