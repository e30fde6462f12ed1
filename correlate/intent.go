package correlate

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// manyPorts is how many ports a match may take in and still be said to name
// each of them. A wider range opens a part of the host, not a service.
const manyPorts = 10_000

// Declaration is how clearly a rule says that a port is open on purpose.
type Declaration uint8

// The declarations, weakest first.
const (
	Undeclared Declaration = iota
	NamesSources
	NamesPort
	ByPolicy
)

// leastDeclared is the decision that lets packets of the part in and declares
// least: a port is meant only as far as every way in is.
func leastDeclared(part firewall.Part, ports []uint16, family int) (by firewall.Decision, kind Declaration, rule *firewall.Rule) {
	decisions := part.Acceptances
	if len(decisions) == 0 {
		decisions = []firewall.Decision{part.DecidedBy}
	}
	for i, d := range decisions {
		k, r := declares(d, ports, family)
		if i == 0 || k < kind {
			by, kind, rule = d, k, r
		}
	}
	return by, kind, rule
}

// declares says how the rules that decided, on the way there or at the end,
// declare one of the ports (before and after translation) for the family. The
// rule is the one that declares; nil if none does.
func declares(d firewall.Decision, ports []uint16, family int) (Declaration, *firewall.Rule) {
	if d.Rule == nil || inNATChain(d) || denies(d.Rule) {
		return Undeclared, nil
	}
	best, by := Undeclared, (*firewall.Rule)(nil)
	for _, rule := range append(append([]*firewall.Rule(nil), d.Via...), d.Rule) {
		if automatic(rule) {
			continue
		}
		if kind := ruleDeclares(rule, ports, family); kind > best {
			best, by = kind, rule
		}
	}
	return best, by
}

func ruleDeclares(rule *firewall.Rule, ports []uint16, family int) Declaration {
	for _, port := range ports {
		if namesPort(rule.Steps, port) {
			return NamesPort
		}
	}
	if namesSources(rule.Steps, family) {
		return NamesSources
	}
	return Undeclared
}

// automatic says that a program wrote the rule for each port that it publishes:
// nobody looked at it and decided. DOCKER-USER is the administrator's own.
func automatic(rule *firewall.Rule) bool {
	if rule.Chain == nil || rule.Chain.Name == "DOCKER-USER" {
		return false
	}
	name := rule.Chain.Name
	return name == "DOCKER" || strings.HasPrefix(name, "DOCKER-") || rule.Chain.Table != nil && rule.Chain.Table.Name == "docker-bridges"
}

// inNATChain says that a chain of type nat decided: it says where packets go, not whether they may.
func inNATChain(d firewall.Decision) bool {
	chain := d.Chain
	if len(d.Via) > 0 {
		chain = d.Via[0].Chain
	}
	return chain != nil && (chain.Base != nil && chain.Base.Type == firewall.NATChain || translatesInPF(chain))
}

// translatesInPF says that a chain is one of pf's rulesets of translations.
func translatesInPF(c *firewall.Chain) bool {
	kind := c.Name[strings.LastIndexByte(c.Name, ' ')+1:]
	return c.Table != nil && c.Table.Backend == firewall.PF && (kind == "rdr" || kind == "nat" || kind == "binat")
}

// denies says that the rule, where it matches, ends the packet's way.
func denies(rule *firewall.Rule) bool {
	for _, step := range rule.Steps {
		switch s := step.(type) {
		case firewall.Reject:
			return true
		case firewall.Verdict:
			if s.Code == firewall.Drop {
				return true
			}
		}
	}
	return false
}

// namesPort says that the steps match at most manyPorts destination ports in a
// row, and port among them. A match that is negated names nothing.
func namesPort(steps []firewall.Step, port uint16) bool {
	low, high := 0, 0xffff
	for _, step := range steps {
		switch s := step.(type) {
		case firewall.Compare:
			if namesMaskedPort(s, port) {
				return true
			}
			l, h := portBounds(s)
			low, high = max(low, l), min(high, h)
		case firewall.Range:
			if isPort(s.Value) && !s.Invert && len(s.From) == 2 && len(s.To) == 2 {
				low, high = max(low, int(binary.BigEndian.Uint16(s.From))), min(high, int(binary.BigEndian.Uint16(s.To)))
			}
		case firewall.InSet:
			if !s.Invert && setNamesPort(s.Value, s.Set, port) {
				return true
			}
		case firewall.VerdictMap:
			if setNamesPort(s.Key, s.Map, port) {
				return true
			}
		case firewall.AnyOf:
			for _, alternative := range s.Alternatives {
				if namesPort(alternative, port) {
					return true
				}
			}
		}
	}
	return fewPorts(low, high, int(port))
}

