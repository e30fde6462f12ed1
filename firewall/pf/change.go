package pf

import (
	"fmt"
	"strconv"
	"strings"
)

// setOptions reads "set prio 3", "set (prio 5, queue std, tos lowdelay)".
func (p *parser) setOptions(d *draft) error {
	if p.isSymbol("(") {
		return p.between("(", ")", func() error { return p.setOne(d) })
	}
	return p.setOne(d)
}

func (p *parser) setOne(d *draft) (err error) {
	keyword, err := p.text()
	if err != nil {
		return err
	}
	switch keyword {
	case "prio":
		return p.setPrio(d)
	case "queue":
		return p.queueOption(d, keyword)
	case "tos":
		var tos int
		err = p.tos(&tos)
		d.SetTOS = fmt.Sprintf("0x%02x", tos)
		return err
	case "delay":
		delay, err := p.number("delay", 0, 0xffff)
		d.SetDelay = strconv.Itoa(delay)
		return err
	}
	return d.at.errorf("syntax error at %q: set prio, queue, tos or delay", keyword)
}

func (p *parser) setPrio(d *draft) error {
	if !p.isSymbol("(") {
		prio, err := p.prioNumber()
		d.SetPrio = "prio " + prio
		return err
	}
	var both []string
	err := p.between("(", ")", func() error {
		prio, err := p.prioNumber()
		both = append(both, prio)
		return err
	})
	if err == nil && len(both) != 2 {
		return d.at.errorf("set prio takes two numbers in parentheses")
	}
	d.SetPrio = "prio(" + strings.Join(both, ", ") + ")"
	return err
}

func (p *parser) prioNumber() (string, error) {
	at := p.tok
	n, err := p.number("prio", 0, 7)
	if err != nil {
		return "", at.errorf("prio must be 0 - 7")
	}
	return strconv.Itoa(n), nil
}

// queueOption reads a queue's name, or two; and FreeBSD's dummynet pipes.
func (p *parser) queueOption(d *draft, keyword string) error {
	at := p.tok
	var names []string
	take := func() error {
		name, err := p.text()
		names = append(names, name)
		return err
	}
	var err error
	if p.isSymbol("(") {
		err = p.between("(", ")", take)
	} else {
		err = take()
	}
	if err != nil {
		return err
	}
	if len(names) == 0 || len(names) > 2 {
		return at.errorf("%s takes one or two names", keyword)
	}
	if keyword != "queue" {
		d.Dummynet = keyword + " " + names[0]
		if len(names) == 2 {
			d.Dummynet = fmt.Sprintf("%s(%s, %s)", keyword, names[0], names[1])
		}
		return nil
	}
	d.Queue = names
	return p.queues.use(at, p.options.Dialect, names)
}

// scrubOptions reads the options of "scrub (…)" in a rule.
func (p *parser) scrubOptions(d *draft) error {
	if d.Scrubs == nil {
		d.Scrubs = &ScrubOptions{}
	}
	return p.between("(", ")", func() error { return p.scrubOption(d, d.Scrubs) })
}

func (p *parser) scrubOption(d *draft, s *ScrubOptions) (err error) {
	at := p.tok
	keyword, err := p.text()
	if err != nil {
		return err
	}
	again := false
	switch keyword {
	case "no-df":
		again, s.NoDF = s.NoDF, true
	case "random-id":
		again, s.RandomID = s.RandomID, true
	case "min-ttl":
		again = s.MinTTL != 0
		s.MinTTL, err = p.number("min-ttl", 0, 255)
	case "max-mss":
		again = s.MaxMSS != 0
		s.MaxMSS, err = p.number("max-mss", 0, 65535)
	case "set-tos":
		var tos int
		err = p.tos(&tos)
		s.SetTOS = fmt.Sprintf("0x%02x", tos)
	case "reassemble":
		if ok, err := p.accept("tcp"); err != nil || !ok {
			return orUnexpected(p, err)
		}
		again, s.ReassembleTCP = s.ReassembleTCP, true
	default:
		return at.errorf("unknown scrub option %q", keyword)
	}
	if err == nil && again {
		return at.errorf("%s cannot be respecified", keyword)
	}
	return err
}

// translationOption reads where a rule sends packets.
func (p *parser) translationOption(d *draft, keyword string) (err error) {
	switch keyword {
	case "nat-to":
		d.NATTo, err = p.poolOnce(d, d.NATTo)
	case "rdr-to":
		d.RDRTo, err = p.poolOnce(d, d.RDRTo)
	case "binat-to":
		d.BinatTo, err = p.poolOnce(d, d.BinatTo)
	case "af-to":
		return p.afTo(d)
	case "route-to", "reply-to", "dup-to":
		d.Route = &Route{Kind: keyword}
		d.Route.Pool, err = p.routePool()
	case "divert-to", "divert-packet", "divert-reply":
		return p.divert(d, keyword)
	default:
		return d.at.errorf("syntax error at %q", keyword)
	}
	return err
}

func (p *parser) poolOnce(d *draft, before *Pool) (*Pool, error) {
	if before != nil {
		return nil, d.at.errorf("cannot respecify nat-to, rdr-to or binat-to")
	}
	return p.pool()
}

func (p *parser) afTo(d *draft) (err error) {
	t := &AFTranslation{}
	if t.Family, err = p.family(); err != nil || t.Family == 0 {
		return orUnexpected(p, err)
	}
	if ok, err := p.accept("from"); err != nil || !ok {
		return orUnexpected(p, err)
	}
	if t.From, err = p.pool(); err != nil {
		return err
	}
	if ok, err := p.accept("to"); err != nil {
		return err
	} else if ok {
		if t.To, err = p.pool(); err != nil {
			return err
		}
	}
	d.AFTo = t
	return nil
}

func (p *parser) divert(d *draft, keyword string) error {
	if d.Divert != nil {
		return d.at.errorf("more than one divert option")
	}
	at := p.tok
	v := &Divert{Kind: keyword}
	d.Divert = v
	if keyword == "divert-reply" {
		return nil
	}
	if keyword == "divert-to" {
		if p.tok.kind == word && isNumber(p.tok.text) {
			port, err := p.number("port", 0, 65535) // as FreeBSD prints it: "divert-to 8025"
			v.Port = uint16(port)
			return err
		}
		hosts, err := p.host()
		if err != nil {
			return err
		}
		for _, h := range hosts {
			if h.Kind == Masked && (d.Family == 0 || d.Family == h.Family) && !v.Address.IsValid() {
				v.Address = h.Addr
			}
		}
		if !v.Address.IsValid() && !unresolved(hosts) {
			return at.errorf("divert-to address family mismatch")
		}
	}
	if ok, err := p.accept("port"); err != nil || !ok {
		return orUnexpected(p, err)
	}
	low, high, err := p.portRange()
	if err == nil && low != high {
		return at.errorf("%s takes one port", keyword)
	}
	v.Port = low
	return err
}

func unresolved(hosts []Address) bool {
	for _, h := range hosts {
		if h.Kind == Unresolved {
			return true
		}
	}
	return false
}
