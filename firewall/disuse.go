package firewall

import "slices"

// Disuse is why packets never come into a chain.
type Disuse uint8

// The reasons. NoCaller also stands for chains that only such chains call.
const (
	Used     Disuse = iota
	NoCaller        // no base chain leads here
	Dormant         // the table is dormant
	NoDevice        // it hooks into no device that the host has
)

func (d Disuse) String() string {
	names := [...]string{"used", "no-caller", "dormant", "no-device"}
	if int(d) < len(names) {
		return names[d]
	}
	return "used"
}

// unusedChains says of every chain whether some hook leads there.
func (e *Evaluator) unusedChains() map[*Chain]ChainReview {
	found := make(map[*Chain]ChainReview)
	used := make(map[*Chain]bool)
	for _, t := range e.rules.Tables {
		for _, c := range t.Chains {
			r := ChainReview{Chain: c, Unused: NoCaller}
			if c.Base != nil {
				r.MissingDevices = e.missingDevices(c)
				r.Unused = e.baseDisuse(c)
			}
			if t.Dormant {
				r.Unused = Dormant
			}
			found[c] = r
			if r.Unused == Used {
				markReachable(c, used)
			}
		}
		if !t.Dormant && hasUnreadVerdicts(t) {
			for _, c := range t.Chains {
				used[c] = used[c] || c.Base == nil
			}
		}
	}
	for c := range used {
		r := found[c]
		r.Chain, r.Unused = c, Used
		found[c] = r
	}
	return found
}

func (e *Evaluator) baseDisuse(c *Chain) Disuse {
	if !hooksIntoDevices(c) || len(e.network.Interfaces) == 0 {
		return Used
	}
	for _, link := range e.network.Interfaces {
		if hooksInto(c, link.Name) {
			return Used
		}
	}
	return NoDevice
}

// hooksIntoDevices says that the chain sees packets of certain devices only.
func hooksIntoDevices(c *Chain) bool {
	return c.Base.Hook == Ingress || c.Base.Hook == Egress
}

// missingDevices are those that the chain hooks into and the host lacks.
func (e *Evaluator) missingDevices(c *Chain) []string {
	var missing []string
	for _, d := range c.Base.Devices {
		one := &Chain{Base: &Base{Devices: []string{d}}}
		there := func(link Interface) bool { return hooksInto(one, link.Name) }
		if len(e.network.Interfaces) > 0 && !slices.ContainsFunc(e.network.Interfaces, there) {
			missing = append(missing, d)
		}
	}
	return missing
}

// hasUnreadVerdicts says that a verdict map of the table was not read whole: it
// may lead to any of its chains.
func hasUnreadVerdicts(t *Table) bool {
	return slices.ContainsFunc(t.Sets, func(s *Set) bool { return s.VerdictMap && !s.Loaded })
}
