package correlate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// ofPF says that the host's filter is pf.
func ofPF(rules *firewall.Ruleset) bool {
	return rules != nil && slices.ContainsFunc(rules.Tables, func(t *firewall.Table) bool { return t.Backend == firewall.PF })
}

// byPF are rules for pf.conf. The last that matches decides, unless a rule before it
// is quick: what closes stands first and is quick, what opens stands last. A
// translation comes before the filter, and with "pass" without it: it is named.
func (w writer) byPF(r Reach, undeclared []Reach) []command {
	if r.DeliveredTo != nil && r.By.Rule != nil {
		return []command{{closes: "in /etc/pf.conf, take out or narrow what leads it there: " + r.By.Rule.Text()}}
	}
	ifaces, ok := w.interfaces(undeclared)
	if !ok {
		return nil
	}
	match := ""
	switch len(ifaces) {
	case 0:
	case 1:
		match = " on " + ifaces[0]
	default:
		match = " on { " + strings.Join(ifaces, ", ") + " }"
	}
	match += map[string]string{"IPv4": " inet", "IPv6": " inet6"}[w.family(nil, undeclared)]
	match += fmt.Sprintf(" proto %s to any port %d", w.e.Protocol, w.e.Port)
	if r.By.Chain == nil {
		return []command{{closes: "turn pf on, with a rule in /etc/pf.conf: block in quick" + match}}
	}
	if skipped, _, found := strings.Cut(strings.TrimPrefix(r.By.Text, "set skip on "), ": "); found && strings.HasPrefix(r.By.Text, "set skip on ") {
		return []command{{closes: fmt.Sprintf("in /etc/pf.conf, take %s out of set skip, and say what may pass there", skipped)}}
	}
	return []command{{
		closes: "in /etc/pf.conf, before all pass and block rules: block in quick" + match,
		opens:  "in /etc/pf.conf, as the last rule: pass in" + match,
	}}
}
