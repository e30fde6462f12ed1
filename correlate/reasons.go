package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netglance/netglance/firewall"
)

// A writer puts a row's reasons and remedies into words.
type writer struct {
	e  *Exposure
	in Input
	// open is the reach that remedies are about.
	open []Reach
}

func (w writer) add(code, format string, arguments ...any) {
	r := Reason{code, fmt.Sprintf(format, arguments...)}
	if !slices.Contains(w.e.Reasons, r) {
		w.e.Reasons = append(w.e.Reasons, r)
	}
}

func (w writer) port() string { return portsName(*w.e) }

func (w writer) exposed(undeclared, blocked []Reach) {
	over := ""
	if families(w.e.Reach) == "" && families(undeclared) != "" {
		over = " over " + families(undeclared)
	}
	if w.in.Policy != nil && w.in.Policy.NothingElse {
		w.notAllowed(undeclared)
	}
	for _, r := range undeclared {
		if r.ruled == NamesPort || r.ruled == NamesSources {
			w.whyMeant(r)
			continue
		}
		w.whyOpen(r, over)
	}
	w.notAllowed(undeclared)
	switch over {
	case " over IPv4":
		w.beside("ipv4_open", "IPv4", "IPv6", 6, blocked)
	case " over IPv6":
		w.beside("ipv6_open", "IPv6", "IPv4", 4, blocked)
	}
	if loopbackOnly(w.e.Addresses) {
		w.add("loopback_reached", "though bound to loopback, packets from outside are led there")
	}
	w.conditions(undeclared)
	w.remedies(slices.DeleteFunc(slices.Clone(undeclared), func(r Reach) bool { return len(r.Entries) > 0 }))
	w.policyRemedies(undeclared)
}

// beside says that one family is left open where rules keep sources of the other out.
func (w writer) beside(code, open, other string, family int, blocked []Reach) {
	byRules := slices.ContainsFunc(blocked, func(r Reach) bool { return r.Family == family && r.DecidedBy.Chain != nil })
	if !byRules {
		return
	}
	how := "filtered"
	if slices.ContainsFunc(w.e.Reach, func(r Reach) bool { return r.Family == family && reaches(r.Part) != never }) {
		how = "restricted"
	}
	w.add(code, "%s is left open beside %s %s", open, how, other)
}

// whyOpen says what let the packets in although nothing declares it; over is the
// only family that is meant, if the port serves both.
func (w writer) whyOpen(r Reach, over string) {
	d := r.By
	switch {
	case d.Rule == nil && d.Chain == nil:
		text := d.Text
		if text == "" {
			text = "no rule filters it"
		}
		w.add("no_filter", "%s%s", text, over)
	case d.Rule == nil && ofPF(w.in.Rules):
		if over != "" {
			over = " (" + strings.TrimSpace(over) + ")"
		}
		w.add("policy_accept", "%s%s", decisionText(d), over) // pf is off, or no rule matches
	case d.Rule == nil:
		w.add("policy_accept", "%s%s has policy accept and no rule for %s%s", w.byDefault(d.Chain), chainName(d.Chain), w.port(), w.unmatched(d.Chain))
	case r.IPv4Only != nil:
		w.add("ipv4_only_closed", "%s accepts it for both families, and only IPv4 is closed again, by %s", ruleName(d.Rule), decisionText(*r.IPv4Only))
	case inNATChain(d):
		w.add("nat_alone", "nothing filters it, only a translation leads here: %s", w.does(d.Rule, "translates it"))
	case automatic(d.Rule):
		w.add("automatic_rule", "%s", w.automatic(d.Rule))
	case denies(d.Rule):
		w.add("rule_not_always", "%s", w.doesSo(d.Rule, "does not always stop it"))
	default:
		w.add("rule_broad", "%s", w.doesSo(d.Rule, "accepts it, naming neither port nor sources"))
	}
}

// decisionText is the decision's place and its own words.
func decisionText(d firewall.Decision) string {
	if d.Rule != nil {
		return ruleName(d.Rule) + ": " + d.Rule.Text()
	}
	return chainName(d.Chain) + ": " + d.Text
}

