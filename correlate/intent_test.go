package correlate

import (
	"net/netip"
	"testing"

	"github.com/netglance/netglance/firewall"
)

var (
	dport  = firewall.Payload{Base: firewall.TransportHeader, Offset: 2, Length: 2}
	ports  = firewall.Payload{Base: firewall.TransportHeader, Offset: 0, Length: 4}
	sport  = firewall.Payload{Base: firewall.TransportHeader, Offset: 0, Length: 2}
	saddr4 = firewall.Payload{Base: firewall.NetworkHeader, Offset: 12, Length: 4}
	saddr6 = firewall.Payload{Base: firewall.NetworkHeader, Offset: 8, Length: 16}
	daddr4 = firewall.Payload{Base: firewall.NetworkHeader, Offset: 16, Length: 4}
	ttl    = firewall.Payload{Base: firewall.NetworkHeader, Offset: 8, Length: 1}
)

func number(n uint16) []byte { return []byte{byte(n >> 8), byte(n)} }

func ip(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

func equals(v firewall.Value, data []byte) firewall.Step {
	return firewall.Compare{Value: v, Data: data}
}

func setOf(pairs ...[]byte) *firewall.Set {
	s := &firewall.Set{Loaded: true}
	for i := 0; i < len(pairs); i += 2 {
		s.Elements = append(s.Elements, firewall.Element{Key: pairs[i], KeyEnd: pairs[i+1]})
	}
	return s
}

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func TestWhichRulesNameThePort(t *testing.T) {
	accept := &firewall.Verdict{Code: firewall.Accept}
	drop := &firewall.Verdict{Code: firewall.Drop}
	for _, c := range []struct {
		rule  string
		steps []firewall.Step
		names bool
	}{
		{"nothing", nil, false},
		{"tcp dport 22", []firewall.Step{equals(dport, number(22))}, true},
		{"tcp dport 2222 is not 22", []firewall.Step{equals(dport, number(2222))}, false},
		{"tcp dport != 80", []firewall.Step{firewall.Compare{Op: firewall.NotEqual, Value: dport, Data: number(80)}}, false},
		{"tcp sport 22", []firewall.Step{equals(sport, number(22))}, false},
		{"tcp sport 1 tcp dport 22, merged into one load", []firewall.Step{equals(ports, join(number(1), number(22)))}, true},
		{"tcp dport 20-25, as two comparisons", []firewall.Step{
			firewall.Compare{Op: firewall.GreaterEqual, Value: dport, Data: number(20)},
			firewall.Compare{Op: firewall.LessEqual, Value: dport, Data: number(25)}}, true},
		{"tcp dport > 20 opens thousands", []firewall.Step{firewall.Compare{Op: firewall.Greater, Value: dport, Data: number(20)}}, false},
		{"tcp dport < 1024", []firewall.Step{firewall.Compare{Op: firewall.Less, Value: dport, Data: number(1024)}}, true},
		{"tcp dport < 22", []firewall.Step{firewall.Compare{Op: firewall.Less, Value: dport, Data: number(22)}}, false},
		{"tcp dport 20-25", []firewall.Step{firewall.Range{Value: dport, From: number(20), To: number(25)}}, true},
		{"tcp dport != 20-25", []firewall.Step{firewall.Range{Invert: true, Value: dport, From: number(20), To: number(25)}}, false},
		{"tcp dport 1-65535", []firewall.Step{firewall.Range{Value: dport, From: number(1), To: number(65535)}}, false},
		{"tcp dport 1-10000: ten thousand ports", []firewall.Step{firewall.Range{Value: dport, From: number(1), To: number(10000)}}, true},
		{"tcp dport 1-10001: one too many", []firewall.Step{firewall.Range{Value: dport, From: number(1), To: number(10001)}}, false},
		{"tcp dport { 22, 80 }", []firewall.Step{firewall.InSet{Value: dport, Set: setOf(number(22), nil, number(80), nil)}}, true},
		{"tcp dport { 80, 443 }", []firewall.Step{firewall.InSet{Value: dport, Set: setOf(number(80), nil, number(443), nil)}}, false},
		{"tcp dport != { 22 }", []firewall.Step{firewall.InSet{Invert: true, Value: dport, Set: setOf(number(22), nil)}}, false},
		{"tcp dport { 0-65535 }", []firewall.Step{firewall.InSet{Value: dport, Set: setOf(number(0), number(65535))}}, false},
		{"ip saddr . tcp dport { 10.0.0.1 . 22 }", []firewall.Step{firewall.InSet{
			Value: firewall.Concat{Parts: []firewall.Value{saddr4, dport}}, Set: setOf(join(ip("10.0.0.1"), number(22), number(0)), nil)}}, true},
		{"ip saddr . tcp dport { 0.22.0.22 . 80 }: 22 in the wrong field", []firewall.Step{firewall.InSet{
			Value: firewall.Concat{Parts: []firewall.Value{saddr4, dport}}, Set: setOf(join(ip("0.22.0.22"), number(80), number(0)), nil)}}, false},
		{"tcp dport vmap { 22 : accept }", []firewall.Step{firewall.VerdictMap{Key: dport,
			Map: &firewall.Set{Elements: []firewall.Element{{Key: number(22), Verdict: accept}}}}}, true},
		{"tcp dport vmap { 22 : drop, * : accept }", []firewall.Step{firewall.VerdictMap{Key: dport,
			Map: &firewall.Set{Elements: []firewall.Element{{Key: number(22), Verdict: drop}}, CatchAll: &firewall.Element{Verdict: accept}}}}, false},
		{"ct original proto-dst 22", []firewall.Step{equals(firewall.CT{Key: firewall.CTProtoDst, Dir: firewall.CTOriginal}, number(22))}, true},
		{"ct reply proto-dst 22 is the client's port", []firewall.Step{equals(firewall.CT{Key: firewall.CTProtoDst, Dir: firewall.CTReply}, number(22))}, false},
		{"-m multiport --dports 22,80", []firewall.Step{firewall.AnyOf{Alternatives: [][]firewall.Step{
			{equals(dport, number(80))}, {equals(dport, number(22))}}}}, true},
		{"-m multiport ! --dports 22", []firewall.Step{firewall.Not{Steps: []firewall.Step{equals(dport, number(22))}}}, false},
		{"tcp dport & 0xfff0 == 16", []firewall.Step{equals(firewall.Bitwise{Op: firewall.BitAnd, Left: dport,
			Right: firewall.Constant{Data: []byte{0xff, 0xf0}}, Length: 2}, number(16))}, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := namesPort(c.steps, 22); got != c.names {
				t.Errorf("names 22: %v, want %v", got, c.names)
			}
		})
	}
}