func fewPorts(low, high, port int) bool {
	return low <= port && port <= high && high-low < manyPorts
}

// portBounds is what a comparison leaves of all ports. nft writes a range of
// ports as two comparisons.
func portBounds(c firewall.Compare) (low, high int) {
	at, ok := portOffset(c.Value, nil)
	if !ok || len(c.Data) < at+2 {
		return 0, 0xffff
	}
	number := int(binary.BigEndian.Uint16(c.Data[at:]))
	if c.Op == firewall.Equal {
		return number, number
	}
	if !isPort(c.Value) {
		return 0, 0xffff
	}
	switch c.Op {
	case firewall.Less:
		return 0, number - 1
	case firewall.LessEqual:
		return 0, number
	case firewall.Greater:
		return number + 1, 0xffff
	case firewall.GreaterEqual:
		return number, 0xffff
	}
	return 0, 0xffff
}

// namesMaskedPort handles "tcp dport & 0xfff0 == 8000".
func namesMaskedPort(c firewall.Compare, port uint16) bool {
	masked, mask := unmask(c.Value)
	if mask == nil || c.Op != firewall.Equal || !isPort(masked) || len(mask) != 2 || len(c.Data) != 2 {
		return false
	}
	m, want := binary.BigEndian.Uint16(mask), binary.BigEndian.Uint16(c.Data)
	low := want & m
	return port&m == want && fewPorts(int(low), int(low|^m), int(port))
}

// unmask takes a bitwise and with a constant apart; the mask is nil for other values.
func unmask(v firewall.Value) (firewall.Value, []byte) {
	and, ok := v.(firewall.Bitwise)
	if !ok || and.Op != firewall.BitAnd {
		return v, nil
	}
	mask, ok := and.Right.(firewall.Constant)
	if !ok {
		return v, nil
	}
	return and.Left, mask.Data
}

func isPort(v firewall.Value) bool {
	switch v := v.(type) {
	case firewall.Payload:
		return v == firewall.Payload{Base: firewall.TransportHeader, Offset: 2, Length: 2}
	case firewall.CT:
		return v.Key == firewall.CTProtoDst && v.Dir != firewall.CTReply
	}
	return false
}

// portOffset finds the two bytes of the destination port in a value's. fields
// are the lengths of a concatenation's parts where the set knows them.
func portOffset(v firewall.Value, fields []uint32) (int, bool) {
	switch v := v.(type) {
	case firewall.Payload:
		if v.Base == firewall.TransportHeader && v.Offset <= 2 && v.Offset+v.Length >= 4 {
			return int(2 - v.Offset), true
		}
	case firewall.CT:
		return 0, isPort(v)
	case firewall.Concat:
		for i, start := range partStarts(v, fields) {
			if at, ok := portOffset(v.Parts[i], nil); ok {
				return start + at, true
			}
		}
	}
	return 0, false
}

// partStarts are the offsets of a concatenation's parts, each padded to 4 bytes.
func partStarts(c firewall.Concat, fields []uint32) []int {
	starts, at := make([]int, len(c.Parts)), 0
	for i, part := range c.Parts {
		starts[i] = at
		length := valueLength(part)
		if len(fields) == len(c.Parts) {
			length = int(fields[i])
		}
		at += (length + 3) &^ 3
	}
	return starts
}

// valueLength is the length in bytes of the values that people put in concatenations.
func valueLength(v firewall.Value) int {
	switch v := v.(type) {
	case firewall.Constant:
		return len(v.Data)
	case firewall.Payload:
		return int(v.Length)
	case firewall.Bitwise:
		return int(v.Length)
	case firewall.ByteOrder:
		return int(v.Length)
	case firewall.MapLookup:
		return int(v.Length)
	case firewall.Unpredictable:
		return int(v.Length)
	case firewall.Meta:
		switch v.Key {
		case firewall.MetaIifName, firewall.MetaOifName, firewall.MetaIifKind, firewall.MetaOifKind, firewall.MetaBriIifName, firewall.MetaBriOifName, firewall.MetaSDIFName:
			return 16
		case firewall.MetaTimeNS, firewall.MetaBriIifHWAddr:
			return 8
		}
	case firewall.CT:
		switch v.Key {
		case firewall.CTSrc, firewall.CTDst, firewall.CTSrcIP6, firewall.CTDstIP6, firewall.CTLabels:
			return 16
		case firewall.CTPkts, firewall.CTBytes, firewall.CTAvgPkt:
			return 8
		}
	}
	return 4
}

func setNamesPort(key firewall.Value, set *firewall.Set, port uint16) bool {
	if set == nil {
		return false
	}
	at, ok := portOffset(key, set.Fields)
	if !ok {
		return false
	}
	for _, e := range set.Elements {
		from, to, ok := field(e, at, 2)
		if !ok || e.Verdict != nil && e.Verdict.Code == firewall.Drop {
			continue
		}
		if fewPorts(int(binary.BigEndian.Uint16(from)), int(binary.BigEndian.Uint16(to)), int(port)) {
			return true
		}
	}
	return false
}