// unmatched says, where rules do name the port, that they don't match.
func (w writer) unmatched(chain *firewall.Chain) string {
	if chainNamesPort(chain, w.e.Port, map[*firewall.Chain]bool{}) {
		return " that matches these packets"
	}
	return ""
}

func chainNamesPort(chain *firewall.Chain, port uint16, seen map[*firewall.Chain]bool) bool {
	if chain == nil || seen[chain] {
		return false
	}
	seen[chain] = true
	for _, rule := range chain.Rules {
		if namesPort(rule.Steps, port) {
			return true
		}
		for _, to := range rule.JumpTargets() {
			if chainNamesPort(to, port, seen) {
				return true
			}
		}
	}
	return false
}

func (w writer) intentional(declared []Reach) {
	w.allowedBy(declared)
	for _, kind := range []Declaration{NamesPort, NamesSources} {
		for _, r := range declared {
			if r.Declared == kind {
				w.whyMeant(r)
			}
		}
	}
	w.conditions(declared)
}

func (w writer) whyMeant(r Reach) {
	by := r.DeclaredBy
	if max(r.Declared, r.ruled) == NamesPort {
		w.add("rule_names_port", "%s", w.does(by, "names the port"))
		return
	}
	w.add("rule_names_sources", "%s", w.doesSo(by, "names the sources, not the port, which says less"))
}

func (w writer) undecided(open []Reach) {
	for _, r := range open {
		for _, c := range r.Conditions {
			w.add("undecided", "%s", c.Text)
		}
		if len(r.Conditions) == 0 && r.DecidedBy.Text != "" {
			w.add("undecided", "%s", r.DecidedBy.Text)
		}
	}
	if len(w.e.Reasons) == 0 {
		w.add("undecided", "the rules leave it open, without a reason that can be named")
	}
	if len(w.in.Unread) > 0 {
		w.remedy("read everything: sudo netglance firewall")
	}
}

func (w writer) filtered(blocked []Reach) {
	for _, byRule := range []bool{true, false} {
		for _, r := range blocked {
			if kernelDrops(r.Part) != byRule {
				w.whyBlocked(r)
			}
		}
		if len(w.e.Reasons) > 0 {
			w.unanswered(blocked)
			return
		}
	}
}

// unanswered tells of sources that the rules let in for nothing: no answer gets
// back to them.
func (w writer) unanswered(blocked []Reach) {
	for _, r := range blocked {
		var from []string
		for _, p := range r.Sources.Prefixes {
			from = append(from, p.String())
		}
		if kernelDrops(r.Part) && strings.HasPrefix(r.DecidedBy.Text, firewall.AnswerLost) && len(from) > 0 && len(from) <= 4 {
			w.add("unanswered", "%s get in by %s for nothing: %s", strings.Join(from, ", "), r.Interface, r.DecidedBy.Text)
		}
	}
}

func (w writer) whyBlocked(r Reach) {
	d := r.DecidedBy
	where := w.inNamespace(d)
	switch {
	case d.Rule != nil && r.Fate == firewall.Rejected:
		w.add("rule_reject", "%s%s", where, w.does(d.Rule, "rejects it"))
	case d.Rule != nil:
		w.add("rule_drop", "%s%s", where, w.does(d.Rule, "drops it"))
	case d.Chain != nil && ofPF(w.in.Rules):
		w.add("policy_drop", "%s%s", where, decisionText(d))
	case d.Chain != nil:
		w.add("policy_drop", "%s%s%s has policy drop", where, w.byDefault(d.Chain), chainName(d.Chain))
	case where != "" && r.Fate == firewall.Rejected:
		w.add("nobody_listens", "closed: %s", d.Text)
	default:
		w.add("kernel_drop", "%s", d.Text)
	}
}

