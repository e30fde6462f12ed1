package correlate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

func ofIptables(t *firewall.Table) bool {
	return t.Backend == firewall.IptablesNFT || t.Backend == firewall.IptablesLegacy
}

// onlyIptables says that the host has rules, and that iptables wrote them all.
func onlyIptables(rules *firewall.Ruleset) bool {
	return rules != nil && len(rules.Tables) > 0 && !slices.ContainsFunc(rules.Tables, func(t *firewall.Table) bool { return !ofIptables(t) })
}

func iptablesTool(family int) string {
	if family == 6 {
		return "ip6tables"
	}
	return "iptables"
}

// iptablesPlace is the command up to the rule itself: before a rule, or at the
// chain's end. Docker writes its own chains anew; DOCKER-USER, which comes before
// them, is the administrator's.
func iptablesPlace(chain *firewall.Chain, before *firewall.Rule) string {
	family := 4
	if chain.Table.Family == firewall.FamilyIPv6 {
		family = 6
	}
	tool := iptablesTool(family) + " -t " + chain.Table.Name
	switch {
	case before == nil:
		return tool + " -A " + chain.Name
	case automatic(before) && hasChain(chain.Table, "DOCKER-USER"):
		return tool + " -I DOCKER-USER"
	}
	return fmt.Sprintf("%s -I %s %d", tool, chain.Name, before.Number)
}

func hasChain(t *firewall.Table, name string) bool {
	return slices.ContainsFunc(t.Chains, func(c *firewall.Chain) bool { return c.Name == name })
}

// byIptables are the commands for a place, one for each interface; without any,
// one for all.
func (w writer) byIptables(place string, ifaces []string, r Reach) []command {
	match := fmt.Sprintf(" -p %s --dport %d", w.e.Protocol, w.e.Port)
	if r.DeliveredTo != nil {
		match = fmt.Sprintf(" -p %s -m conntrack --ctorigdstport %d", w.e.Protocol, w.e.Port)
	}
	if len(ifaces) == 0 {
		return []command{{place + match + " -j DROP", place + match + " -j ACCEPT"}}
	}
	var all []command
	for _, name := range ifaces {
		rule := place + " -i " + name + match
		all = append(all, command{rule + " -j DROP", rule + " -j ACCEPT"})
	}
	return all
}

// ufwDecides says that a rule of ufw can settle what the chain let in: packets for
// this host that ufw's own rules for users, or what comes behind them, decide.
func ufwDecides(chain *firewall.Chain, r Reach) bool {
	if r.DeliveredTo != nil || !hasChain(chain.Table, "ufw-user-input") && !hasChain(chain.Table, "ufw6-user-input") {
		return false
	}
	_, own, _ := strings.Cut(chain.Name, "-")
	return chain.Name == "INPUT" || chainManager(chain) == "ufw" && !strings.HasPrefix(own, "before-") && own != "not-local"
}

// byUFW are ufw's own commands, whose rules are for both families unless an
// address says which.
func (w writer) byUFW(ifaces []string) []command {
	any := map[string]string{"IPv4": "0.0.0.0/0", "IPv6": "::/0", "": "any"}[w.family(nil, w.open)]
	match := fmt.Sprintf("to %s port %d proto %s", any, w.e.Port, w.e.Protocol)
	if len(ifaces) == 0 {
		return []command{{"ufw prepend deny " + match, "ufw prepend allow " + match}}
	}
	var all []command
	for _, name := range ifaces {
		all = append(all, command{"ufw prepend deny in on " + name + " " + match, "ufw prepend allow in on " + name + " " + match})
	}
	return all
}
