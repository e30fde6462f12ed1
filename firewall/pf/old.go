package pf

import "fmt"

// translationRule reads nat and rdr rules, as macOS and FreeBSD have them.
func (p *parser) translationRule(no bool) error {
	d := p.newDraft()
	d.No, d.Action = no, NAT
	if p.is("rdr") {
		d.Action = RDR
	}
	pool, err := p.translation(d)
	if err != nil {
		return err
	}
	if d.Action == NAT {
		d.NATTo = pool
	} else {
		d.RDRTo = pool
	}
	return p.expand(d)
}

// translation reads what follows the word nat, rdr or binat, and returns the
// addresses behind the arrow.
func (p *parser) translation(d *draft) (*Pool, error) {
	steps := []func() error{
		p.advance,
		func() error { return p.natPassLog(d) },
		func() error { return p.on(d) },
		func() error { return p.familyToHosts(d) },
		func() error { return p.translationTags(d) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p.arrow(d)
}

// natPassLog reads "pass", "log" and "pass log".
func (p *parser) natPassLog(d *draft) (err error) {
	if d.NATPass, err = p.accept("pass"); err != nil {
		return err
	}
	if p.is("log") {
		return p.logQuick(d)
	}
	return nil
}

func (p *parser) translationTags(d *draft) error {
	for p.tok.kind == word || p.isSymbol("!") {
		if p.isSymbol("!") {
			if err := p.advance(); err != nil {
				return err
			}
			if err := p.negatedOption(d); err != nil {
				return err
			}
			continue
		}
		keyword := p.tok.text
		switch keyword {
		case "tag", "tagged", "rtable", "label", "ridentifier":
		default:
			return p.unexpected()
		}
		if err := p.advance(); err != nil {
			return err
		}
		if err := p.valueOption(d, keyword); err != nil {
			return err
		}
	}
	return nil
}

// arrow reads "-> address", which a "no" rule has not.
func (p *parser) arrow(d *draft) (*Pool, error) {
	has, err := p.acceptSymbol("->")
	if err != nil {
		return nil, err
	}
	if has == d.No {
		if d.No {
			return nil, d.at.errorf("'no' rules don't translate to an address")
		}
		return nil, d.at.errorf("a %s rule needs -> and an address", d.Action)
	}
	if d.No {
		return nil, nil
	}
	pool, err := p.pool()
	if err != nil {
		return nil, err
	}
	return pool, p.translationTags(d)
}

// binatRule reads binat rules: both directions at once.
func (p *parser) binatRule(no bool) error {
	d := p.newDraft()
	d.No, d.Action = no, Binat
	pool, err := p.translation(d)
	if err != nil {
		return err
	}
	d.BinatTo = pool
	if no {
		return p.expand(d)
	}
	return p.expandBinat(d)
}

// expandBinat is expand for binat rules, which are one rule each.
func (p *parser) expandBinat(d *draft) error {
	pool := d.BinatTo
	if len(d.sources) > 1 && p.oneFamily(d, d.sources) > 1 || len(d.destinations) > 1 && p.oneFamily(d, d.destinations) > 1 {
		return d.at.errorf("binat can't be used with several addresses")
	}
	for _, a := range append(append([]Address(nil), d.sources...), pool.Addresses...) {
		if a.Kind == TableName || a.Not {
			return d.at.errorf("tables and negated addresses can't be used in binat rules")
		}
	}
	d.BinatTo, d.NATTo = nil, pool
	return p.expand(d)
}

// scrubRule reads the scrub rules of FreeBSD and macOS.
func (p *parser) scrubRule(no bool) error {
	d := p.newDraft()
	d.No, d.Action = no, Scrub
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.head(d); err != nil {
		return err
	}
	if err := p.oldScrubOptions(d); err != nil {
		return err
	}
	return p.expand(d)
}

func (p *parser) oldScrubOptions(d *draft) error {
	d.Scrubs = &ScrubOptions{Fragment: "reassemble"}
	if d.No {
		d.Scrubs.Fragment = ""
	}
	for p.tok.kind == word || p.isSymbol("!") || p.isSymbol(",") {
		if p.isSymbol(",") || p.isSymbol("!") {
			not := p.isSymbol("!")
			if err := p.advance(); err != nil {
				return err
			}
			if not {
				if err := p.negatedOption(d); err != nil {
					return err
				}
			}
			continue
		}
		if err := p.oldScrubOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) oldScrubOption(d *draft) error {
	keyword := p.tok.text
	switch keyword {
	case "fragment":
		if err := p.advance(); err != nil {
			return err
		}
		return p.fragmentOption(d.Scrubs)
	case "tag", "tagged", "rtable":
		if err := p.advance(); err != nil {
			return err
		}
		return p.valueOption(d, keyword)
	}
	return p.scrubOption(d, d.Scrubs)
}

func (p *parser) fragmentOption(s *ScrubOptions) error {
	no, err := p.accept("no")
	if err != nil {
		return err
	}
	at := p.tok
	kind, err := p.text()
	if err != nil {
		return err
	}
	if no {
		kind = "no " + kind
	}
	switch kind {
	case "reassemble", "crop", "drop-ovl", "no reassemble":
		s.Fragment = kind
		return nil
	}
	return at.errorf("unknown fragment handling %q", kind)
}

// oldAnchor reads nat-anchor, rdr-anchor, binat-anchor, scrub-anchor and
// dummynet-anchor.
func (p *parser) oldAnchor() error {
	d := p.newDraft()
	d.IsAnchor = true
	d.Action = map[string]Action{"nat-anchor": NAT, "rdr-anchor": RDR, "binat-anchor": Binat, "scrub-anchor": Scrub, "dummynet-anchor": Dummynet}[p.tok.text]
	if err := p.advance(); err != nil {
		return err
	}
	name, err := p.name()
	if err != nil {
		return err
	}
	d.Anchor = name
	if err := checkAnchorName(name); err != nil {
		return d.at.errorf("%v", err)
	}
	if err := p.head(d); err != nil {
		return err
	}
	if d.Action == Scrub {
		err = p.oldScrubOptions(d)
	} else {
		err = p.translationTags(d)
	}
	if err != nil {
		return err
	}
	if p.isSymbol("{") {
		return d.at.errorf("rules in braces stand behind anchor only, not behind %s", fmt.Sprintf("%s-anchor", d.Action))
	}
	return p.expand(d)
}

// dummynetRule reads macOS's dummynet rules, which delay packets and decide nothing.
func (p *parser) dummynetRule() error {
	d := p.newDraft()
	d.Action = Dummynet
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.head(d); err != nil {
		return err
	}
	for p.tok.kind == word {
		keyword := p.tok.text
		if err := p.advance(); err != nil {
			return err
		}
		if keyword == "pipe" || keyword == "queue" {
			number, err := p.text()
			if err != nil {
				return err
			}
			d.Dummynet = keyword + " " + number
			continue
		}
		if err := p.valueOption(d, keyword); err != nil {
			return err
		}
	}
	return p.expand(d)
}

// oldRoute reads fastroute, route-to, reply-to and dup-to between the interface
// and the address family.
func (p *parser) oldRoute(d *draft) (err error) {
	if p.tok.kind != word {
		return nil
	}
	kind := p.tok.text
	switch kind {
	case "fastroute":
		d.Route = &Route{Kind: kind}
		return p.advance()
	case "route-to", "reply-to", "dup-to":
		if err := p.advance(); err != nil {
			return err
		}
		d.Route = &Route{Kind: kind}
		d.Route.Pool, err = p.routePool()
	}
	return err
}