// field cuts length bytes at an offset out of both ends of an element.
func field(e firewall.Element, at, length int) (from, to []byte, ok bool) {
	end := e.KeyEnd
	if end == nil {
		end = e.Key
	}
	if at < 0 || len(e.Key) < at+length || len(end) < at+length {
		return nil, nil, false
	}
	return e.Key[at : at+length], end[at : at+length], true
}

// namesSources says that the steps match some source addresses of the family
// and not all. "Everything but" names nothing.
func namesSources(steps []firewall.Step, family int) bool {
	for _, step := range steps {
		if stepNamesSources(step, family) {
			return true
		}
	}
	return false
}

func stepNamesSources(step firewall.Step, family int) bool {
	switch s := step.(type) {
	case firewall.Compare:
		value, mask := unmask(s.Value)
		_, _, ok := sourceField(value, nil, family)
		return ok && s.Op != firewall.NotEqual && (mask == nil || len(bytes.Trim(mask, "\x00")) > 0)
	case firewall.Range:
		_, _, ok := sourceField(s.Value, nil, family)
		return ok && !s.Invert && !everything(s.From, s.To)
	case firewall.InSet:
		return !s.Invert && setNamesSources(s.Value, s.Set, family)
	case firewall.VerdictMap:
		return setNamesSources(s.Key, s.Map, family)
	case firewall.AnyOf:
		for _, alternative := range s.Alternatives {
			if !namesSources(alternative, family) {
				return false
			}
		}
		return len(s.Alternatives) > 0
	}
	return false
}

// sourceField finds the bytes of the source address, or of a part of it, in a value's.
func sourceField(v firewall.Value, fields []uint32, family int) (at, length int, ok bool) {
	switch v := v.(type) {
	case firewall.Payload:
		low, high := uint32(12), uint32(16) // struct iphdr, saddr
		if family == 6 {
			low, high = 8, 24 // struct ipv6hdr, saddr
		}
		if v.Base != firewall.NetworkHeader {
			return 0, 0, false
		}
		from, to := max(low, v.Offset), min(high, v.Offset+v.Length)
		if from >= to {
			return 0, 0, false
		}
		return int(from - v.Offset), int(to - from), true
	case firewall.CT:
		if v.Dir == firewall.CTReply {
			return 0, 0, false
		}
		switch {
		case v.Key == firewall.CTSrcIP && family == 4, v.Key == firewall.CTSrc && family == 4:
			return 0, 4, true
		case v.Key == firewall.CTSrcIP6 && family == 6, v.Key == firewall.CTSrc && family == 6:
			return 0, 16, true
		}
	case firewall.Bitwise:
		if inner, mask := unmask(v); mask != nil && len(bytes.Trim(mask, "\x00")) > 0 {
			return sourceField(inner, fields, family)
		}
	case firewall.Concat:
		for i, start := range partStarts(v, fields) {
			if at, length, ok := sourceField(v.Parts[i], nil, family); ok {
				return start + at, length, true
			}
		}
	}
	return 0, 0, false
}

// setNamesSources says that the set leaves some source addresses out. A set too
// large to be read does.
func setNamesSources(key firewall.Value, set *firewall.Set, family int) bool {
	if set == nil || set.CatchAll != nil && (set.CatchAll.Verdict == nil || set.CatchAll.Verdict.Code != firewall.Drop) {
		return false
	}
	at, length, ok := sourceField(key, set.Fields, family)
	if !ok {
		return false
	}
	var next []byte // the lowest address that no element so far holds; elements ascend
	for _, e := range set.Elements {
		from, to, ok := field(e, at, length)
		if !ok || e.Verdict != nil && e.Verdict.Code == firewall.Drop {
			continue
		}
		if everything(from, to) {
			return false
		}
		if set.Fields != nil {
			continue
		}
		if next == nil {
			next = make([]byte, length)
		}
		if bytes.Compare(from, next) > 0 {
			return true
		}
		if next = after(to, next); next == nil {
			return false
		}
	}
	return true
}

// after is the larger of next and the address behind to; nil behind the last one.
func after(to, next []byte) []byte {
	if bytes.Compare(to, next) < 0 {
		return next
	}
	sum := append([]byte(nil), to...)
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i]++
		if sum[i] != 0 {
			return sum
		}
	}
	return nil
}

func everything(from, to []byte) bool {
	return len(bytes.Trim(from, "\x00")) == 0 && len(bytes.Trim(to, "\xff")) == 0
}
