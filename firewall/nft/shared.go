package nft

import "github.com/netglance/netglance/firewall"

// sharedValues hands out one value for equal ones: a hundred thousand rules look
// at the same dozen header fields.
type sharedValues struct {
	payloads    map[firewall.Payload]firewall.Value
	metas       map[firewall.MetaKey]firewall.Value
	comparisons map[metaComparison]firewall.Step
}

// maxShared bounds each kind: beyond it values are of their rule alone.
const maxShared = 1024

func (s *sharedValues) payload(p firewall.Payload) firewall.Value {
	if v, ok := s.payloads[p]; ok {
		return v
	}
	if s.payloads == nil {
		s.payloads = map[firewall.Payload]firewall.Value{}
	}
	v := firewall.Value(p)
	if len(s.payloads) < maxShared {
		s.payloads[p] = v
	}
	return v
}

func (s *sharedValues) meta(m firewall.Meta) firewall.Value {
	if v, ok := s.metas[m.Key]; ok {
		return v
	}
	if s.metas == nil {
		s.metas = map[firewall.MetaKey]firewall.Value{}
	}
	s.metas[m.Key] = m
	return m
}

// A metaComparison is a comparison of packet meta data of one byte: the family
// and the transport protocol, which nearly every rule asks for.
type metaComparison struct {
	key  firewall.MetaKey
	op   firewall.Comparison
	data byte
}

func (s *sharedValues) compare(c firewall.Compare) firewall.Step {
	meta, ok := c.Value.(firewall.Meta)
	if !ok || len(c.Data) != 1 {
		return c
	}
	key := metaComparison{meta.Key, c.Op, c.Data[0]}
	if step, ok := s.comparisons[key]; ok {
		return step
	}
	if s.comparisons == nil {
		s.comparisons = map[metaComparison]firewall.Step{}
	}
	step := firewall.Step(c)
	if len(s.comparisons) < maxShared {
		s.comparisons[key] = step
	}
	return step
}
