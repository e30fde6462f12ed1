package correlate

import (
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/listeners"
)

// holdBack makes conditional what a firewall that judges programs may keep from the
// owners of a port.
func (in Input) holdBack(e *Exposure) {
	if in.Applications == nil {
		return
	}
	owners := e.Owners
	if len(owners) == 0 {
		owners = []listeners.Process{{}} // not known
	}
	var why []firewall.Condition
	for _, p := range owners {
		if text := in.Applications(p); text != "" && !slices.ContainsFunc(why, func(c firewall.Condition) bool { return c.Text == text }) {
			why = append(why, firewall.Condition{Kind: firewall.External, Text: text})
		}
	}
	if len(why) == 0 {
		return
	}
	for i := range e.Reach {
		part := &e.Reach[i].Part
		if reaches(*part) == never || part.Fate == firewall.Undecided {
			continue
		}
		if part.Fate == firewall.Accepted {
			part.Fate, part.Outcomes = firewall.Conditional, []firewall.Fate{firewall.Accepted}
		}
		part.Conditions = slices.Concat(part.Conditions, why)
		if len(part.Outcomes) > 0 && !slices.Contains(part.Outcomes, firewall.Dropped) {
			part.Outcomes = append(slices.Clone(part.Outcomes), firewall.Dropped)
		}
	}
}
