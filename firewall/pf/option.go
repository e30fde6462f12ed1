package pf

import (
	"strconv"
	"strings"
)

// filterOptions reads what stands behind the addresses of a filter rule, in any
// order, to the end of the line or an opening brace.
func (p *parser) filterOptions(d *draft) error {
	for p.tok.kind == word || p.isSymbol("!") {
		if err := p.filterOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) filterOption(d *draft) error {
	if p.isSymbol("!") {
		if err := p.advance(); err != nil {
			return err
		}
		return p.negatedOption(d)
	}
	keyword := p.tok.text
	if err := p.advance(); err != nil {
		return err
	}
	switch keyword {
	case "user":
		return p.owners(&d.users, baseUsers[p.options.Dialect])
	case "group":
		return p.owners(&d.groups, baseGroups[p.options.Dialect])
	case "flags":
		return p.flags(d)
	case "icmp-type":
		return p.icmpTypes(d, 4)
	case "icmp6-type":
		return p.icmpTypes(d, 6)
	case "tos":
		return p.tos(&d.TOS)
	case "no", "keep", "modulate", "synproxy":
		return p.stateOption(d, keyword)
	case "fragment":
		d.Fragment = true
	case "allow-opts":
		d.AllowOpts = true
	case "once":
		d.Once = true
	case "label", "tag", "tagged", "ridentifier", "rtable", "probability", "prio", "received-on", "max-pkt-rate", "max-pkt-size":
		return p.valueOption(d, keyword)
	case "queue", "dnpipe", "dnqueue":
		return p.queueOption(d, keyword)
	case "set":
		return p.setOptions(d)
	case "scrub":
		return p.scrubOptions(d)
	default:
		return p.translationOption(d, keyword)
	}
	return nil
}

func (p *parser) negatedOption(d *draft) (err error) {
	keyword := p.tok.text
	if p.tok.kind != word {
		return p.unexpected()
	}
	if err := p.advance(); err != nil {
		return err
	}
	switch keyword {
	case "tagged":
		d.NotTagged = true
		return p.tagName(&d.Tagged)
	case "received-on":
		d.NotReceivedOn = true
		d.ReceivedOn, err = p.text()
		return err
	}
	return d.at.errorf("syntax error at %q", keyword)
}

func (p *parser) valueOption(d *draft, keyword string) (err error) {
	switch keyword {
	case "label":
		label, err := p.name()
		if len(label) > 63 {
			return d.at.errorf("rule label too long (max 63 chars)")
		}
		if label != "" {
			d.Label = append(d.Label, label)
		}
		return err
	case "tag":
		return p.tagName(&d.Tag)
	case "tagged":
		return p.tagName(&d.Tagged)
	case "ridentifier":
		d.RIdentifier, err = p.text()
	case "rtable":
		d.RTable, err = p.number("rtable", 0, 65535)
	case "probability":
		return p.probability(d)
	case "prio":
		d.Prio, err = p.text()
	case "received-on":
		d.ReceivedOn, err = p.text()
	case "max-pkt-rate":
		d.MaxPacketRate, err = p.rate()
	case "max-pkt-size":
		d.MaxPacketSize, err = p.text()
	}
	return err
}

// tagName takes a tag of at most 63 characters (PF_TAG_NAME_SIZE).
func (p *parser) tagName(tag *string) (err error) {
	at := p.tok
	*tag, err = p.name()
	if len(*tag) > 63 {
		return at.errorf("tag too long, max 63 chars")
	}
	return err
}

// probability takes "50%" or "0.5"; a quoted or bare number of 0 to 1 is a part of 1.
func (p *parser) probability(d *draft) error {
	at := p.tok
	text, err := p.text()
	if err != nil {
		return err
	}
	value, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || value < 0 {
		return at.errorf("invalid probability %q", text)
	}
	if !strings.HasSuffix(text, "%") {
		value *= 100
	}
	if value > 100 {
		return at.errorf("probability %q is more than 1", text)
	}
	d.Probability = value
	return nil
}

// rate takes "100/10".
func (p *parser) rate() (string, error) {
	limit, err := p.number("limit", 0, 1<<31-1)
	if err != nil {
		return "", err
	}
	if err := p.expectSymbol("/"); err != nil {
		return "", err
	}
	seconds, err := p.number("seconds", 0, 1<<31-1)
	return strconv.Itoa(limit) + "/" + strconv.Itoa(seconds), err
}

// tcpFlags are the letters of TCP flags from the lowest bit on.
const tcpFlags = "FSRPAUEW"

// flags reads "flags S/SA" or "flags any".
func (p *parser) flags(d *draft) (err error) {
	d.FlagsGiven = true
	if ok, err := p.accept("any"); err != nil || ok {
		d.Flags, d.FlagSet = 0, 0
		return err
	}
	if !p.isSymbol("/") {
		if d.Flags, err = p.flagLetters(); err != nil {
			return err
		}
	}
	if err := p.expectSymbol("/"); err != nil {
		return err
	}
	if d.FlagSet, err = p.flagLetters(); err != nil {
		return err
	}
	if d.Flags&d.FlagSet != d.Flags {
		return d.at.errorf("flags always false")
	}
	return nil
}

func (p *parser) flagLetters() (uint8, error) {
	at := p.tok
	text, err := p.text()
	if err != nil {
		return 0, err
	}
	var set uint8
	for _, letter := range text {
		i := strings.IndexRune(tcpFlags, letter)
		if i < 0 {
			return 0, at.errorf("bad flags %q", text)
		}
		set |= 1 << i
	}
	return set, nil
}

func (p *parser) icmpTypes(d *draft, family uint8) error {
	return p.list(func() error {
		m := icmpMatch{family: family, kind: -1, code: -1}
		var ok bool
		if m.kind, ok = icmpTypeNumber(p.tok.text, family); !ok || p.tok.kind == symbol {
			return p.tok.errorf("unknown icmp-type %v", p.tok)
		}
		if err := p.advance(); err != nil {
			return err
		}
		if given, err := p.accept("code"); err != nil {
			return err
		} else if given {
			if m.code, ok = icmpCodeNumber(p.tok.text, family, m.kind); !ok {
				return p.tok.errorf("unknown icmp-code %v", p.tok)
			}
			if err := p.advance(); err != nil {
				return err
			}
		}
		d.icmp = append(d.icmp, m)
		return nil
	})
}

// tosNames are names for TOS values; DSCP classes stand in the upper six bits.
var tosNames = map[string]int{
	"lowdelay": 0x10, "throughput": 0x08, "reliability": 0x04, "inetcontrol": 0xc0, "netcontrol": 0xe0, "critical": 0xa0,
	"af11": 0x28, "af12": 0x30, "af13": 0x38, "af21": 0x48, "af22": 0x50, "af23": 0x58, "af31": 0x68, "af32": 0x70, "af33": 0x78,
	"af41": 0x88, "af42": 0x90, "af43": 0x98, "cs0": 0, "cs1": 0x20, "cs2": 0x40, "cs3": 0x60, "cs4": 0x80, "cs5": 0xa0, "cs6": 0xc0,
	"cs7": 0xe0, "ef": 0xb8, "va": 0xb0, "le": 0x04,
}

func (p *parser) tos(value *int) error {
	at := p.tok
	text, err := p.text()
	if err != nil {
		return err
	}
	if n, ok := tosNames[text]; ok {
		*value = n
		return nil
	}
	n, err := strconv.ParseUint(text, 0, 16)
	if err != nil || n > 255 {
		return at.errorf("illegal tos value %q", text)
	}
	*value = int(n)
	return nil
}

// owners reads user or group conditions.
func (p *parser) owners(out *[]Owner, known map[string]uint32) error {
	var list []Owner
	defer func() { *out = append(list, *out...) }() // pfctl puts the option named last first
	return p.list(func() error {
		o := Owner{Op: Equal}
		if op, ok := unaryOps[p.tok.text]; ok && p.tok.kind == symbol {
			o.Op = op
			if err := p.advance(); err != nil {
				return err
			}
		}
		if err := p.ownerName(&o, known); err != nil {
			return err
		}
		if op, ok := binaryOps[p.tok.text]; ok && p.tok.kind == symbol {
			if err := p.advance(); err != nil {
				return err
			}
			var high Owner
			if err := p.ownerName(&high, known); err != nil {
				return err
			}
			o.Op, o.High = op, high.Low
		}
		list = append(list, o)
		return nil
	})
}

func (p *parser) ownerName(o *Owner, known map[string]uint32) error {
	at := p.tok
	name, err := p.text()
	if err != nil {
		return err
	}
	from, to, isRange := strings.Cut(name, ":")
	if n, err := strconv.ParseUint(from, 10, 32); err == nil {
		o.Low, o.High = uint32(n), uint32(n)
		if isRange {
			high, err := strconv.ParseUint(to, 10, 32)
			if err != nil {
				return at.errorf("invalid range of users %q", name)
			}
			o.Op, o.High = Through, uint32(high)
		}
		return nil
	}
	if name == "unknown" {
		o.Unknown = true
		return nil
	}
	n, ok := known[name]
	if !ok {
		o.Name = name
	}
	o.Low, o.High = n, n
	return nil
}