func (w writer) local() {
	switch {
	case loopbackOnly(w.e.Addresses):
		var names []string
		for _, a := range w.e.Addresses {
			names = append(names, a.String())
		}
		w.add("bound_to_loopback", "bound to %s", strings.Join(names, " and "))
	case len(w.e.Devices) > 0:
		w.add("bound_to_device", "bound to %s, where nothing from outside arrives", strings.Join(w.e.Devices, " and "))
	default:
		w.add("no_way_in", "no interface that is up leads to its address")
	}
}

// fromLink tells of neighbours, which the label doesn't count.
func (w writer) fromLink(reach []Reach) {
	for _, r := range reach {
		if reaches(r.Part) != surely {
			continue
		}
		w.add("link_reaches", "who shares the link of %s and sends to %s itself gets through, by %s", r.Interface, r.Destinations[0], decisionName(r.By))
		if plain(r.Interface) && r.Family == 4 {
			w.remedy(fmt.Sprintf("to keep neighbours out: iptables -t raw -I PREROUTING -i %s -d 127.0.0.0/8 -j DROP", r.Interface))
		}
	}
}

// conditions says what else an answer depends on.
func (w writer) conditions(reach []Reach) {
	for _, r := range reach {
		for _, c := range r.Conditions {
			switch {
			case atTimes(c.Kind):
				w.add("at_times", "gets through at some times, not at others: %s", c.Text)
			case c.Kind == firewall.Sender:
				w.add("sender_chooses", "gets through where the sender chooses to fit: %s", c.Text)
			default:
				w.add("condition", "can't be settled by reading: %s", c.Text)
			}
		}
	}
}

// about adds what a reader should know whatever the label.
func (w writer) about() {
	w.bypasses()
	w.destinations()
	if w.e.Predicted != "" {
		w.add("predicted", "predicted by %s", w.e.Predicted)
	}
	w.served()
	w.hairpins()
	w.localnets()
	if w.in.Namespace != "" && w.e.Label != Local {
		w.add("own_rules_only", "these are the namespace's own rules: what stands before it, the host's rules too, is not counted")
	}
	if w.e.ProbableClient {
		w.add("probable_client", "probably a client's socket: %s", w.clientSign())
	}
	if w.e.OwnerGap != "" {
		w.add("owner_unknown", "%s", w.e.OwnerGap)
	}
}

// clientSign is by what a socket is taken for a client's: its port is the one that
// DHCP's clients have (RFC 2131, RFC 8415), or nobody asked for it.
func (w writer) clientSign() string {
	switch w.e.Port {
	case 68:
		return "DHCP's"
	case 546:
		return "DHCPv6's"
	}
	return "unconnected, on a port that the kernel chose"
}

// destinations says where rules lead the packets, if not to the port's own sockets.
func (w writer) destinations() {
	instead := "past its own socket"
	if w.e.Redirected {
		instead = "no socket"
	}
	for _, r := range w.e.Reach {
		d := r.DeliveredTo
		if d == nil || reaches(r.Part) == never {
			continue
		}
		if d.Interface != "" {
			w.add("forwarded", "%s: forwarded to %s%s via %s", instead, netip.AddrPortFrom(d.Address, d.Port), w.inPlace(*d), d.Interface)
		} else {
			w.add("redirected", "%s: led to %s", instead, netip.AddrPortFrom(d.Address, d.Port))
		}
	}
}

// families names the only family of the reach; empty if there are both, or none.
func families(reach []Reach) string {
	four := slices.ContainsFunc(reach, func(r Reach) bool { return r.Family == 4 })
	six := slices.ContainsFunc(reach, func(r Reach) bool { return r.Family == 6 })
	switch {
	case four == six:
		return ""
	case six:
		return "IPv6"
	}
	return "IPv4"
}

// chainName is a chain as people write it: "inet filter input".
func chainName(c *firewall.Chain) string { return c.FullName() }

func ruleName(r *firewall.Rule) string {
	if r.Chain == nil {
		return fmt.Sprintf("rule %d", r.Number)
	}
	return fmt.Sprintf("%s rule %d", chainName(r.Chain), r.Number)
}
