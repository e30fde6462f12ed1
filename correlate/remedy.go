package correlate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/lazyregexp"
)

func (w writer) remedy(text string) {
	if !slices.Contains(w.e.Remedy, text) {
		w.e.Remedy = append(w.e.Remedy, text)
	}
}

// A command keeps packets out; opens, if set, says instead that they are meant to come in.
type command struct{ closes, opens string }

// remedies says how to close the reach, and how to say that it is meant.
func (w writer) remedies(undeclared []Reach) {
	w.open = undeclared
	var commands []command
	var closed []firewall.Decision
	for _, r := range undeclared {
		if slices.ContainsFunc(closed, func(d firewall.Decision) bool { return equalDecisions(d, r.By) }) {
			continue
		}
		closed = append(closed, r.By)
		same := slices.DeleteFunc(slices.Clone(undeclared), func(o Reach) bool { return !equalDecisions(o.By, r.By) })
		c := w.closing(r, same)
		if len(c) == 0 {
			w.remedy("drop it by a rule before " + decisionName(r.By))
		}
		commands = append(commands, c...)
	}
	for _, c := range commands {
		w.remedy(c.closes)
	}
	w.onlyForThisHost(undeclared)
	for _, c := range commands {
		if c.opens != "" {
			w.remedy("or, if it is meant to be open, say so: " + c.opens)
		}
	}
}

// onlyForThisHost says how to bind the port to loopback. What docker-proxy listens
// on is Docker's to say.
func (w writer) onlyForThisHost(undeclared []Reach) {
	if len(w.e.Owners) == 0 || w.e.Redirected || loopbackOnly(w.e.Addresses) {
		return
	}
	owner := w.e.Owners[0].Name
	if owner == "docker-proxy" {
		inside := "PORT"
		for _, r := range undeclared {
			if r.DeliveredTo != nil {
				inside = fmt.Sprint(r.DeliveredTo.Port)
			}
		}
		w.remedy(fmt.Sprintf("or, if only this host needs it, publish it there: docker run -p 127.0.0.1:%d:%s", w.e.Port, inside))
		return
	}
	if slices.ContainsFunc(undeclared, func(r Reach) bool { return r.DeliveredTo == nil }) {
		w.remedy(fmt.Sprintf("or, if only this host needs it, bind %s to 127.0.0.1 and ::1", owner))
	}
}

func decisionName(d firewall.Decision) string {
	if d.Rule != nil {
		return ruleName(d.Rule)
	}
	if d.Chain != nil {
		return "the end of " + chainName(d.Chain)
	}
	return "the socket"
}

// closing are the commands that keep the reach's packets out where the decision
// fell, in the language of the host's own firewall. Empty where a name can't be
// written into a shell command without care.
func (w writer) closing(r Reach, undeclared []Reach) []command {
	d := r.By
	chain := d.Chain
	if d.Rule != nil {
		chain = d.Rule.Chain
	}
	if ofPF(w.in.Rules) {
		return w.byPF(r, undeclared)
	}
	if chain == nil || chain.Table == nil || inNATChain(d) {
		return w.closingWithoutChain(undeclared)
	}
	if !plain(chain.Name) || !plain(chain.Table.Name) {
		return nil
	}
	ifaces, ok := w.interfaces(undeclared)
	if !ok {
		return nil
	}
	if ufwDecides(chain, r) {
		return w.byUFW(ifaces)
	}
	if commands := w.byManager(chain, r); commands != nil {
		return commands
	}
	if writtenAnew(chain) {
		return w.closingWithoutChain(undeclared)
	}
	if ofIptables(chain.Table) {
		return w.byIptables(iptablesPlace(chain, d.Rule), ifaces, r)
	}
	family := w.family(chain, undeclared)
	place := fmt.Sprintf("nft add rule %s", chainName(chain))
	if d.Rule != nil {
		place = fmt.Sprintf("nft insert rule %s handle %d", chainName(chain), d.Rule.Handle)
	}
	return byNFT(place, nftMatch(ifaces, family, w.e, r))
}

func byNFT(place, match string) []command {
	return []command{{place + " " + match + " drop", place + " " + match + " accept"}}
}

