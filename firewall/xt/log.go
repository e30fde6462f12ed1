package xt

import (
	"fmt"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// logging is xt_log_info, ipt_log_info (xt_LOG.h).
type logging struct {
	level, flags uint8
	prefix       string
}

func decodeLog(_ uint8, f *fields) extension { return logging{f.u8(), f.u8(), f.name(30)} }

func (g logging) steps(Decoder) []firewall.Step { return passive("LOG", g.String()) }

var logFlags = []struct {
	bit  uint8
	name string
}{{1, "log-tcp-sequence"}, {2, "log-tcp-options"}, {4, "log-ip-options"}, {8, "log-uid"}, {32, "log-macdecode"}}

func (g logging) String() string {
	var l line
	if g.prefix != "" {
		l.add(false, "--log-prefix", quote(g.prefix))
	}
	if g.level != 4 {
		l.add(false, "--log-level", number(g.level))
	}
	for _, f := range logFlags {
		if g.flags&f.bit != 0 {
			l.add(false, "--"+f.name)
		}
	}
	return l.String()
}

const logOptions = "log-prefix=1 log-level=1 log-tcp-sequence=0 log-tcp-options=0 log-ip-options=0 log-uid=0 log-macdecode=0"

var logLevels = map[string]uint8{"emerg": 0, "panic": 0, "alert": 1, "crit": 2, "err": 3, "error": 3, "warning": 4, "warn": 4, "notice": 5, "info": 6, "debug": 7}

func parseLog(g *given) extension {
	m := logging{level: 4}
	for _, o := range g.list {
		switch o.Name {
		case "log-prefix":
			m.prefix = cut(o.first(), 29)
		case "log-level":
			level, named := logLevels[strings.ToLower(o.first())]
			if !named {
				level = g.u8(o)
			}
			m.level = level
		default:
			for _, f := range logFlags {
				if o.Name == f.name {
					m.flags |= f.bit
				}
			}
		}
	}
	return m
}

// cut shortens a text to what the kernel's field holds.
func cut(s string, n int) string { return s[:min(len(s), n)] }

// nflog is xt_nflog_info (xt_NFLOG.h).
type nflog struct {
	length           uint32
	group, threshold uint16
	flags            uint16
	prefix           string
}

func decodeNFLOG(_ uint8, f *fields) extension {
	n := nflog{length: f.u32(), group: f.u16(), threshold: f.u16(), flags: f.u16()}
	f.skip(2)
	n.prefix = f.name(64)
	return n
}

func (n nflog) steps(Decoder) []firewall.Step { return passive("NFLOG", n.String()) }

func (n nflog) String() string {
	var l line
	if n.prefix != "" {
		l.add(false, "--nflog-prefix", quote(n.prefix))
	}
	if n.group != 0 {
		l.add(false, "--nflog-group", number(n.group))
	}
	if n.flags&1 != 0 {
		l.add(false, "--nflog-size", number(n.length))
	} else if n.length != 0 {
		l.add(false, "--nflog-range", number(n.length))
	}
	if n.threshold != 0 {
		l.add(false, "--nflog-threshold", number(n.threshold))
	}
	return l.String()
}

const nflogOptions = "nflog-prefix=1 nflog-group=1 nflog-range=1 nflog-size=1 nflog-threshold=1"

func parseNFLOG(g *given) extension {
	var n nflog
	for _, o := range g.list {
		switch o.Name {
		case "nflog-prefix":
			n.prefix = cut(o.first(), 63)
		case "nflog-group":
			n.group = g.u16(o)
		case "nflog-range":
			n.length = g.u32(o)
		case "nflog-size":
			n.length, n.flags = g.u32(o), 1
		case "nflog-threshold":
			n.threshold = g.u16(o)
		}
	}
	return n
}

// remark is a target that touches nothing that a rule can ask about, or that
// only tells others about the packet; its options are kept as words.
type remark struct {
	target  string
	options string
}

func (r remark) steps(Decoder) []firewall.Step { return passive(r.target, r.options) }
func (r remark) String() string                { return r.options }

// remarkKind is the kind of such a target: text reads its options from the blob.
func remarkKind(target, options string, text func(revision uint8, f *fields, l *line) bool) *kind {
	return &kind{
		options: options,
		decode: func(revision uint8, f *fields) extension {
			var l line
			if text != nil && !text(revision, f, &l) {
				return nil
			}
			return remark{target, l.String()}
		},
		parse: func(g *given) extension { return remark{target, writtenText(g.list)} },
	}
}

// parseULOG is for texts alone: the kernel has no such target since 3.17.
func parseULOG(g *given) extension { return remark{"ULOG", writtenText(g.list)} }

func auditText(_ uint8, f *fields, l *line) bool {
	kinds := []string{"accept", "drop", "reject"}
	kind := f.u8()
	if int(kind) >= len(kinds) {
		return false
	}
	l.add(false, "--type", kinds[kind])
	return true
}

func checksumText(_ uint8, f *fields, l *line) bool {
	if f.u8()&1 != 0 {
		l.add(false, "--checksum-fill")
	}
	return true
}

func tcpmssText(_ uint8, f *fields, l *line) bool {
	if mss := f.u16(); mss == 0xffff {
		l.add(false, "--clamp-mss-to-pmtu")
	} else {
		l.add(false, "--set-mss", number(mss))
	}
	return true
}

func tcpoptstripText(_ uint8, f *fields, l *line) bool {
	var names []string
	for w := range 8 {
		word := f.u32()
		for b := range 32 {
			if word>>b&1 == 0 {
				continue
			}
			names = append(names, number(32*w+b))
		}
	}
	if len(names) > 0 {
		l.add(false, "--strip-options", strings.Join(names, ","))
	}
	return true
}

func idletimerText(revision uint8, f *fields, l *line) bool {
	if revision > 1 {
		return false
	}
	l.add(false, "--timeout", number(f.u32()))
	l.add(false, "--label", f.name(28))
	if revision == 1 {
		f.skip(1)
		if f.u8()&1 != 0 {
			l.add(false, "--alarm")
		}
	}
	return true
}

func ledText(_ uint8, f *fields, l *line) bool {
	id := strings.TrimPrefix(f.name(27), "netfilter-")
	always := f.flag()
	delay := f.u32()
	l.add(false, "--led-trigger-id", quote(id))
	if delay == 0xffffffff {
		l.add(false, "--led-delay", "inf")
	} else if delay != 0 {
		l.add(false, "--led-delay", number(delay))
	}
	if always {
		l.add(false, "--led-always-blink")
	}
	return true
}

func rateestTargetText(_ uint8, f *fields, l *line) bool {
	name := f.name(16)
	interval, ewma := int8(f.u8()), f.u8()
	if interval < -2 || interval > 3 || ewma > 31 {
		return false
	}
	// In microseconds: a quarter of a second doubled for each step above -2.
	sample := uint64(250000) << (interval + 2)
	l.add(false, "--rateest-name", quote(name))
	l.add(false, "--rateest-interval", microseconds(sample))
	l.add(false, "--rateest-ewmalog", microseconds(sample<<ewma))
	return true
}

func microseconds(v uint64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.1fs", float64(v)/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.1fms", float64(v)/1e3)
	}
	return fmt.Sprintf("%dus", v)
}

func secmarkText(revision uint8, f *fields, l *line) bool {
	f.skip(1)
	switch revision {
	case 0:
		f.align(4)
		f.skip(4)
	case 1:
	default:
		return false
	}
	l.add(false, "--selctx", f.name(256))
	return true
}

func connsecmarkText(_ uint8, f *fields, l *line) bool {
	switch f.u8() {
	case 1:
		l.add(false, "--save")
	case 2:
		l.add(false, "--restore")
	default:
		return false
	}
	return true
}
