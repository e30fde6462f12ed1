package pf

import "strings"

// stateOption reads "no state", "keep state (…)", "modulate state", "synproxy state".
func (p *parser) stateOption(d *draft, keyword string) error {
	if ok, err := p.accept("state"); err != nil || !ok {
		return orUnexpected(p, err)
	}
	kinds := map[string]StateKind{"no": NoState, "keep": KeepState, "modulate": ModulateState, "synproxy": SynproxyState}
	d.State.Kind = kinds[keyword]
	if keyword == "no" || !p.isSymbol("(") {
		return nil
	}
	d.State.given = true
	if err := p.between("(", ")", func() error { return p.stateDetail(&d.State) }); err != nil {
		return err
	}
	return d.State.settle(d.at)
}

// stateTimeouts are the names of timeouts (pf_timeouts of pfctl_parser.c).
var stateTimeouts = strings.Fields(`tcp.first tcp.opening tcp.established tcp.closing tcp.finwait tcp.closed tcp.tsdiff
	udp.first udp.single udp.multiple icmp.first icmp.error other.first other.single other.multiple frag interval
	adaptive.start adaptive.end src.track sctp.first sctp.opening sctp.established sctp.closing sctp.closed
	grev1.first grev1.initiating grev1.established esp.first esp.initiating esp.established`)

func isTimeout(name string) bool {
	for _, t := range stateTimeouts {
		if t == name {
			return true
		}
	}
	return false
}

func (p *parser) stateDetail(s *State) (err error) {
	at := p.tok
	name, err := p.text()
	if err != nil {
		return err
	}
	switch name {
	case "max":
		s.Max, err = p.number("max", 1, 1<<31-1)
	case "no-sync":
		s.NoSync = true
	case "if-bound":
		s.IfBound = true
	case "floating", "group-bound", "global":
		s.Floating = true
	case "sloppy":
		s.Sloppy = true
	case "pflow":
		s.PFlow = true
	case "allow-related":
		s.AllowRelated = true
	case "source-track":
		return p.sourceTrack(s)
	case "max-src-states":
		s.MaxSrcStates, err = p.number("max-src-states", 1, 1<<31-1)
	case "max-src-nodes":
		s.sourceRule = true
		s.MaxSrcNodes, err = p.number("max-src-nodes", 1, 1<<31-1)
	case "max-src-conn":
		s.MaxSrcConn, err = p.number("max-src-conn", 1, 1<<31-1)
	case "max-src-conn-rate":
		before := p.tok
		if s.MaxSrcConnRate, err = p.rate(); err == nil {
			_, seconds, _ := strings.Cut(s.MaxSrcConnRate, "/")
			for _, c := range seconds {
				s.srcConnRateSeconds = min(s.srcConnRateSeconds*10+int(c-'0'), 1<<30)
			}
			if s.srcConnRateSeconds == 0 {
				return before.errorf("max-src-conn-rate needs a time")
			}
		}
	case "overload":
		return p.overload(s)
	default:
		if !isTimeout(name) {
			return at.errorf("unknown state option %q", name)
		}
		var seconds int
		seconds, err = p.number(name, 0, 1<<31-1)
		s.Timeouts = append(s.Timeouts, Timeout{name, seconds})
	}
	return err
}

func (p *parser) sourceTrack(s *State) error {
	s.trackSourceGiven = true
	s.SourceTrack = "given"
	for _, kind := range []string{"rule", "global"} {
		if ok, err := p.accept(kind); err != nil {
			return err
		} else if ok {
			s.SourceTrack = kind
		}
	}
	return nil
}

func (p *parser) overload(s *State) (err error) {
	if s.Overload, err = p.tableName(); err != nil {
		return err
	}
	if s.Flush, err = p.accept("flush"); err != nil || !s.Flush {
		return err
	}
	s.FlushGlobal, err = p.accept("global")
	return err
}

// settle fills in what options of a state imply, as expand_rule does.
func (s *State) settle(at token) error {
	if s.SourceTrack == "global" && s.sourceRule {
		return at.errorf("'max-src-nodes' is incompatible with 'source-track global'")
	}
	perConnection := s.MaxSrcConn > 0 || s.MaxSrcConnRate != ""
	if s.Overload != "" && !perConnection {
		return at.errorf("'overload' requires 'max-src-conn' or 'max-src-conn-rate'")
	}
	switch {
	case s.SourceTrack == "rule" || s.SourceTrack == "global":
	case s.sourceRule || perConnection:
		s.SourceTrack = "rule"
	case s.SourceTrack == "given" || s.MaxSrcStates > 0:
		s.SourceTrack = "global"
	}
	if s.srcConnRateSeconds > 0 {
		s.setTimeout("src.track", s.srcConnRateSeconds)
	}
	if s.Max > 1 && !s.has("adaptive.start") && !s.has("adaptive.end") {
		s.Timeouts = append(s.Timeouts, Timeout{"adaptive.start", s.Max * 6 / 10}, Timeout{"adaptive.end", s.Max * 12 / 10})
	}
	return nil
}

func (s *State) has(timeout string) bool {
	for _, t := range s.Timeouts {
		if t.Name == timeout {
			return true
		}
	}
	return false
}

// setTimeout makes a timeout at least so long.
func (s *State) setTimeout(name string, seconds int) {
	for i := range s.Timeouts {
		if s.Timeouts[i].Name == name {
			s.Timeouts[i].Seconds = max(s.Timeouts[i].Seconds, seconds)
			return
		}
	}
	s.Timeouts = append(s.Timeouts, Timeout{name, seconds})
}