// closingWithoutChain puts the rule at the top of a filter chain of the hook that
// the packet ends in, and makes one where the host has none.
func (w writer) closingWithoutChain(undeclared []Reach) []command {
	ifaces, ok := w.interfaces(undeclared)
	if !ok {
		return nil
	}
	var all []command
	for _, family := range []int{4, 6} {
		at := slices.IndexFunc(undeclared, func(r Reach) bool { return r.Family == family })
		if at < 0 {
			continue
		}
		for _, c := range w.closingAtHook(family, undeclared[at], ifaces, undeclared) {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

func (w writer) closingAtHook(family int, r Reach, ifaces []string, undeclared []Reach) []command {
	hook := firewall.Input
	if r.DeliveredTo != nil && r.DeliveredTo.Interface != "" {
		hook = firewall.Forward
	}
	chain := filterChain(w.in.Rules, hook, family)
	switch {
	case chain != nil && ufwDecides(chain, r):
		return w.byUFW(ifaces)
	case chain != nil && w.byManager(chain, r) != nil:
		return w.byManager(chain, r)
	case chain != nil && ofIptables(chain.Table):
		return w.byIptables(iptablesPlace(chain, &firewall.Rule{Number: 1}), ifaces, r)
	case chain != nil:
		return byNFT("nft insert rule "+chainName(chain), nftMatch(ifaces, w.family(chain, undeclared), w.e, r))
	case onlyIptables(w.in.Rules):
		return w.byIptables(iptablesTool(family)+" -t filter -I "+strings.ToUpper(hook.String()), ifaces, r)
	}
	name := "inet netglance " + hook.String()
	return append([]command{
		{closes: "nft add table inet netglance"},
		{closes: fmt.Sprintf("nft add chain %s '{ type filter hook %s priority filter; policy accept; }'", name, hook)},
	}, byNFT("nft add rule "+name, nftMatch(ifaces, w.family(nil, undeclared), w.e, r))...)
}

// family is what a rule in the chain (nil: one of an inet table) must ask for,
// where the port serves both families and only one is open.
func (w writer) family(chain *firewall.Chain, undeclared []Reach) string {
	if families(w.e.Reach) != "" || chain != nil && chain.Table.Family != firewall.FamilyInet {
		return ""
	}
	return families(undeclared)
}

// filterChain is the first base chain that filters the family's packets in the
// hook and can be named in a command; nil if there is none.
func filterChain(rules *firewall.Ruleset, hook firewall.Hook, family int) *firewall.Chain {
	if rules == nil {
		return nil
	}
	for _, t := range rules.Tables {
		serves := t.Family == firewall.FamilyInet || t.Family == firewall.FamilyIPv4 && family == 4 || t.Family == firewall.FamilyIPv6 && family == 6
		if !serves || t.Dormant || t.Owner != 0 || !plain(t.Name) {
			continue
		}
		for _, c := range t.Chains {
			if c.Base != nil && c.Base.Hook == hook && c.Base.Type == firewall.FilterChain && plain(c.Name) && !writtenAnew(c) {
				return c
			}
		}
	}
	return nil
}

// interfaces are those that the undeclared packets come in by; none if that is
// every way to the port. ok is false where a name can't be written.
func (w writer) interfaces(undeclared []Reach) (names []string, ok bool) {
	seen := map[string]bool{}
	for _, r := range w.e.Reach {
		seen[r.Interface] = seen[r.Interface] || false
	}
	for _, r := range undeclared {
		seen[r.Interface] = true
	}
	all := true
	for name, hit := range seen {
		if hit {
			names = append(names, name)
		}
		all = all && hit
	}
	if all {
		return nil, true
	}
	slices.Sort(names)
	return names, !slices.ContainsFunc(names, func(n string) bool { return !plain(n) })
}

// nftMatch names the packets as nft does. After a translation the filter sees the
// new port, so the match is on the one that the packet was sent to.
func nftMatch(ifaces []string, family string, e *Exposure, r Reach) string {
	var words []string
	switch len(ifaces) {
	case 0:
	case 1:
		words = append(words, "iifname "+ifaces[0])
	default:
		words = append(words, "iifname '{ "+strings.Join(ifaces, ", ")+" }'")
	}
	switch family {
	case "IPv4":
		words = append(words, "meta nfproto ipv4")
	case "IPv6":
		words = append(words, "meta nfproto ipv6")
	}
	if r.DeliveredTo != nil {
		return strings.Join(append(words, fmt.Sprintf("meta l4proto %s ct original proto-dst %d", e.Protocol, e.Port)), " ")
	}
	return strings.Join(append(words, fmt.Sprintf("%s dport %d", e.Protocol, e.Port)), " ")
}

// plainName is what both nft and a shell read as one word.
var plainName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

func plain(name string) bool { return plainName.MatchString(name) }