func TestWhichRulesNameSources(t *testing.T) {
	masked := func(mask string) firewall.Value {
		return firewall.Bitwise{Op: firewall.BitAnd, Left: saddr4, Right: firewall.Constant{Data: ip(mask)}, Length: 4}
	}
	for _, c := range []struct {
		rule   string
		family int
		steps  []firewall.Step
		names  bool
	}{
		{"nothing", 4, nil, false},
		{"ip saddr 10.0.0.1", 4, []firewall.Step{equals(saddr4, ip("10.0.0.1"))}, true},
		{"ip saddr 10.0.0.0/8, as one byte", 4, []firewall.Step{equals(firewall.Payload{Base: firewall.NetworkHeader, Offset: 12, Length: 1}, []byte{10})}, true},
		{"ip saddr != 10.0.0.1", 4, []firewall.Step{firewall.Compare{Op: firewall.NotEqual, Value: saddr4, Data: ip("10.0.0.1")}}, false},
		{"ip saddr & 255.0.0.0 == 10.0.0.0", 4, []firewall.Step{equals(masked("255.0.0.0"), ip("10.0.0.0"))}, true},
		{"ip saddr & 0.0.0.0 == 0.0.0.0", 4, []firewall.Step{equals(masked("0.0.0.0"), ip("0.0.0.0"))}, false},
		{"ip daddr 10.0.0.1", 4, []firewall.Step{equals(daddr4, ip("10.0.0.1"))}, false},
		{"ip ttl 64 is no part of an IPv4 source", 4, []firewall.Step{equals(ttl, []byte{64})}, false},
		{"the same bytes are, in IPv6", 6, []firewall.Step{equals(ttl, []byte{0x20})}, true},
		{"ip6 saddr 2001:db8::1", 6, []firewall.Step{equals(saddr6, ip("2001:db8::1"))}, true},
		{"ip saddr 10.0.0.1-10.0.0.9", 4, []firewall.Step{firewall.Range{Value: saddr4, From: ip("10.0.0.1"), To: ip("10.0.0.9")}}, true},
		{"ip saddr 0.0.0.0-255.255.255.255", 4, []firewall.Step{firewall.Range{Value: saddr4, From: ip("0.0.0.0"), To: ip("255.255.255.255")}}, false},
		{"ip saddr @admins", 4, []firewall.Step{firewall.InSet{Value: saddr4, Set: setOf(ip("10.0.0.0"), ip("10.255.255.255"))}}, true},
		{"ip saddr != @blocked", 4, []firewall.Step{firewall.InSet{Invert: true, Value: saddr4, Set: setOf(ip("10.0.0.0"), ip("10.255.255.255"))}}, false},
		{"two halves are everything", 4, []firewall.Step{firewall.InSet{Value: saddr4,
			Set: setOf(ip("0.0.0.0"), ip("127.255.255.255"), ip("128.0.0.0"), ip("255.255.255.255"))}}, false},
		{"two halves with a hole", 4, []firewall.Step{firewall.InSet{Value: saddr4,
			Set: setOf(ip("0.0.0.0"), ip("127.255.255.254"), ip("128.0.0.0"), ip("255.255.255.255"))}}, true},
		{"a set with a catch-all", 4, []firewall.Step{firewall.InSet{Value: saddr4, Set: &firewall.Set{CatchAll: &firewall.Element{}}}}, false},
		{"either of two networks", 4, []firewall.Step{firewall.AnyOf{Alternatives: [][]firewall.Step{
			{equals(saddr4, ip("10.0.0.1"))}, {equals(saddr4, ip("10.0.0.2"))}}}}, true},
		{"a network or an interface", 4, []firewall.Step{firewall.AnyOf{Alternatives: [][]firewall.Step{
			{equals(saddr4, ip("10.0.0.1"))}, {equals(firewall.Meta{Key: firewall.MetaIifName}, []byte("eth0"))}}}}, false},
		{"ct original ip saddr", 4, []firewall.Step{equals(firewall.CT{Key: firewall.CTSrcIP, Dir: firewall.CTOriginal}, ip("10.0.0.1"))}, true},
		{"ct reply ip saddr is the host's own", 4, []firewall.Step{equals(firewall.CT{Key: firewall.CTSrcIP, Dir: firewall.CTReply}, ip("10.0.0.1"))}, false},
		{"iifname . ip saddr", 4, []firewall.Step{firewall.InSet{
			Value: firewall.Concat{Parts: []firewall.Value{firewall.Meta{Key: firewall.MetaIifName}, saddr4}},
			Set:   setOf(join(make([]byte, 16), ip("10.0.0.1")), nil)}}, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := namesSources(c.steps, c.family); got != c.names {
				t.Errorf("names sources: %v, want %v", got, c.names)
			}
		})
	}
}

func TestShortElementsAndValuesDontPanic(t *testing.T) {
	short := &firewall.Set{Elements: []firewall.Element{{}, {Key: []byte{1}}, {Key: number(22), KeyEnd: []byte{}}}}
	steps := []firewall.Step{
		firewall.InSet{Value: dport, Set: short}, firewall.InSet{Value: saddr4, Set: short}, firewall.InSet{Value: dport},
		firewall.Compare{Value: dport}, firewall.Range{Value: dport}, firewall.VerdictMap{Key: dport},
		firewall.InSet{Value: firewall.Concat{Parts: []firewall.Value{saddr4, dport}}, Set: short},
		firewall.Compare{Value: firewall.Bitwise{Left: dport, Right: firewall.Constant{}}, Data: number(22)},
	}
	for _, s := range steps {
		if namesPort([]firewall.Step{s}, 22) {
			t.Errorf("%#v names 22", s)
		}
		namesSources([]firewall.Step{s}, 4)
	}
}
